"""The `rawproto` command: one file a tool, each using only the public face of the library."""

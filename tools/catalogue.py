"""The tools and what each is for, in one line: what ``rawproto --help`` prints without loading any of them.

A tool is the module of its name beside this one, with a :class:`click.Command` called ``command``.
"""

from __future__ import annotations

__all__ = ["TOOLS"]

# A test holds each line equal to the short help of the command itself.
TOOLS: dict[str, str] = {
    "demo": "Send a file over a bad link, on the reliable stream protocol straight above IP.",
    "bench": "Measure how fast a transport is between two hosts.",
    "cat": "Copy standard input to a peer and what it says to standard output.",
    "dump": "Show packets as they pass, or out of a file.",
    "ping": "Send echo requests and time the answers, with the kernel's timestamps.",
    "trace": "Draw a connection trace, or say in words what limited the transfer.",
    "dissector": "Print a Wireshark dissector in Lua, for RSP or headers of your own.",
    "completion": "Print what makes the shell complete commands, options and values.",
    "man": "Write the manual pages of all commands into a folder.",
    "doctor": "Say why sending raw IP would fail here, and how to mend it.",
    "lab": "Run programs on the hosts of a network that a TOML file describes.",
    "send": "Send any datagram, right or wrong on purpose, and wait for the answer.",
    "soak": "Run a scenario with many seeds in the simulator; a stopped campaign goes on.",
    "lookup": "Look up names, addresses and DNS records.",
    "serve": "Serve a folder to rawproto get and rawproto put.",
    "get": "Fetch files and folders from a server that rawproto serve runs.",
    "put": "Send files and folders to a server that rawproto serve runs.",
    "traceroute": "Show the routers on the way to a host.",
}

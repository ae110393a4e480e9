"""The `rawproto` command."""


def main() -> None:
    """Run the command line."""

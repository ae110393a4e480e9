"""``rawproto put``: files and folders to a ``rawproto serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .transfer_options import client_options

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .transferkit.channel import Channel
    from .transferkit.display import Display

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto put 10.0.0.2 film.mkv               to the folder served there, on RSP
  rawproto put 10.0.0.2:1300 photos notes.txt  whole folders, another port
  rawproto put -n tcp host.example --to in/new file
  rawproto put 10.0.0.2 film.mkv               again after a break: goes on where it stood
"""


@click.command("put", epilog=EXAMPLES)
@click.argument("server")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", default="", metavar="FOLDER", help="Folder of the server to put them in.")
@client_options
def command(server: str, files: Sequence[Path], to: str, overwrite: bool, **options: Any) -> int:
    """Send files and folders to a server that rawproto serve runs.

    Each file is checked by SHA-256 and appears there whole or not at all. What is there already and equal is left as
    it is, so that the same command again continues after a break.
    """
    from .transferkit.client import ask
    from .transferkit.session import store

    for path in files:
        path.stat()  # a wrong name is told before anything is sent

    def transfer(channel: Channel, display: Display) -> None:
        watch = display.watch()
        store(channel, files, to.strip("/"), overwrite=overwrite, watch=watch, skipped=display.skipped)

    return ask(server, transfer, **options)

"""``rawproto put``: files and folders to a ``rawproto serve``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rawproto import drop_privileges

from .output import json_option
from .transfer_options import client_options, server_address
from .transport import Transport, dial_options, network_option

if TYPE_CHECKING:
    from collections.abc import Sequence

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
@network_option
@client_options
@dial_options
@json_option
def command(
    server: str,
    files: Sequence[Path],
    to: str,
    overwrite: bool,
    verbose: bool,
    wait: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Send files and folders to a server that rawproto serve runs.

    Each file is checked by SHA-256 and appears there whole or not at all. What is there already and equal is left as
    it is, so that the same command again continues after a break.
    """
    from .transferkit.channel import Channel
    from .transferkit.display import Display
    from .transferkit.session import store

    for path in files:
        path.stat()  # a wrong name is told before anything is sent
    transport = Transport(**options)
    display = Display(as_json=as_json, verbose=verbose)
    with display, transport.dial(server_address(server), timeout=wait) as conn:
        drop_privileges()
        channel = Channel(conn, wait)
        store(
            channel,
            files,
            to.strip("/"),
            overwrite=overwrite,
            watch=display.watch(),
            skipped=display.skipped,
        )
        return display.close(conn)

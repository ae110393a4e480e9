"""``rawproto get``: files and folders from a ``rawproto serve``."""

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
  rawproto get 10.0.0.2 film.mkv               from the folder served there, on RSP
  rawproto get -n tcp host.example:1300 photos --to /tmp
  rawproto get 10.0.0.2 .                      everything
"""


@click.command("get", epilog=EXAMPLES)
@click.argument("server")
@click.argument("paths", nargs=-1, required=True)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=".",
    show_default=True,
    metavar="FOLDER",
    help="Folder to put them in.",
)
@network_option
@client_options
@dial_options
@json_option
def command(
    server: str,
    paths: Sequence[str],
    to: Path,
    overwrite: bool,
    verbose: bool,
    wait: float,
    as_json: bool,
    **options: Any,
) -> int:
    """Fetch files and folders from a server that rawproto serve runs.

    Each file is checked by SHA-256 and appears whole or not at all. What is here already and equal is left as it is,
    so that the same command again continues after a break.
    """
    from .transferkit.channel import Channel
    from .transferkit.display import Display
    from .transferkit.session import fetch

    transport = Transport(**options)
    display = Display(as_json=as_json, verbose=verbose)
    with display, transport.dial(server_address(server), timeout=wait) as conn:
        drop_privileges()
        fetch(Channel(conn, wait), paths, to, overwrite=overwrite, watch=display.watch())
        return display.close(conn)

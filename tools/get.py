"""``rawproto get``: files and folders from a ``rawproto serve``."""

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
@client_options
def command(server: str, paths: Sequence[str], to: Path, overwrite: bool, **options: Any) -> int:
    """Fetch files and folders from a server that rawproto serve runs.

    Each file is checked by SHA-256 and appears whole or not at all. What is here already and equal is left as it is,
    so that the same command again continues after a break.
    """
    from .transferkit.client import ask
    from .transferkit.session import fetch

    def transfer(channel: Channel, display: Display) -> None:
        fetch(channel, paths, to, overwrite=overwrite, watch=display.watch())

    return ask(server, transfer, **options)

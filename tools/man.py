"""``rawproto man``: the manual pages, made from the help."""

from __future__ import annotations

from pathlib import Path

import click

from .output import emit_json, json_option

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto man ~/.local/share/man/man1     man rawproto-ping finds it there
  rawproto man . && man ./rawproto-cat.1
"""


@click.command("man", epilog=EXAMPLES)
@click.argument("folder", metavar="DIR", type=click.Path(file_okay=False, path_type=Path))
@json_option
def command(folder: Path, as_json: bool) -> None:
    """Write the manual pages of all commands into a folder.

    The folder is made where it is missing; pages that are there are replaced.
    """
    from .main import command as rawproto
    from .manpage import pages

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for name, text in pages(click.Context(rawproto, info_name="rawproto")):
        path = folder / f"{name}.1"
        path.write_text(text, encoding="utf-8")
        written.append(path)
    if as_json:
        emit_json({"pages": written})
    else:
        click.echo(f"{len(written)} pages in {folder}")

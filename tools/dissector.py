"""``rawproto dissector``: Wireshark's view of RSP, or of headers of one's own."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from .failure import USAGE, Failure
from .output import emit_json, json_option

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto import Header

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto dissector -o rsp.lua                      RSP, for Wireshark's plugin folder
  tshark -X lua_script:rsp.lua -r FILE.pcapng        and how to use it
  rawproto dissector --udp-port 4433 -o rsp.lua      inside UDP, too
  rawproto dissector --headers mine.py               every header of the file
  rawproto dissector --headers mine.py Base --by kind --variant 1=Open --variant 2=Close
"""
PLUGINS = "~/.local/lib/wireshark/plugins"
"""Where Wireshark and tshark look for a user's own plugins (the personal plugin folder, "Help > About > Folders")."""


@click.command("dissector", epilog=EXAMPLES)
@click.argument("names", metavar="[HEADER]...", nargs=-1)
@click.option("--headers", type=click.Path(path_type=Path), help="Python file with header classes.")
@click.option("--by", metavar="FIELD", help="Field of the header that tells which variant a packet is.")
@click.option(
    "--variant", "variants", multiple=True, metavar="N=HEADER", help="The header when FIELD is N; repeatable."
)
@click.option(
    "--protocol",
    type=click.IntRange(0, 255),
    help="IP protocol number [default: the header's own; RSP: 253].",
)
@click.option("--udp-port", type=click.IntRange(1, 65535), help="Take what is on this UDP port, too.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="File to write [default: standard output]."
)
@json_option
def command(
    names: Sequence[str],
    headers: Path | None,
    by: str | None,
    variants: Sequence[str],
    protocol: int | None,
    udp_port: int | None,
    output: Path | None,
    as_json: bool,
) -> None:
    """Print a Wireshark dissector in Lua, for RSP or headers of your own.

    Every field can be filtered on as NAME.FIELD; lengths, constants and checksums are checked, and what is wrong is
    marked. Without HEADER every header of the file that has a protocol number gets a dissector, or the only one.
    """
    if headers is None:
        if names or by or variants:
            raise click.UsageError("HEADER, --by and --variant need --headers")
        from .rsp_lua import rsp_dissector

        made = {"RSP": rsp_dissector(protocol=protocol, udp_port=udp_port)}
    else:
        from .own_headers import load_headers

        declared = load_headers(headers)
        family = _variants(declared, by, variants)
        made = {
            cls.__name__: cls.wireshark_lua(protocol=protocol, udp_port=udp_port, by=by, variants=family)
            for cls in _chosen(declared, names, headers, single=bool(family or protocol or udp_port))
        }
    text = next(iter(made.values())) if len(made) == 1 else "\n".join(map(_block, made.values()))
    hint = _hint(output or Path("NAME.lua"))
    if output is not None:
        output.write_text(text, encoding="utf-8")
    if as_json:
        emit_json({"protocols": list(made), "output": output, "lua": text, "hint": hint})
    elif output is not None:
        click.echo(hint)
    else:
        click.echo(text)
        if sys.stdout.isatty():
            click.echo(hint, err=True)


def _block(script: str) -> str:
    # Each in a scope of its own: a Lua chunk has room for 200 local names only.
    return f"do\n{script}\nend\n"


def _hint(file: Path) -> str:
    return (
        f"To install: mkdir -p {PLUGINS} && cp {file} {PLUGINS}/ and restart Wireshark, or Ctrl-Shift-L in it.\n"
        f"To try: tshark -X lua_script:{file} -r CAPTURE"
    )


def _chosen(
    declared: dict[str, type[Header]], names: Sequence[str], path: Path, *, single: bool
) -> list[type[Header]]:
    """The headers to make dissectors for."""
    for name in names:
        if name not in declared:
            raise Failure(f"{path} declares no header {name!r}: there are {', '.join(declared)}", USAGE)
    chosen = [declared[name] for name in names]
    if not chosen:
        # What derives from another header here has its number, and is a variant of it.
        tops = [cls for cls in declared.values() if cls.__base__ not in declared.values()]
        chosen = tops if len(tops) == 1 else [cls for cls in tops if cls.protocol_number is not None]
    if not chosen:
        raise Failure(f"name a header: none of {', '.join(declared)} has a protocol number", USAGE)
    if single and len(chosen) > 1:
        raise Failure(f"name one header of {', '.join(cls.__name__ for cls in chosen)}", USAGE)
    return chosen


def _variants(
    declared: dict[str, type[Header]], by: str | None, texts: Sequence[str]
) -> dict[int, type[Header]]:
    """What ``--variant`` says."""
    if bool(by) != bool(texts):
        raise click.UsageError("--by and --variant go together")
    found = {}
    for text in texts:
        number, _, name = text.partition("=")
        try:
            found[int(number, 0)] = declared[name]
        except (ValueError, KeyError):
            raise click.UsageError(
                f"--variant {text!r}: a number, '=' and one of {', '.join(declared)}"
            ) from None
    return found

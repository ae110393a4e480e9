"""``rawproto dump``: packets as they pass, or out of a file: in lines, as JSON, or as a ladder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .failure import DONE
from .output import json_option
from .quantity import SPAN

if TYPE_CHECKING:
    from .dumpkit.view import View

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  sudo rawproto dump                                  every IP packet of every interface
  sudo rawproto dump -i eth0 tcp.flags '&' SYN        what opens a connection
  sudo rawproto dump 'host 192.0.2.1 and not port 22' -x
  sudo rawproto dump --headers mine.py probe.kind == ASK
  sudo rawproto dump -w all.pcapng -c 1000            write; read it with -r, or with Wireshark
  rawproto dump -r all.pcapng --ladder port 1200      a conversation as arrows
"""


@click.command("dump", epilog=EXAMPLES)
@click.argument("words", metavar="[FILTER]...", nargs=-1)
@click.option("-i", "-I", "--interface", help="Of this interface only; with -r: captured on it.")
@click.option("-c", "--count", type=click.IntRange(1), help="End after so many packets.")
@click.option("-d", "--duration", type=SPAN, help="End after this long.")
@click.option(
    "-r", "--read", "source", type=click.Path(path_type=Path), help="A pcap(ng) file; -: standard input."
)
@click.option(
    "-w", "--write", "target", type=click.Path(path_type=Path), help="Write pcapng; -: standard output."
)
@click.option("--print", "printing", is_flag=True, help="With -w, show the packets, too.")
@click.option("--ladder", is_flag=True, help="Hosts as columns, packets as arrows between them.")
@click.option(
    "--headers", type=click.Path(path_type=Path), help="Python file with header classes of your own."
)
@click.option(
    "--decode",
    "places",
    multiple=True,
    metavar="PLACE=HEADER",
    help="What is where: 254=probe, udp:4433=rsp.",
)
@click.option("-v", "--verbose", is_flag=True, help="All fields, and what is wrong with them.")
@click.option("-x", "--hexdump", "hexed", is_flag=True, help="The bytes, too.")
@click.option(
    "-t",
    "--time",
    "clock",
    type=click.Choice(("clock", "relative", "epoch")),
    default="clock",
    show_default=True,
)
@click.option("-p", "--promiscuous", is_flag=True, help="Packets for other hosts, too; needs -i.")
@click.option(
    "--colour/--no-colour", "--color/--no-color", "colour", default=None, help="[default: on terminals]"
)
@json_option
def command(
    words: tuple[str, ...], source: Path | None, headers: Path | None, places: tuple[str, ...], as_json: bool,
    **options: Any,
) -> int:  # fmt: skip
    """Show packets as they pass, or out of a file.

    FILTER compares fields of headers (tcp.dport == 80, ipv4.dst == 10.0.0.0/8, rsp.kind in SYN,RESET), joined by
    and, or and not; 'host ADDRESS', 'port NUMBER' and the name of a header are tests, too. It runs in the kernel.
    Ctrl-C ends the capture.
    """
    from .packetkit.places import places_of
    from .packetkit.vocabulary import vocabulary_from

    _check(source, as_json=as_json, **options)
    vocabulary = vocabulary_from(headers)
    text = " ".join(words)
    program = None
    if text:
        from .packetkit.expression import compile_expression

        program = compile_expression(text, vocabulary)
    view = _view(as_json=as_json, live=source is None, **options)
    decoding = {"judge": options["verbose"] or as_json, "places": places_of(places, vocabulary)}
    if source is None:
        from .dumpkit.from_wire import run

        return run(view, program, decoding, text=text, as_json=as_json, **options)
    from .dumpkit.from_file import read

    read(source, view, program, decoding, as_json=as_json, **options)
    return DONE


def _check(source: Path | None, **options: Any) -> None:
    """Refuse options that exclude each other."""
    if options["promiscuous"] and (options["interface"] is None or source is not None):
        raise click.UsageError("--promiscuous needs --interface, and a live capture")
    if options["ladder"] and (options["as_json"] or options["hexed"] or options["verbose"]):
        raise click.UsageError("--ladder goes with neither --json nor --hexdump nor --verbose")
    if str(options["target"]) == "-" and (options["printing"] or options["as_json"]):
        raise click.UsageError("-w - leaves no room for anything else on standard output")
    if source is not None and options["duration"] is not None:
        raise click.UsageError("--duration is for live captures")


def _view(*, as_json: bool, live: bool, ladder: bool, **options: Any) -> View:
    from .dumpkit import view

    if options["target"] is not None and not options["printing"]:
        return view.View()
    if as_json:
        return view.JSONView()
    if ladder:
        from .dumpkit.ladder import Ladder

        return Ladder.for_terminal(colour=options["colour"], live=live)
    clock = view.clock_of(options["clock"])
    return view.LineView(clock, verbose=options["verbose"], hexed=options["hexed"], colour=options["colour"])

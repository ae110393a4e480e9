"""``rawproto send``: any datagram, right or wrong on purpose, and the answer to it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .failure import DONE, FAILED
from .output import emit_json, json_option
from .quantity import SPAN

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .packetkit.vocabulary import Vocabulary
    from .sendkit.supply import Supply

__all__ = ["command"]

EXAMPLES = """\b
Examples:
  rawproto send --show --dry-run ipv4 dst=192.0.2.1 / udp dport=9 / text hello
  sudo rawproto send ipv4 dst=192.0.2.1 / icmp type=echo ident=7 seq=1 --expect reply
  sudo rawproto send ipv4 dst=192.0.2.1 ttl=3 / tcp dport=80 flags=SYN options=mss:1460,sackpermitted
  sudo rawproto send --headers mine.py ipv4 dst=192.0.2.1 protocol=253 / probe kind=1 / text hello
  sudo rawproto send ipv4 dst=192.0.2.1 checksum=wrong / udp dport=9 length=7 / zeros 20
  sudo rawproto send ipv6 dst=2001:db8::1 / tcp dport=80 flags=SYN --expect 'tcp.flags & SYN|ACK'
  sudo rawproto send --read capture.pcapng --rate 100
"""
REPLY = "reply"


@click.command("send", epilog=EXAMPLES)
@click.argument("words", metavar="[HEADER [FIELD=VALUE]... [/ HEADER ...] [/ text WORDS]]", nargs=-1)
@click.option(
    "--headers", type=click.Path(path_type=Path), help="Python file with header classes of your own."
)
@click.option("--to", metavar="HOST", help="Where to: begins the datagram with an IP header for it.")
@click.option("-x", "--hex", "digits", metavar="DIGITS", help="A whole IP datagram as hex digits.")
@click.option("--hex-file", type=click.Path(path_type=Path), help="The same in a file; dumps are fine.")
@click.option(
    "-r", "--read", "capture", type=click.Path(path_type=Path), help="The datagrams of a pcap(ng) file."
)
@click.option(
    "-c", "--count", type=click.IntRange(0), default=1, show_default=True, help="How often; 0: no end."
)
@click.option(
    "--rate", type=click.FloatRange(0), default=1.0, help="Datagrams a second [default: 1; 0: no limit]."
)
@click.option("--show", is_flag=True, help="Draw the first datagram: headers, values, bytes.")
@click.option("-n", "--dry-run", is_flag=True, help="Send nothing; needs no privilege.")
@click.option(
    "--expect", metavar="reply|FILTER", help="Wait for the reply, or for a packet that a filter takes."
)
@click.option("-W", "--timeout", type=SPAN, default="1s", show_default=True, help="How long to wait for it.")
@click.option("-I", "--interface", help="Leave by this interface.")
@click.option("--fragment", "mtu", type=click.IntRange(68, 65535), metavar="MTU", help="Cut into fragments.")
@click.option(
    "--link",
    type=click.Choice(("auto", "raw", "packet")),
    default="auto",
    help="Socket; auto takes a packet socket where a raw one would mend what is wrong.",
)
@click.option("--seed", type=int, help="Makes what is random the same again.")
@json_option
def command(
    words: tuple[str, ...], headers: Path | None, to: str | None, digits: str | None, hex_file: Path | None,
    capture: Path | None, mtu: int | None, seed: int | None, as_json: bool, show: bool, dry_run: bool,
    **options: Any,
) -> int:  # fmt: skip
    """Send any datagram, right or wrong on purpose, and wait for the answer.

    Headers are parted by '/'; fields that are not given have their defaults, are computed, or follow from the route.
    A computed field may be 'wrong', any fixed one 'random'. Payloads: text WORDS, hex DIGITS, file PATH, zeros COUNT.
    The exit status is 1 when an answer was expected and none came.
    """
    from .packetkit.vocabulary import vocabulary_from

    vocabulary = vocabulary_from(headers)
    supply = _supply(words, vocabulary, to, digits, hex_file, capture, seed)
    supply.cut(mtu)
    first = supply.peek()
    if show and not as_json:
        _draw(supply)
    expect = options["expect"]
    if expect is not None and expect != REPLY:
        from .packetkit.expression import compile_expression

        options["program"] = compile_expression(expect, vocabulary)
    if dry_run:
        if as_json:
            emit_json(supply.document() | {"sent": 0})
        elif not show:
            click.echo(first.hex())
        return DONE
    return _send(supply, as_json=as_json, **options)


def _supply(
    words: Sequence[str],
    vocabulary: Vocabulary,
    to: str | None,
    digits: str | None,
    hex_file: Path | None,
    capture: Path | None,
    seed: int | None,
) -> Supply:
    """What the command line says is to be sent."""
    from .sendkit.supply import Described, Given

    sources = [name for name, given in (("HEADER ...", words), ("--hex", digits is not None),
                                        ("--hex-file", hex_file), ("--read", capture)) if given]  # fmt: skip
    if len(sources) != 1:
        what = (
            f"{' and '.join(sources)} exclude each other"
            if sources
            else "say what to send: HEADER FIELD=VALUE ..."
        )
        raise click.UsageError(what)
    if words:
        return Described(words, vocabulary, to, seed)
    if to is not None:
        raise click.UsageError("--to goes with headers; a whole datagram says itself where it goes")
    from .sendkit import sources as given

    if capture is not None:
        return Given(given.from_capture(capture))
    if hex_file is not None:
        return Given([given.from_hex_file(hex_file)])
    return Given([given.from_hex_text(digits or "")])


def _draw(supply: Supply) -> None:
    from .sendkit.show import picture

    for line in picture(supply.datagram()):
        click.echo(line)


def _send(supply: Supply, *, as_json: bool, **options: Any) -> int:
    from .sendkit.run import Plan, Run

    expect = options.pop("expect")
    plan = Plan(expects=expect is not None, program=options.pop("program", None), **options)
    run = Run(supply, plan, quiet=as_json)
    interrupted = False
    try:
        run.go()
    except KeyboardInterrupt:
        interrupted = True
    finally:
        run.close()
    if as_json:
        emit_json(supply.document() | run.document())
    else:
        for line in run.summary():
            click.echo(line)
    if interrupted and plan.count:
        raise KeyboardInterrupt
    if expect is None:
        return DONE if run.sent else FAILED
    return DONE if run.answers else FAILED

"""What packets are shown by: lines, JSON or a ladder."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from ..output import emit_json
from ..packetkit.document import document_of
from ..packetkit.hexdump import hexdump
from ..packetkit.words import endpoints, name_of, summary, text_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..packetkit.decode import Decoded

__all__ = ["CLOCKS", "JSONView", "LineView", "View", "clock_of"]

_COLOURS = {"TCP": "green", "UDP": "blue", "ICMP": "cyan", "ICMPv6": "cyan", "RSP": "magenta"}
_OWN = "yellow"


class View:
    """Shows packets; does nothing by itself."""

    def packet(self, decoded: Decoded) -> None:
        """One more packet."""

    def drops(self, count: int) -> None:
        """Packets were dropped before the next one."""

    def finish(self) -> None:
        """There are no more."""

    def tick(self) -> None:
        """What was shown so far is to be seen."""


def _wall(nanoseconds: int, first: int) -> str:
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{fraction // 1000:06d}"


def _epoch(nanoseconds: int, first: int) -> str:
    return f"{nanoseconds // 1_000_000_000}.{nanoseconds % 1_000_000_000:09d}"


def _relative(nanoseconds: int, first: int) -> str:
    return f"{(nanoseconds - first) / 1e9:.6f}"


CLOCKS: dict[str, Callable[[int, int], str]] = {"clock": _wall, "relative": _relative, "epoch": _epoch}


def clock_of(name: str) -> Callable[[int | None], str]:
    """A function that shows the time of a packet; the first one asked about is what "relative" counts from."""
    show = CLOCKS[name]
    first: list[int] = []

    def text(nanoseconds: int | None) -> str:
        if nanoseconds is None:
            return "-"
        if not first:
            first.append(nanoseconds)
        return show(nanoseconds, first[0])

    return text


class LineView(View):
    """One line a packet; with ``verbose`` its headers, with ``hexed`` its bytes below.

    Args:
        clock: shows times.
        verbose: every field of every header, and what is wrong with it.
        hexed: a dump of the bytes.
        colour: ANSI colours; None decides by whether standard output is a terminal.
    """

    def __init__(
        self, clock: Callable[[int | None], str], *, verbose: bool, hexed: bool, colour: bool | None
    ) -> None:
        self._clock = clock
        self._verbose = verbose
        self._hexed = hexed
        self._coloured = sys.stdout.isatty() if colour is None else colour

    def _echo(self, text: str) -> None:
        sys.stdout.write(text + "\n")

    def _painted(self, text: str, colour: str | None, *, bold: bool = False) -> str:
        return click.style(text, fg=colour, bold=bold) if self._coloured else text

    def packet(self, decoded: Decoded) -> None:
        """See :meth:`View.packet`."""
        packet = decoded.packet
        source, destination = endpoints(decoded)
        protocol, words = summary(decoded)
        where = " ".join(part for part in (packet.interface, packet.direction) if part)
        colour = _COLOURS.get(protocol, _OWN if decoded.headers[1:] else None)
        if protocol == "TCP" and "RST" in words.split(" ", 1)[0]:
            colour = "red"
        front = f"{self._clock(packet.time)} {where}{'  ' if where else ''}"
        line = f"{front}{source} > {destination}  {self._painted(protocol, colour, bold=True)} {words}"
        if not packet.is_whole:
            line += f" [{len(packet.data)} of {packet.length} bytes]"
        for comment in packet.comments:
            line += f"  # {comment}"
        self._echo(line)
        for problem in decoded.problems:
            self._echo("    " + self._painted(f"! {problem}", "red"))
        if self._verbose:
            for header in decoded.headers:
                fields = [
                    f"{info.name}={text_of(getattr(header, info.name))}" for info in type(header).fields
                ]
                self._echo(f"    {name_of(header)}: {' '.join(fields)}")
        if self._hexed:
            for row in hexdump(packet.data, indent="    "):
                self._echo(row)

    def drops(self, count: int) -> None:
        """See :meth:`View.drops`."""
        self._echo(self._painted(f"-- {count} packets dropped by the kernel --", "red"))

    def tick(self) -> None:
        """See :meth:`View.tick`."""
        sys.stdout.flush()


class JSONView(View):
    """One object a line."""

    def packet(self, decoded: Decoded) -> None:
        """See :meth:`View.packet`."""
        sys.stdout.write(json.dumps(document_of(decoded), ensure_ascii=False, allow_nan=False) + "\n")

    def tick(self) -> None:
        """See :meth:`View.tick`."""
        sys.stdout.flush()

    def drops(self, count: int) -> None:
        """See :meth:`View.drops`."""
        emit_json({"drops": count})

    @staticmethod
    def summary(document: dict[str, Any]) -> None:
        """The last line."""
        emit_json({"summary": document})

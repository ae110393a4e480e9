"""A conversation as people draw it: hosts as columns, time downwards, a packet an arrow."""

from __future__ import annotations

import shutil
import sys
from typing import TYPE_CHECKING, NamedTuple

import click

from rawproto import ICMPv6

from .flows import Flows
from .view import View

if TYPE_CHECKING:
    from ..packetkit.decode import Decoded
    from .flows import Told

__all__ = ["Ladder"]

_TIME = 12
_NARROWEST = 30
_WIDEST = 60
_PLAIN_WIDTH = 100
_MOST_HOSTS = 8
_MOST_WAITING = 200_000


class _Pens(NamedTuple):
    """What is drawn with."""

    bar: str
    line: str
    again: str
    right: str
    left: str
    lost: str


_DRAWN = _Pens("│", "─", "┄", "▶", "◀", "✗")
_TYPED = _Pens("|", "-", ".", ">", "<", "x")


def _is_background(decoded: Decoded) -> bool:
    """Whether a packet belongs to no conversation: it is for a group, or finds a neighbour (RFC 4861)."""
    for address in (decoded.ip.src, decoded.ip.dst):
        if address.is_multicast or address.is_unspecified or bytes(address) == b"\xff" * 4:
            return True
    return any(isinstance(header, ICMPv6) and 133 <= header.type <= 137 for header in decoded.headers)


class _Row:
    """A packet on its way: when it was seen first, and when on another interface, if it was."""

    __slots__ = ("arrived", "decoded")

    def __init__(self, decoded: Decoded) -> None:
        self.decoded = decoded
        self.arrived: int | None = None


class Ladder(View):
    """Draws the conversations of a capture.

    Of a file that shows a link from both ends (as the lab's relay writes it) each packet is one arrow, and one that
    was seen at one end only is shown as lost.

    Args:
        width: columns of the terminal.
        pens: characters.
        coloured: whether to use ANSI colours.
        live: draw each packet at once; hosts are then found as they speak.
    """

    def __init__(self, *, width: int, pens: _Pens, coloured: bool, live: bool) -> None:
        self._width = width
        self._pens = pens
        self._coloured = coloured
        self._live = live
        self._flows = Flows()
        self._hosts: list[str] = []
        self._first: int | None = None
        self._waiting: list[_Row] = []
        self._unpaired: dict[bytes, list[_Row]] = {}
        self._left_out = self._pairs = self._longest = self._end = 0

    @classmethod
    def for_terminal(cls, *, colour: bool | None, live: bool) -> Ladder:
        """A ladder for standard output."""
        is_terminal = sys.stdout.isatty()
        width = shutil.get_terminal_size((_PLAIN_WIDTH, 24)).columns if is_terminal else _PLAIN_WIDTH
        try:
            "".join(_DRAWN).encode(sys.stdout.encoding or "ascii")
            pens = _DRAWN
        except UnicodeError:
            pens = _TYPED
        return cls(width=width, pens=pens, coloured=is_terminal if colour is None else colour, live=live)

    def packet(self, decoded: Decoded) -> None:
        """See :meth:`View.packet`."""
        if decoded.ip is None or _is_background(decoded):
            self._left_out += 1
            return
        row = _Row(decoded)
        self._end = max(self._end, decoded.packet.time or 0)
        if self._live:
            self._meet(decoded)
            self._draw(row)
        elif not self._is_delivery(decoded):
            if len(self._waiting) >= _MOST_WAITING:
                self._left_out += 1
                return
            self._meet(decoded)
            self._waiting.append(row)
            self._unpaired.setdefault(decoded.packet.data, []).append(row)

    def _is_delivery(self, decoded: Decoded) -> bool:
        """Whether the packet was seen before on another interface, on its way there."""
        # Of packets that are all alike the newest: what was lost before is what was sent again.
        for row in reversed(self._unpaired.get(decoded.packet.data, [])):
            if row.arrived is None and row.decoded.packet.interface != decoded.packet.interface:
                row.arrived = decoded.packet.time or 0
                self._pairs += 1
                self._longest = max(self._longest, row.arrived - (row.decoded.packet.time or 0))
                return True
        return False

    def finish(self) -> None:
        """See :meth:`View.finish`."""
        for row in self._waiting:
            self._draw(row)
        if self._left_out:
            self._echo(
                f"{self._left_out} packets are not in the ladder: to groups, of neighbour discovery, or too many"
            )
        self.tick()

    def drops(self, count: int) -> None:
        """See :meth:`View.drops`."""
        self._echo(self._painted(f"{'':{_TIME}}{count} packets dropped by the kernel", "red"))

    def tick(self) -> None:
        """See :meth:`View.tick`."""
        sys.stdout.flush()

    # -- drawing -------------------------------------------------------------------------------------------------------

    def _echo(self, text: str) -> None:
        sys.stdout.write(text.rstrip() + "\n")

    def _painted(self, text: str, colour: str | None) -> str:
        return click.style(text, fg=colour) if self._coloured and colour else text

    def _meet(self, decoded: Decoded) -> None:
        """Give new hosts a column; live, the heads are drawn again."""
        fresh = [host for host in (str(decoded.ip.src), str(decoded.ip.dst)) if host not in self._hosts]
        self._hosts += fresh[: max(_MOST_HOSTS - len(self._hosts), 0)]
        if self._live and fresh:
            self._heads()

    @property
    def _span(self) -> int:
        """Columns from one host's bar to the next."""
        gaps = max(len(self._hosts) - 1, 1)
        room = (self._width - _TIME - 12) // gaps
        return min(max(room, _NARROWEST), _WIDEST)

    def _place(self, host: str) -> int:
        return _TIME + 8 + self._hosts.index(host) * self._span

    def _heads(self) -> None:
        line = " " * (_TIME + 8)
        for host in self._hosts:
            start = max(self._place(host) - len(host) // 2, len(line.rstrip()) + 1 if line.strip() else 0)
            line = line[:start].ljust(start) + host
        self._echo(line)

    def _bars(self) -> list[str]:
        row = [" "] * (self._place(self._hosts[-1]) + 1)
        for host in self._hosts:
            row[self._place(host)] = self._pens.bar
        return row

    def _draw(self, row: _Row) -> None:
        decoded = row.decoded
        source, destination = str(decoded.ip.src), str(decoded.ip.dst)
        if source not in self._hosts or destination not in self._hosts:
            self._left_out += 1
            return
        if self._first is None:
            self._first = decoded.packet.time or 0
            if not self._live:
                self._heads()
        told = self._flows.tell(decoded)
        if told.caption:
            text = f" {told.caption}" if told.flow == 1 else f" [{told.flow}] {told.caption}"
            cells = self._bars()
            # Between the first two bars, and across the others where it is long.
            start = self._place(self._hosts[0]) + 2
            cells[start : start + len(text.strip())] = text.strip()
            self._echo("".join(cells))
        lost = self._is_lost(row)
        time = ((decoded.packet.time or 0) - self._first) / 1e9
        line = self._arrow(source, destination, told, lost=lost)
        mark = "lost" if lost and not told.mark else f"{told.mark}, lost" if lost else told.mark
        mark = ", ".join(part for part in (mark, *decoded.problems) if part)
        colour = (
            "red" if lost or "RST" in told.words or "RESET" in told.words else "yellow" if told.mark else None
        )
        text = f"{time:{_TIME - 2}.6f}  "
        self._echo(
            text
            + self._painted(line[_TIME:], colour)
            + (f"  {self._painted(mark, 'yellow')}" if mark else "")
        )

    def _is_lost(self, row: _Row) -> bool:
        """Whether a packet that others show should have arrived did not; the capture may have ended before."""
        if self._live or not self._pairs or row.arrived is not None:
            return False
        return (row.decoded.packet.time or 0) + self._longest <= self._end

    def _arrow(self, source: str, destination: str, told: Told, *, lost: bool) -> str:
        """One line: bars, and between two of them the arrow with its words."""
        pens, cells = self._pens, self._bars()
        start, stop = self._place(source), self._place(destination)
        if start == stop:
            return "".join(cells) + f" {self._label(told, _NARROWEST)}"
        low, high = min(start, stop), max(start, stop)
        line = pens.again if told.mark.endswith(("sent again", "duplicate")) else pens.line
        cells[low + 1 : high] = [line] * (high - low - 1)
        label = f" {self._label(told, high - low - 7)} "
        begin = low + 1 + (high - low - 1 - len(label)) // 2
        cells[begin : begin + len(label)] = label
        head = (high - 1, pens.right) if stop > start else (low + 1, pens.left)
        cells[head[0]] = pens.lost if lost else head[1]
        return "".join(cells)

    @staticmethod
    def _label(told: Told, room: int) -> str:
        """As many words as fit."""
        words = told.words if told.flow == 1 else [f"[{told.flow}]", *told.words]
        text = words[0]
        for word in words[1:]:
            if len(text) + 1 + len(word) > room:
                break
            text += f" {word}"
        return text[:room]

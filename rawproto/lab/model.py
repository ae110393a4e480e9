"""A plain model of one end of an RSP connection, written from docs/rsp.md alone, to hold the engine against.

It sees the packets that the end sends and that arrive there, and what the application writes and reads. It shares
nothing with :mod:`rawproto.rsp`: no batches, no ring, no ledger, only bytes, offsets and sorted spans, looked at one
packet at a time. What it finds wrong it says with :class:`rawproto.errors.InvariantError`.
"""

from __future__ import annotations

import dataclasses
import struct
import zlib
from bisect import bisect_left, bisect_right

from xxhash import xxh3_64_intdigest

from rawproto.errors import InvariantError

__all__ = ["Inflow", "Outflow", "Packet", "Spans"]

# docs/rsp.md sections 2.1 to 2.7.
SYN, COOKIE, CONFIRM, DATA, ACK, PROBE, RESET, CHALLENGE, RESPONSE = range(0x10, 0x19)
FIN, ECHO, CARRIES_DATA = 1, 16, 8
_COMMON = struct.Struct(">IBBHQQ")
_ACK = struct.Struct(">QQIIHH")
_PAIR = struct.Struct(">II")
_COMMON_SIZE, _DATA_SIZE, _ACK_SIZE, _HELLO_SIZE = 24, 32, 52, 72
_SEED_END = 32
_WINDOW_OF_HELLO = 40
MAX_RANGES = 32
"""Ranges of an ACK that are looked at (docs/rsp.md section 2.4)."""
MAX_HOLES = 256
"""A receiver may refuse data that would open one more (docs/rsp.md section 4.2)."""


@dataclasses.dataclass(slots=True)
class Packet:
    """One packet, read field by field.

    Attributes:
        kind: the byte that says what it is.
        flags: its flags.
        connection: identifier of the connection, chosen by its receiver.
        number: packet number; None when it takes none.
        start: stream offset of its data; None when it carries none.
        data: its piece of the stream.
        window: first stream offset that its sender does not take; None when it says nothing of that.
        ranges: packet numbers acknowledged, half-open, highest first.
        marks: congestion marks that its sender has seen.
        whole: the check field is right, by one check or another.
        length: bytes of the packet.
    """

    kind: int
    flags: int
    connection: int
    number: int | None
    start: int | None
    data: bytes
    window: int | None
    ranges: list[tuple[int, int]]
    marks: int
    whole: bool
    length: int

    @classmethod
    def read(cls, raw: bytes) -> Packet | None:
        """The packet that the bytes are; None when they are none."""
        if len(raw) < _COMMON_SIZE:
            return None
        check, kind, flags, _, connection, number = _COMMON.unpack_from(raw)
        whole = check in (zlib.crc32(raw[4:]), _xxh3(raw))
        packet = cls(kind, flags, connection, None, None, b"", None, [], 0, whole, len(raw))
        if kind == DATA:
            if len(raw) < _DATA_SIZE:
                return None
            packet.number, packet.start = number, int.from_bytes(raw[24:32], "big")
            packet.data = raw[32:]
        elif kind == ACK:
            return packet if packet._read_ack(raw, number) else None
        elif kind == PROBE:
            packet.number = number
        elif kind in (SYN, COOKIE, CONFIRM):
            if len(raw) < _HELLO_SIZE:
                return None
            packet.window = int.from_bytes(raw[_WINDOW_OF_HELLO : _WINDOW_OF_HELLO + 8], "big")
        return packet

    def _read_ack(self, raw: bytes, number: int) -> bool:
        if len(raw) < _ACK_SIZE:
            return False
        self.window, largest, _, self.marks, count, _ = _ACK.unpack_from(raw, _COMMON_SIZE)
        end = _ACK_SIZE + count * _PAIR.size
        if end > len(raw):
            return False
        stop = largest + 1
        for run, gap in _PAIR.iter_unpack(raw[_ACK_SIZE : _ACK_SIZE + min(count, MAX_RANGES) * _PAIR.size]):
            if not 0 < run <= stop:
                return False
            self.ranges.append((stop - run, stop))
            stop -= run + gap
        if self.flags & CARRIES_DATA:
            if len(raw) < end + 8:
                return False
            self.number, self.start = number, int.from_bytes(raw[end : end + 8], "big")
            self.data = raw[end + 8 :]
        return True


class Spans:
    """Half-open spans of numbers, sorted, none touching another."""

    def __init__(self) -> None:
        self.starts: list[int] = []
        self.stops: list[int] = []

    def __len__(self) -> int:
        return len(self.starts)

    def add(self, start: int, stop: int) -> list[tuple[int, int]]:
        """Take a span in; gives the parts of it that were not there."""
        if start >= stop:
            return []
        first, last = bisect_left(self.stops, start), bisect_right(self.starts, stop)
        new, at = [], start
        for index in range(first, last):
            if self.starts[index] > at:
                new.append((at, self.starts[index]))
            at = max(at, self.stops[index])
        if at < stop:
            new.append((at, stop))
        if first < last:
            start, stop = min(start, self.starts[first]), max(stop, self.stops[last - 1])
        self.starts[first:last], self.stops[first:last] = [start], [stop]
        return new

    def covers(self, start: int, stop: int) -> bool:
        """Whether all of a span is there."""
        index = bisect_right(self.starts, start) - 1
        return index >= 0 and self.stops[index] >= stop

    def prefix(self) -> int:
        """The first number, from 0, that is not there."""
        return self.stops[0] if self.starts and self.starts[0] == 0 else 0


class Outflow:
    """The stream that an end sends: what the application wrote, and which packets it may become.

    Attributes:
        written: every byte that the application has written.
        ended: the application has ended the stream.
        window: first offset that the peer has not allowed.
        acknowledged: spans of the stream that the peer has acknowledged.
    """

    def __init__(self) -> None:
        self.written = bytearray()
        self.ended = False
        self.window = 0
        self.acknowledged = Spans()
        self.end_acknowledged = False
        self._carried: dict[int, tuple[int, int, bool]] = {}
        self._numbers = Spans()
        self._last = -1

    def wrote(self, data: bytes) -> None:
        """The application has written."""
        if self.ended:
            raise InvariantError(f"{len(data)} bytes were taken behind the end of the stream")
        self.written += data

    def sent(self, packet: Packet) -> None:
        """A numbered packet goes out: it must be a piece of the stream that the peer allows."""
        number = packet.number
        assert number is not None
        if number <= self._last:
            raise InvariantError(f"packet number {number} goes out after {self._last}")
        self._last = number
        if packet.start is None:
            return
        start, stop = packet.start, packet.start + len(packet.data)
        if self.written[start:stop] != packet.data:
            raise InvariantError(
                f"packet {number} carries other bytes at {start} to {stop} than were written"
            )
        if stop > self.window:
            raise InvariantError(
                f"packet {number} reaches offset {stop}, beyond the peer's window at {self.window}"
            )
        fin = bool(packet.flags & FIN)
        if fin and not (self.ended and stop == len(self.written)):
            raise InvariantError(f"packet {number} ends the stream at {stop} of {len(self.written)}")
        self._carried[number] = start, stop, fin

    def heard(self, packet: Packet) -> None:
        """A packet of the peer arrived: what it says of the window and of numbers received."""
        if packet.window is not None:
            self.window = max(self.window, packet.window)
        for start, stop in packet.ranges:
            for low, high in self._numbers.add(start, stop):
                for number in range(low, min(high, self._last + 1)):
                    if (carried := self._carried.pop(number, None)) is not None:
                        self.acknowledged.add(carried[0], carried[1])
                        self.end_acknowledged |= carried[2]


class Inflow:
    """The stream that an end receives: what has arrived, what was acknowledged, what the application has read.

    Attributes:
        read: bytes that the application has read.
        final: where the stream ends, once a packet has said so.
        limit: first offset that this end has not allowed.
        exact: nothing arrived that an end is free to take or to refuse.
        broken: the peer contradicted itself; the connection has to end.
    """

    def __init__(self) -> None:
        self.read = 0
        self.final: int | None = None
        self.limit = 0
        self.exact = True
        self.broken = False
        self.marks = 0
        self._have = Spans()
        self._numbers = Spans()
        self._content = bytearray()  # from offset ``read`` on; what has not arrived is zero

    @property
    def arrived(self) -> int:
        """Everything below this offset has arrived."""
        return self._have.prefix()

    def came(self, packet: Packet) -> None:
        """A whole packet arrived."""
        if packet.number is None or self.broken:
            return
        if packet.start is not None:
            start, stop = packet.start, packet.start + len(packet.data)
            final = stop if packet.flags & FIN else self.final
            highest = self._have.stops[-1] if len(self._have) else 0
            if final is not None and (max(stop, highest) > final or self.final not in (None, final)):
                self.broken = True
                return
            self.exact = self.exact and stop <= self.limit and len(self._have) <= MAX_HOLES
            self.final = final
            self._keep(start, packet.data)
        self._numbers.add(packet.number, packet.number + 1)

    def _keep(self, start: int, data: bytes) -> None:
        """The first copy of a byte counts."""
        for low, high in self._have.add(start, start + len(data)):
            at = low - self.read
            if len(self._content) < at:
                self._content += bytes(at - len(self._content))
            self._content[at : at + high - low] = data[low - start : high - start]

    def acknowledges(self, packet: Packet) -> None:
        """This end sends an ACK or says a window: it may only tell what has arrived, and take nothing back."""
        if packet.window is not None:
            if packet.window < self.limit:
                raise InvariantError(f"the window shrank from {self.limit} to {packet.window}")
            self.limit = packet.window
        for start, stop in packet.ranges:
            if not self._numbers.covers(start, stop):
                raise InvariantError(
                    f"packets {start} to {stop - 1} are acknowledged and have not all arrived"
                )
        if packet.marks > self.marks:
            raise InvariantError(f"{packet.marks} congestion marks are told of {self.marks}")

    def took(self, data: bytes) -> None:
        """The application has read."""
        stop = self.read + len(data)
        if stop > self.arrived:
            raise InvariantError(f"bytes up to {stop} were read, {self.arrived} have arrived")
        if data != self._content[: len(data)]:
            raise InvariantError(f"other bytes were read at {self.read} to {stop} than had arrived")
        del self._content[: len(data)]
        self.read = stop


def _xxh3(raw: bytes) -> int:
    """The check "xxh3" (docs/rsp.md section 2.8)."""
    seed = xxh3_64_intdigest(raw[4:_SEED_END])
    return xxh3_64_intdigest(raw[_SEED_END:], seed) % 2**32

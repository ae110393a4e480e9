"""What was sent and is not settled yet: one row a packet, in columns, so that a batch costs as much as a packet.

Packet numbers rise by one, so a packet's row is its number less a base, and everything that happens to a range of
packets is a handful of whole-slice operations. A row remembers what the packet *carried* (a stream range, the end
of the stream, a probe); acknowledgement and loss are told to the owners of that, so that information is sent again,
never packets. Work for an acknowledgement depends on what it newly covers, not on what is in flight.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from rawproto.rsp.ranges import RangeSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = [
    "CARRIES_FIN",
    "CARRIES_MTU_PROBE",
    "CARRIES_PROBE",
    "CARRIES_STREAM",
    "SentPackets",
    "Settled",
]

CARRIES_STREAM = 1
CARRIES_FIN = 2
CARRIES_PROBE = 4
CARRIES_MTU_PROBE = 8
"""Its loss says something of its size, nothing of congestion (RFC 8899 section 3, item 7)."""

_IN_FLIGHT = 1
_ACKNOWLEDGED = 2
_LOST = 3
_SKIPPED = 4

_FIRST_ROWS = 16
"""Rows of a connection that has begun to send: one that says little should cost little."""
_NO_ROWS = np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.uint8)
_KEEP_SETTLED = 1024
"""Settled rows kept behind the oldest packet in flight, to recognise losses that were none."""
_MAX_RANGES = 256
_SCAN = 256


@dataclasses.dataclass(slots=True)
class Settled:
    """What one acknowledgement (or one loss detection) settles.

    Attributes:
        count: packets.
        bytes: their payload bytes.
        newest_sent_at: when the one with the largest number was sent, ns.
        newest: the largest number.
        stream: stream ranges they carried, half-open.
        fin: one of them carried the end of the stream.
        probes: numbers of MTU probes among them, which losses do not count otherwise.
        lied: a number that was skipped is among them: nobody can have received it.
        oldest: the least number (losses only).
        oldest_sent_at: when that one was sent, ns (losses only).
        shortest: payload bytes of the shortest (losses only).
        longest: payload bytes of the longest (losses only).
        spurious: packets acknowledged after they had been declared lost.
        spurious_bytes: their payload bytes.
        reorder_distance: how far in numbers the farthest of them came behind.
        spurious_sent_at: when that one was sent, ns.
    """

    count: int = 0
    bytes: int = 0
    newest_sent_at: int = 0
    newest: int = -1
    stream: list[tuple[int, int]] = dataclasses.field(default_factory=list)
    fin: bool = False
    probes: list[int] = dataclasses.field(default_factory=list)
    lied: bool = False
    oldest: int = -1
    oldest_sent_at: int = 0
    shortest: int = 0
    longest: int = 0
    spurious: int = 0
    spurious_bytes: int = 0
    reorder_distance: int = 0
    spurious_sent_at: int = 0


class SentPackets:
    """The ledger of packets from the oldest unsettled one to the newest."""

    __slots__ = (
        "_acknowledged",
        "_base",
        "_carries",
        "_delivered",
        "_delivered_at",
        "_first_sent_at",
        "_length",
        "_offset",
        "_state",
        "_time",
        "_unsettled",
        "bytes_in_flight",
        "next",
        "packets_in_flight",
    )

    def __init__(self) -> None:
        self.next = 0
        """Number that the next packet will have."""
        self.bytes_in_flight = 0
        self.packets_in_flight = 0
        self._base = 0
        self._unsettled = 0  # no packet below this number is in flight
        self._acknowledged = RangeSet()
        self._let_go()

    def _let_go(self) -> None:
        """Have no rows at all; those that send nothing share these."""
        self._time = self._offset = self._length = _NO_ROWS[0]
        self._delivered = self._delivered_at = self._first_sent_at = _NO_ROWS[0]
        self._carries = self._state = _NO_ROWS[1]

    def rest(self) -> None:
        """Nothing is in flight and will not be for a while: forget the settled packets and give the memory back."""
        if not self.packets_in_flight:
            self._let_go()
            self._unsettled = self.next
            self._rebase(self.next)

    def _allocate(self, rows: int) -> None:
        self._time = np.zeros(rows, dtype=np.int64)
        self._offset = np.zeros(rows, dtype=np.int64)
        self._length = np.zeros(rows, dtype=np.int64)
        self._delivered = np.zeros(rows, dtype=np.int64)
        self._delivered_at = np.zeros(rows, dtype=np.int64)
        self._first_sent_at = np.zeros(rows, dtype=np.int64)
        self._carries = np.zeros(rows, dtype=np.uint8)
        self._state = np.zeros(rows, dtype=np.uint8)

    def _columns(self) -> tuple[NDArray[np.generic], ...]:
        return (
            self._time,
            self._offset,
            self._length,
            self._delivered,
            self._delivered_at,
            self._first_sent_at,
            self._carries,
            self._state,
        )

    def append(
        self,
        now: int,
        offsets: NDArray[np.int64],
        lengths: NDArray[np.int64],
        size: int,
        carries: int,
        rate: tuple[int, int, int] = (0, 0, 0),
    ) -> int:
        """Enter ``len(offsets)`` packets of ``size`` bytes together; the first has the number returned.

        ``rate`` is the delivery-rate snapshot of draft-ietf-ccwg-bbr section 4.1.2.2: bytes delivered, when, and when
        the first packet of the sample was sent.
        """
        count = len(offsets)
        start = self._claim(count, size)
        rows = slice(start, start + count)
        self._time[rows] = now
        self._offset[rows] = offsets
        self._length[rows] = lengths
        self._delivered[rows], self._delivered_at[rows], self._first_sent_at[rows] = rate
        self._carries[rows] = carries
        self._state[rows] = _IN_FLIGHT
        return self.next - count

    def append_one(
        self, now: int, offset: int, length: int, carries: int, rate: tuple[int, int, int] = (0, 0, 0)
    ) -> int:
        """Enter one packet, as :meth:`append` does, in a third of the time."""
        row = self._claim(1, length)
        self._time[row] = now
        self._offset[row] = offset
        self._length[row] = length
        self._delivered[row], self._delivered_at[row], self._first_sent_at[row] = rate
        self._carries[row] = carries
        self._state[row] = _IN_FLIGHT
        return self.next - 1

    def _claim(self, count: int, size: int) -> int:
        """The first of ``count`` fresh rows; counts their packets as in flight."""
        row = self.next - self._base
        if row + count > len(self._time):
            self._make_room(count)
            row = self.next - self._base
        self.next += count
        self.packets_in_flight += count
        self.bytes_in_flight += size
        return row

    def skip(self, now: int) -> None:
        """Use up a number without sending a packet."""
        self.append_one(now, 0, 0, 0)
        self._state[self.next - 1 - self._base] = _SKIPPED
        self.packets_in_flight -= 1

    def mark_fin(self, number: int) -> None:
        """Packet ``number`` also carries the end of the stream."""
        self._carries[number - self._base] |= CARRIES_FIN

    def sent_at(self, number: int) -> int:
        """When packet ``number`` was sent, ns."""
        return int(self._time[number - self._base])

    def length(self, number: int) -> int:
        """Payload bytes of packet ``number``."""
        return int(self._length[number - self._base])

    def rate_sample(self, number: int) -> tuple[int, int, int]:
        """(delivered, delivered_at, first_sent_at) as they were when packet ``number`` was sent."""
        row = number - self._base
        return int(self._delivered[row]), int(self._delivered_at[row]), int(self._first_sent_at[row])

    def knows(self, number: int) -> bool:
        """Whether the row of packet ``number`` is still there."""
        return self._base <= number < self.next

    def in_flight(self, number: int) -> bool:
        """Whether packet ``number`` is neither acknowledged nor declared lost."""
        return self.knows(number) and bool(self._state[number - self._base] == _IN_FLIGHT)

    def acknowledge(self, start: int, stop: int, largest: int, into: Settled) -> None:
        """Settle the packets ``[start, stop)``; ``largest`` is the largest number acknowledged so far."""
        start = max(start, self._base)
        if start >= stop:
            return
        for low, high in self._acknowledged.missing(start, stop):
            if high - low == 1 and self._state[low - self._base] == _IN_FLIGHT:
                self._acknowledge_one(low, into)
            else:
                self._acknowledge_new(low, high, largest, into)
        self._acknowledged.add(start, stop)
        if len(self._acknowledged) > _MAX_RANGES:
            self._forget_oldest()

    def _acknowledge_one(self, number: int, into: Settled) -> None:
        """What :meth:`_acknowledge_new` does, for one packet in flight."""
        row = number - self._base
        length = int(self._length[row])
        self.packets_in_flight -= 1
        self.bytes_in_flight -= length
        into.count += 1
        into.bytes += length
        if number > into.newest:
            into.newest, into.newest_sent_at = number, int(self._time[row])
        self._collect_one(int(self._carries[row]), int(self._offset[row]), length, number, into)
        self._state[row] = _ACKNOWLEDGED

    def _acknowledge_new(self, low: int, high: int, largest: int, into: Settled) -> None:
        rows = slice(low - self._base, high - self._base)
        states = self._state[rows]
        in_flight = states == _IN_FLIGHT
        count = int(np.count_nonzero(in_flight))
        if count < high - low:
            self._acknowledge_lost(low, states, largest, into)
        lengths = self._length[rows]
        size = int(lengths.sum() if count == high - low else lengths[in_flight].sum())
        if count:
            self.packets_in_flight -= count
            self.bytes_in_flight -= size
            into.count += count
            into.bytes += size
        if high - 1 > into.newest:
            into.newest = high - 1
            into.newest_sent_at = int(self._time[high - 1 - self._base])
        self._collect(rows, low, into)
        states[:] = _ACKNOWLEDGED

    def _acknowledge_lost(self, low: int, states: NDArray[np.uint8], largest: int, into: Settled) -> None:
        """Some of these were declared lost before, wrongly: note by how much they were late. Or never sent at all."""
        into.lied = into.lied or bool((states == _SKIPPED).any())
        first_row = low - self._base
        carries = self._carries[first_row : first_row + len(states)]
        late = np.flatnonzero((states == _LOST) & (carries != CARRIES_MTU_PROBE))
        if not len(late):
            return
        into.spurious += len(late)
        into.spurious_bytes += int(self._length[first_row + late].sum())
        oldest = low + int(late[0])
        into.reorder_distance = max(into.reorder_distance, largest - oldest)
        into.spurious_sent_at = int(self._time[oldest - self._base])

    def _collect(self, rows: slice, low: int, into: Settled) -> None:
        """Add what the packets of ``rows`` carried to ``into``."""
        carries = self._carries[rows]
        offsets, lengths = self._offset[rows], self._length[rows]
        if len(carries) == 1:
            self._collect_one(int(carries[0]), int(offsets[0]), int(lengths[0]), low, into)
            return
        plain = carries == CARRIES_STREAM
        if plain.all():
            _join(offsets, lengths, into.stream)
            return
        cut = np.flatnonzero(~plain)
        begin = 0
        for index in (*cut.tolist(), len(carries)):
            if index > begin:
                _join(offsets[begin:index], lengths[begin:index], into.stream)
            if index < len(carries):
                self._collect_one(
                    int(carries[index]), int(offsets[index]), int(lengths[index]), low + index, into
                )
            begin = index + 1

    @staticmethod
    def _collect_one(carries: int, offset: int, length: int, number: int, into: Settled) -> None:
        if carries & CARRIES_STREAM and length:
            into.stream.append((offset, offset + length))
        if carries & CARRIES_FIN:
            into.fin = True
        if carries & CARRIES_MTU_PROBE:
            into.probes.append(number)

    def detect_lost(self, below: int, sent_before: int, largest: int) -> tuple[Settled, int | None]:
        """Declare packets lost: those numbered under ``below`` or sent at or before ``sent_before``.

        Only packets numbered under ``largest`` (the largest acknowledged) can be lost. Returns what was lost, and
        when the oldest remaining candidate was sent (None when none remains), from which the next deadline follows.
        """
        lost = Settled()
        if not self.packets_in_flight:
            return lost, None
        self._advance()
        low, high = self._unsettled, min(largest, self.next)
        if low >= high:
            return lost, None
        rows = slice(low - self._base, high - self._base)
        states, times = self._state[rows], self._time[rows]
        waiting = states == _IN_FLIGHT
        overdue = waiting & (times <= sent_before)
        if below > low:
            overdue[: below - low] |= waiting[: below - low]
        picked = np.flatnonzero(overdue)
        if len(picked):
            self._lose(picked + rows.start, lost)
            waiting &= ~overdue
        left = np.flatnonzero(waiting)
        return lost, int(times[left[0]]) if len(left) else None

    def _lose(self, rows: NDArray[np.int64], lost: Settled) -> None:
        self.packets_in_flight -= len(rows)
        self._state[rows] = _LOST
        probing = self._carries[rows] == CARRIES_MTU_PROBE
        if probing.any():
            lost.probes += (rows[probing] + self._base).tolist()
            rows = rows[~probing]
            if not len(rows):
                return
        lengths = self._length[rows]
        lost.count = len(rows)
        lost.bytes = int(lengths.sum())
        lost.oldest = self._base + int(rows[0])
        lost.newest = self._base + int(rows[-1])
        lost.newest_sent_at = int(self._time[rows[-1]])
        lost.oldest_sent_at = int(self._time[rows[0]])
        lost.shortest, lost.longest = int(lengths.min()), int(lengths.max())
        self.bytes_in_flight -= lost.bytes
        for row in rows.tolist():
            self._collect_one(
                int(self._carries[row]),
                int(self._offset[row]),
                int(self._length[row]),
                self._base + row,
                lost,
            )

    def lose_all(self) -> Settled:
        """Declare every packet in flight lost (the path changed, or the timer gave up on them all)."""
        lost = Settled()
        rows = np.flatnonzero(self._state[: self.next - self._base] == _IN_FLIGHT)
        if len(rows):
            self._lose(rows, lost)
        return lost

    def oldest_in_flight(self) -> int | None:
        """Number of the oldest packet in flight, or None."""
        self._advance()
        return self._unsettled if self._unsettled < self.next else None

    def any_in_flight(self, above: int, most: int) -> bool:
        """Whether a packet in flight has more than ``above`` and at most ``most`` payload bytes."""
        rows = slice(self._unsettled - self._base, self.next - self._base)
        lengths = self._length[rows][self._state[rows] == _IN_FLIGHT]
        return bool(((lengths > above) & (lengths <= most)).any())

    def _advance(self) -> None:
        """Move the lower bound of what is in flight up to the first packet that is."""
        while self._unsettled < self.next:
            start = self._unsettled - self._base
            states = self._state[start : min(start + _SCAN, self.next - self._base)]
            if states[0] == _IN_FLIGHT:
                return
            waiting = states == _IN_FLIGHT
            step = int(waiting.argmax())
            if waiting[step]:
                self._unsettled += step
                return
            self._unsettled += len(states)

    def _make_room(self, count: int) -> None:
        """Drop settled rows, or grow when those in flight fill the columns."""
        self._advance()
        keep_from = max(self._base, self._unsettled - _KEEP_SETTLED)
        live = self.next - keep_from
        rows = max(len(self._time), _FIRST_ROWS)
        while live + count > rows // 2:
            rows *= 2
        start = keep_from - self._base
        old = self._columns()
        if rows != len(self._time):
            self._allocate(rows)
        for source, target in zip(old, self._columns(), strict=True):
            target[:live] = (
                source[start : start + live].copy() if source is target else source[start : start + live]
            )
        self._rebase(keep_from)

    def _rebase(self, base: int) -> None:
        self._base = base
        if base:
            self._acknowledged.add(0, base)

    def _forget_oldest(self) -> None:
        """Too many gaps among the acknowledged numbers: close those behind what is in flight."""
        self._advance()
        if self._unsettled > 0:
            self._acknowledged.add(0, self._unsettled)


def _join(offsets: NDArray[np.int64], lengths: NDArray[np.int64], into: list[tuple[int, int]]) -> None:
    """Append the stream ranges of packets in a row, joined where they touch."""
    stops = offsets + lengths
    breaks = np.flatnonzero(offsets[1:] != stops[:-1])
    if not len(breaks):
        into.append((int(offsets[0]), int(stops[-1])))
        return
    begin = 0
    for end in (*(breaks + 1).tolist(), len(offsets)):
        into.append((int(offsets[begin]), int(stops[end - 1])))
        begin = end

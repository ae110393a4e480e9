"""What was sent and is not settled yet: one entry for packets that went out together, so a batch costs as a packet.

A *run* is packets in a row: numbers that follow each other, pieces of the stream that do, too, one time of sending.
What an acknowledgement covers of a run is cut off it; runs that are settled are gone. So the work for an
acknowledgement depends on what it newly covers, not on what is in flight. A run remembers what its packets *carried*
(a stream range, the end of the stream, a probe); acknowledgement and loss are told to the owners of that, so that
information is sent again, never packets.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from operator import attrgetter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

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

_KEEP_LOST = 256
"""Lost runs kept, to recognise losses that were none."""
_KEEP_SKIPPED = 256
"""Skipped numbers kept, to recognise the acknowledgement of what was never sent."""


class Settled:
    """What one acknowledgement (or one loss detection) settles.

    Attributes:
        count: packets.
        bytes: their payload bytes.
        newest_sent_at: when the one with the largest number was sent, ns.
        newest: the largest number.
        newest_length: payload bytes of that one.
        rate: the delivery-rate snapshot of that one, see :meth:`SentPackets.append`.
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

    # Defaults of the class, not of each instance: there is one for every acknowledgement.
    count: int = 0
    bytes: int = 0
    newest_sent_at: int = 0
    newest: int = -1
    newest_length: int = 0
    rate: tuple[int, int, int] = (0, 0, 0)
    fin: bool = False
    lied: bool = False
    oldest: int = -1
    oldest_sent_at: int = 0
    shortest: int = 0
    longest: int = 0
    spurious: int = 0
    spurious_bytes: int = 0
    reorder_distance: int = 0
    spurious_sent_at: int = 0

    def __init__(self, **fields: Any) -> None:
        self.stream: list[tuple[int, int]] = []
        self.probes: list[int] = []
        if fields:
            self.__dict__.update(fields)

    def add(self, run: Run) -> int:
        """Count ``run``, which is newer than those counted before, and what it carried; returns its payload bytes."""
        count = run.stop - run.start
        size = (count - 1) * run.size + run.last
        self.count += count
        self.bytes += size
        self.add_carried(run, size)
        return size

    def add_carried(self, run: Run, size: int) -> None:
        """What the packets of ``run`` carried, ``size`` bytes of payload."""
        if size and run.carries & CARRIES_STREAM:
            stream, start = self.stream, run.offset
            if stream and stream[-1][1] == start:
                start = stream.pop()[0]
            stream.append((start, run.offset + size))
        if run.fin:
            self.fin = True
        if run.carries & CARRIES_MTU_PROBE:
            self.probes.append(run.start)

    def see(self, run: Run) -> None:
        """Note time and rate of the newest packet when it is in ``run``."""
        if run.stop > self.newest + 1:
            self.newest, self.newest_length = run.stop - 1, run.last
            self.newest_sent_at, self.rate = run.at, run.rate


class Run:
    """The packets ``start`` to ``stop``: payloads of ``size`` bytes, the last of ``last``, from ``offset`` on."""

    __slots__ = ("at", "carries", "fin", "last", "offset", "rate", "size", "start", "stop")

    def __init__(
        self,
        start: int,
        stop: int,
        at: int,
        offset: int,
        size: int,
        last: int,
        carries: int,
        fin: bool,
        rate: tuple[int, int, int],
    ) -> None:
        self.start = start
        self.stop = stop
        self.at = at
        self.offset = offset
        self.size = size
        self.last = last
        self.carries = carries
        self.fin = fin
        """The last packet carries the end of the stream."""
        self.rate = rate

    @property
    def bytes(self) -> int:
        """Payload bytes."""
        return (self.stop - self.start - 1) * self.size + self.last

    def cut(self, number: int) -> Run:
        """Keep the packets below ``number``; returns a run of the others. Both must be some."""
        offset = self.offset + (number - self.start) * self.size
        rest = Run(
            number, self.stop, self.at, offset, self.size, self.last, self.carries, self.fin, self.rate
        )
        self.stop, self.last, self.fin = number, self.size, False
        return rest


_start = attrgetter("start")


class _Runs:
    """Runs in ascending order."""

    __slots__ = ("runs",)

    def __init__(self) -> None:
        self.runs: list[Run] = []

    def find(self, number: int) -> Run | None:
        """The run that holds packet ``number``, or None."""
        index = bisect_right(self.runs, number, key=_start) - 1
        return self.runs[index] if index >= 0 and number < self.runs[index].stop else None

    def take(self, start: int, stop: int) -> list[Run]:
        """Take the packets ``[start, stop)`` out; returns them as runs, ascending."""
        runs = self.runs
        if not runs or start >= runs[-1].stop or stop <= runs[0].start:
            return []
        if start <= runs[0].start and stop >= runs[-1].stop:
            self.runs = []
            return runs
        first = bisect_right(runs, start, key=_start) - 1 if start > runs[0].start else 0
        run = runs[first]
        if run.start < start:
            first += 1
            if run.stop > start:
                runs.insert(first, run.cut(start))
        end = first
        while end < len(runs) and runs[end].start < stop:
            if runs[end].stop > stop:
                runs.insert(end + 1, runs[end].cut(stop))
            end += 1
        taken = runs[first:end]
        del runs[first:end]
        return taken


class SentPackets:
    """The ledger of packets in flight, and of those lost not long ago."""

    __slots__ = ("_flying", "_lost", "_skipped", "bytes_in_flight", "next", "packets_in_flight")

    def __init__(self) -> None:
        self.next = 0
        """Number that the next packet will have."""
        self.bytes_in_flight = 0
        self.packets_in_flight = 0
        self._flying = _Runs()
        self._lost = _Runs()
        self._skipped: list[int] = []

    def append(
        self,
        now: int,
        count: int,
        offset: int,
        size: int,
        last: int,
        carries: int,
        rate: tuple[int, int, int] = (0, 0, 0),
    ) -> int:
        """Enter ``count`` packets with ``size`` bytes of payload each, the last one ``last``; returns the first number.

        ``offset`` is that of the first in the stream. CARRIES_FIN in ``carries`` is of the last one alone. ``rate`` is
        the delivery-rate snapshot of draft-ietf-ccwg-bbr section 4.1.2.2: bytes delivered, when, and when the first
        packet of the sample was sent.
        """
        first = self.next
        self.next = stop = first + count
        fin = carries & CARRIES_FIN != 0
        self._flying.runs.append(Run(first, stop, now, offset, size, last, carries, fin, rate))
        self.packets_in_flight += count
        self.bytes_in_flight += (count - 1) * size + last
        return first

    def skip(self) -> None:
        """Use up a number without sending a packet."""
        self._skipped.append(self.next)
        del self._skipped[:-_KEEP_SKIPPED]
        self.next += 1

    def sent_at(self, number: int) -> int | None:
        """When packet ``number`` was sent, ns; None when it is settled, or lost too long ago to be known."""
        run = self._flying.find(number) or self._lost.find(number)
        return None if run is None else run.at

    def in_flight(self, number: int) -> bool:
        """Whether packet ``number`` is neither acknowledged nor declared lost."""
        return self._flying.find(number) is not None

    def acknowledge(self, start: int, stop: int, largest: int, into: Settled) -> None:
        """Settle the packets ``[start, stop)``; ``largest`` is the largest number acknowledged so far."""
        skipped = self._skipped
        if skipped and start <= skipped[-1] and bisect_left(skipped, start) < bisect_left(skipped, stop):
            into.lied = True
        if self._lost.runs:
            for run in self._lost.take(start, stop):
                self._acknowledge_lost(run, largest, into)
        for run in self._flying.take(start, stop):
            into.see(run)
            self.packets_in_flight -= run.stop - run.start
            self.bytes_in_flight -= into.add(run)

    @staticmethod
    def _acknowledge_lost(run: Run, largest: int, into: Settled) -> None:
        """``run`` was declared lost, wrongly: note by how much it was late."""
        size = run.bytes
        if run.carries != CARRIES_MTU_PROBE:
            into.spurious += run.stop - run.start
            into.spurious_bytes += size
            into.reorder_distance = max(into.reorder_distance, largest - run.start)
            into.spurious_sent_at = run.at
        into.add_carried(run, size)
        into.see(run)

    def detect_lost(self, below: int, sent_before: int, largest: int) -> tuple[Settled, int | None]:
        """Declare packets lost: those numbered under ``below`` or sent at or before ``sent_before``.

        Only packets numbered under ``largest`` (the largest acknowledged) can be lost. Returns what was lost, and
        when the oldest remaining candidate was sent (None when none remains), from which the next deadline follows.
        """
        runs = self._flying.runs
        # Times never fall from one run to the next, so what is lost is the first ones, up to a number.
        upto = below = min(below, largest)
        for run in runs:
            if run.start >= largest:
                break
            if run.at > sent_before:
                if run.stop <= below:
                    continue
                # What is left of this run is a candidate, unless it begins with the largest.
                left = run.at if max(below, run.start) < largest else None
                return self._lose(max(below, upto)), left
            upto = max(upto, min(run.stop, largest))
        return self._lose(upto), None

    def _lose(self, stop: int) -> Settled:
        """Declare lost what is in flight below ``stop``."""
        runs = self._flying.runs
        if not runs or runs[0].start >= stop:
            return NOTHING
        lost = Settled()
        taken = self._flying.take(0, stop)
        for run in taken:
            if run.carries == CARRIES_MTU_PROBE:
                self.packets_in_flight -= 1
                lost.probes.append(run.start)
                continue
            if not lost.count:
                lost.oldest, lost.oldest_sent_at = run.start, run.at
                lost.shortest = lost.longest = run.last
            lost.add(run)
            lost.see(run)
            lost.shortest = min(lost.shortest, run.last)
            lost.longest = max(lost.longest, run.last if run.stop - run.start == 1 else run.size)
        self.packets_in_flight -= lost.count
        self.bytes_in_flight -= lost.bytes
        self._lost.runs += taken
        del self._lost.runs[:-_KEEP_LOST]
        return lost

    def any_in_flight(self, above: int, most: int) -> bool:
        """Whether a packet in flight has more than ``above`` and at most ``most`` payload bytes."""
        return any(
            above < run.last <= most or (run.stop - run.start > 1 and above < run.size <= most)
            for run in self._flying.runs
        )

    def rest(self) -> None:
        """Nothing is in flight and will not be for a while: forget what was lost."""
        if not self.packets_in_flight:
            self._lost.runs.clear()

    def __iter__(self) -> Iterator[Run]:
        return iter(self._flying.runs)


NOTHING = Settled()
"""What most acknowledgements find lost; shared, not to be changed."""

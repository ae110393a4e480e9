"""The receiving side of a connection: rows of data packets into the stream, numbers into the acknowledgements.

The unit is a *run*: packets that follow each other in number and in the stream. Undisturbed, a whole batch is one
run and costs a few array operations; a hole or a repeated packet costs one run more.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rawproto.rsp.acks import AckTracker
from rawproto.rsp.header import RSPFlags
from rawproto.rsp.receive_stream import ReceiveStream

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from rawproto.rsp.memory import Share

__all__ = ["Receiver", "StreamViolationError"]

_FIN, _ACK_NOW, _BLOCKED = int(RSPFlags.FIN), int(RSPFlags.ACK_NOW), int(RSPFlags.BLOCKED)


class StreamViolationError(Exception):
    """The peer broke a rule that no network fault explains: the connection is reset."""


class Receiver:
    """Stream, acknowledgement state and window of the bytes that come in."""

    __slots__ = (
        "_advertised",
        "_blocked",
        "_grow_beyond",
        "_max_window",
        "_segment",
        "acks",
        "bytes",
        "duplicates",
        "packets",
        "refused",
        "stream",
    )

    def __init__(self, window: int, max_window: int, segment: int, share: Share | None = None) -> None:
        self.stream = ReceiveStream(window, share)
        self.acks = AckTracker()
        self.packets = 0
        self.bytes = 0
        self.duplicates = 0
        self.refused = 0
        self._blocked = False
        self._grow_beyond = 0
        self._max_window = max_window
        self._segment = segment
        self._advertised = window

    def on_rows(
        self,
        numbers: NDArray[np.int64],
        offsets: NDArray[np.int64],
        flags: NDArray[np.uint8],
        rows: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        now: int,
    ) -> None:
        """Take data packets: number, offset and flags of each, its payload as a row, and the payload's size.

        Raises:
            StreamViolationError: data beyond the stated end, or two different ends.
        """
        count = len(numbers)
        together = int(flags[0] if count == 1 else np.bitwise_or.reduce(flags))
        if count == 1 or _is_run(numbers, offsets, flags, sizes, together):
            self.on_run(int(numbers[0]), int(offsets[0]), rows, int(sizes[0]), int(sizes[-1]), together, now)
            return
        for run in _runs(numbers, offsets, flags, sizes):
            merged = int(np.bitwise_or.reduce(flags[run]))
            first, last = run.start, run.stop - 1
            self.on_run(
                int(numbers[first]),
                int(offsets[first]),
                rows[run],
                int(sizes[first]),
                int(sizes[last]),
                merged,
                now,
            )

    def on_run(
        self, number: int, offset: int, rows: NDArray[np.uint8], size: int, last: int, flags: int, now: int
    ) -> None:
        """Take packets in a row from ``number`` on: all ``size`` bytes long, the last one ``last``.

        Raises:
            StreamViolationError: data beyond the stated end, or two different ends.
        """
        count = len(rows)
        stop = offset + size * (count - 1) + last
        if self._enter(number, count, offset, stop, flags, now):
            self._store(offset, rows, size, last)
        else:
            self._refuse(number, offset, rows, size, last, flags, now)

    def on_one(self, number: int, offset: int, data: bytes | memoryview, flags: int, now: int) -> None:
        """Take one packet with ``data``.

        Raises:
            StreamViolationError: data beyond the stated end, or two different ends.
        """
        if not self._enter(number, 1, offset, offset + len(data), flags, now):
            self._refuse_one()
        elif data:
            self.stream.write_one(offset, data)

    def _enter(self, number: int, count: int, offset: int, stop: int, flags: int, now: int) -> bool:
        """Note ``count`` packets with the bytes ``[offset, stop)``, whose data is to be stored; false: refused."""
        stream = self.stream
        if stream.final_size is not None and stop > stream.final_size:
            raise StreamViolationError(f"data up to offset {stop}, beyond the end at {stream.final_size}")
        if stream.would_refuse(offset, stop):
            return False
        self.packets += count
        if number <= self.acks.largest and self.acks.seen(number, number + count):
            self.duplicates += count if self.acks.duplicates(number, number + count) else 1
        if flags & _FIN and not stream.finish(stop):
            raise StreamViolationError(f"the stream ends at {stop}, but ended at {stream.final_size} before")
        self.bytes += stop - offset
        if flags & _BLOCKED and stop > self._grow_beyond:
            self._blocked = True
        self.acks.on_received(number, number + count, now, wanted=bool(flags & (_ACK_NOW | _FIN)))
        return True

    def _refuse_one(self) -> None:
        self.packets += 1
        self.refused += 1
        self.acks.due = True

    def _refuse(
        self, number: int, offset: int, rows: NDArray[np.uint8], size: int, last: int, flags: int, now: int
    ) -> None:
        """The run does not fit as a whole: take those of its packets that do, say so for the others."""
        count = len(rows)
        if count == 1:
            self._refuse_one()
            return
        for index in range(count):
            final = index == count - 1
            length = last if final else size
            mine = flags if final else flags & ~_FIN  # the end belongs to the last packet alone
            self.on_run(
                number + index, offset + index * size, rows[index : index + 1], length, length, mine, now
            )

    def _store(self, offset: int, rows: NDArray[np.uint8], size: int, last: int) -> None:
        if last == size:
            if size:
                self.stream.write(offset, rows[:, :size])
            return
        full = len(rows) - 1
        if full:
            self.stream.write(offset, rows[:full, :size])
        if last:
            self.stream.write(offset + full * size, rows[full:, :last])

    def on_read(self) -> None:
        """The application has read: offer the room when it is worth a packet (RFC 9293 section 3.8.6.2.2)."""
        stream = self.stream
        if self._blocked:
            # The sender says that the window holds it back, and the application keeps up: the path is longer than
            # the window. What the sender says of an edge older than this one does not count again.
            if not stream.memory_is_scarce:
                stream.capacity = min(2 * stream.capacity, self._max_window)
            self._blocked = False
            self._grow_beyond = self._advertised
        if stream.final_size is None and stream.offer - self._advertised >= stream.capacity // 2:
            self.acks.due = True

    def widen(self, window: int) -> None:
        """Offer at least ``window``; at once when the sender may be waiting for it, else with the next packet."""
        stream = self.stream
        stream.capacity = max(stream.capacity, window)
        if 2 * stream.next >= self._advertised:
            self.acks.due = True

    def advertise(self) -> int:
        """The window end to state in a packet that goes out now.

        It moves by a full packet's payload or half the window at least: small steps would be answered with small
        packets (RFC 9293 section 3.8.6.2.2).
        """
        stream = self.stream
        edge = stream.offer
        if edge - self._advertised >= min(stream.capacity // 2, self._segment):
            self._advertised = edge
        return self._advertised


def _is_run(
    numbers: NDArray[np.int64],
    offsets: NDArray[np.int64],
    flags: NDArray[np.uint8],
    sizes: NDArray[np.int64],
    together: int,
) -> bool:
    """Whether all packets are one run: the common case, in as few operations as can be."""
    size = int(sizes[0])
    count = len(numbers)
    if int(numbers[-1]) - int(numbers[0]) != count - 1 or int(sizes[-1]) > size:
        return False
    if together & _FIN and bool((flags[:-1] & _FIN).any()):
        return False
    steps = offsets[1:] - offsets[:-1]
    return bool(
        (steps == size).all() and (sizes[:-1] == size).all() and ((numbers[1:] - numbers[:-1]) == 1).all()
    )


def _runs(
    numbers: NDArray[np.int64], offsets: NDArray[np.int64], flags: NDArray[np.uint8], sizes: NDArray[np.int64]
) -> Iterator[slice]:
    """The runs among the packets: numbers and offsets go on, all of one size but perhaps a shorter last."""
    breaks = (
        (numbers[1:] != numbers[:-1] + 1)
        | (offsets[1:] != offsets[:-1] + sizes[:-1])
        | (sizes[1:] > sizes[:-1])
    )
    breaks |= (flags[:-1] & _FIN) != 0
    if len(breaks) > 1:
        breaks[1:] |= sizes[1:-1] < sizes[:-2]  # behind a shorter packet a new run begins
    begin = 0
    for end in (*(np.flatnonzero(breaks) + 1).tolist(), len(numbers)):
        yield slice(begin, end)
        begin = end

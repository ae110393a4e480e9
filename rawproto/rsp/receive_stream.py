"""The receiving half of the byte stream: a ring of bytes that takes ranges in any order.

Data lands in the ring once, straight from the link's buffer; the application's read is the only other copy. What
has arrived beyond a hole is remembered as ranges. The first copy of a byte counts: a later one, even with another
value, changes nothing.

The half finishes when the application has read everything up to the end of the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rawproto.rsp.memory import Share
from rawproto.rsp.ranges import RangeSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["ReceiveStream"]

MAX_GAPS = 256
"""Most holes kept; data that would open another one is refused, and so not acknowledged."""
_FIRST_RING = 1024
SCARCE_WINDOW = 4096
"""Least window offered while memory is scarce: a few packets, so that everybody goes on."""
_NO_RING: NDArray[np.uint8] = np.empty(0, dtype=np.uint8)
_NO_VIEW = _NO_RING.data


class ReceiveStream:
    """Offsets are absolute; ``capacity`` is how far beyond the read position data may lie."""

    __slots__ = (
        "_beyond",
        "_origin",
        "_ring",
        "_share",
        "_view",
        "capacity",
        "duplicate_bytes",
        "final_size",
        "highest",
        "next",
        "read_offset",
    )

    def __init__(self, capacity: int, share: Share | None = None) -> None:
        self.capacity = capacity
        self._share = share or Share()
        self.read_offset = 0
        self.next = 0
        """Everything below this offset has arrived."""
        self.highest = 0
        """Offset behind the highest byte that has arrived."""
        self.final_size: int | None = None
        self.duplicate_bytes = 0
        self._beyond = RangeSet()
        self._origin = 0  # the offset that lies at the ring's beginning
        self._ring: NDArray[np.uint8] = _NO_RING
        self._view = _NO_VIEW

    def _set_ring(self, size: int) -> None:
        before = len(self._ring)
        self._ring = np.empty(size, dtype=np.uint8) if size else _NO_RING
        self._share.take(size - before)
        # For lone packets: a slice of it costs a fifth of one of an array.
        self._view = self._ring.data if size else _NO_VIEW

    @property
    def readable(self) -> int:
        """Bytes that can be read now."""
        return self.next - self.read_offset

    @property
    def complete(self) -> bool:
        """Everything up to the end of the stream has arrived."""
        return self.final_size is not None and self.next == self.final_size

    @property
    def at_end(self) -> bool:
        """Everything up to the end of the stream has been read."""
        return self.final_size is not None and self.read_offset == self.final_size

    @property
    def offer(self) -> int:
        """First offset not to promise to take: the window's end, or what there is room for while memory is scarce."""
        room = self.capacity
        if self._share.memory.scarce:
            room = min(room, max(SCARCE_WINDOW, len(self._ring)))
        return self.read_offset + room

    @property
    def memory_is_scarce(self) -> bool:
        """The window should not grow."""
        return self._share.memory.scarce

    @property
    def memory(self) -> int:
        """Bytes held by the ring."""
        return len(self._ring)

    def finish(self, final_size: int) -> bool:
        """The peer says where the stream ends; false when that contradicts what is known."""
        if self.final_size is not None:
            return self.final_size == final_size
        if final_size < self.highest:
            return False
        self.final_size = final_size
        return True

    def would_refuse(self, start: int, stop: int) -> bool:
        """Whether data of ``[start, stop)`` lies beyond the window or the memory, or opens one hole too many."""
        if stop - self.read_offset > self.capacity:
            return True
        if stop - self.read_offset > len(self._ring):
            more = self._ring_for(stop - self.read_offset) - len(self._ring)
            if more > self._share.memory.free:
                return True
        return start > self.next and len(self._beyond) >= MAX_GAPS and not self._touches(start, stop)

    def _touches(self, start: int, stop: int) -> bool:
        return self._beyond.overlaps(start - 1, stop + 1)

    def write_one(self, offset: int, data: bytes | memoryview) -> None:
        """Take the bytes of one packet; otherwise as :meth:`write`."""
        stop = offset + len(data)
        ring = len(self._ring)
        if offset == self.next and stop - self.read_offset <= ring and not self._beyond.starts:
            at = (offset - self._origin) % ring
            if at + len(data) <= ring:
                self._view[at : at + len(data)] = data
                self.next = self.highest = stop
                return
        self.write(offset, np.frombuffer(data, dtype=np.uint8).reshape(1, -1))

    def write(self, offset: int, rows: NDArray[np.uint8]) -> None:
        """Take rows of equal length, uint8 (k, length), that follow each other in the stream from ``offset``.

        The caller has asked :meth:`would_refuse`.
        """
        count, length = rows.shape
        stop = offset + count * length
        if stop <= self.next:
            self.duplicate_bytes += stop - offset
            return
        if self.read_offset == self.highest:
            # Nothing is held: begin at the ring's beginning again, so that a reader who keeps up stays in the cache.
            self._origin = self.read_offset
        if stop - self.read_offset > len(self._ring):
            self._grow(stop - self.read_offset)
        if offset >= self.next and not self._beyond.overlaps(offset, stop):
            self._store_rows(offset, rows)
        else:
            self._store_missing(offset, stop, rows.tobytes())
        self._arrived(offset, stop)

    def _store_missing(self, offset: int, stop: int, data: bytes) -> None:
        """Store only what was not there: the first copy of a byte counts."""
        stored = 0
        for low, high in self._beyond.missing(max(offset, self.next), stop):
            self._store(low, np.frombuffer(data, dtype=np.uint8)[low - offset : high - offset])
            stored += high - low
        self.duplicate_bytes += stop - offset - stored

    def _arrived(self, start: int, stop: int) -> None:
        self.highest = max(self.highest, stop)
        if start > self.next:
            self._beyond.add(start, stop)
            return
        self.next = max(self.next, stop)
        while self._beyond.starts and self._beyond.first[0] <= self.next:
            self.next = max(self.next, self._beyond.drop_first()[1])

    def _store_rows(self, offset: int, rows: NDArray[np.uint8]) -> None:
        """Copy rows into the ring, in one strided copy where they do not cross its end."""
        count, length = rows.shape
        size = len(self._ring)
        at = (offset - self._origin) % size
        if at + count * length <= size:
            self._ring[at : at + count * length].reshape(count, length)[...] = rows
            return
        whole = (size - at) // length
        if whole:
            self._ring[at : at + whole * length].reshape(whole, length)[...] = rows[:whole]
        self._store(offset + whole * length, rows[whole])
        if whole + 1 < count:
            self._store_rows(offset + (whole + 1) * length, rows[whole + 1 :])

    def _store(self, offset: int, data: NDArray[np.uint8]) -> None:
        size = len(self._ring)
        at = (offset - self._origin) % size
        first = min(len(data), size - at)
        self._ring[at : at + first] = data[:first]
        if first < len(data):
            self._ring[: len(data) - first] = data[first:]

    def _ring_for(self, needed: int) -> int:
        size = max(_FIRST_RING, len(self._ring))
        while size < needed:
            size *= 2
        return size

    def _grow(self, needed: int) -> None:
        size = self._ring_for(needed)
        held = self.highest - self.read_offset
        kept = self._peek(self._ring, held) if held else None
        self._set_ring(size)
        self._origin = self.read_offset
        if kept is not None:
            self._store(self.read_offset, kept)

    def _peek(self, ring: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
        at = (self.read_offset - self._origin) % len(ring)
        if at + size <= len(ring):
            return ring[at : at + size]
        return np.concatenate((ring[at:], ring[: size - (len(ring) - at)]))

    def read(self, size: int) -> bytes:
        """Up to ``size`` bytes in order; all there is when ``size`` is negative."""
        available = self.readable
        size = available if size < 0 else min(size, available)
        if not size:
            return b""
        at = (self.read_offset - self._origin) % len(self._ring)
        if at + size <= len(self._ring):
            data = self._view[at : at + size].tobytes()
        else:
            data = self._peek(self._ring, size).tobytes()
        self._consumed(size)
        return data

    def readinto(self, target: memoryview) -> int:
        """Fill ``target`` with bytes in order; returns how many there were."""
        size = min(len(target), self.next - self.read_offset)
        if size:
            at = (self.read_offset - self._origin) % len(self._ring)
            first = min(size, len(self._ring) - at)
            target[:first] = self._view[at : at + first]
            if first < size:
                target[first:size] = self._view[: size - first]
            self._consumed(size)
        return size

    def rest(self) -> None:
        """Nothing came for a while: give the memory back unless something is in it."""
        if self.read_offset == self.highest:
            self._set_ring(0)

    def _consumed(self, size: int) -> None:
        self.read_offset += size
        if self.read_offset == self.highest and len(self._ring) > _FIRST_RING:
            self._give_back()

    def _give_back(self) -> None:
        """Nothing is held: let go of the ring when nothing more can come, or when others need the memory."""
        if self.final_size is not None or self._share.memory.scarce:
            self._set_ring(0)

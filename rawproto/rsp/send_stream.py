"""The sending half of the byte stream: what was written, what must be sent, what the peer has.

Large writes are kept by reference, not copied: each packet points into the very bytes the application handed over,
and the reference is dropped once they are acknowledged. Small writes are gathered in chunks of their own.

The half finishes when everything written and the end of the stream are acknowledged.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

import numpy as np

from rawproto.rsp.ranges import RangeSet

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["SendStream"]

REFERENCE_FROM = 16 * 1024
"""Writes of at least this many bytes are kept by reference when they cannot change under us."""
_CHUNK = 64 * 1024


class SendStream:
    """Offsets are absolute: the first byte of the stream is 0."""

    __slots__ = (
        "_acknowledged",
        "_chunks",
        "_object",
        "_starts",
        "_tail_room",
        "acked_end",
        "end",
        "fin_acked",
        "fin_pending",
        "finished_writing",
        "limit",
        "lost",
        "next",
    )

    def __init__(self, limit: int) -> None:
        self.limit = limit
        """Most bytes kept: written and not yet acknowledged."""
        self.end = 0
        """Offset behind the last byte written."""
        self.next = 0
        """Offset of the first byte never sent."""
        self.acked_end = 0
        """Everything below this offset is acknowledged."""
        self.finished_writing = False
        self.fin_pending = False
        self.fin_acked = False
        self._acknowledged = RangeSet()
        self.lost = RangeSet()
        """What must be sent again."""
        self._starts: list[int] = []
        self._chunks: list[
            NDArray[np.uint8] | bytes
        ] = []  # bytes: a small message, until an array of it is asked for
        self._tail_room = 0
        self._object: bytes | None = None  # what the last chunk is a part of, when that is by reference

    @property
    def room(self) -> int:
        """Bytes that :meth:`write` would take now."""
        room = self.limit - self.end + self.acked_end
        return room if room > 0 and not self.finished_writing else 0

    @property
    def unacknowledged(self) -> int:
        """Bytes written and not yet known to have arrived."""
        return self.end - self.acked_end

    @property
    def finished(self) -> bool:
        """Everything, the end included, has been acknowledged."""
        return self.fin_acked and self.acked_end == self.end

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take as much of ``data`` as there is room for; returns how many bytes that was."""
        view = memoryview(data)
        if view.format != "B" or view.ndim != 1:
            view = view.cast("B")
        size = min(len(view), self.room)
        if not size:
            return 0
        view = view[:size]
        if not self._chunks and size < REFERENCE_FROM:
            # The usual small message: nothing else waits. Its bytes cost less than a chunk with room for more.
            self._append_chunk(bytes(view), 0)
            self.end += size
        elif size >= REFERENCE_FROM and type(view.obj) is bytes:
            chunk = np.frombuffer(view, dtype=np.uint8)
            if not self._continues(chunk, view.obj):
                self._append_chunk(chunk, 0)
            self._object = view.obj
            self.end += size
        else:
            self._append_copy(view)
        return size

    def _continues(self, chunk: NDArray[np.uint8], whole: bytes) -> bool:
        """Make the last chunk longer if ``chunk`` is what follows it in ``whole``: a write that was taken in parts.

        A batch can lie across two chunks only as a copy.
        """
        if not self._chunks or self._object is not whole or self._tail_room:
            return False
        base = np.frombuffer(whole, dtype=np.uint8)
        last = self._array(-1)
        begin = _address(last) - _address(base)
        if _address(chunk) - _address(base) != begin + len(last):
            return False
        self._chunks[-1] = base[begin : begin + len(last) + len(chunk)]
        return True

    def _append_chunk(self, chunk: NDArray[np.uint8] | bytes, room: int) -> None:
        self._starts.append(self.end)
        self._chunks.append(chunk)
        self._tail_room = room
        self._object = None

    def _array(self, index: int) -> NDArray[np.uint8]:
        chunk = self._chunks[index]
        if isinstance(chunk, bytes):
            chunk = self._chunks[index] = np.frombuffer(chunk, dtype=np.uint8)
        return chunk

    def _append_copy(self, view: memoryview) -> None:
        source = np.frombuffer(view, dtype=np.uint8)
        while len(source):
            if not self._tail_room:
                # A connection that says little should cost little: the first chunk fits the write.
                size = _CHUNK if self._chunks or len(source) > _CHUNK // 8 else max(1024, 2 * len(source))
                self._append_chunk(np.empty(size, dtype=np.uint8), size)
            piece = source[: self._tail_room]
            chunk = self._array(-1)
            at = len(chunk) - self._tail_room
            chunk[at : at + len(piece)] = piece
            self._tail_room -= len(piece)
            self.end += len(piece)
            source = source[len(piece) :]

    def finish(self) -> None:
        """No more will be written; the end of the stream goes out behind the last byte."""
        if not self.finished_writing:
            self.finished_writing = True
            self.fin_pending = True

    def lost_range(self, size: int) -> tuple[int, int] | None:
        """The lowest ``size`` bytes (or fewer) in a row that must be sent again, or None."""
        if not self.lost.starts:
            return None
        start, stop = self.lost.first
        return start, min(stop, start + size)

    def new_range(self, size: int, window_end: int) -> tuple[int, int] | None:
        """The next ``size`` bytes (or fewer) never sent, below the peer's window, or None."""
        stop = min(self.end, window_end, self.next + size)
        return (self.next, stop) if stop > self.next else None

    def oldest_range(self, size: int) -> tuple[int, int] | None:
        """The lowest ``size`` bytes (or fewer) sent and not acknowledged: what a probe carries."""
        stop = min(self.next, self.acked_end + size)
        return (self.acked_end, stop) if stop > self.acked_end else None

    def piece(self, start: int, stop: int) -> bytes:
        """A copy of the bytes ``[start, stop)``."""
        if len(self._chunks) == 1 and start == self._starts[0] and stop == self.end:
            only = self._chunks[0]
            if isinstance(only, bytes):
                return only
        array, index = self.locate(start, stop)
        return array[index : index + stop - start].tobytes()

    def locate(self, start: int, stop: int) -> tuple[NDArray[np.uint8], int]:
        """Where the bytes ``[start, stop)`` lie: a flat array, and the index of ``start`` in it.

        What lies across chunks is returned as a copy: that costs less than a batch for each side and one between.
        """
        index = bisect_right(self._starts, start) - 1
        chunk, chunk_start = self._array(index), self._starts[index]
        chunk_stop = self._starts[index + 1] if index + 1 < len(self._starts) else self.end
        if stop <= chunk_stop:
            return chunk, start - chunk_start
        return self._gather(index, start, stop), 0

    def _gather(self, index: int, start: int, stop: int) -> NDArray[np.uint8]:
        out = np.empty(stop - start, dtype=np.uint8)
        at = start
        while at < stop:
            limit = self._starts[index + 1] if index + 1 < len(self._starts) else self.end
            take = min(stop, limit) - at
            begin = at - self._starts[index]
            out[at - start : at - start + take] = self._array(index)[begin : begin + take]
            at += take
            index += 1
        return out

    def on_sent(self, start: int, stop: int) -> None:
        """``[start, stop)`` went out, for the first time or again."""
        if stop > self.next:
            self.next = stop
        if self.lost.starts:
            self.lost.remove(start, stop)

    def on_acknowledged(self, start: int, stop: int) -> int:
        """The peer has ``[start, stop)``; returns by how many bytes the acknowledged prefix grew."""
        if self.lost.starts:
            self.lost.remove(start, stop)
        before = self.acked_end
        if start <= before:
            if stop <= before:
                return 0
            self.acked_end = stop
        else:
            self._acknowledged.add(start, stop)
            return 0
        while self._acknowledged.starts and self._acknowledged.first[0] <= self.acked_end:
            self.acked_end = max(self.acked_end, self._acknowledged.drop_first()[1])
        self._release()
        return self.acked_end - before

    def on_lost(self, start: int, stop: int) -> None:
        """``[start, stop)`` was lost: send again what the peer does not have of it."""
        for low, high in self._acknowledged.missing(max(start, self.acked_end), stop):
            self.lost.add(low, high)

    def discard(self) -> None:
        """Nothing will be sent any more: let go of what was written."""
        self._starts.clear()
        self._chunks.clear()
        self._tail_room, self._object = 0, None

    def rest(self) -> None:
        """Nothing was said for a while: give back the memory that waits for more."""
        if self.acked_end == self.end:
            self.discard()

    def _release(self) -> None:
        """Let go of chunks that are acknowledged to their end."""
        if self.acked_end == self.end:
            free, self._tail_room, self._object = len(self._chunks), 0, None
        else:
            free = bisect_right(self._starts, self.acked_end) - 1
        if free > 0:
            del self._starts[:free]
            del self._chunks[:free]


def _address(array: NDArray[np.uint8]) -> int:
    address: int = array.__array_interface__["data"][0]
    return address

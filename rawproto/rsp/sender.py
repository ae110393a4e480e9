"""The sending side of a connection: what goes out next, and as which packets.

Lost data goes before new data; both are cut into equal packets of one contiguous range, so that a batch is a few
array operations: headers by arithmetic on whole columns, payload by reference into what the application wrote.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import numpy as np

from rawproto.rsp import checks, integrity
from rawproto.rsp.header import DATA_HEADER_SIZE, Data, Kind, RSPFlags
from rawproto.rsp.sent import CARRIES_FIN, CARRIES_STREAM
from rawproto.rsp.words import DATA_WORDS
from rawproto.wire.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rawproto.rsp.recovery import Recovery
    from rawproto.rsp.send_stream import SendStream

__all__ = ["MAX_BATCH", "Sender"]

MAX_BATCH = 256
"""Most packets in one batch, whatever the link says that it takes best."""
USUAL_BATCH = 64
"""Packets in one batch where the link says nothing (architecture, decision 1)."""

_DATA = int(Kind.DATA)
_STEPS = np.arange(MAX_BATCH, dtype=np.int64)
_WORD = np.dtype(">i8")
_HEADER_LENGTHS = np.full(MAX_BATCH, DATA_HEADER_SIZE, dtype=np.int64)
_NO_ROWS = np.zeros(0, dtype=Data.dtype)
_NO_BYTES, _NO_WORDS = np.zeros(0, dtype=np.uint8), np.zeros(0, dtype=np.int64)
_FIN, _ACK_NOW, _BLOCKED = int(RSPFlags.FIN), int(RSPFlags.ACK_NOW), int(RSPFlags.BLOCKED)


@functools.lru_cache(maxsize=64)
def _shape(count: int, size: int, last: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of ``count`` packets of ``size`` bytes, the last of ``last``: numbers and offsets from the first, and lengths."""
    steps = np.stack((_STEPS[:count], size * _STEPS[:count]), axis=1)
    lengths = np.full(count, size, dtype=np.int64)
    lengths[-1] = last
    for array in (steps, lengths):
        array.flags.writeable = False
    return steps, lengths


class Sender:
    """Cuts the stream into packets and enters them in the recovery's ledger."""

    __slots__ = (
        "_asked_at",
        "_batch",
        "_batch_of",
        "_batch_size",
        "_connection",
        "_flags_of_last",
        "_heads",
        "_lengths",
        "_places",
        "_port",
        "_rows",
        "_shape",
        "_steps",
        "_widest",
        "bytes",
        "bytes_retransmitted",
        "check",
        "packets",
        "packets_retransmitted",
        "peer_window",
        "recovery",
        "size",
        "stream",
    )

    def __init__(
        self,
        stream: SendStream,
        recovery: Recovery,
        max_datagram: int,
        batch_size: Callable[[int], int] | None = None,
    ) -> None:
        self.stream = stream
        self._batch_size = batch_size
        self._batch = 0, 0  # what _largest() said for packets of this size
        self._batch_of = 0
        self.recovery = recovery
        self.peer_window = 0
        """First stream offset the peer does not take yet."""
        self.size = max_datagram - DATA_HEADER_SIZE
        """Payload bytes of a full packet."""
        self.check = checks.CRC32
        self.packets = 0
        self.bytes = 0
        self.packets_retransmitted = 0
        self.bytes_retransmitted = 0
        self._widest = 0  # largest window that the peer ever offered
        self._asked_at = 0  # bytes sent when an acknowledgement was last asked for
        self._port = self._connection = 0
        self._rows: NDArray[np.void]
        # What the rows hold now; a batch is the same as the one before but for numbers, offsets and the last flags.
        self._shape = 0, 0, 0
        self._heads: NDArray[np.uint8]
        self._places: NDArray[np.int64]
        self._flags_of_last: NDArray[np.uint8]
        self._steps: NDArray[np.int64]
        self._lengths: NDArray[np.int64]
        self._forget_shape(_NO_ROWS)

    def address(self, port: int, connection: int, check: str) -> None:
        """Fill in what every packet of the connection bears."""
        self.check = check
        self._port, self._connection = port, connection
        template = np.zeros(1, dtype=Data.dtype)
        template["kind"], template["port"], template["connection"] = Kind.DATA, port, connection
        self._forget_shape(template)

    def rest(self) -> None:
        """Nothing was said for a while: keep one row to begin with, and nothing that was written."""
        self.stream.rest()
        if len(self._rows) > 1:
            self._forget_shape(self._rows[:1].copy())

    def _forget_shape(self, rows: NDArray[np.void]) -> None:
        """Go on with ``rows``, whose first has what is in all packets, and no batch to be like."""
        self._rows = rows
        self._shape = 0, 0, 0
        self._heads = self._flags_of_last = _NO_BYTES
        self._places = self._steps = self._lengths = _NO_WORDS

    def next_batch(self, now: int) -> Batch | None:
        """The next batch that windows and pacer let go, or None."""
        stream = self.stream
        lost = bool(stream.lost.starts)
        if not lost and stream.next == stream.end and not stream.fin_pending:
            self.recovery.on_said_all(now)
            return None
        allowed = self.recovery.allowance(now)
        if allowed < self._largest()[0] and allowed < self.least():
            self.recovery.blocked_by_application = False
            return None
        picked = self._pick(allowed, lost)
        if picked is None:
            return self._end_alone(now)
        self.recovery.blocked_by_application = False
        start, stop, again = picked
        return self.build(start, stop, now, again=again)

    def least(self) -> int:
        """Payload bytes that must be allowed before anything goes out.

        While packets are in flight and much waits, a small batch is not worth what it costs at both ends. Where the
        path is too slow for batches of a quarter of the largest, nothing is gained by waiting, and bursts harm others.
        """
        stream, recovery = self.stream, self.recovery
        if stream.lost.starts or not recovery.sent.packets_in_flight:
            return 1
        largest, quarter = self._largest()
        worth = min(stream.end, self.peer_window) - stream.next
        if worth >= quarter:
            worth = min(worth, recovery.worthwhile(largest))
        # By less than a packet the window may be overshot, or small windows would be left half empty.
        return worth - self.size + 1 if worth >= quarter else 1

    def _must_wait(self, room: int) -> bool:
        """Whether ``room`` in the congestion window lets no further batch go."""
        return room < self.size or (room < self._largest()[0] and room < self.least())

    def _pick(self, allowed: int, lost: bool) -> tuple[int, int, bool] | None:
        """(start, stop, sent before) of the next range, in whole packets unless it is the end of the data."""
        size, stream = self.size, self.stream
        largest, part = self._largest()
        most = min(allowed, largest)
        # The window may be overshot by less than a packet, or small windows would be left half empty. Batches of few
        # different lengths: what was prepared for one serves the next.
        most = max(size, most - most % (part if most > part else size))
        if lost:
            found = stream.lost_range(most)
            if found is not None:
                return (*found, True)
        new = stream.new_range(most, self.peer_window)
        if new is None:
            return None
        start, stop = new
        short = (stop - start) % size
        if short and stop < stream.end and not self._worth_a_packet(stop - start):
            stop -= short
            if stop <= start:
                return None
        return start, stop, False

    def _worth_a_packet(self, room: int) -> bool:
        """Whether to send less than a full packet because the window is cut there (RFC 9293 section 3.8.6.2.1).

        Only when nothing is in flight and it is half of the largest window; else the persist timer overrides.
        """
        return room < self.size and 2 * room >= self._widest and not self.recovery.sent.packets_in_flight

    def on_window(self, edge: int) -> bool:
        """The peer states ``edge`` as the first offset it does not take; true when that is news."""
        if edge <= self.peer_window:
            return False
        self.peer_window = edge
        self._widest = max(self._widest, edge - self.stream.acked_end)
        return True

    def _end_alone(self, now: int) -> Batch | None:
        """The end of the stream in a packet without data."""
        stream = self.stream
        if not stream.fin_pending or stream.next < stream.end:
            self.recovery.on_application_limited()  # held back by the peer's window
            return None
        return self._empty(now, stream.end, _FIN | _ACK_NOW, CARRIES_FIN)

    def _empty(self, now: int, offset: int, flags: int, carries: int) -> Batch:
        self.stream.fin_pending = False
        number = self.recovery.on_sent(now, 1, offset, 0, 0, carries)
        self.packets += 1
        return self._single(number, offset, flags, b"")

    def override(self, now: int) -> Batch | None:
        """What the window takes, however little: it was held back for long enough (RFC 9293 section 3.8.6.2.1)."""
        found = self.stream.new_range(self.size, self.peer_window)
        return None if found is None else self.build(*found, now, again=False, ask=True)

    def probe(self, now: int) -> Batch | None:
        """A packet for the probe timeout: new data if the window takes it, else the oldest unacknowledged."""
        stream = self.stream
        found = stream.lost_range(self.size)
        again = found is not None
        if found is None:
            found = stream.new_range(self.size, self.peer_window)
        if found is None:
            found, again = stream.oldest_range(self.size), True
        if found is not None:
            return self.build(*found, now, again=again, ask=True)
        if stream.finished_writing and not stream.fin_acked and stream.next == stream.end:
            return self._empty(now, stream.end, _FIN | _ACK_NOW, CARRIES_FIN)
        return None

    def build(self, start: int, stop: int, now: int, *, again: bool, ask: bool = False) -> Batch:
        """The range ``[start, stop)`` as a batch, entered in the ledger."""
        size, stream = self.size, self.stream
        if stop - start <= size:
            return self._build_one(start, stop, now, again=again, ask=ask)
        payload, index = stream.locate(start, stop)
        total = stop - start
        count = -(-total // size)
        last = total - (count - 1) * size
        if (count, size, last) != self._shape:
            self._set_shape(count, size, last)
        carries_end = stream.finished_writing and stop == stream.end
        carries = CARRIES_STREAM | (CARRIES_FIN if carries_end else 0)
        first = self.recovery.on_sent(now, count, start, size, last, carries)
        if carries_end:
            stream.fin_pending = False
        stream.on_sent(start, stop)
        np.add(self._steps, (first, start), out=self._places[:count])
        self._flags_of_last[0] = self._flags(total, stop, carries_end=carries_end, ask=ask)
        batch = Batch(self._heads, _HEADER_LENGTHS[:count], payload, self._steps[:, 1] + index, self._lengths)
        integrity.fill(batch, self.check)
        self._count(count, total, again=again)
        return batch

    def _set_shape(self, count: int, size: int, last: int) -> None:
        """Prepare what all batches of ``count`` packets of ``size`` bytes, the last of ``last``, have in common."""
        if len(self._rows) < count:
            # Grown when first needed: an idle connection holds one row.
            self._rows = np.repeat(self._rows[:1], 8 if count <= 8 else 64 if count <= 64 else MAX_BATCH)
        self._flags_of_last[:] = 0
        self._heads = self._rows[:count].view(np.uint8).reshape(count, DATA_HEADER_SIZE)
        self._places = self._rows.view(_WORD).reshape(len(self._rows), -1)[:, -2:]
        self._flags_of_last = self._rows["flags"][count - 1 : count]
        self._steps, self._lengths = _shape(count, size, last)
        self._shape = count, size, last

    def _largest(self) -> tuple[int, int]:
        """Bytes of the largest batch, and of a quarter of it in whole packets."""
        if self._batch_of != self.size:
            ask = self._batch_size
            count = USUAL_BATCH if ask is None else min(ask(self.size + DATA_HEADER_SIZE), MAX_BATCH)
            self._batch_of, self._batch = self.size, (count * self.size, max(count // 4, 1) * self.size)
        return self._batch

    def _build_one(self, start: int, stop: int, now: int, *, again: bool, ask: bool) -> Batch:
        """What fits one packet: :meth:`build` without arrays."""
        stream, total = self.stream, stop - start
        carries_end = stream.finished_writing and stop == stream.end
        carries = CARRIES_STREAM | (CARRIES_FIN if carries_end else 0)
        number = self.recovery.on_sent(now, 1, start, total, total, carries)
        if carries_end:
            stream.fin_pending = False
        stream.on_sent(start, stop)
        flags = self._flags(total, stop, carries_end=carries_end, ask=ask)
        self._count(1, total, again=again)
        return self._single(number, start, flags, stream.piece(start, stop))

    def _single(self, number: int, offset: int, flags: int, payload: bytes) -> Batch:
        packet = DATA_WORDS.pack(0, _DATA, flags, self._port, self._connection, number, offset) + payload
        return Batch.single(packet if self.check == checks.NONE else checks.fill_one(packet, self.check))

    def _flags(self, total: int, stop: int, *, carries_end: bool, ask: bool) -> int:
        """Flags of the last packet of a batch: the end, and whether an acknowledgement is wanted now."""
        stream, recovery = self.stream, self.recovery
        flags = _FIN if carries_end else 0
        if stop >= self.peer_window - self.size and stop < stream.end:
            flags |= _BLOCKED
        waiting = stop < stream.end or bool(stream.lost.starts)
        unasked = self.bytes + total - self._asked_at
        if (
            ask
            or carries_end
            or (waiting and unasked * 4 >= recovery.controller.window)
            or (waiting and self._must_wait(recovery.window_room()))
            or flags & _BLOCKED
        ):
            flags |= _ACK_NOW
            self._asked_at = self.bytes + total
        return flags

    def _count(self, count: int, total: int, *, again: bool) -> None:
        self.packets += count
        self.bytes += total
        if again:
            self.packets_retransmitted += count
            self.bytes_retransmitted += total

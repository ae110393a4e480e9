"""Packets in: what each kind means for a connection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.errors import ConnectionRefused, DecodeError
from rawproto.rsp import checks, integrity
from rawproto.rsp.ack_packet import decode_ranges
from rawproto.rsp.header import (
    ACK_HEADER_SIZE,
    COMMON_SIZE,
    DATA_HEADER_SIZE,
    Ack,
    Common,
    Data,
    Kind,
    Path,
    Reset,
    RSPFlags,
)
from rawproto.rsp.migration import Migration, answer_challenge
from rawproto.rsp.reasons import Reason
from rawproto.rsp.receiver import StreamViolationError
from rawproto.rsp.resets import on_reset
from rawproto.rsp.state import State
from rawproto.rsp.timers import Timer
from rawproto.rsp.words import ACK_WORDS, DATA_WORDS
from rawproto.wire.icmp_error import ICMPErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rawproto.rsp.core import Core
    from rawproto.rsp.loss import AckOutcome
    from rawproto.rsp.sent import Settled
    from rawproto.rsp.train import Train
    from rawproto.wire.batch import ReceivedBatch
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["Inbound"]

_MAX_NUMBER = 1 << 62
"""No sender comes near; beyond it arithmetic on 64-bit columns would not be safe."""
_CARRIES_DATA = int(RSPFlags.CARRIES_DATA)
_ACK, _PROBE, _RESET = Kind.ACK, Kind.PROBE, Kind.RESET  # see arrivals.py
_SYN_SENT, _LOSS = State.SYN_SENT, Timer.LOSS
_NOBODY = (ICMPErrorKind.PROTOCOL_UNREACHABLE, ICMPErrorKind.PORT_UNREACHABLE)
_CE = 3
"""Congestion experienced (RFC 3168 section 5)."""


class Inbound:
    """Takes the packets of one connection."""

    __slots__ = ("_core", "_migration")

    def __init__(self, core: Core) -> None:
        self._core = core
        self._migration: Migration | None = None

    def on_train(self, train: Train, batch: ReceivedBatch, now: int) -> None:
        """All packets of ``batch``: :meth:`on_data` for what is known to be one run."""
        core = self._core
        rows, check = batch.head, core.sender.check
        if check != checks.NONE and integrity.verify(rows, batch.head_lengths, check) is not None:
            self.on_data(batch, 0, len(rows), now)
            return
        _, number, offset, size, last, flags = train
        source = batch.source if batch.source is not None else batch.source_of(len(rows) - 1)
        if source is not core.source and source != core.source:
            self._from_elsewhere(source, number + len(rows) - 1, DATA_HEADER_SIZE, now)
        if batch.ecn is not None and _CE in batch.ecn.tobytes():
            self._note_marks(batch.ecn)
        if number > _MAX_NUMBER or offset > _MAX_NUMBER:
            core.violated("a packet number or offset out of range", now)
            return
        receiver, payload = core.receiver, rows[:, DATA_HEADER_SIZE:]
        core.heard(now)
        self._deliver(receiver.on_run, number, offset, payload, size, last, flags, now)

    def on_data(self, batch: ReceivedBatch, first: int, stop: int, now: int) -> None:
        """DATA packets for this connection: rows ``first`` to ``stop`` of ``batch``, none shorter than a header."""
        core = self._core
        rows, lengths = batch.head[first:stop], batch.head_lengths[first:stop]
        ecn = None if batch.ecn is None else batch.ecn[first:stop]
        wrong = integrity.verify(rows, lengths, core.sender.check)
        if wrong is not None:
            core.corrupted += int(np.count_nonzero(wrong))
            rows, lengths = rows[~wrong], lengths[~wrong]
            ecn = None if ecn is None else ecn[~wrong]
            if not len(rows):
                return
        headers = rows[:, :DATA_HEADER_SIZE].view(Data.dtype)[:, 0]
        numbers = headers["number"].astype(np.int64)
        source = batch.source if batch.source is not None else batch.source_of(stop - 1)
        if source is not core.source and source != core.source:
            self._from_elsewhere(source, int(numbers[-1]), DATA_HEADER_SIZE, now)
        offsets = headers["offset"].astype(np.int64)
        if ecn is not None:
            self._note_marks(ecn)
        self._on_rows(
            numbers, offsets, rows[:, 5], rows[:, DATA_HEADER_SIZE:], lengths - DATA_HEADER_SIZE, now
        )

    def _note_marks(self, ecn: NDArray[np.uint8]) -> None:
        core = self._core
        marks = int(np.count_nonzero(ecn == _CE))
        if marks:
            core.receiver.acks.on_mark(marks)

    def _on_rows(
        self,
        numbers: NDArray[np.int64],
        offsets: NDArray[np.int64],
        flags: NDArray[np.uint8],
        payload: NDArray[np.uint8],
        sizes: NDArray[np.int64],
        now: int,
    ) -> None:
        high = max(int(numbers.max()), int(offsets.max()))
        low = min(int(numbers.min()), int(offsets.min()))
        if low < 0 or high > _MAX_NUMBER:
            self._core.violated("a packet number or offset out of range", now)
            return
        self._core.heard(now)
        self._deliver(self._core.receiver.on_rows, numbers, offsets, flags, payload, sizes, now)

    def on_single(self, packet: bytes, source: Any, mark: int | None, now: int) -> None:
        """One DATA packet for this connection, no shorter than a header: :meth:`on_data` without arrays."""
        core = self._core
        check = core.sender.check
        if check != checks.NONE and not checks.verify_one(packet, check):
            core.corrupted += 1
            return
        _, _, flags, _, _, number, offset = DATA_WORDS.unpack_from(packet)
        if source is not core.source and source != core.source:
            self._from_elsewhere(source, number, DATA_HEADER_SIZE, now)
        if mark == _CE:
            core.receiver.acks.on_mark(1)
        core.heard(now)
        self._on_one(number, offset, flags, packet[DATA_HEADER_SIZE:], now)

    def _on_one(self, number: int, offset: int, flags: int, data: bytes, now: int) -> None:
        """One packet's piece of the stream."""
        if number > _MAX_NUMBER or offset > _MAX_NUMBER:
            self._core.violated("a packet number or offset out of range", now)
            return
        self._deliver(self._core.receiver.on_one, number, offset, data, flags, now)

    def _deliver(self, take: Callable[..., None], *data_and_now: Any) -> None:
        """Let the receiver ``take`` data, and tell whoever waits for it."""
        core = self._core
        if core.closed:
            return
        now: int = data_and_now[-1]
        stream = core.receiver.stream
        before, end_before = stream.next, stream.final_size
        try:
            take(*data_and_now)
        except StreamViolationError as fault:
            core.violated(str(fault), now)
            return
        if core.reading_closed and stream.next > before:
            core.reset(Reason.CLOSED, None, now)
            return
        if core.trace is not None:
            core.trace.record(now, "transport:data_received", contiguous=stream.next, highest=stream.highest)
        if stream.next > before or (stream.final_size is not end_before and stream.complete):
            core.tell()
            if core.sender.stream.fin_acked:
                core.check_finished(now)

    def _from_elsewhere(self, source: Any, number: int, size: int, now: int) -> None:
        """A packet came from where the peer was not: it moved if the packet is the newest (RFC 9000 section 9.3)."""
        core = self._core
        if source is None or core.closed or number <= core.receiver.acks.largest:
            return
        if self._migration is None:
            self._migration = Migration(core)
        self._migration.noticed(source, size, now)

    def on_path_timer(self, now: int) -> None:
        """A challenge was not answered yet."""
        if self._migration is not None:
            self._migration.on_timer(now)

    def _on_path(self, kind: Kind, packet: bytes, source: Any, now: int) -> None:
        core = self._core
        token = Path.parse(packet)[0].token
        if kind is Kind.RESPONSE:
            if self._migration is not None:
                self._migration.on_response(token, now)
        elif not core.closed and source is not None:
            answer_challenge(core, token, source)

    def on_packet(self, kind: Kind, packet: bytes, now: int, source: Any = None) -> None:
        """Any other packet for this connection, its length at least that of the common header."""
        core = self._core
        if core.state is _SYN_SENT and kind is not _RESET:
            return  # the peer cannot know of the connection yet
        is_usual = kind is _ACK or kind is _PROBE
        check = core.sender.check if is_usual else checks.CRC32
        if check != checks.NONE and not checks.verify_one(packet, check):
            core.corrupted += 1
            return
        if is_usual and source is not core.source and source != core.source:
            self._from_elsewhere(source, Common.parse(packet)[0].number, len(packet), now)
        if kind is _ACK:
            self._on_ack_packet(packet, now)
        elif kind is Kind.CHALLENGE or kind is Kind.RESPONSE:
            self._on_path(kind, packet, source, now)
        elif kind is _PROBE:
            self._on_probe(Common.parse(packet)[0].number, now)
        elif kind is _RESET:
            on_reset(core, Reset.parse(packet)[0], now)

    def _on_probe(self, number: int, now: int) -> None:
        core = self._core
        if number > _MAX_NUMBER:
            core.violated("a packet number out of range", now)
            return
        core.heard(now)
        core.receiver.acks.on_received(number, number + 1, now, wanted=True)

    def _on_ack_packet(self, packet: bytes, now: int) -> None:
        core = self._core
        if len(packet) < ACK_HEADER_SIZE:
            Ack.parse(packet)  # says in which field it ends
        _, _, flags, _, _, number, window, largest, delay, marks, count, _ = ACK_WORDS.unpack_from(packet)
        ranges, end = decode_ranges(largest, count, packet)
        if flags & _CARRIES_DATA and len(packet) < end + 8:
            raise DecodeError("it ends before the offset of its data", "Ack", "flags", 5)
        if ranges and largest >= core.recovery.sent.next:
            # Nobody can have received what was never sent (optimistic acknowledgement).
            core.violated(f"packet {largest} was acknowledged but never sent", now)
            return
        core.heard(now)
        if core.closed:
            return
        core.acks_received += 1
        if core.sender.on_window(window):
            core.persist_tries = 0
        self._on_ack(core.recovery.on_ack(ranges, largest, delay * 1000, marks, now), ranges, now)
        if flags & _CARRIES_DATA:
            offset = int.from_bytes(packet[end : end + 8], "big")
            self._on_one(number, offset, flags, packet[end + 8 :], now)

    def _on_ack(self, outcome: AckOutcome, ranges: list[tuple[int, int]], now: int) -> None:
        core = self._core
        stream = core.sender.stream
        before = stream.acked_end
        settled = outcome.acknowledged
        if settled.lied:
            core.violated("a packet number that was skipped was acknowledged", now)
            return
        for start, stop in settled.stream:
            stream.on_acknowledged(start, stop)
        grew = stream.acked_end > before
        if grew:
            core.share.take(before - stream.acked_end)
        if settled.fin:
            stream.fin_acked, stream.fin_pending = True, False
        if outcome.lost.count or outcome.lost.probes:
            self.take_back(outcome.lost, now)
        if settled.probes or core.path_mtu.doubtful:
            self._learn_size(settled, now)
        if settled.count:
            core.probes_due = 0
            if core.trace is not None:
                core.trace.record(
                    now, "transport:packets_acked", ranges=ranges[:4], acked_end=stream.acked_end
                )
                core.trace.metrics(now, core.sender)
        if core.recovery.sent.packets_in_flight:
            self.set_loss_timer()
        # Not by what was in flight: the last word may be on packets that were declared lost, wrongly.
        if settled.fin or (grew and (stream.acked_end == stream.end or stream.room)):
            core.tell()
            if stream.fin_acked:
                core.check_finished(now)

    def _learn_size(self, settled: Settled, now: int) -> None:
        """What was acknowledged says something of the sizes that the path carries."""
        core = self._core
        risen = core.path_mtu.on_settled(settled, now)
        if core.path_mtu.on_acknowledged(settled, now) or risen:
            core.use_path_mtu(now)

    def take_back(self, lost: Settled, now: int) -> None:
        """What lost packets carried goes out again."""
        core = self._core
        if lost.probes:
            core.path_mtu.on_probes_lost(lost, now)
        if not lost.count:
            return
        core.path_mtu.on_lost(lost, now)
        stream = core.sender.stream
        for start, stop in lost.stream:
            stream.on_lost(start, stop)
        if lost.fin and not stream.fin_acked:
            stream.fin_pending = True
        if core.trace is not None:
            core.trace.record(now, "recovery:packets_lost", ranges=lost.stream, count=lost.count)

    def on_icmp(self, error: ICMPError, now: int) -> None:
        """An ICMP error that quotes a packet of this connection: final only while dialing (RFC 5927 section 5).

        Of a CONFIRM it has to be said twice, and of its repetition: one may be a forgery that got lucky, or the
        moment in which a listener starts again.
        """
        core = self._core
        core.soft_error = f"{error.kind.value} (said by {error.reporter})"
        if error.kind is ICMPErrorKind.PACKET_TOO_BIG:
            self._on_too_big(error, now)
        if error.kind in _NOBODY and core.opening is not None and core.opening.unreachable(now):
            core.end(
                ConnectionRefused(
                    f"nothing there speaks the protocol: {core.soft_error}",
                    op="dial",
                    network="rsp",
                    remote=f"{core.address} port {core.terms.port}",
                ),
                now,
            )

    def _on_too_big(self, error: ICMPError, now: int) -> None:
        """It counts only when it quotes the number of a packet in flight (RFC 8899 section 4.6.1)."""
        core = self._core
        number = int.from_bytes(error.quoted[16:24], "big")
        if len(error.quoted) >= COMMON_SIZE and core.recovery.sent.in_flight(number):
            core.path_mtu.on_too_big(number, error.mtu, now)

    def set_loss_timer(self) -> None:
        """See that the loss timer runs out in time for what is in flight.

        It is not moved away: in a conversation each packet would do that. Whoever finds it due looks where it belongs
        by now (:mod:`rawproto.rsp.deadlines`).
        """
        recovery, timers = self._core.recovery, self._core.timers
        deadline = recovery.loss.timeout(recovery.max_ack_delay)
        if deadline is not None and (_LOSS not in timers.running or deadline < timers.running[_LOSS]):
            timers.set(_LOSS, deadline)

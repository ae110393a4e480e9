"""Packets out: what a connection sends next, and what it waits for when it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.protocol import SECOND
from rawproto.rsp import checks
from rawproto.rsp.ack_packet import MAX_ACK_RANGES, encode_ack
from rawproto.rsp.acks import MAX_ACK_DELAY
from rawproto.rsp.header import ACK_HEADER_SIZE, DATA_HEADER_SIZE, Data, Kind, RSPFlags
from rawproto.rsp.rtt import GRANULARITY
from rawproto.rsp.sent import CARRIES_FIN, CARRIES_MTU_PROBE, CARRIES_PROBE, CARRIES_STREAM
from rawproto.rsp.state import State
from rawproto.rsp.timers import Timer
from rawproto.wire.batch import Batch, Transmit

if TYPE_CHECKING:
    from rawproto.rsp.core import Core
    from rawproto.rsp.inbound import Inbound

__all__ = ["Outbound"]

_FIN, _CARRIES_DATA = int(RSPFlags.FIN), int(RSPFlags.CARRIES_DATA)
_SYN_SENT = State.SYN_SENT  # see arrivals.py
_PACE, _IDLE, _PERSIST, _LOSS = Timer.PACE, Timer.IDLE, Timer.PERSIST, Timer.LOSS
_BEFORE_ANY_PROBE = MAX_ACK_DELAY + GRANULARITY
_MORE_FOR_RANGES = DATA_HEADER_SIZE - ACK_HEADER_SIZE
OVERRIDE_AFTER = 5
"""Probes of the window before it is filled even with a little: a second or so (RFC 9293 section 3.8.6.2.1)."""
MAX_PERSIST = 60 * SECOND
"""Longest time between two probes of a closed window."""


class Outbound:
    """Makes the packets of one connection."""

    __slots__ = ("_core", "_inbound")

    def __init__(self, core: Core, inbound: Inbound) -> None:
        self._core = core
        self._inbound = inbound

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next batch to send, or None."""
        core = self._core
        if core.control:
            packet, aside = core.control.pop(0)
            return Transmit(Batch.single(packet), core.address if aside is None else aside)
        if core.closed or core.state is _SYN_SENT or self.has_said_all(now):
            return None
        acks = core.receiver.acks
        if acks.due or acks.deadline is not None:
            answer = self._ack_with_data(now) or (
                self._ack(now, core.recovery.sent.next) if acks.due else None
            )
            if answer is not None:
                if core.sender.check != checks.NONE:
                    answer = checks.fill_one(answer, core.sender.check)
                return Transmit(Batch.single(answer), core.address, core.ecn)
        batch = self._next_batch(now)
        if batch is None:
            return None
        return Transmit(batch, core.address, core.ecn)

    def has_said_all(self, now: int) -> bool:
        """Whether there is nothing left to send, whatever the path and the peer would take."""
        core = self._core
        sender, stream = core.sender, core.sender.stream
        if (
            stream.next < stream.end
            or stream.fin_pending
            or stream.lost.starts
            or core.receiver.acks.due
            or core.probes_due
            or core.ping_due
            or core.control
            or core.closed
        ):
            return False
        if not sender.recovery.blocked_by_application:
            sender.recovery.on_said_all(now)
        if _PACE in core.timers.running:
            core.timers.stop(_PACE)
        return True

    def _next_batch(self, now: int) -> Batch | None:
        core = self._core
        sent = core.recovery.sent
        before = sent.packets_in_flight
        batch = None
        if core.probes_due:
            core.probes_due -= 1
            core.probes += 1
            # With something small beside it, it shows whether only large packets are lost.
            small = core.path_mtu.suspected and not core.probes_due
            batch = (None if small else core.sender.probe(now)) or self._ping(now)
        elif core.ping_due:
            core.ping_due = False
            patient = core.persist_tries < OVERRIDE_AFTER
            batch = (None if patient else core.sender.override(now)) or self._ping(now)
        if batch is None:
            probing = now >= core.path_mtu.next_at
            batch = (self._probe_mtu(now) if probing else None) or core.sender.next_batch(now)
        if batch is None:
            self._wait_for_room(now)
            return None
        self._after_sending(before, now)
        if core.trace is not None:
            self._trace_sent(batch, now)
        return batch

    def _after_sending(self, before: int, now: int) -> None:
        core = self._core
        if not before:
            core.waiting_since = now
            if _IDLE not in core.timers.running:
                core.timers.set(_IDLE, now + int(core.config.idle_timeout * SECOND))
        if _PERSIST in core.timers.running:
            core.timers.stop(_PERSIST)
        # Of what goes out now nothing is due before an acknowledgement may be: a timer that runs out by then will do.
        if core.timers.running.get(_LOSS, now + _BEFORE_ANY_PROBE) >= now + _BEFORE_ANY_PROBE:
            self._inbound.set_loss_timer()

    def _wait_for_room(self, now: int) -> None:
        """Nothing may go out now: arm the timer of what holds it back."""
        core = self._core
        recovery = core.recovery
        core.timers.stop(_PACE)
        if not recovery.blocked_by_application:
            least = core.sender.least()
            if recovery.window_room() >= least:
                core.timers.set(_PACE, recovery.pace_until(now, least))
        elif not recovery.sent.packets_in_flight and _PERSIST not in core.timers.running:
            wait = recovery.rtt.probe_timeout(MAX_ACK_DELAY) << min(core.persist_tries, 20)
            core.timers.set(_PERSIST, now + min(wait, MAX_PERSIST))

    def _probe_mtu(self, now: int) -> Batch | None:
        """A larger packet than any before, when larger ones would be of use: there is more to send than fits one."""
        core = self._core
        stream = core.sender.stream
        little = stream.end - stream.next <= core.sender.size
        if little or core.opening is not None or core.recovery.allowance(now) <= 0:
            return None
        size = core.path_mtu.next_probe(now)
        if size is None:
            return None
        batch = self._ping(now, CARRIES_MTU_PROBE, size)
        core.path_mtu.on_probe_sent(core.recovery.sent.next - 1, size)
        return batch

    def _ping(self, now: int, carries: int = CARRIES_PROBE, size: int = 0) -> Batch:
        """A numbered packet without data, to be acknowledged at once; padded to ``size`` bytes."""
        core = self._core
        number = core.recovery.on_sent(now, 1, 0, 0, 0, carries)
        # The offset says nothing here; the eight bytes keep any answer shorter than the question.
        probe = Data(
            kind=Kind.PROBE,
            flags=RSPFlags(RSPFlags.ACK_NOW),
            port=core.terms.port,
            connection=core.peer_identifier,
            number=number,
        )
        return Batch.single(self._checked(bytes(probe).ljust(size, b"\0")))

    def _ack(self, now: int, number: int, flags: int = 0) -> bytes:
        """An acknowledgement of all that has arrived, with its check left zero."""
        core = self._core
        acks = core.receiver.acks
        packet = encode_ack(
            core.terms.port,
            core.peer_identifier,
            number,
            core.receiver.advertise(),
            acks.ranges(min(MAX_ACK_RANGES, (core.sender.size + _MORE_FOR_RANGES) // 8)),
            delay=now - acks.largest_at if acks.largest >= 0 else 0,
            marks=acks.congestion_marks,
            flags=flags,
        )
        acks.on_sent(now)
        core.acks_sent += 1
        return packet

    def _ack_with_data(self, now: int) -> bytes | None:
        """An acknowledgement and a small piece of new data in one packet, its check left zero, or None."""
        core = self._core
        sender, stream = core.sender, core.sender.stream
        size = stream.end - stream.next
        limit = sender.size - ACK_HEADER_SIZE - 8 * MAX_ACK_RANGES
        if not 0 < size <= limit or stream.end > sender.peer_window or stream.lost.starts or core.probes_due:
            return None
        if not core.recovery.lets(size, now):
            return None
        start, stop = stream.next, stream.end
        before = core.recovery.sent.packets_in_flight
        fin = stream.finished_writing
        carries = CARRIES_STREAM | (CARRIES_FIN if fin else 0)
        number = core.recovery.on_sent(now, 1, start, size, size, carries)
        front = self._ack(now, number, _CARRIES_DATA | (_FIN if fin else 0))
        stream.on_sent(start, stop)
        if fin:
            stream.fin_pending = False
        sender.packets += 1
        sender.bytes += size
        self._after_sending(before, now)
        return front + start.to_bytes(8, "big") + stream.piece(start, stop)

    def _checked(self, packet: bytes) -> bytes:
        core = self._core
        return packet if core.sender.check == checks.NONE else checks.fill_one(packet, core.sender.check)

    def _trace_sent(self, batch: Batch, now: int) -> None:
        core = self._core
        assert core.trace is not None
        headers = batch.head[:, :DATA_HEADER_SIZE].view(Data.dtype)[:, 0]
        if headers["kind"][0] != Kind.DATA:
            return
        offset, length = int(headers["offset"][0]), int(batch.lengths.sum()) - DATA_HEADER_SIZE * len(batch)
        core.trace.record(
            now,
            "transport:packets_sent",
            first=int(headers["number"][0]),
            offset=offset,
            count=len(batch),
            length=length,
            retransmission=offset + length < core.sender.stream.next,
        )

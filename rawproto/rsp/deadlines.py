"""The clock of a connection: when to look again, and what each timer means."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.core import NOT_ECT
from rawproto.rsp.opening import send_hello
from rawproto.rsp.reasons import Reason
from rawproto.rsp.resets import settle_doubt
from rawproto.rsp.state import State
from rawproto.rsp.timers import Timer

if TYPE_CHECKING:
    from rawproto.rsp.core import Core
    from rawproto.rsp.inbound import Inbound

__all__ = ["Deadlines"]

ECN_DOUBTFUL = 3
"""Probe timeouts in a row after which packets go out unmarked: some networks drop others (RFC 9000 section 13.4.2)."""
LEAST_DRAINING = 1250 * MILLISECOND
"""How long the last connection of an endpoint answers a peer that repeats its end. One that never measured the path
does so after a probe timeout of the initial round trip, a second and a tenth at most; the rest is for the way here."""
PROBE_PACKETS = 2
"""Packets sent when the probe timeout fires (RFC 9002 section 6.2.4)."""


class Deadlines:
    """Acts on timers that are due."""

    __slots__ = ("_core", "_inbound")

    def __init__(self, core: Core, inbound: Inbound) -> None:
        self._core = core
        self._inbound = inbound

    def next(self) -> int | None:
        """When to call :meth:`expire`, ns: at the earliest deadline or before it."""
        deadline = self._core.receiver.acks.deadline
        other = self._core.timers.next()
        if deadline is None or (other is not None and other < deadline):
            return other
        return deadline

    def expire(self, now: int, *, last: bool = False) -> bool:
        """Act on every timer that is due; false when none was.

        With ``last`` nothing else keeps the endpoint: when this connection ends, nobody answers the peer any more.
        """
        core = self._core
        acks, timers = core.receiver.acks, core.timers
        is_late = acks.deadline is not None and acks.deadline <= now
        if is_late:
            acks.due = True
        if timers.running.get(Timer.LOSS, now + 1) <= now:
            self._place_loss_timer()
        due = timers.expired(now)
        for timer in due:
            if not core.closed:
                self._expire(timer, now, last)
        return is_late or bool(due)

    def _place_loss_timer(self) -> None:
        """Move the loss timer, which only ever moved nearer, to where it belongs."""
        deadline = self._core.recovery.timeout()
        if deadline is None:
            self._core.timers.stop(Timer.LOSS)
        else:
            self._core.timers.set(Timer.LOSS, deadline)

    def _expire(self, timer: Timer, now: int, last: bool) -> None:
        core = self._core
        match timer:
            case Timer.HANDSHAKE:
                send_hello(core, now)
            case Timer.HANDSHAKE_LIMIT:
                core.give_up("no answer to the handshake", "dial", now)
            case Timer.LOSS:
                self._on_loss(now)
            case Timer.PERSIST:
                core.persist_tries += 1
                core.ping_due = True
            case Timer.KEEPALIVE:
                self._on_keepalive(now)
            case Timer.IDLE:
                self._on_idle(now)
            case Timer.DRAIN:
                self._on_drain(now, last)
            case Timer.DOUBT:
                settle_doubt(core, now)
            case Timer.PATH:
                self._inbound.on_path_timer(now)
            case Timer.REST:
                core.rest(now)
            case Timer.PACE:
                pass  # to be polled for packets is all it is for

    def _on_loss(self, now: int) -> None:
        """A packet is lost by time, or nothing at all was heard: probe (RFC 9002 section 6.2)."""
        recovery = self._core.recovery
        if recovery.loss.deadline is not None:
            self._inbound.take_back(recovery.detect_losses(now), now)
        elif recovery.sent.packets_in_flight:
            recovery.loss.on_timeout(self._core.entropy(1)[0])
            self._core.path_mtu.on_timeout(recovery.sent)
            self._core.probes_due = PROBE_PACKETS
            if recovery.loss.probe_count >= ECN_DOUBTFUL:
                self._core.ecn = NOT_ECT
        self._inbound.set_loss_timer()

    def _on_keepalive(self, now: int) -> None:
        core = self._core
        assert core.config.keepalive is not None
        interval = int(core.config.keepalive * SECOND)
        due = core.last_heard + interval
        if due <= now:
            core.ping_due = True
            due = now + interval
        core.timers.set(Timer.KEEPALIVE, due)

    def _on_idle(self, now: int) -> None:
        core = self._core
        if not core.recovery.sent.packets_in_flight:
            return  # nothing is owed: silence is fine; the timer starts again with the next packet
        due = max(core.last_heard, core.waiting_since) + int(core.config.idle_timeout * SECOND)
        if due > now:
            core.timers.set(Timer.IDLE, due)
            return
        core.give_up(f"the peer was not heard for {core.config.idle_timeout:g} s", "", now)

    def _on_drain(self, now: int, last: bool) -> None:
        core = self._core
        if core.state is State.DRAINING:
            until = core.last_heard + LEAST_DRAINING
            if last and now < until:
                core.timers.set(Timer.DRAIN, until)
            else:
                core.end(None, now)
        elif core.sender.stream.finished:
            core.reset(Reason.CLOSED, None, now)  # the peer never closed its half
        else:
            core.give_up(
                f"not everything was delivered within {core.config.linger:g} s of the close", "close", now
            )

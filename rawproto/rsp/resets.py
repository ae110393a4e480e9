"""RESET packets: which of them end a connection, and how one that may be forged is put to the proof (RFC 5961)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.rsp.acks import MAX_ACK_DELAY
from rawproto.rsp.core import Doubt
from rawproto.rsp.reasons import Reason, reset_error
from rawproto.rsp.state import State
from rawproto.rsp.timers import Timer

if TYPE_CHECKING:
    from rawproto.rsp.core import Core
    from rawproto.rsp.header import Reset

__all__ = ["challenge", "on_reset", "settle_doubt"]

RESET_WINDOW = 1 << 20
"""How far beyond the expected number a RESET's may lie: more packets than any window holds."""
DOUBT_TIMEOUTS = 3
"""Probe timeouts in which a questioned peer has to be heard."""

OF_HELLOS = (Reason.REFUSED, Reason.VERSION)
"""Reasons that answer a SYN or CONFIRM. Once the peer was heard they are late: a copy of it came to an endpoint of the
host when the listener had closed, and what that took in lives on."""
DIALLING = (State.SYN_SENT, State.CONFIRMING)


def on_reset(core: Core, reset: Reset, now: int) -> None:
    """Take a RESET whose check is right: it ends the connection, or puts it in doubt, or is not believed."""
    if core.state is State.DRAINING:
        return  # only the quiet time is left: nothing to be ended (RFC 1337)
    if reset.reason in OF_HELLOS and core.state not in DIALLING:
        return
    if reset.flags.ECHO:
        if not _echo_counts(core, reset.number):
            return
        if core.receiver.stream.complete and _arrived(core, reset.reason):
            core.end(None, now)  # only the last acknowledgements were lost
            return
    elif not _exact(core, reset, now):
        return
    _end_by_reset(core, reset.reason, now)


def _exact(core: Core, reset: Reset, now: int) -> bool:
    """Whether a RESET states the very number that the peer's next packet would have (RFC 5961 section 3.2).

    A smaller one is old. A larger one may be right when packets before it were lost: the peer is questioned.
    """
    expected = core.receiver.acks.largest + 1
    if reset.number == expected:
        return True
    in_window = expected < reset.number <= expected + RESET_WINDOW
    if in_window and core.doubt is None and challenge(core, now):
        core.doubt = Doubt(reset.reason, core.recovery.sent.next)
        wait = DOUBT_TIMEOUTS * core.recovery.rtt.probe_timeout(MAX_ACK_DELAY)
        core.timers.set(Timer.DOUBT, now + wait)
    return False


def challenge(core: Core, now: int) -> bool:
    """Ask the peer whether it still knows the connection: it acknowledges a PROBE, or resets with ECHO."""
    if core.closed or not core.challenges.allows(now, core.entropy):
        return False
    core.ping_due = True
    return True


def settle_doubt(core: Core, now: int) -> None:
    """The time to answer is over: a peer that acknowledged nothing sent since is gone, as the RESET claimed."""
    doubt, core.doubt = core.doubt, None
    if doubt is not None and core.recovery.loss.largest_acknowledged < doubt.number:
        _end_by_reset(core, doubt.reason, now)


def _end_by_reset(core: Core, reason: int, now: int) -> None:
    local, remote = f"port {core.terms.source_port}", f"{core.address} port {core.terms.port}"
    connecting = core.state in DIALLING
    core.end(reset_error(reason, connecting=connecting, local=local, remote=remote), now)


def _arrived(core: Core, reason: int) -> bool:
    """Whether the peer, which no longer knows the connection, has got everything."""
    stream = core.sender.stream
    if reason == Reason.NONE:
        return stream.finished_writing
    return stream.acked_end == stream.end


def _echo_counts(core: Core, number: int) -> bool:
    """Whether to believe that the receiver of our packet ``number`` does not know the connection.

    Only who saw our packet can echo its identifier. But a listener says so rightly of data that overtook the
    CONFIRM, and what was said before the peer was last heard is out of date.
    """
    sent_at = core.recovery.sent.sent_at(number)
    return core.opening is None and sent_at is not None and sent_at > core.last_heard

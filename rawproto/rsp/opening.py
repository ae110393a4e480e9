"""The dialer's half of the handshake: what it says, and says again until the listener is heard.

:mod:`~rawproto.rsp.handshake` has the packets; what the listener does before there is a connection is in
:mod:`~rawproto.rsp.strangers`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.protocol import SECOND
from rawproto.rsp.core import Opening
from rawproto.rsp.handshake import hello_packet
from rawproto.rsp.header import Kind
from rawproto.rsp.state import State
from rawproto.rsp.timers import Timer

if TYPE_CHECKING:
    from rawproto.rsp.core import Core
    from rawproto.rsp.handshake import Terms
    from rawproto.rsp.header import Hello

__all__ = ["confirm", "dial", "meet", "send_hello"]

FIRST_RETRY = SECOND
"""First wait for an answer to a SYN (RFC 6298 section 2, rule 2.1)."""
MAX_RETRY = 3 * SECOND
"""Longest wait: a dialer says every few seconds that it is there (RFC 6298 section 5.7 restarts at 3 s)."""
MIN_CONFIRM_RETRY = SECOND // 20
"""Shortest wait for the listener's first word after the CONFIRM."""


def dial(core: Core, now: int) -> None:
    """Send the first SYN."""
    core.opening = Opening(hello_packet(Kind.SYN, core.terms, 0))
    core.timers.set(Timer.HANDSHAKE_LIMIT, now + int(core.config.handshake_timeout * SECOND))
    send_hello(core, now)


def send_hello(core: Core, now: int) -> None:
    """Send the SYN or CONFIRM, and again when nothing is heard."""
    opening = core.opening
    assert opening is not None
    first = FIRST_RETRY
    if core.recovery.rtt.has_sample:
        first = max(MIN_CONFIRM_RETRY, core.recovery.rtt.probe_timeout(0))
    opening.sent_at = now
    core.control.append((opening.hello, None))
    wait = min(first << min(opening.tries, 8), MAX_RETRY)
    # By a tenth more or less: nobody who sends bursts at regular times shall hit them all (the shrew attack).
    wait += wait * (core.entropy(1)[0] - 128) // 1280
    core.timers.set(Timer.HANDSHAKE, now + wait)
    opening.tries += 1


def confirm(core: Core, cookie: Hello, theirs: Terms, now: int) -> None:
    """The listener's cookie came: return it; data may follow at once."""
    syn = core.opening
    if syn is not None and syn.tries == 1:  # a repeated SYN says nothing about the round trip (Karn's rule)
        core.recovery.rtt.update(now - syn.sent_at, 0, now)
    core.agree(theirs)
    core.opening = Opening(
        hello_packet(Kind.CONFIRM, core.terms, theirs.identifier, cookie.cookie), is_confirm=True
    )
    core.move(State.CONFIRMING)
    send_hello(core, now)
    core.tell()


def meet(core: Core, theirs: Terms, now: int) -> None:
    """The peer, which we dialed, dialed us at the same time and took our cookie."""
    core.agree(theirs)
    core.move(State.ESTABLISHED)
    core.heard(now)
    core.tell()

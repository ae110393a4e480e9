"""A peer that changes its address, as behind a NAT that forgets: followed after path validation, never before.

When a packet newer than all others comes from somewhere else, that address is asked with a CHALLENGE that bears a
random token. Only who receives there can send the RESPONSE (RFC 9000 section 8.2). Until then everything still goes to
the old address, and no more bytes go to the new one than came from it. What was known of the old path says nothing
about the new one: round trip and window start afresh (RFC 9000 section 9.4).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.protocol import SECOND
from rawproto.rsp import checks
from rawproto.rsp.header import Kind, Path
from rawproto.rsp.timers import Timer

if TYPE_CHECKING:
    from rawproto.rsp.core import Core

__all__ = ["Migration", "answer_challenge"]

MOST_CHALLENGES = 3
"""Challenges to one address before it is given up."""
INTERVAL = SECOND
"""Least time between two challenges."""


class Migration:
    """The address that a peer may have moved to, and whether it has proved it."""

    __slots__ = ("_challenges", "_core", "_credit", "_next_at", "_token", "candidate")

    def __init__(self, core: Core) -> None:
        self._core = core
        self.candidate: Any = None
        """Address under validation, or None."""
        self._token = 0
        self._credit = 0
        self._challenges = 0
        self._next_at = 0

    def noticed(self, source: Any, size: int, now: int) -> None:
        """The newest packet, of ``size`` bytes, came from ``source``, which is not where the peer was."""
        if source == self.candidate:
            self._credit = min(self._credit + size, MOST_CHALLENGES * Path.size)
        elif now >= self._next_at:
            self.candidate, self._credit, self._challenges = source, size, 0
            self._token = int.from_bytes(self._core.entropy(8), "big")
        if Timer.PATH not in self._core.timers.running:
            self.on_timer(now)

    def on_timer(self, now: int) -> None:
        """Ask again, or give the address up."""
        core = self._core
        if self.candidate is None:
            return
        if now < self._next_at:
            core.timers.set(Timer.PATH, self._next_at)
        elif self._challenges >= MOST_CHALLENGES:
            self.candidate = None
        else:
            self._challenges += 1
            self._next_at = now + INTERVAL
            core.timers.set(Timer.PATH, self._next_at)
            if self._credit >= Path.size:
                self._credit -= Path.size
                core.control.append((_packet(core, Kind.CHALLENGE, self._token), self.candidate))

    def on_response(self, token: int, now: int) -> None:
        """Somebody answered a challenge: with the right token, the peer receives at its new address."""
        core = self._core
        if self.candidate is None or token != self._token:
            return
        core.move_to(self.candidate, now)
        self.candidate = None
        core.timers.stop(Timer.PATH)


def answer_challenge(core: Core, token: int, source: Any) -> None:
    """Prove to the peer that we receive where its challenge came to."""
    if len(core.control) < MOST_CHALLENGES:
        core.control.append((_packet(core, Kind.RESPONSE, token), source))


def _packet(core: Core, kind: Kind, token: int) -> bytes:
    path = Path(kind=kind, port=core.terms.port, connection=core.peer_identifier, token=token)
    return checks.fill_one(bytes(path))

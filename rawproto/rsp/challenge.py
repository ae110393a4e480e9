"""How often a connection may question its peer because of a packet that is not quite right (RFC 5961 section 7).

The count is the connection's own and its limit differs from time to time: a counter shared by all connections, or a
known limit, would tell an attacker what others were sent (CVE-2016-5696).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.protocol import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ChallengeLimit"]

PERIOD = 5 * SECOND
MOST = 10
"""Challenges in one period (RFC 5961 section 7 proposes 10 in 5 seconds); up to half of them fewer, at random."""


class ChallengeLimit:
    """Counts the challenges of one connection."""

    __slots__ = ("_left", "_until")

    def __init__(self) -> None:
        self._left = 0
        self._until = -1

    def allows(self, now: int, entropy: Callable[[int], bytes]) -> bool:
        """Whether one more may be sent; counts it."""
        if now >= self._until:
            self._until = now + PERIOD
            self._left = MOST - entropy(1)[0] % (MOST // 2 + 1)
        if not self._left:
            return False
        self._left -= 1
        return True

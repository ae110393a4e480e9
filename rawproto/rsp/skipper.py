"""Packet numbers that are never sent, so that a peer cannot acknowledge what it has not received.

A peer that acknowledges packets before they arrive makes the sender go faster than the network can bear (optimistic
acknowledgement; Savage et al. 1999). RFC 9000 section 21.4 has the sender skip numbers and end the connection when one
of them is acknowledged. The distances are unpredictable and grow, as in quic-go: from 256 at most to 128 Ki.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Skipper"]

FIRST_DISTANCE = 256
LAST_DISTANCE = 128 * 1024


class Skipper:
    """Says at which number to skip one."""

    __slots__ = ("_distance", "_entropy", "at")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._distance = FIRST_DISTANCE
        self.at = self._step()
        """The next number to skip, or any after it."""

    def skipped(self, next_number: int) -> None:
        """A number was skipped; ``next_number`` is the one after it."""
        self._distance = min(2 * self._distance, LAST_DISTANCE)
        self.at = next_number + self._step()

    def _step(self) -> int:
        return 1 + int.from_bytes(self._entropy(4), "big") % self._distance

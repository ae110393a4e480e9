"""Peers that take nothing of what is sent to them, found when memory is scarce (RFC 9293 section 3.8.6.1, RFC 6429).

A peer may keep its window closed for ever, or open it by a byte now and then, and hold our memory with it (CERT
VU#723308). While there is enough of it nobody minds. When it is scarce, what each peer takes is noted, and those that
took next to nothing for a minute are given up, the longest stalled first, until there is enough.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.protocol import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rawproto.rsp.connection import Connection
    from rawproto.rsp.memory import Memory

__all__ = ["StallWatch"]

INTERVAL = 5 * SECOND
"""Time between two looks."""
STALLED_AFTER = 60 * SECOND
"""A peer that takes next to nothing for this long is stalled."""
LEAST_PROGRESS = 4096
"""Bytes that have to be acknowledged in that time, unless fewer wait."""


class StallWatch:
    """What peers had acknowledged when last seen to go on, and when that was."""

    __slots__ = ("_memory", "_progress", "next_at")

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._progress: dict[Connection, tuple[int, int]] = {}
        self.next_at: int | None = None
        """When to look next, ns; None while there is memory enough."""

    def arm(self, now: int) -> None:
        """Bring :attr:`next_at` up to date with how scarce memory is now."""
        if not self._memory.scarce:
            if self.next_at is not None:
                self.next_at = None
                self._progress.clear()
        elif self.next_at is None:
            self.next_at = now

    def look(self, connections: Iterable[Connection], now: int) -> list[Connection]:
        """Note who goes on; the connections to give up, the longest stalled first."""
        self.next_at = now + INTERVAL
        before, self._progress = self._progress, {}
        stalled: list[tuple[int, int, Connection]] = []
        for connection in connections:
            if not connection.unacknowledged:
                continue
            acknowledged = connection.acknowledged
            offset, since = before.get(connection, (acknowledged, now))
            if acknowledged - offset >= LEAST_PROGRESS:
                offset, since = acknowledged, now
            self._progress[connection] = offset, since
            if now - since >= STALLED_AFTER:
                stalled.append((since, len(stalled), connection))
        return [connection for _, _, connection in sorted(stalled)]

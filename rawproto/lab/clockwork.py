"""Virtual time: what is to happen, in order, and nothing in between."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["APPLICATION", "ARRIVAL", "DELIVERY", "TIMER", "Clockwork"]

# What happens first among things due at the same instant. Datagrams come before timers (rawproto.protocol): an
# acknowledgement that is there already must be read before a timer calls its packet lost.
ARRIVAL, DELIVERY, APPLICATION, TIMER = range(4)


class Clockwork:
    """A queue of things to do at given times; of those at one time and rank, the first planned comes first.

    Attributes:
        now: the time, nanoseconds from the start.
    """

    def __init__(self) -> None:
        self.now = 0
        self._planned: list[tuple[int, int, int, Callable[[], None]]] = []
        self._count = 0

    def plan(self, time: int, rank: int, act: Callable[[], None]) -> None:
        """Have ``act`` called at ``time``, or now if that has passed."""
        self._count += 1
        heapq.heappush(self._planned, (max(time, self.now), rank, self._count, act))

    def next_time(self) -> int | None:
        """When the next thing happens; None when nothing is planned."""
        return self._planned[0][0] if self._planned else None

    def step(self) -> bool:
        """Let the next thing happen; false when there is none."""
        if not self._planned:
            return False
        self.now, _, _, act = heapq.heappop(self._planned)
        act()
        return True

"""Answers to strangers: packets that belong to no connection, and how many of them may be sent.

A flood must not be answered in kind, nor may it silence the answers to others. So resets are counted a second and
source, and sources a second; COOKIE needs no count, being one for one and no larger than its SYN. The limit differs
from second to second, unpredictably, so that nobody can read from it what others were told (CVE-2016-5696).
"""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from rawproto.protocol import SECOND
from rawproto.wire.batch import Batch, Transmit

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Replies"]

RESETS_A_SOURCE = 100
"""Most resets a second to one address; a quarter less at random."""
MAX_SOURCES = 1024
"""Most addresses that get resets in one second: bounds memory and work under a flood with forged sources."""
MAX_WAITING = 1024
"""Answers, or batches of them, that wait to be sent; the driver takes them before anything else."""


class Replies:
    """A queue of answers with a limit for resets.

    Args:
        entropy: gives that many unpredictable bytes.
        together: answers to many may be one Transmit with a destination each; else they are taken apart.
    """

    __slots__ = ("_entropy", "_limit", "_second", "_together", "_told", "waiting")

    def __init__(self, entropy: Callable[[int], bytes], *, together: bool = False) -> None:
        self._entropy = entropy
        self._together = together
        self.waiting: deque[Transmit] = deque()
        """Answers to be sent, the oldest first."""
        self._told: Counter[Hashable] = Counter()
        self._second = -1
        self._limit = 0

    def __len__(self) -> int:
        return len(self.waiting)

    def cookie(self, packet: bytes, destination: Any) -> bool:
        """Queue a COOKIE; false when too many answers wait."""
        if len(self.waiting) >= MAX_WAITING:
            return False
        self.waiting.append(Transmit(Batch.single(packet), destination))
        return True

    def cookies(self, rows: NDArray[np.uint8], destinations: Sequence[Any]) -> int:
        """Queue a COOKIE a row; returns how many were taken."""
        room = MAX_WAITING - len(self.waiting)
        if self._together:
            if room > 0:
                self.waiting.append(Transmit(Batch(rows), None, destinations=destinations))
            return len(rows) if room > 0 else 0
        pairs = list(zip(rows, destinations, strict=True))[: max(room, 0)]
        self.waiting.extend(Transmit(Batch.single(row.tobytes()), to) for row, to in pairs)
        return len(pairs)

    def may_reset(self, destination: Hashable, now: int) -> bool:
        """Whether ``destination`` may be sent one more reset; counts it."""
        second = now // SECOND
        if second != self._second:
            self._second = second
            self._told.clear()
            self._limit = RESETS_A_SOURCE - self._entropy(1)[0] % (RESETS_A_SOURCE // 4)
        told = self._told.get(destination, 0)
        if told >= self._limit or (not told and len(self._told) >= MAX_SOURCES):
            return False
        self._told[destination] = told + 1
        return len(self.waiting) < MAX_WAITING

    def reset(self, packet: bytes, destination: Any) -> None:
        """Queue a RESET that :meth:`may_reset` allowed."""
        self.waiting.append(Transmit(Batch.single(packet), destination))

    def pop(self) -> Transmit | None:
        """The oldest answer, or None."""
        return self.waiting.popleft() if self.waiting else None

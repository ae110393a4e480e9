"""The memory that all connections of an endpoint share: one cap, whatever each of them may hold by itself.

Counted are the bytes that others can make us keep: data received and not read, data written and not acknowledged. The
cap is hard: data that would go beyond it is refused before it is acknowledged, and a write takes less. Before that,
from half of the cap on, memory is *scarce*: windows no longer grow and are offered only as far as room is held already,
and a connection may have no more waiting than twice what its peer offers to take and its path carries, so that who
reads nothing cannot take what others need.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["UNLIMITED", "Memory", "Share"]

UNLIMITED = 1 << 60
LEAST_WRITE = 4096
"""Bytes that a connection may have waiting when memory is scarce, however small its window: something to go on with."""


class Memory:
    """Bytes in use by the connections of one endpoint, and the cap."""

    __slots__ = ("_waiting", "limit", "scarce", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0
        self.scarce = False
        """More than half of the cap is in use."""
        self._waiting: dict[Share, Callable[[], None]] = {}

    @property
    def free(self) -> int:
        """Bytes left below the cap."""
        return self.limit - self.used

    @property
    def pressed(self) -> bool:
        """More than three quarters are in use: nobody who waits for room is told of it yet."""
        return 4 * self.used > 3 * self.limit

    @property
    def exhausted(self) -> bool:
        """More than seven eighths are in use: no new connections, and writes take nothing."""
        return 8 * self.used > 7 * self.limit

    @property
    def write_room(self) -> int:
        """Bytes that may be written by all together: the last eighth is for what arrives."""
        return self.limit * 7 // 8 - self.used

    def wait(self, share: Share, tell: Callable[[], None]) -> None:
        """Call ``tell`` once there is room again: a writer found none."""
        self._waiting[share] = tell

    def take(self, size: int) -> None:
        """``size`` bytes more are in use; negative for fewer."""
        self.used += size
        self.scarce = 2 * self.used > self.limit
        if size < 0 and self._waiting and not self.pressed:
            waiting, self._waiting = self._waiting, {}
            for tell in waiting.values():
                tell()

    def leave(self, share: Share) -> None:
        """``share`` waits no longer."""
        self._waiting.pop(share, None)


class Share:
    """What one connection holds of the memory."""

    __slots__ = ("held", "memory")

    def __init__(self, memory: Memory | None = None) -> None:
        self.memory = memory if memory is not None else Memory(UNLIMITED)
        self.held = 0

    def take(self, size: int) -> None:
        """``size`` bytes more are held; negative for fewer."""
        self.held += size
        self.memory.take(size)

    def write_room(self, waiting: int, window: int) -> int:
        """Bytes that may be written, when ``waiting`` are not acknowledged and the path and peer take ``window``."""
        memory = self.memory
        room = memory.write_room
        if memory.scarce:
            room = min(room, max(LEAST_WRITE, window) - waiting)
        return max(room, 0)

    def close(self) -> None:
        """The connection is over; what the application has still to read is its own from now on."""
        held, self.held = self.held, 0
        memory, self.memory = self.memory, Memory(UNLIMITED)
        memory.leave(self)
        if held:
            memory.take(-held)

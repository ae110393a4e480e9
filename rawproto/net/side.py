"""One direction of a blocking connection: whose turn it is, until when, and how to wait.

A connection has a reading and a writing side, a listener one. An operation enters the side (``turn``), tries, and
waits between two tries; closing or a new deadline wakes the waiting thread to look again.
"""

from __future__ import annotations

import abc
import threading
import time

from rawproto.net.poller import Poller

__all__ = ["FdSide", "Side", "deadline_after"]


def deadline_after(seconds: float | None) -> int | None:
    """``seconds`` from now as a time of ``time.monotonic_ns``; None stays None, the past is now."""
    if seconds is None:
        return None
    return time.monotonic_ns() + int(max(seconds, 0.0) * 1_000_000_000)


class Side(abc.ABC):
    """What an operation needs to wait in one direction."""

    __slots__ = ("deadline", "limit", "turn")

    def __init__(self) -> None:
        self.turn = threading.Lock()
        self.deadline: int | None = None
        """When operations end (``time.monotonic_ns``), as the application wants it."""
        self.limit: int | None = None
        """When to stop waiting for a step of somebody else's (a handshake); the deadline is then not asked."""

    @property
    def until(self) -> int | None:
        """When to stop waiting."""
        return self.deadline if self.limit is None else self.limit

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        if self.deadline is None and self.limit is None:
            return False
        until = self.until
        return until is not None and time.monotonic_ns() >= until

    def enter(self) -> bool:
        """Take the turn, waiting for the thread that has it; False when the deadline passed first."""
        if self.turn.acquire(blocking=False):
            return True
        while self.deadline is not None:
            left = (self.deadline - time.monotonic_ns()) / 1e9
            if left <= 0:
                return False
            if self.turn.acquire(timeout=left):
                return True
        return self.turn.acquire()

    def set_deadline(self, deadline: int | None) -> None:
        """Set the deadline (``time.monotonic_ns``), also of the operation that waits now."""
        self.deadline = deadline
        self.wake()

    @abc.abstractmethod
    def wait(self) -> None:
        """Wait until another try is worth it, :meth:`wake` was called or the deadline passed."""

    @abc.abstractmethod
    def wake(self) -> None:
        """End the wait of whoever waits, from any thread."""

    def release(self) -> None:  # noqa: B027 - only sides with descriptors have something to give back
        """Give back what waiting needed. Called when nobody waits any more."""


class FdSide(Side):
    """Waits for a descriptor. Its eventfd exists from the first wait on: a side that never waits costs none."""

    __slots__ = ("_events", "_fd", "_poller", "_released", "_woken")

    def __init__(self, fd: int, events: int) -> None:
        super().__init__()
        self._fd = fd
        self._events = events
        self._poller: Poller | None = None
        self._woken = False
        self._released = False

    def wait(self) -> None:
        """Wait for the descriptor."""
        if self._released:
            return
        poller = self._poller
        if poller is None:
            poller = self._poller = Poller(self._fd, self._events)
        # wake() sets the flag before it looks for the poller, so one of the two is always seen here.
        if self._woken:
            self._woken = False
            return
        until = self.until
        poller.wait(None if until is None else max(until - time.monotonic_ns(), 0))
        self._woken = False

    def wake(self) -> None:
        """End the wait, or the next one."""
        self._woken = True
        if self._poller is not None:
            self._poller.wake()

    def release(self) -> None:
        """Close the eventfd."""
        self._released = True
        poller, self._poller = self._poller, None
        if poller is not None:
            poller.close()

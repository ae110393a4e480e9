"""Blocking on a descriptor that another thread can interrupt: deadlines and closing take effect at once."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Final

from rawproto.errors import ClosedError, DeadlineExceeded
from rawproto.link.busypoll import BusyPoll

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.errors import OpError

__all__ = ["Waiter"]

_SECOND: Final = 1_000_000_000


class Waiter:
    """One direction of a socket: the thread that reads, or the one that writes, waits here.

    Args:
        fd: the descriptor to wait for.
        event: ``select.POLLIN`` or ``select.POLLOUT``.
        describe: makes the error of a class, with the socket's own operation and addresses.
    """

    def __init__(self, fd: int, event: int, describe: Callable[[type[OpError], str], OpError]) -> None:
        self._fd = fd
        self._describe = describe
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        poll = select.poll()
        poll.register(fd, event)
        poll.register(self._wake, select.POLLIN)
        self._poll = BusyPoll(poll)
        self._deadline: int | None = None
        self._is_closed = False

    def set_deadline(self, seconds: float | None) -> None:
        """Let waiting end ``seconds`` from now (at once when not above 0); None waits for ever."""
        self._deadline = None if seconds is None else time.monotonic_ns() + int(seconds * _SECOND)
        self._interrupt()

    def wait(self) -> None:
        """Return when the descriptor is ready.

        Raises DeadlineExceeded when the deadline has passed, even if something waits, and ClosedError once closed.
        """
        while True:
            if self._is_closed:
                raise self._describe(ClosedError, "use of a closed socket")
            timeout = None
            if self._deadline is not None:
                left = self._deadline - time.monotonic_ns()
                if left <= 0:
                    raise self._describe(DeadlineExceeded, "deadline exceeded")
                timeout = left / 1_000_000
            ready = self._poll.wait(timeout)
            if len(ready) == 1 and ready[0][0] == self._fd:
                return
            self._settle(ready)

    def _settle(self, ready: list[tuple[int, int]]) -> None:
        """Take note of a wake-up; the loop then looks at the deadline and at closing anew."""
        if any(fd == self._wake for fd, _ in ready):
            try:
                os.eventfd_read(self._wake)
            except (BlockingIOError, OSError):  # taken already, or closed
                pass

    def _interrupt(self) -> None:
        try:
            os.eventfd_write(self._wake, 1)
        except OSError:  # closed
            pass

    def close(self) -> None:
        """Wake whoever waits with ClosedError."""
        self._is_closed = True
        self._interrupt()

    def __del__(self) -> None:
        # The descriptor outlives close(), for a thread may just be waiting on it; the last reference gives it back.
        try:
            os.close(self._wake)
        except (AttributeError, OSError):
            pass

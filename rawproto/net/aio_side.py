"""One direction of an asyncio connection: who waits, until when, and for what."""

from __future__ import annotations

import asyncio
import time

from rawproto.net.poller import POLLIN

__all__ = ["AsyncFdSide", "AsyncSide"]


class AsyncSide:
    """What an operation needs to wait in one direction: tasks wait, :meth:`wake` lets them look again."""

    def __init__(self) -> None:
        self.deadline: int | None = None
        self._loop = asyncio.get_running_loop()
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def expired(self) -> bool:
        """Whether the deadline has passed."""
        return self.deadline is not None and time.monotonic_ns() >= self.deadline

    def set_deadline(self, deadline: int | None) -> None:
        """Set the deadline (``time.monotonic_ns``), also of the operations that wait now."""
        self.deadline = deadline
        self.wake()

    async def wait(self, limit: int | None = None) -> None:
        """Wait until another try is worth it, :meth:`wake` was called or the deadline (``limit``, if given) passed.

        Only readiness is waited for: a cancelled wait has taken no bytes.
        """
        future = self._loop.create_future()
        self._waiting.add(future)
        timer = None
        until = self.deadline if limit is None else limit
        if until is not None:
            delay = max(until - time.monotonic_ns(), 0) / 1e9
            timer = self._loop.call_later(delay, self.wake)
        self._arm()
        try:
            await future
        finally:
            self._waiting.discard(future)
            if timer is not None:
                timer.cancel()

    @property
    def waited_for(self) -> bool:
        """Whether a task waits."""
        return bool(self._waiting)

    def wake(self) -> None:
        """Let every waiting task look again."""
        for future in self._waiting:
            if not future.done():
                future.set_result(None)

    def _arm(self) -> None:
        """See to it that :meth:`wake` is called when another try is worth it."""

    def release(self) -> None:
        """Give back what waiting needed. Called before the descriptor is closed."""


class AsyncFdSide(AsyncSide):
    """Waits for a descriptor."""

    def __init__(self, fd: int, events: int) -> None:
        super().__init__()
        self._fd = fd
        self._reads = events == POLLIN
        self._armed = False

    def _arm(self) -> None:
        # The registration outlives the wait: the next one mostly follows at once, and each costs system calls.
        if not self._armed:
            self._armed = True
            add = self._loop.add_reader if self._reads else self._loop.add_writer
            add(self._fd, self._ready)

    def _ready(self) -> None:
        if self._waiting:
            self.wake()
        else:
            self.release()

    def release(self) -> None:
        """Take the descriptor out of the event loop."""
        if self._armed:
            self._armed = False
            if not self._loop.is_closed():
                remove = self._loop.remove_reader if self._reads else self._loop.remove_writer
                remove(self._fd)

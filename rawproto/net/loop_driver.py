"""The asyncio driver: the event loop waits for the link and the timers."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from rawproto.net.aio_side import AsyncSide
from rawproto.net.driver import Driver
from rawproto.net.poller import POLLIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import Link
    from rawproto.net.neighbours import Neighbours
    from rawproto.rsp.endpoint import Endpoint

__all__ = ["AsyncDriverSide", "LoopDriver"]


class AsyncDriverSide(AsyncSide):
    """Waits for something about a connection or listener of an endpoint."""

    def __init__(self, ready: Callable[[], bool]) -> None:
        super().__init__()
        self._ready = ready

    def look(self) -> None:
        """Something changed: let the waiting tasks try if that is worth it."""
        if self._waiting and self._ready():
            self.wake()


class LoopDriver(Driver):
    """Runs an endpoint in the event loop that is running now; all its methods are called in that loop."""

    def __init__(
        self,
        endpoint: Endpoint,
        link: Link,
        neighbours: Neighbours | None,
        on_stop: Callable[[LoopDriver], None],
    ) -> None:
        super().__init__(endpoint, link, neighbours)
        self._on_stop = on_stop
        self._loop = asyncio.get_running_loop()
        self._fd = link.fileno()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at: int | None = None
        self._writing = False
        self._loop.add_reader(self._fd, self._readable)

    @property
    def orphaned(self) -> bool:
        """See :attr:`Driver.orphaned`: the event loop is closed."""
        return not self.stopped and self._loop.is_closed()

    def _readable(self) -> None:
        with self.lock:
            if not self.stopped:
                # The loop does not tell an error from data; an arrival of nothing makes the pump look for errors.
                self.turn(POLLIN)
                self._rearm()

    def _writable(self) -> None:
        with self.lock:
            if not self.stopped:
                self.turn(0)
                self._rearm()

    def _timed_out(self) -> None:
        self._timer = self._timer_at = None
        self._writable()

    def _rearm(self) -> None:
        if self.stopped or self._loop.is_closed():
            return
        if self.pump.blocked != self._writing:
            self._writing = self.pump.blocked
            if self._writing:
                self._loop.add_writer(self._fd, self._writable)
            else:
                self._loop.remove_writer(self._fd)
        due = self.pump.wait_until()
        if due == self._timer_at:
            return
        # A timer that moved later stays and is looked at when it fires: most timers move with every packet.
        if (
            self._timer is not None
            and due is not None
            and self._timer_at is not None
            and due > self._timer_at
        ):
            return
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._timer_at = due
        if due is not None:
            self._timer = self._loop.call_later(max(due - time.monotonic_ns(), 0) / 1e9, self._timed_out)

    def _stop(self) -> None:
        self.stopped = True
        self._on_stop(self)
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
            self._loop.remove_writer(self._fd)
        self.release()

"""The part of a driver of RSP that does not wait: one endpoint on one link, and the streams on it.

The threaded driver (thread_driver.py) and that of asyncio (loop_driver.py) add the waiting. All of it is guarded by
``lock``; the clock is read under it, so that time never goes backwards for the core.
"""

from __future__ import annotations

import abc
import threading
import time
from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError, ConnectionAborted
from rawproto.net.log import logger
from rawproto.net.pump import Pump

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.errors import OpError
    from rawproto.link.base import Link
    from rawproto.net.neighbours import Neighbours
    from rawproto.rsp.connection import Connection
    from rawproto.rsp.endpoint import Endpoint
    from rawproto.rsp.listener import Listener

__all__ = ["Driver"]


class Driver(abc.ABC):
    """Runs an endpoint on a link, for as long as it has connections or listeners."""

    def __init__(self, endpoint: Endpoint, link: Link, neighbours: Neighbours | None) -> None:
        self.endpoint = endpoint
        self.link = link
        self.lock = threading.Lock()
        self.pump = Pump(endpoint, link)
        self.broken: OpError | None = None
        """Why nothing works any more; every operation raises it."""
        self.stopped = False
        self.finishing = False
        """It was an orphan, and is being seen to its end."""
        self.neighbours = neighbours
        """Other endpoints on the same raw protocol; None where the kernel tells ports apart (UDP)."""
        self.claims = 1
        """Calls that have got hold of the driver and are about to give it something to do. Whoever makes it has the
        first: a packet that comes before there is anything to do would else be its end."""
        self._watchers: dict[Connection | Listener, Callable[[], None]] = {}

    @property
    def orphaned(self) -> bool:
        """Whether nobody drives it any more, though it has not stopped."""
        return False

    # ---- for streams and acceptors; called with the lock held

    def watch(self, core: Connection | Listener, changed: Callable[[], None]) -> None:
        """Call ``changed`` whenever something about ``core`` did, with the lock held."""
        if not core.closed:
            self._watchers[core] = changed

    def check(self) -> None:
        """Raise when the driver is broken or of another process."""
        if self.broken is not None:
            raise type(self.broken)(self.broken.reason)

    def commanded(self, now: int) -> None:
        """A command was given to the core: send what follows from it, and see that its timers are kept."""
        try:
            self.pump.transmit(now)
            if self.endpoint.news:
                self._tell()
        except Exception as error:
            self._broke(error)
        if self.endpoint.idle:
            self.settle()
        self._rearm()

    def settle(self) -> None:
        """End when there is nothing left to do."""
        if not self.stopped and not self.claims and self.endpoint.idle:
            self._stop()

    # ---- for the subclasses; called with the lock held

    def turn(self, events: int) -> None:
        """One round after a wait in which the link showed ``events``."""
        try:
            self.pump.turn(events, time.monotonic_ns())
            if self.endpoint.news:
                self._tell()
        except Exception as error:
            self._broke(error)
        if self.endpoint.idle:
            self.settle()

    def _broke(self, error: Exception) -> None:
        """A fault in a step of the pump breaks the driver, not the process."""
        if not self.stopped:
            logger.exception("the driver of %s broke", self.link.network)
            self.break_off(ConnectionAborted(f"the driver broke: {error!r}"))

    def _tell(self) -> None:
        while (core := self.endpoint.poll_event()) is not None:
            changed = self._watchers.get(core)
            if changed is not None:
                changed()
                if core.closed:
                    self._watchers.pop(core, None)

    def end(self) -> None:
        """Stop, whatever is left."""
        if not self.stopped:
            self._stop()

    def break_off(self, error: OpError) -> None:
        """Nothing works from now on: every operation, also those that wait, ends with ``error``."""
        self.broken = error
        for changed in list(self._watchers.values()):
            changed()
        self._watchers.clear()
        if not self.stopped:
            self._stop()

    def release(self) -> None:
        """Give all descriptors back; nobody polls any more."""
        self.link.close()
        self.endpoint.let_go()
        if self.neighbours is not None:
            self.neighbours.close()

    def disown(self) -> None:
        """After fork(), in the child: the parent's descriptors and lock are not ours to use."""
        self.lock = threading.Lock()
        self.broken = ClosedError(
            "opened before fork() and left to the parent process: dial or listen again in the child"
        )
        self.stopped = True
        self.release()

    @property
    def undelivered(self) -> list[Any]:
        """Connections that were closed and still have something to deliver."""
        return [core for core in self.endpoint.connections if not core.delivered]

    @abc.abstractmethod
    def _rearm(self) -> None:
        """The next timeout may have changed."""

    @abc.abstractmethod
    def _stop(self) -> None:
        """Begin to end: the endpoint has nothing left. Sets ``stopped``."""

"""The threaded driver: whoever waits drives.

A thread that blocks in read, write, accept or dial does the endpoint's work itself while it waits (it *leads*): it
polls the link, takes datagrams in, runs timers, sends, and returns as soon as its own wish is fulfilled. A request and
its answer so need no hand-over from one thread to another. Other threads that wait *follow*: they sleep on a lock of
their own until the leader has news for them.

When no application thread waits, a background thread drives. It must not compete with an application that reads in a
loop, so it takes over only when nobody has led for a tick; while somebody leads it watches, and when one thread leads
for long it parks.

A thread that comes to wait takes the lead from one that is *cold* (nothing happened for it lately, say an accept), so
that the lead stays with the thread that is being served. A leader that leaves passes the lead on only to a warm one.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from rawproto.link.privilege import helpers
from rawproto.net.driver import Driver
from rawproto.net.log import logger
from rawproto.net.poller import POLLIN, POLLOUT, Poller
from rawproto.net.side import Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import Link
    from rawproto.net.neighbours import Neighbours
    from rawproto.rsp.endpoint import Endpoint

__all__ = ["DriverSide", "ThreadDriver"]

TICK = 0.005
"""Seconds without a leader after which the background thread takes over: well below the 25 ms by which an
acknowledgement may be delayed."""
WARM = 10_000_000
"""Nanoseconds after its last news in which a waiting thread is expected to have more."""


class DriverSide(Side):
    """Waits for something about a connection or listener of an endpoint, driving the endpoint meanwhile."""

    __slots__ = ("driver", "gate", "last_news", "poller", "polling", "ready", "waiting", "woken")

    def __init__(self, driver: ThreadDriver, ready: Callable[[], bool]) -> None:
        super().__init__()
        self.driver = driver
        self.ready = ready
        """Whether another try is worth it; called with the driver's lock held."""
        self.gate = threading.Lock()
        self.gate.acquire()
        self.poller: Poller | None = None
        """What this side's thread polls with while it leads."""
        self.polling = False
        """Its thread is in the poll, without the lock."""
        self.woken = False
        self.waiting = False
        self.last_news = 0

    def wait(self) -> None:
        """Wait until ready, woken or past the deadline."""
        self.driver.wait(self)

    def wake(self) -> None:
        """End the wait, or the next one. Takes no lock: a signal handler may call it in the thread that waits."""
        self.woken = True
        poller = self.poller
        if poller is not None:
            poller.wake()
        self.open_gate()

    def open_gate(self) -> None:
        """Let a following thread look again."""
        try:
            self.gate.release()
        except RuntimeError:
            pass  # it is open already


class ThreadDriver(Driver):
    """Runs an endpoint in the threads that wait for it, and in one of its own; see the module's text."""

    def __init__(
        self,
        endpoint: Endpoint,
        link: Link,
        neighbours: Neighbours | None,
        on_stop: Callable[[ThreadDriver], None],
    ) -> None:
        super().__init__(endpoint, link, neighbours)
        self._on_stop = on_stop
        self._leader: DriverSide | None = None
        self._followers: dict[DriverSide, None] = {}
        self._idle_pollers: list[Poller] = []
        self._turns = 0
        self._polling = 0
        self._waiting_until: int | None = 0
        self._background_drives = False
        self._parked = False
        self._background_poller = Poller(link.fileno())
        self._background_gate = threading.Lock()
        self._background_gate.acquire()
        self._thread = threading.Thread(target=self._background, name=f"rawproto {link.network}", daemon=True)
        self._errand: Callable[[], None] | None = None
        self._thread.start()
        self._thread_id: int = self._thread.native_id or 0
        helpers[self._thread_id] = self.call_in_thread
        if not self._thread.is_alive():  # it may have taken itself out before it was put in
            helpers.pop(self._thread_id, None)

    # ---- waiting application threads

    def wait(self, side: DriverSide) -> None:
        """Wait for ``side``, leading or following."""
        with self.lock:
            if not side.woken and not side.ready() and not self.stopped:
                side.waiting = True
                try:
                    if self._may_lead(side):
                        self._lead(side)
                    else:
                        self._follow(side)
                finally:
                    side.waiting = False
            side.woken = False

    def tell(self, *sides: DriverSide) -> None:
        """Something changed about what ``sides`` wait for. Called with the lock held.

        The leader sees for itself in its own turn; but the turn may be another thread's that had polled before the
        leader took the lead, or that gave a command.
        """
        for side in sides:
            if side.waiting and not (side is self._leader and not side.polling) and side.ready():
                side.last_news = time.monotonic_ns()
                if side in self._followers:
                    del self._followers[side]
                    side.open_gate()
                elif side.polling and side.poller is not None:
                    side.poller.wake()

    def _may_lead(self, side: DriverSide) -> bool:
        leader = self._leader
        if leader is None:
            return True
        now = time.monotonic_ns()
        return now - side.last_news < WARM <= now - leader.last_news

    def _lead(self, side: DriverSide) -> None:
        deposed = self._leader
        poller = side.poller = self._idle_pollers.pop() if self._idle_pollers else Poller(self.link.fileno())
        self._leader = side
        if deposed is not None and deposed.poller is not None:
            deposed.poller.wake()
        if self._background_drives:
            self._background_poller.wake()
        try:
            # wake() sets the flag before it looks for the poller, so it is seen here or ends the poll.
            while not side.woken:
                self._poll_and_turn(poller, side)
                if side.ready():
                    side.last_news = time.monotonic_ns()
                    break
                if self._leader is not side or self.stopped or side.expired:
                    break
        finally:
            side.poller = None
            self._idle_pollers.append(poller)
            if self._leader is side:
                self._pass_on()

    def _pass_on(self) -> None:
        """The leader leaves: to a thread that is being served, or to the background when it has long been away."""
        self._leader = None
        self._turns += 1
        if self._followers:
            heir = next(reversed(self._followers))
            if time.monotonic_ns() - heir.last_news < WARM:
                del self._followers[heir]
                heir.open_gate()
                return
        if self._parked or self.stopped:
            self._nudge_background()

    def _follow(self, side: DriverSide) -> None:
        self._followers[side] = None
        deadline = side.until
        self.lock.release()
        try:
            if deadline is None:
                side.gate.acquire()
            else:
                side.gate.acquire(timeout=max(deadline - time.monotonic_ns(), 0) / 1e9)
        finally:
            self.lock.acquire()
            self._followers.pop(side, None)

    def _poll_and_turn(self, poller: Poller, side: DriverSide | None) -> None:
        """Wait without the lock for the link, a timer or the deadline of ``side``; then do what is to be done."""
        until = self._waiting_until = self.pump.wait_until()
        deadline = None if side is None else side.until
        if deadline is not None and (until is None or deadline < until):
            until = deadline
        events = POLLIN | POLLOUT if self.pump.blocked else POLLIN
        if events != poller.events:
            poller.watch(events)
        timeout = None if until is None else max(until - time.monotonic_ns(), 0)
        self._polling += 1
        if side is not None:
            side.polling = True
        self.lock.release()
        try:
            events = poller.wait(timeout)
        finally:
            self.lock.acquire()
            self._polling -= 1
            if side is not None:
                side.polling = False
        if not self.stopped:
            self.turn(events)

    def _rearm(self) -> None:
        """Wake whoever polls if it would sleep beyond the next timeout."""
        if not self._polling:
            return
        due = self.pump.wait_until()
        if due is None:
            return
        if self._waiting_until is None or due < self._waiting_until or self.pump.blocked:
            self._waiting_until = due
            leader = self._leader
            if leader is not None and leader.poller is not None:
                leader.poller.wake()
            elif self._background_drives:
                self._background_poller.wake()

    # ---- the background thread

    def call_in_thread(self, errand: Callable[[], None]) -> None:
        """Have the background thread call ``errand``; returns when it has, or when the thread has ended."""
        done = threading.Event()

        def run() -> None:
            try:
                errand()
            finally:
                done.set()

        with self.lock:
            self._errand = run
            self._nudge_background()
        while not done.wait(TICK) and self._thread.is_alive():
            pass

    def _background(self) -> None:
        try:
            with self.lock:
                seen = -1
                while not self.stopped:
                    if self._errand is not None:
                        self._run_errand()
                    if self._leader is None and self._turns == seen:
                        self._drive()
                        seen = -1
                    else:
                        self._parked = self._turns == seen
                        seen = self._turns
                        self._sleep(None if self._parked else TICK)
                        self._parked = False
                while self._polling:
                    self._sleep(TICK)
                self.release()
        except BaseException:
            logger.exception("the background thread of %s died", self.link.network)
            raise
        finally:
            helpers.pop(threading.get_native_id(), None)

    def _run_errand(self) -> None:
        errand, self._errand = self._errand, None
        try:
            if errand is not None:
                errand()
        except Exception:
            # Whoever asked looks at what came of it.
            logger.exception("an errand of the background thread of %s failed", self.link.network)

    def _drive(self) -> None:
        self._background_drives = True
        try:
            while self._leader is None and not self.stopped and self._errand is None:
                self._poll_and_turn(self._background_poller, None)
        finally:
            self._background_drives = False

    def _sleep(self, seconds: float | None) -> None:
        self.lock.release()
        try:
            if seconds is None:
                self._background_gate.acquire()
            else:
                self._background_gate.acquire(timeout=seconds)
        finally:
            self.lock.acquire()

    def _nudge_background(self) -> None:
        self._background_poller.wake()
        try:
            self._background_gate.release()
        except RuntimeError:
            pass  # nudged already

    # ---- the end

    def _stop(self) -> None:
        self.stopped = True
        self._on_stop(self)
        for side in self._followers:
            side.open_gate()
        if self._leader is not None and self._leader.poller is not None:
            self._leader.poller.wake()
        self._nudge_background()

    def release(self) -> None:
        """Give all descriptors back; nobody polls any more."""
        super().release()
        for poller in (*self._idle_pollers, self._background_poller):
            poller.close()
        self._idle_pollers.clear()

    def join(self, timeout: float) -> None:
        """Wait for the background thread to end."""
        self._thread.join(timeout)

    def disown(self) -> None:
        """After fork(), in the child: nor are the parent's threads there."""
        helpers.pop(self._thread_id, None)
        super().disown()
        for side in list(self._followers):
            side.open_gate()

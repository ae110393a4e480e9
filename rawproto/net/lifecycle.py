"""What happens to endpoints when the process forks or ends, and when the event loop that drove them is closed."""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import time
from typing import TYPE_CHECKING, Protocol

from rawproto.errors import OpError
from rawproto.link.privilege import drop_in_this_thread
from rawproto.net.poller import POLLIN, POLLOUT, Poller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rawproto.net.driver import Driver

__all__ = ["EXIT_FLUSH", "LAST_WORDS", "Running", "finish", "finish_orphans", "watch"]

EXIT_FLUSH = 10.0
"""Seconds that the end of the process may wait for what was written to be delivered. The kernel goes on delivering
for a process that has ended; here nobody would."""
LAST_WORDS = 0.5
"""Seconds that it then waits for the peers to close their halves."""


class Running(Protocol):
    """The drivers of one kind that are running, whoever keeps them."""

    def __iter__(self) -> Iterator[Driver]:
        """Each of them."""

    def forget(self) -> Iterable[Driver]:
        """All of them, which are no longer known from now on."""


_watched: list[Running] = []


def watch(running: Running) -> None:
    """Take care of these drivers, and of those that join them, from now on."""
    os.register_at_fork(after_in_child=lambda: _leave_to_parent(running))
    if not _watched:
        atexit.register(finish)
    _watched.append(running)


def finish() -> None:
    """Deliver what was written and close: at the interpreter's exit, and for processes that end without one."""
    for running in _watched:
        _finish(list(running))


def finish_orphans(drivers: Iterable[Driver]) -> None:
    """Deliver and close, each in a thread, what closed event loops left behind: nobody else would before the exit.

    A program may run one loop after another, and even connections that were closed in good time outlive their loop
    by the moment in which late packets are still answered.
    """
    for driver in drivers:
        if driver.orphaned and not driver.finishing:
            driver.finishing = True
            begun = threading.Event()
            threading.Thread(
                target=_see_to_its_end, args=(driver, begun), name="rawproto finishing", daemon=True
            ).start()
            begun.wait()


def _see_to_its_end(driver: Driver, begun: threading.Event) -> None:
    # Its sockets are open already, and whoever drops the process's privileges cannot drop those of another thread.
    with contextlib.suppress(OpError):
        drop_in_this_thread()
    begun.set()
    _finish([driver])


def _leave_to_parent(running: Running) -> None:
    for driver in running.forget():
        driver.disown()


def _finish(drivers: list[Driver]) -> None:
    stop = time.monotonic_ns() + int(EXIT_FLUSH * 1e9)
    for driver in drivers:
        with driver.lock:
            _close_all(driver)
    for driver in drivers:
        _drive(driver, stop, lambda driver: not driver.undelivered)
    # The peers close as well, mostly at once; one that does not is told that nobody is there any more.
    stop = time.monotonic_ns() + int(LAST_WORDS * 1e9)
    for driver in drivers:
        _drive(driver, stop, lambda driver: all(core.finished for core in driver.endpoint.connections))
        with driver.lock:
            _abort_all(driver)
            driver.end()


def _close_all(driver: Driver) -> None:
    now = time.monotonic_ns()
    for core in driver.endpoint.connections:
        core.close(now)
    if not driver.stopped:
        driver.commanded(now)


def _abort_all(driver: Driver) -> None:
    if driver.stopped:
        return
    now = time.monotonic_ns()
    for core in driver.endpoint.connections:
        if not core.finished:
            core.abort(now)
    driver.commanded(now)


def _drive(driver: Driver, stop: int, done: Callable[[Driver], bool]) -> None:
    """Drive until ``done`` or the time is up; the driver's own threads or loop may be gone."""
    with driver.lock:
        if driver.stopped or done(driver):
            return
        poller = Poller(driver.link.fileno())
    try:
        while (now := time.monotonic_ns()) < stop:
            with driver.lock:
                if driver.stopped or done(driver):
                    return
                due = driver.pump.wait_until()
                poller.watch(POLLIN | POLLOUT if driver.pump.blocked else POLLIN)
            events = poller.wait(max(min(stop, stop if due is None else due) - now, 0))
            with driver.lock:
                if not driver.stopped:
                    driver.turn(events)
    finally:
        poller.close()

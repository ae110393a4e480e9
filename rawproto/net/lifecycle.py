"""What happens to endpoints when the process forks or ends."""

from __future__ import annotations

import atexit
import os
import time
from typing import TYPE_CHECKING, Any

from rawproto.net.poller import POLLIN, POLLOUT, Poller

if TYPE_CHECKING:
    from rawproto.net.carriers import Registry
    from rawproto.net.driver import Driver

__all__ = ["EXIT_FLUSH", "watch"]

EXIT_FLUSH = 10.0
"""Seconds that the end of the process may wait for what was written to be delivered. The kernel goes on delivering
for a process that has ended; here nobody would."""


def watch(registry: Registry[Any]) -> None:
    """Take care of the drivers of ``registry`` from now on."""
    os.register_at_fork(after_in_child=lambda: _leave_to_parent(registry))
    atexit.register(_finish, registry)


def _leave_to_parent(registry: Registry[Any]) -> None:
    for driver in registry.forget():
        driver.disown()


def _finish(registry: Registry[Any]) -> None:
    stop = time.monotonic_ns() + int(EXIT_FLUSH * 1e9)
    drivers = list(registry)
    for driver in drivers:
        with driver.lock:
            _close_all(driver)
    for driver in drivers:
        _deliver(driver, stop)
        with driver.lock:
            driver.end()


def _close_all(driver: Driver) -> None:
    now = time.monotonic_ns()
    for core in driver.endpoint.connections:
        core.close(now)
    if not driver.stopped:
        driver.commanded(now)


def _deliver(driver: Driver, stop: int) -> None:
    """Drive until everything is delivered or the time is up; the driver's own threads or loop may be gone."""
    with driver.lock:
        if driver.stopped or not driver.undelivered:
            return
        poller = Poller(driver.link.fileno())
    try:
        while (now := time.monotonic_ns()) < stop:
            with driver.lock:
                if driver.stopped or not driver.undelivered:
                    return
                due = driver.pump.wait_until()
                poller.watch(POLLIN | POLLOUT if driver.pump.blocked else POLLIN)
            events = poller.wait(max(min(stop, stop if due is None else due) - now, 0))
            with driver.lock:
                if not driver.stopped:
                    driver.turn(events)
    finally:
        poller.close()

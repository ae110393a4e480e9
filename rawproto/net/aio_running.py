"""run for asyncio: any protocol on any link, until something says it is enough."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError
from rawproto.net.poller import POLLIN
from rawproto.net.pump import Pump
from rawproto.net.running import drain_events
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import Link
    from rawproto.protocol import Protocol

__all__ = ["run"]

_LOOK = 0.1
"""Seconds after which a sleeping run looks whether its link was closed."""


async def run(
    protocol: Protocol,
    link: Link,
    *,
    on_event: Callable[[Any], object] | None = None,
    until: Callable[[], object] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the same words as the blocking run
) -> Any | None:
    """Drive ``protocol`` on ``link`` in the running loop; arguments and result as of :func:`rawproto.run`."""
    loop = asyncio.get_running_loop()
    pump = Pump(protocol, link)
    stop = deadline_after(timeout)
    ready = asyncio.Event()
    fd = link.fileno()
    loop.add_reader(fd, ready.set)
    events = 0
    try:
        while link.fileno() >= 0:
            ready.clear()
            pump.turn(events, time.monotonic_ns())
            found = drain_events(protocol, on_event)
            pump.transmit(time.monotonic_ns())
            if found is not None:
                return found[0]
            now = time.monotonic_ns()
            if (until is not None and until()) or (stop is not None and now >= stop):
                return None
            times = [(at - now) / 1e9 for at in (pump.wait_until(), stop) if at is not None]
            # A full send queue is rare and short; it is tried again soon rather than watched for.
            events = await _readable(ready, max(min([*times, 0.001 if pump.blocked else _LOOK]), 0))
    except ClosedError:
        pass
    finally:
        loop.remove_reader(fd)
    return None


async def _readable(ready: asyncio.Event, seconds: float) -> int:
    try:
        async with asyncio.timeout(seconds):
            await ready.wait()
    except TimeoutError:
        return 0
    return POLLIN

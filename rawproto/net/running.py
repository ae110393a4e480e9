"""run: any protocol on any link, until something says it is enough."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError
from rawproto.net.poller import POLLIN, POLLOUT, Poller
from rawproto.net.pump import Pump
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import Link
    from rawproto.protocol import Protocol

__all__ = ["run"]

_LOOK = 100_000_000
"""Nanoseconds after which a sleeping run looks whether its link was closed by another thread."""


def run(
    protocol: Protocol,
    link: Link,
    *,
    on_event: Callable[[Any], object] | None = None,
    until: Callable[[], object] | None = None,
    timeout: float | None = None,
) -> Any | None:
    """Drive ``protocol`` on ``link`` in this thread. Commands to the protocol belong into ``on_event`` or ``until``.

    It ends when the link is closed, and earlier when one of these says so:

    Args:
        protocol: a :class:`rawproto.Protocol` or :class:`rawproto.DatagramProtocol`.
        link: its link; not closed here.
        on_event: called with each event of the protocol; a true result ends the run.
        until: asked after every round; a true result ends the run.
        timeout: seconds.

    Returns:
        The event for which ``on_event`` had a true result, else None.
    """
    pump = Pump(protocol, link)
    stop = deadline_after(timeout)
    poller = Poller(link.fileno())
    events = 0
    try:
        while link.fileno() >= 0:
            now = time.monotonic_ns()
            pump.turn(events, now)
            found = drain_events(protocol, on_event)
            if found is not None:
                # What the last event asked for is still sent.
                pump.transmit(time.monotonic_ns())
                return found[0]
            pump.transmit(time.monotonic_ns())
            now = time.monotonic_ns()
            if (until is not None and until()) or (stop is not None and now >= stop):
                return None
            poller.watch(POLLIN | POLLOUT if pump.blocked else POLLIN)
            times = [at - now for at in (pump.wait_until(), stop) if at is not None]
            events = poller.wait(max(min([*times, _LOOK]), 0))
    except ClosedError:
        pass
    finally:
        poller.close()
    return None


def drain_events(protocol: Protocol, on_event: Callable[[Any], object] | None) -> tuple[Any] | None:
    """Give the protocol's events to ``on_event``; the one that it had a true result for, in a tuple."""
    while (event := protocol.poll_event()) is not None:
        if on_event is not None and on_event(event):
            return (event,)
    return None

"""A protocol run on a link, but for the waiting between two rounds."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rawproto.net.pump import Pump
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import Link
    from rawproto.protocol import Protocol

__all__ = ["LOOK", "Rounds"]

LOOK = 100_000_000
"""Nanoseconds after which a sleeping run looks whether its link was closed by somebody else."""


class Rounds:
    """What :func:`rawproto.run` does between two waits; arguments as of it."""

    def __init__(
        self,
        protocol: Protocol,
        link: Link,
        on_event: Callable[[Any], object] | None,
        until: Callable[[], object] | None,
        timeout: float | None,
    ) -> None:
        self.result: Any | None = None
        """The event for which ``on_event`` had a true result."""
        self._protocol = protocol
        self._link = link
        self._pump = Pump(protocol, link)
        self._on_event = on_event
        self._until = until
        self._stop = deadline_after(timeout)

    @property
    def blocked(self) -> bool:
        """The kernel's queue is full: there is more to send when the link is writable."""
        return self._pump.blocked

    def go_on(self, events: int) -> bool:
        """One round after a wait in which the link showed ``events``; False when it was the last."""
        if self._link.fileno() < 0:
            return False
        self._pump.turn(events, time.monotonic_ns())
        found = self._drain()
        # What the last event asked for is still sent.
        self._pump.transmit(time.monotonic_ns())
        if found or (self._until is not None and self._until()):
            return False
        return self._stop is None or time.monotonic_ns() < self._stop

    def pause(self, most: int) -> int:
        """Nanoseconds to wait for the link before the next round, ``most`` at most."""
        now = time.monotonic_ns()
        times = [at - now for at in (self._pump.wait_until(), self._stop) if at is not None]
        return max(min([*times, most]), 0)

    def _drain(self) -> bool:
        """Tell of the protocol's events; whether one of them ends the run."""
        while (event := self._protocol.poll_event()) is not None:
            if self._on_event is not None and self._on_event(event):
                self.result = event
                return True
        return False

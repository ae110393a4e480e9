"""The sans-IO contract that every protocol of rawproto fulfils.

A protocol is an object without sockets, clocks, threads or randomness of its own: bytes, time and randomness come
in as arguments, what it wants comes out when it is asked. The same object then runs under the threaded driver,
under asyncio, in the virtual-time simulator and under a fuzzer, unchanged.

There are four kinds of method:

- *input*: ``handle_datagrams``, ``handle_icmp``, ``handle_timeout``: something happened, at ``now``;
- *commands* (a protocol's own methods, such as ``connect`` or ``write``): the application wants something;
- *output*: ``poll_transmit``, ``poll_timeout``, ``poll_event``: what to send, when to wake, what to tell;
- *getters*: everything else; they change nothing.

Calling order. After any input or command, and before waiting, a driver drains the output in this order:

1. ``poll_transmit(now)`` until it gives None, sending each batch before the next call;
2. ``poll_event()`` until it gives None;
3. ``poll_timeout()`` once; it then waits for a datagram or for that time, whichever comes first, and calls
   ``handle_datagrams`` or ``handle_timeout``. When both are due, datagrams go first: an acknowledgement that is
   already in the socket must be read before a timer calls its packet lost.

``now`` is an integer, nanoseconds of a monotonic clock whose zero is anywhere, and never goes backwards. A call
with a time earlier than the last one is a fault of the driver and may raise AssertionError. All methods of one
object are called from one thread at a time.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.wire.batch import ReceivedBatch, Transmit
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["MILLISECOND", "SECOND", "DatagramProtocol", "Protocol"]

SECOND = 1_000_000_000
MILLISECOND = 1_000_000


class Protocol(abc.ABC):
    """A batched protocol: the form for speed. See the module's text for the calling order."""

    @abc.abstractmethod
    def handle_datagrams(self, batch: ReceivedBatch, now: int) -> None:
        """Take datagrams that arrived. The rows are only good during the call; keep copies, not views.

        Never raises for what is in the datagrams, whatever the bytes.
        """

    def handle_icmp(self, error: ICMPError, now: int) -> None:  # noqa: B027 - most protocols need none
        """Take an ICMP error caused by a datagram of ours. A hint, never proof: anybody can forge it."""

    @abc.abstractmethod
    def handle_timeout(self, now: int) -> None:
        """The time that ``poll_timeout`` named has come. Harmless when called early."""

    @abc.abstractmethod
    def poll_transmit(self, now: int) -> Transmit | None:
        """The next batch to send, or None. Its arrays are good until the next call of any method."""

    @abc.abstractmethod
    def poll_timeout(self) -> int | None:
        """When to call ``handle_timeout``, in nanoseconds of the same clock; None when no timer runs."""

    def poll_event(self) -> Any | None:
        """The next thing the application should know, or None."""
        return None


class DatagramProtocol(Protocol):
    """One datagram at a time: the form for protocols that need no speed.

    A subclass implements :meth:`datagram_received` and, when it keeps time, :meth:`timer_expired`. It sends with
    :meth:`send`, sets its one timer with :meth:`set_timer` and tells the application with :meth:`emit`. A complete
    stop-and-wait protocol is about 60 lines.
    """

    def __init__(self) -> None:
        self._outgoing: list[tuple[bytes, Any, int]] = []
        self._events: list[Any] = []
        self._deadline: int | None = None

    @abc.abstractmethod
    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        """One datagram arrived from ``source``."""

    def timer_expired(self, now: int) -> None:
        """The timer set by :meth:`set_timer` is due; it is cleared before this is called."""

    def send(self, data: bytes, destination: Any, *, ecn: int = 0) -> None:
        """Queue one datagram."""
        self._outgoing.append((bytes(data), destination, ecn))

    def set_timer(self, deadline: int | None) -> None:
        """Run :meth:`timer_expired` at ``deadline`` (nanoseconds); None stops the timer."""
        self._deadline = deadline

    def emit(self, event: Any) -> None:
        """Queue something for the application."""
        self._events.append(event)

    def handle_datagrams(self, batch: ReceivedBatch, now: int) -> None:
        """Hand each datagram of the batch to :meth:`datagram_received`."""
        for index in range(len(batch)):
            self.datagram_received(batch.datagram(index), batch.source_of(index), now)

    def handle_timeout(self, now: int) -> None:
        """Run the timer when it is due."""
        if self._deadline is not None and now >= self._deadline:
            self._deadline = None
            self.timer_expired(now)

    def poll_transmit(self, now: int) -> Transmit | None:
        """The queued datagrams, those in a row to one destination as one batch."""
        if not self._outgoing:
            return None
        # Imported here so that protocols can be written and read without numpy being loaded.
        from rawproto.wire.batch import Batch, Transmit

        _, destination, ecn = self._outgoing[0]
        count = 0
        for _, to, mark in self._outgoing:
            if to != destination or mark != ecn:
                break
            count += 1
        datagrams = [data for data, _, _ in self._outgoing[:count]]
        del self._outgoing[:count]
        return Transmit(Batch.from_datagrams(datagrams), destination, ecn)

    def poll_timeout(self) -> int | None:
        """The time set by :meth:`set_timer`."""
        return self._deadline

    def poll_event(self) -> Any | None:
        """The oldest queued event."""
        return self._events.pop(0) if self._events else None

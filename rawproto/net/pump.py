"""What every driver does between two waits: datagrams in, timers, datagrams out.

It runs any protocol on any link in the order that :mod:`rawproto.protocol` lays down; waiting, and telling the
application, are its owner's. A link that gets no memory for a batch has lost it, as a network may; the protocol deals
with that. When it gets none for long, MemoryError is for the owner.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.net.poller import POLLERR, POLLIN

if TYPE_CHECKING:
    from rawproto.link.base import Link
    from rawproto.protocol import Protocol
    from rawproto.wire.batch import Transmit

__all__ = ["Pump"]

BATCHES_A_TURN = 4
"""Batches sent before datagrams are looked for again: acknowledgements must not wait behind a full window."""


MOST_FAILURES = 100
"""Calls of the link in a row that may fail for want of memory: more is not bad luck, and waiting would be spinning."""

_ARRIVED = POLLIN | POLLERR


class Pump:
    """A protocol and its link. ``now`` is ``time.monotonic_ns`` throughout."""

    __slots__ = ("_failures", "_unsent", "link", "more", "out_of_memory", "protocol")

    def __init__(self, protocol: Protocol, link: Link) -> None:
        self.protocol = protocol
        self.link = link
        self.more = False
        """The protocol may have more to send: do not wait before the next turn."""
        self.out_of_memory = 0
        """Batches lost for want of memory."""
        self._failures = 0
        self._unsent: Transmit | None = None

    @property
    def blocked(self) -> bool:
        """The kernel's queue is full: wait until the link is writable."""
        return self._unsent is not None

    def turn(self, events: int, now: int) -> None:
        """One round after a wait in which the link showed ``events`` (POLLIN, POLLERR, ...)."""
        deadline = self.protocol.poll_timeout()
        due = deadline is not None and deadline <= now
        if due or events & _ARRIVED:
            # With a timer due the datagrams that wait go first: an acknowledgement may be among them.
            self._receive(events, now)
        if due:
            self.protocol.handle_timeout(now)
        self.transmit(now)

    def _receive(self, events: int, now: int) -> None:
        try:
            batches = self.link.receive()
            self._failures = 0
        except MemoryError:
            self._lost()
            return
        for batch in batches:
            self.protocol.handle_datagrams(batch, now)
        if events & POLLERR or (events and not batches):
            try:
                errors = self.link.errors()
            except MemoryError:
                self._lost()
                return
            for error in errors:
                self.protocol.handle_icmp(error, now)

    def transmit(self, now: int) -> None:
        """Send what the protocol wants sent, as far as the kernel takes it."""
        self.more = False
        if self._unsent is not None and not self._send_rest(self._unsent):
            return
        poll, send = self.protocol.poll_transmit, self.link.send
        for _ in range(BATCHES_A_TURN):
            transmit = poll(now)
            if transmit is None:
                return
            try:
                if transmit.destinations is not None:
                    # Answers to strangers: what does not fit is lost, and they ask again.
                    self.link.send_each(transmit.batch, transmit.destinations)
                    continue
                taken = send(transmit)
                if taken < len(transmit.batch):
                    self._unsent = _rest(transmit, taken)
                    return
            except MemoryError:
                self._lost()
        self.more = True

    def _send_rest(self, transmit: Transmit) -> bool:
        self._unsent = None
        try:
            taken = self.link.send(transmit)
            if taken < len(transmit.batch):
                self._unsent = _rest(transmit, taken)
        except MemoryError:
            self._lost()
        return self._unsent is None

    def _lost(self) -> None:
        """The link, in whose exception this is called, got no memory: what it was about is lost."""
        self.out_of_memory += 1
        self._failures += 1
        if self._failures > MOST_FAILURES:
            raise MemoryError(f"the link got no memory {self._failures} times in a row") from None

    def wait_until(self) -> int | None:
        """When the next turn is due though nothing arrives; None for never."""
        return 0 if self.more else self.protocol.poll_timeout()


def _rest(transmit: Transmit, taken: int) -> Transmit:
    """A copy of what the kernel did not take: the protocol uses its arrays again."""
    from rawproto.wire.batch import Batch, Transmit

    batch = transmit.batch
    rest = [batch.datagram(index) for index in range(taken, len(batch))]
    return Transmit(Batch.from_datagrams(rest), transmit.destination, transmit.ecn)

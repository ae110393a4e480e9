"""What every driver does between two waits: datagrams in, timers, datagrams out.

It runs any protocol on any link in the order that :mod:`rawproto.protocol` lays down; waiting, and telling the
application, are its owner's.
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


_ARRIVED = POLLIN | POLLERR


class Pump:
    """A protocol and its link. ``now`` is ``time.monotonic_ns`` throughout."""

    __slots__ = ("_unsent", "link", "more", "protocol")

    def __init__(self, protocol: Protocol, link: Link) -> None:
        self.protocol = protocol
        self.link = link
        self.more = False
        """The protocol may have more to send: do not wait before the next turn."""
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
        batches = self.link.receive()
        for batch in batches:
            self.protocol.handle_datagrams(batch, now)
        if events & POLLERR or (events and not batches):
            for error in self.link.errors():
                self.protocol.handle_icmp(error, now)

    def transmit(self, now: int) -> None:
        """Send what the protocol wants sent, as far as the kernel takes it."""
        self.more = False
        if self._unsent is not None and not self._send(self._unsent):
            return
        poll, send = self.protocol.poll_transmit, self.link.send
        for _ in range(BATCHES_A_TURN):
            transmit = poll(now)
            if transmit is None:
                return
            if transmit.destinations is not None:
                # Answers to strangers: what does not fit is lost, and they ask again.
                self.link.send_each(transmit.batch, transmit.destinations)
                continue
            taken = send(transmit)
            if taken < len(transmit.batch):
                self._unsent = _rest(transmit, taken)
                return
        self.more = True

    def _send(self, transmit: Transmit) -> bool:
        taken = self.link.send(transmit)
        if taken >= len(transmit.batch):
            self._unsent = None
            return True
        self._unsent = _rest(transmit, taken)
        return False

    def wait_until(self) -> int | None:
        """When the next turn is due though nothing arrives; None for never."""
        return 0 if self.more else self.protocol.poll_timeout()


def _rest(transmit: Transmit, taken: int) -> Transmit:
    """A copy of what the kernel did not take: the protocol uses its arrays again."""
    from rawproto.wire.batch import Batch, Transmit

    batch = transmit.batch
    rest = [batch.datagram(index) for index in range(taken, len(batch))]
    return Transmit(Batch.from_datagrams(rest), transmit.destination, transmit.ecn)

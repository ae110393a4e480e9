"""A protocol on a host of the simulator: polled as a driver would, and watched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rawproto.errors import LabError
from rawproto.lab.clockwork import DELIVERY, TIMER
from rawproto.lab.datagram import Datagram
from rawproto.lab.oracle import oracle_for
from rawproto.protocol import Protocol
from rawproto.wire.batch import ReceivedBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.lab.simhost import SimHost

__all__ = ["Node"]

Result = TypeVar("Result")
P = TypeVar("P", bound=Protocol)

# Polling a protocol that says "one more" this often at one instant means that it never stops.
ENDLESS = 100_000


class Node(Generic[P]):
    """One protocol object on a host; made by :meth:`SimHost.run`.

    Attributes:
        protocol: the object.
        address: what it is reached at.
        channel: the IP protocol number it uses.
        host: where it runs.
        events: what the protocol told and ``on_event`` was not there to take, oldest first.
        on_event: called with each event and the time; it may command the protocol directly.
        stopped: whether :meth:`SimHost.stop` ended it.
    """

    def __init__(
        self,
        host: SimHost,
        protocol: P,
        address: Any,
        channel: Any,
        coalesce: int,
        on_event: Callable[[Any, int], None] | None,
    ) -> None:
        self.host = host
        self.protocol = protocol
        self.address = address
        self.channel = channel
        self.events: list[Any] = []
        self.stopped = False
        self.on_event = on_event
        self.name = f"{host.name}:{channel}"
        self._simulation = host.simulation
        self._coalesce = coalesce
        self._inbox: list[Datagram] = []
        self._timer_at: int | None = None
        self._timer_version = 0
        self._idle_fires = 0
        self._last_fire = -1
        self._oracle = oracle_for(self) if host.simulation.checks else None

    def __repr__(self) -> str:
        return f"<node {self.name} at {self.address}>"

    def do(self, command: Callable[[P, int], Result]) -> Result:
        """Give the protocol a command: ``command(protocol, now)``; then do what it asks for."""
        if self.stopped:
            raise LabError(f"{self.name} was stopped")
        now = self._simulation.now
        self._simulation.record.note(now, "command", self.name)
        result = command(self.protocol, now)
        self._drain(now)
        return result

    def wake(self) -> None:
        """Do what the protocol asks for, after it was given commands by other ways than :meth:`do`."""
        self._drain(self._simulation.now)

    def put(self, datagram: Datagram) -> None:
        """A datagram arrived for this node."""
        self._inbox.append(datagram)
        if len(self._inbox) == 1:
            clockwork = self._simulation.clockwork
            clockwork.plan(clockwork.now + self._coalesce, DELIVERY, self._deliver)

    def _deliver(self) -> None:
        if self.stopped:
            return
        now = self._simulation.now
        arrived, self._inbox = self._inbox, []
        plain: list[Datagram] = []
        for datagram in arrived:
            self._simulation.record.note(now, "arrive", self.name, datagram.data)
            if datagram.error is None:
                plain.append(datagram)
            else:
                self.protocol.handle_icmp(datagram.error, now)
        if plain:
            batch = ReceivedBatch.from_arrivals(
                [(datagram.data, datagram.source) for datagram in plain],
                destination=plain[0].destination,
                ecn=[datagram.ecn for datagram in plain],
            )
            self.protocol.handle_datagrams(batch, now)
            if self._oracle is not None:
                self._oracle.arrived(plain, now)
        self._drain(now)

    def _drain(self, now: int) -> None:
        """Poll in the order that the contract prescribes, until the protocol has nothing more."""
        for _ in range(ENDLESS):
            self._send_all(now)
            if not self._tell_all(now):
                self._arm(now)
                return
        raise LabError(f"{self.name} has events without end at {now} ns; {self._simulation.how_to_replay()}")

    def _send_all(self, now: int) -> None:
        for _ in range(ENDLESS):
            transmit = self.protocol.poll_transmit(now)
            if transmit is None:
                return
            datagrams = [
                Datagram(data, self.address, transmit.destination, self.channel, transmit.ecn)
                for data in transmit.batch
            ]
            for datagram in datagrams:
                self._simulation.record.note(now, "send", self.name, datagram.data)
            if self._oracle is not None:
                self._oracle.sending(datagrams, now)
            self.host.send(datagrams)
        raise LabError(f"{self.name} sends without end at {now} ns; {self._simulation.how_to_replay()}")

    def _tell_all(self, now: int) -> bool:
        """Hand out events; whether somebody may have answered one with a command."""
        answered = False
        while (event := self.protocol.poll_event()) is not None:
            if self.on_event is None:
                self.events.append(event)
            else:
                self.on_event(event, now)
                answered = True
        return answered

    def _arm(self, now: int) -> None:
        due = self.protocol.poll_timeout()
        if self._oracle is not None:
            self._oracle.settled(due, now, woken=self._timer_at is None)
        if due == self._timer_at and due is not None and due > now:
            return
        self._timer_version += 1
        self._timer_at = due
        if due is not None:
            version = self._timer_version
            self._simulation.clockwork.plan(due, TIMER, lambda: self._fire(version))

    def _fire(self, version: int) -> None:
        if version != self._timer_version or self.stopped:
            return
        now = self._simulation.now
        self._idle_fires = self._idle_fires + 1 if now == self._last_fire else 0
        self._last_fire = now
        if self._idle_fires > ENDLESS // 100:
            raise LabError(
                f"{self.name} asks to be woken at {now} ns again and again; {self._simulation.how_to_replay()}"
            )
        self._simulation.record.note(now, "timer", self.name)
        self._timer_at = None
        self.protocol.handle_timeout(now)
        self._drain(now)

"""Hosts of the simulator, and the protocols that run on them."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rawproto.addr import IP, IPAddr
from rawproto.errors import LabError
from rawproto.lab.clockwork import DELIVERY, TIMER
from rawproto.protocol import Protocol
from rawproto.wire.batch import ReceivedBatch
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.lab.simlink import SimLink
    from rawproto.lab.simulation import Simulation

__all__ = ["Datagram", "Node", "SimHost"]

Result = TypeVar("Result")
P = TypeVar("P", bound=Protocol)

# Polling a protocol that says "one more" this often at one instant means that it never stops.
ENDLESS = 100_000
# RFC 792: an error quotes the IP header and the first 64 bits behind it; hosts quote more (RFC 1812 section 4.3.2.3).
QUOTE = 548


@dataclasses.dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram on its way.

    Attributes:
        data: what the protocol sent.
        source: address it was sent from.
        destination: address it is going to.
        channel: the IP protocol number (or whatever the nodes agreed on).
        ecn: ECN codepoint.
        error: the ICMP error that it is, or None.
    """

    data: bytes
    source: Any
    destination: Any
    channel: Any
    ecn: int = 0
    error: ICMPError | None = None


def ip_of(address: Any) -> IP:
    """The IP of an address of any kind."""
    ip = getattr(address, "ip", address)
    return ip if isinstance(ip, IP) else IP(ip)


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


class SimHost:
    """A host of the simulator; made by :meth:`rawproto.lab.Simulation.host`.

    Attributes:
        name: its name.
        forwards: whether it passes on what is not for it, as a router does.
        refused: datagrams that no link would take: no route, or longer than the MTU.
        network: of a switch, the number of the network its hosts get addresses from; None for others.
    """

    def __init__(
        self, simulation: Simulation, name: str, forwards: bool = False, network: int | None = None
    ) -> None:
        self.network = network
        self._given = 0
        self.simulation = simulation
        self.name = name
        self.forwards = forwards
        self.refused = 0
        self.links: list[SimLink] = []
        self._addresses: list[IP] = []
        self._nodes: dict[tuple[Any, IP], Node[Any]] = {}

    def __repr__(self) -> str:
        return f"<host {self.name} {', '.join(map(str, self._addresses)) or 'without links'}>"

    def add_address(self, ip: IP) -> None:
        """Give the host an address."""
        self._addresses.append(ip)

    def next_number(self) -> int:
        """Of a switch: the number, from 1, of the next host in its network."""
        self._given += 1
        return self._given

    def owns(self, ip: IP) -> bool:
        """Whether that is one of its addresses."""
        return ip in self._addresses

    def address(self, version: int = 4) -> str:
        """Its first address of that IP version, as text."""
        for ip in self._addresses:
            if ip.version == version:
                return str(ip)
        raise LabError(f"host {self.name} has no IPv{version} address; link it to another host first")

    def addresses(self) -> list[str]:
        """All its addresses, as text."""
        return [str(ip) for ip in self._addresses]

    @property
    def ip4(self) -> IP:
        """Its first IPv4 address."""
        return IP(self.address(4))

    @property
    def ip6(self) -> IP:
        """Its first IPv6 address."""
        return IP(self.address(6))

    def run(
        self,
        protocol: P,
        *,
        address: Any = None,
        channel: Any = 253,
        coalesce: str | float = 0,
        on_event: Callable[[Any, int], None] | None = None,
    ) -> Node[P]:
        """Run a protocol on this host.

        Args:
            protocol: the object; the simulator alone may call it from now on (commands: :meth:`Node.do`).
            address: where it is reached and what it sends from: any address of the host with an ``ip``; by default
                an IPAddr of the host's first IPv4 address. Peers name this very address as destination.
            channel: the IP protocol number; nodes hear only those with the same.
            coalesce: hand over what arrives within this time together, as a network card does that interrupts
                less often; a duration.
            on_event: called with each of the protocol's events and the time.

        Raises:
            LabError: the address is not of this host, or taken.
        """
        from rawproto.lab.units import nanoseconds

        address = IPAddr(self.ip4) if address is None else address
        ip = ip_of(address)
        if ip not in self._addresses:
            raise LabError(
                f"{address} is no address of host {self.name}; it has {', '.join(self.addresses())}"
            )
        if (channel, ip) in self._nodes:
            raise LabError(f"{self._nodes[channel, ip]!r} runs there already")
        node = Node(self, protocol, address, channel, nanoseconds(coalesce, "coalesce"), on_event)
        self._nodes[channel, ip] = node
        node.wake()
        return node

    def stop(self, node: Node[Any]) -> None:
        """Take a node away as a killed process goes: without a word. What comes for it later finds nobody."""
        del self._nodes[node.channel, ip_of(node.address)]
        node.stopped = True

    def send(self, datagrams: list[Datagram]) -> None:
        """Send datagrams, all to one destination, by the link that leads there."""
        if not datagrams:
            return
        ip = ip_of(datagrams[0].destination)
        if ip in self._addresses:
            for datagram in datagrams:
                self.receive(datagram)
            return
        link = self.simulation.next_link(self, ip)
        if link is None:
            self._refuse(datagrams, "no route")
            return
        too_long = [datagram for datagram in datagrams if not link.fits(datagram)]
        if too_long:
            self._refuse(too_long, "longer than the MTU")
            datagrams = [datagram for datagram in datagrams if link.fits(datagram)]
        link.carry(self, datagrams)

    def _refuse(self, datagrams: list[Datagram], why: str) -> None:
        self.refused += len(datagrams)
        for datagram in datagrams:
            self.simulation.record.note(self.simulation.now, "refuse", self.name, datagram.data, why)

    def receive(self, datagram: Datagram) -> None:
        """A datagram came by a link: it is for a node here, to be passed on, or for nobody."""
        ip = ip_of(datagram.destination)
        if ip not in self._addresses:
            if self.forwards:
                self.send([datagram])
            return
        node = self._nodes.get((datagram.channel, ip))
        if node is not None:
            node.put(datagram)
        elif datagram.error is None and self.simulation.icmp:
            self._answer_unreachable(datagram)

    def _answer_unreachable(self, datagram: Datagram) -> None:
        """What a kernel answers when no socket has that protocol (RFC 1122 section 3.2.2.1)."""
        version = ip_of(datagram.destination).version
        # Type and code: RFC 792 (3, 2); RFC 4443 section 3.4 (parameter problem, next header not recognised).
        error = ICMPError(
            kind=ICMPErrorKind.PROTOCOL_UNREACHABLE,
            type=3 if version == 4 else 4,
            code=2 if version == 4 else 1,
            version=version,
            reporter=datagram.destination,
            destination=datagram.destination,
            quoted=datagram.data[:QUOTE],
        )
        self.send(
            [Datagram(error.quoted, datagram.destination, datagram.source, datagram.channel, error=error)]
        )

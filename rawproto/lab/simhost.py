"""Hosts of the simulator: addresses, links, and the nodes that run there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.addr import IP, IPAddr
from rawproto.errors import LabError
from rawproto.lab.datagram import Datagram, ip_of
from rawproto.lab.node import Node
from rawproto.lab.units import nanoseconds
from rawproto.protocol import Protocol
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.lab.simlink import SimLink
    from rawproto.lab.simulation import Simulation

__all__ = ["SimHost"]

P = TypeVar("P", bound=Protocol)

# RFC 792: an error quotes the IP header and the first 64 bits behind it; hosts quote more (RFC 1812 section 4.3.2.3).
QUOTE = 548


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

    def move(self, node: Node[Any], address: Any) -> None:
        """Let a node be reached at, and send from, another address from now on, as behind a NAT that forgot.

        Raises:
            LabError: the address is not of this host, or taken.
        """
        ip = ip_of(address)
        if ip not in self._addresses or self._nodes.get((node.channel, ip), node) is not node:
            raise LabError(f"{node!r} cannot move to {address}: not of host {self.name}, or taken")
        del self._nodes[node.channel, ip_of(node.address)]
        self._nodes[node.channel, ip] = node
        node.address = address

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

"""Links between two hosts of the lab: a bare cable, or a cable with the relay in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.lab import plan, wiring
from rawproto.lab.wiring import Port

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.lab.host import Host

__all__ = ["PlainLink"]


class PlainLink:
    """A bare veth pair: as fast as the kernel, nothing lost, nothing delayed.

    Attributes:
        a: the host at one end.
        b: the host at the other end.
        means: what the link is made of: "veth".
    """

    means = "veth"

    def __init__(
        self,
        number: int,
        a: Host,
        b: Host,
        a_addresses: Sequence[str] | None,
        b_addresses: Sequence[str] | None,
        device_mtu: int,
    ) -> None:
        self.number = number
        self.a, self.b = a, b
        self.a_port = host_port(number, 1, a, a_addresses)
        self.b_port = host_port(number, 2, b, b_addresses)
        wiring.connect(self.a_port, self.b_port, device_mtu)
        plug_in(a, self.a_port, offloads=True)
        plug_in(b, self.b_port, offloads=True)
        introduce(self.a_port, self.b_port)

    def __repr__(self) -> str:
        return f"<link {self.a.name} - {self.b.name} by {self.means}>"

    def close(self) -> None:
        """Nothing to do: the cable goes with its namespaces."""


def host_port(link: int, end: int, host: Host, addresses: Sequence[str] | None) -> Port:
    """The interface that a host gets for a link, with the addresses asked for or those of the plan."""
    planned = plan.addresses_for(link, end) if addresses is None else plan.parse_addresses(addresses)
    return Port(host.namespace, f"eth{len(host.ports)}", plan.mac_for(link, end), planned)


def plug_in(host: Host, port: Port, *, offloads: bool) -> None:
    """Configure a host's end and note it with the host."""
    wiring.configure(port, offloads=offloads)
    host.ports.append(port)


def introduce(one: Port, other: Port) -> None:
    """Tell each end the hardware address of the other."""
    for here, there in ((one, other), (other, one)):
        wiring.add_neighbour(here, [str(address.ip) for address in there.addresses], there.mac)

"""Links between two hosts of the lab: what all have, and the bare cable."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, NoReturn

from rawproto.errors import LabError
from rawproto.lab import plan, wiring
from rawproto.lab.faults import FORWARD, ImpairedLink
from rawproto.lab.settling import settle
from rawproto.lab.switch import Switch
from rawproto.lab.wiring import Port

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from rawproto.lab.counters import DirectionStats
    from rawproto.lab.fates import Decisions
    from rawproto.lab.host import Host
    from rawproto.lab.rules import Rule
    from rawproto.lab.spec import Impairments

__all__ = ["LabLink", "PlainLink", "introduce", "plug_in"]


class LabLink(ImpairedLink):
    """A link of a lab; made by :meth:`rawproto.lab.Lab.link`.

    Attributes:
        a: the host at one end.
        b: the host at the other end.
        a_port: the interface of ``a``.
        b_port: the interface of ``b``.
        means: what the link is made of now: "veth" (a bare cable), "tbf" (the kernel's token bucket) or "relay".
    """

    means: str
    a: Host
    b: Host

    def __init__(
        self,
        number: int,
        a: Host,
        b: Host,
        *,
        a_addresses: Sequence[str] | None,
        b_addresses: Sequence[str] | None,
        words: Mapping[str, Any],
        forward: Mapping[str, Any] | None,
        backward: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(words, forward, backward)
        self.a, self.b = a, b
        self.a_port = _host_port(number, 1, a, b, a_addresses)
        self.b_port = _host_port(number, 2, b, a, b_addresses)

    def __repr__(self) -> str:
        return f"<link {self.a.name} - {self.b.name} by {self.means}>"

    @property
    def namespaces(self) -> tuple[int, ...]:
        """Inode numbers of the network namespaces that the link has for itself."""
        return ()

    @abc.abstractmethod
    def capture(self, path: str | os.PathLike[str] | None, *, limit: int | None = None) -> None:
        """Write what passes to a pcapng file from now on; None ends the capture, as closing the lab does.

        After ``limit`` bytes of packets no more are written.
        """

    @abc.abstractmethod
    def close(self) -> None:
        """Take the link's own processes and namespaces away. Harmless when called again."""


class PlainLink(LabLink):
    """A bare veth pair: as fast as the kernel, nothing lost, nothing delayed. It can go down and up."""

    means = "veth"
    seed = 0

    def __init__(self, number: int, a: Host, b: Host, *, device_mtu: int, **addresses: Any) -> None:
        super().__init__(number, a, b, words={}, forward=None, backward=None, **addresses)
        wiring.connect(self.a_port, self.b_port, device_mtu)
        plug_in(a, self.a_port, offloads=True)
        plug_in(b, self.b_port, offloads=True)
        self._make_ready()

    def _make_ready(self) -> None:
        introduce(self.a_port, self.b_port)
        for port in (self.a_port, self.b_port):
            settle(port)

    def _refuse(self) -> NoReturn:
        raise LabError(f"{self!r} is a bare cable, which cannot do that; make it with relay=True")

    def down(self, toward: object = None) -> None:
        """Take the cable out: the kernel sees the interface without carrier."""
        self._plug(False, toward)

    def up(self, toward: object = None) -> None:
        """Put the cable in again."""
        self._plug(True, toward)

    def _plug(self, up: bool, toward: object) -> None:
        if toward is not None:
            self._refuse()
        # One end down takes the carrier from the other; addresses and routes of that other end stay.
        wiring.set_up(self.a_port, up)
        if up:
            wiring.restore(self.a_port)
            self._make_ready()

    def _apply(self, direction: str, spec: Impairments) -> None:
        if spec != self._specs[direction]:
            self._refuse()

    def _add_rule(self, direction: str, rule: Rule) -> None:
        self._refuse()

    def _release(self, direction: str, token: int) -> int:
        self._refuse()

    def _stats(self, direction: str) -> DirectionStats:
        from rawproto.lab.counters import DirectionStats

        came, left = (self.a_port, self.b_port) if direction == FORWARD else (self.b_port, self.a_port)
        sent, received = wiring.counters(came), wiring.counters(left)
        return DirectionStats(
            received=sent["tx_packets"],
            received_bytes=sent["tx_bytes"],
            delivered=received["rx_packets"],
            delivered_bytes=received["rx_bytes"],
            kernel_dropped=sent["tx_dropped"] + received["rx_dropped"],
        )

    def _decisions(self, direction: str) -> Decisions:
        self._refuse()

    def capture(self, path: str | os.PathLike[str] | None, *, limit: int | None = None) -> None:
        """A bare cable has nobody to write; make the link with ``relay=True``."""
        if path is not None:
            self._refuse()

    def close(self) -> None:
        """Nothing to do: the cable goes with its namespaces."""


def _host_port(link: int, end: int, host: Host, other: Host, addresses: Sequence[str] | None) -> Port:
    """The interface that a host gets for a link, with the addresses asked for or those of the plan."""
    if addresses is not None:
        planned = plan.parse_addresses(addresses)
    elif isinstance(host, Switch):
        planned = ()
    elif isinstance(other, Switch):
        planned = plan.addresses_for(other.network, other.next_number())
    else:
        planned = plan.addresses_for(link, end)
    return Port(host.namespace, f"eth{len(host.ports)}", plan.mac_for(link, end), planned)


def plug_in(host: Host, port: Port, *, offloads: bool) -> None:
    """Configure a host's end and note it with the host."""
    wiring.configure(port, offloads=offloads)
    host.ports.append(port)
    if isinstance(host, Switch):
        wiring.enslave(port, host.BRIDGE)


def introduce(one: Port, other: Port) -> None:
    """Tell each end the hardware address of the other; behind a switch they find one another by themselves."""
    for here, there in ((one, other), (other, one)):
        wiring.add_neighbour(here, [str(address.ip) for address in there.addresses], there.mac)

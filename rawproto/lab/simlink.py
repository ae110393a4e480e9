"""Links of the simulator: the relay's impairment engine in virtual time."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

from rawproto.addr import IP, UDPAddr
from rawproto.lab import plan
from rawproto.lab.clockwork import ARRIVAL
from rawproto.lab.datagram import IP_HEADER, Datagram, ip_of, overhead
from rawproto.lab.delivery import HELD, Delivery
from rawproto.lab.faults import BACKWARD, FORWARD, ImpairedLink
from rawproto.lab.impair import Direction
from rawproto.lab.rules import Packet, Rule, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rawproto.lab.counters import DirectionStats
    from rawproto.lab.fates import Decisions
    from rawproto.lab.rules import Verdict
    from rawproto.lab.simhost import SimHost
    from rawproto.lab.simulation import Simulation
    from rawproto.lab.spec import Impairments

__all__ = ["SimLink"]


class _Way:
    """One direction: its engine, its rules, and what is held on it."""

    def __init__(self, engine: Direction, to: SimHost, place: str) -> None:
        self.engine = engine
        self.to = to
        self.place = place
        self.rules = Rules()
        self.held: list[tuple[int, Datagram]] = []


class SimLink(ImpairedLink):
    """A link of the simulator; made by :meth:`rawproto.lab.Simulation.link`.

    Attributes:
        a: the host at one end.
        b: the host at the other end.
        seed: of all chance on this link.
        device_mtu: longest IP packet in bytes that the hosts hand to the link.
    """

    means = "simulation"
    a: SimHost
    b: SimHost

    def __init__(
        self,
        simulation: Simulation,
        number: int,
        a: SimHost,
        b: SimHost,
        *,
        a_addresses: Sequence[str] | None,
        b_addresses: Sequence[str] | None,
        device_mtu: int,
        seed: int,
        words: Mapping[str, Any],
        forward: Mapping[str, Any] | None,
        backward: Mapping[str, Any] | None,
    ) -> None:
        super().__init__(words, forward, backward)
        self._simulation = simulation
        self.number = number
        self.a, self.b = a, b
        self.seed = seed
        self.device_mtu = device_mtu
        self.ends: dict[IP, SimHost] = {}
        now = simulation.now
        self._ways = {
            direction: _Way(
                Direction(
                    self._specs[direction], seed, direction, now, simulation.allowed(number, direction)
                ),
                to,
                f"{self.other(to).name}->{to.name}",
            )
            for direction, to in ((FORWARD, b), (BACKWARD, a))
        }
        for end, host, texts in ((1, a, a_addresses), (2, b, b_addresses)):
            for address in _addresses(number, end, host, self.other(host), texts):
                if not address.is_link_local:
                    ip = IP(str(address.ip))
                    self.ends[ip] = host
                    host.add_address(ip)
            host.links.append(self)

    def __repr__(self) -> str:
        return f"<link {self.a.name} - {self.b.name} in virtual time, seed {self.seed}>"

    def other(self, host: SimHost) -> SimHost:
        """The host at the other end."""
        return self.b if host is self.a else self.a

    def fits(self, datagram: Datagram) -> bool:
        """Whether the datagram with its headers is no longer than the device's MTU."""
        return len(datagram.data) + overhead(datagram) <= self.device_mtu

    def carry(self, host: SimHost, datagrams: list[Datagram]) -> None:
        """Take datagrams from ``host`` and plan their arrival at the other end."""
        way = self._ways[FORWARD if host is self.a else BACKWARD]
        now = self._simulation.now
        headers = [IP_HEADER[ip_of(datagram.destination).version] for datagram in datagrams]
        sizes = [len(datagram.data) + overhead(datagram) for datagram in datagrams]
        judge = None
        if way.rules:

            def judge(row: int, index: int) -> Verdict | None:
                data = datagrams[row].data
                return way.rules.judge(Packet(data, header=0, index=index, time=now, toward=way.to.name))

        deliveries = way.engine.admit(sizes, now, headers, judge)
        if len(deliveries) != len(datagrams):
            self._note_losses(way, datagrams, deliveries)
        for due, group in itertools.groupby(deliveries, key=lambda delivery: delivery.due):
            arriving = list(group)
            if due == HELD:
                way.held.extend(self._held(datagrams, arriving))
            else:
                self._plan(way, due, [self._shaped(datagrams[item.row], item, way) for item in arriving])

    @staticmethod
    def _held(datagrams: list[Datagram], deliveries: list[Delivery]) -> list[tuple[int, Datagram]]:
        found = []
        for delivery in deliveries:
            assert delivery.verdict is not None
            assert delivery.verdict.hold is not None
            found.append((delivery.verdict.hold, datagrams[delivery.row]))
        return found

    def _note_losses(self, way: _Way, datagrams: list[Datagram], deliveries: list[Delivery]) -> None:
        through = {delivery.row for delivery in deliveries}
        for row, datagram in enumerate(datagrams):
            if row not in through:
                self._simulation.record.note(self._simulation.now, "lose", way.place, datagram.data)

    def _plan(self, way: _Way, due: int, arriving: list[Datagram | None]) -> None:
        def arrive() -> None:
            for datagram in arriving:
                way.engine.stats.delivered += 1
                if datagram is not None:
                    way.engine.stats.delivered_bytes += len(datagram.data) + overhead(datagram)
                    way.to.receive(datagram)

        self._simulation.clockwork.plan(due, ARRIVAL, arrive)

    def _shaped(self, datagram: Datagram, delivery: Delivery, way: _Way) -> Datagram | None:
        """The datagram as it arrives; None when the receiving kernel would not let it through."""
        data = datagram.data
        if delivery.verdict is not None and delivery.verdict.payload is not None:
            data = delivery.verdict.payload
        if delivery.damage is not None:
            at, mask = delivery.damage
            at -= overhead(datagram)
            # A damaged IP header fails its checksum or leads astray; UDP's checksum sees what happened to its payload.
            if at < 0 or datagram.error is not None or isinstance(datagram.destination, UDPAddr):
                self._simulation.record.note(self._simulation.now, "lose", way.place, data, "damaged header")
                return None
            changed = bytearray(data)
            for offset, bits in enumerate(mask):
                changed[at + offset] ^= bits
            data = bytes(changed)
        if data is datagram.data:
            return datagram
        return Datagram(
            data, datagram.source, datagram.destination, datagram.channel, datagram.ecn, datagram.error
        )

    def _apply(self, direction: str, spec: Impairments) -> None:
        self._ways[direction].engine.set(spec, self._simulation.now)

    def _add_rule(self, direction: str, rule: Rule) -> None:
        self._ways[direction].rules.add(rule)

    def _release(self, direction: str, token: int) -> int:
        way = self._ways[direction]
        freed: list[Datagram | None] = [datagram for held, datagram in way.held if held == token]
        way.held = [item for item in way.held if item[0] != token]
        if freed:
            self._plan(way, self._simulation.now, freed)
        return len(freed)

    def _stats(self, direction: str) -> DirectionStats:
        stats = self._ways[direction].engine.stats
        stats.waiting = stats.received + stats.duplicated + stats.copied - stats.delivered - stats.dropped
        return stats

    def _decisions(self, direction: str) -> Decisions:
        return self._ways[direction].engine.decisions()


def _addresses(
    number: int, end: int, host: SimHost, other: SimHost, texts: Sequence[str] | None
) -> tuple[plan.Interface, ...]:
    """The addresses of one end: those asked for, or those of the plan."""
    if texts is not None:
        return plan.parse_addresses(texts)
    if host.network is not None:
        return ()
    if other.network is not None:
        return plan.addresses_for(other.network, other.next_number())
    return plan.addresses_for(number, end)

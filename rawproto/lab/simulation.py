"""The simulator: a lab in virtual time, in which any sans-IO protocol runs and every run can be repeated.

Time jumps from one thing that happens to the next, so a day without traffic costs nothing. All chance comes from one
seed: equal seeds give equal traces, on any machine.
"""

from __future__ import annotations

import hashlib
import random
from collections import deque
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError
from rawproto.lab import plan
from rawproto.lab.clockwork import APPLICATION, Clockwork
from rawproto.lab.record import Record
from rawproto.lab.simhost import SimHost
from rawproto.lab.simlink import SimLink
from rawproto.lab.units import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from rawproto.addr import IP

__all__ = ["Simulation"]


class Simulation:
    """A network of hosts in virtual time, with the topology words of :class:`rawproto.Lab`.

    Durations are text such as "10ms" or seconds; instants, such as :attr:`now`, are nanoseconds from the start.

    Args:
        seed: of all chance; links and :meth:`random` derive theirs from it.
        trace: keep every event, for :attr:`record`'s ``events``.
        faults: the only packets to which chance may do something, each as (number of the link, direction, number
            of the packet); None for all. This is how :mod:`rawproto.lab.shrink` finds those that matter.
        icmp: hosts answer "protocol unreachable" when nobody runs the protocol, as kernels do.
        checks: hold every protocol for which there is an oracle to its rules, packet by packet (see
            :mod:`rawproto.lab.oracle`); what breaks one raises InvariantError.

    Attributes:
        seed: as given.
        checks: as given.
        record: the trace: its ``digest()`` is equal for equal runs.
        clockwork: what is planned.
        shared: what the oracles of several hosts know together.
    """

    def __init__(
        self,
        seed: int = 0,
        *,
        trace: bool = False,
        icmp: bool = True,
        faults: Collection[tuple[int, str, int]] | None = None,
        checks: bool = True,
    ) -> None:
        self.seed = seed
        self.checks = checks
        self._faults = faults
        self.icmp = icmp
        self.clockwork = Clockwork()
        self.shared: dict[str, Any] = {}
        self.record = Record(trace)
        self._hosts: dict[str, SimHost] = {}
        self._links: list[SimLink] = []
        self._routes: dict[tuple[str, IP], SimLink | None] = {}

    def __repr__(self) -> str:
        return f"<simulation, seed {self.seed}, at {self.now / 1e9:.9f} s>"

    @property
    def now(self) -> int:
        """The time, nanoseconds from the start."""
        return self.clockwork.now

    def how_to_replay(self) -> str:
        """What to say with a failure, so that it can be repeated."""
        return f"repeat it with Simulation(seed={self.seed})"

    # ---- topology ---------------------------------------------------------------------------------------------

    def host(self, name: str) -> SimHost:
        """The host called ``name``; made when it is asked for the first time."""
        if name not in self._hosts:
            self._hosts[name] = SimHost(self, name)
        return self._hosts[name]

    def hosts(self, *names: str) -> list[SimHost]:
        """Several hosts by name."""
        return [self.host(name) for name in names]

    def router(self, name: str) -> SimHost:
        """A host that passes on what is not for it."""
        host = self.host(name)
        host.forwards = True
        self._routes.clear()
        return host

    def switch(self, name: str) -> SimHost:
        """A switch: hosts linked to it get addresses of one network."""
        if name not in self._hosts:
            number = plan.FIRST_SWITCH + len(self._hosts)
            self._hosts[name] = SimHost(self, name, forwards=True, network=number)
        switch = self._hosts[name]
        if switch.network is None:
            raise LabError(f"{name} is there already, and no switch")
        return switch

    def link(
        self,
        a: SimHost,
        b: SimHost,
        *,
        a_addresses: Sequence[str] | None = None,
        b_addresses: Sequence[str] | None = None,
        device_mtu: int | None = None,
        seed: int | None = None,
        forward: Mapping[str, Any] | None = None,
        backward: Mapping[str, Any] | None = None,
        **impairments: Any,
    ) -> SimLink:
        """Join two hosts; the arguments are those of :meth:`rawproto.Lab.link`."""
        number = len(self._links)
        link = SimLink(
            self,
            number,
            a,
            b,
            a_addresses=a_addresses,
            b_addresses=b_addresses,
            device_mtu=max(1500, impairments.get("mtu") or 0) if device_mtu is None else device_mtu,
            seed=self._derive(f"link {number}") if seed is None else seed,
            words=impairments,
            forward=forward,
            backward=backward,
        )
        self._links.append(link)
        self._routes.clear()
        return link

    @property
    def links(self) -> tuple[SimLink, ...]:
        """All links, in the order in which they were made."""
        return tuple(self._links)

    def allowed(self, link: int, direction: str) -> list[int] | None:
        """The packets of one direction of a link to which chance may do something; None for all."""
        if self._faults is None:
            return None
        return [index for number, way, index in self._faults if (number, way) == (link, direction)]

    def happened(self) -> list[tuple[int, str, int]]:
        """What chance did to packets so far, in the form of ``faults``."""
        found = []
        for link in self._links:
            for toward, direction in ((link.b, "forward"), (link.a, "backward")):
                fates = link.decisions(toward).fates
                found += [(link.number, direction, index) for index, fate in enumerate(fates) if fate]
        return found

    def heal(self) -> None:
        """Take everything bad off all links: from now on nothing is lost, damaged or out of order."""
        for link in self._links:
            link.heal()

    def next_link(self, host: SimHost, ip: IP) -> SimLink | None:
        """The link by which ``host`` reaches ``ip`` over the fewest routers; None when there is no way."""
        key = (host.name, ip)
        if key not in self._routes:
            self._routes[key] = self._find_link(host, ip)
        return self._routes[key]

    def _find_link(self, host: SimHost, ip: IP) -> SimLink | None:
        ways: deque[tuple[SimHost, SimLink | None]] = deque([(host, None)])
        seen = {host.name}
        while ways:
            place, first = ways.popleft()
            # A link that leads to this very address goes before another link to the same host.
            for link in sorted(place.links, key=lambda link: link.ends.get(ip) is not link.other(place)):
                beyond = link.other(place)
                if beyond.name in seen:
                    continue
                seen.add(beyond.name)
                if beyond.owns(ip):
                    return first or link
                if beyond.forwards:
                    ways.append((beyond, first or link))
        return None

    # ---- chance -----------------------------------------------------------------------------------------------

    def _derive(self, name: str) -> int:
        digest = hashlib.blake2b(f"{self.seed}\0{name}".encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big")

    def random(self, name: str) -> random.Random:
        """A source of chance of its own for each name, the same in every run with this seed."""
        return random.Random(self._derive(f"random {name}"))

    def entropy(self, name: str) -> Callable[[int], bytes]:
        """A stand-in for ``os.urandom`` with the properties of :meth:`random`."""
        return self.random(name).randbytes

    # ---- time -------------------------------------------------------------------------------------------------

    def at(self, time: int, act: Callable[[], Any]) -> None:
        """Have ``act()`` called at an instant, nanoseconds from the start."""
        if time < self.now:
            raise LabError(f"{time} ns has passed; it is {self.now} ns")
        self.clockwork.plan(time, APPLICATION, act)

    def after(self, delay: str | float, act: Callable[[], Any]) -> None:
        """Have ``act()`` called after a duration."""
        self.at(self.now + nanoseconds(delay, "delay"), act)

    def every(self, period: str | float, act: Callable[[], Any], *, until: Callable[[], bool]) -> None:
        """Have ``act()`` called again and again, first after one period, until ``until()`` is true."""
        step = nanoseconds(period, "period")

        def turn() -> None:
            if not until():
                act()
                self.at(self.now + step, turn)

        self.at(self.now + step, turn)

    def step(self) -> bool:
        """Let the next thing happen; false when nothing is planned."""
        return self.clockwork.step()

    def run(self, until: Callable[[], bool] | None = None, *, deadline: str | float | None = None) -> bool:
        """Let things happen until a condition holds.

        Args:
            until: looked at after everything that happens; without it the run goes on until nothing is planned.
            deadline: the longest time it may take, as a duration from now.

        Returns:
            True when ``until`` holds, or without one when nothing is planned any more. False when the deadline came
            first (it is that instant then), or nothing was planned and ``until`` does not hold.
        """
        end = None if deadline is None else self.now + nanoseconds(deadline, "deadline")
        clockwork = self.clockwork
        while until is None or not until():
            following = clockwork.next_time()
            if following is None:
                break
            if end is not None and following > end:
                clockwork.now = end
                return False
            clockwork.step()
        else:
            return True
        if until is None:
            return True
        if end is not None:
            clockwork.now = end
        return False

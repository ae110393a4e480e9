"""A link with a namespace between its two hosts, in which the kernel or the relay does what was asked."""

from __future__ import annotations

import secrets
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from rawproto.errors import LabError
from rawproto.lab import plan, shaper, wiring
from rawproto.lab.fates import Decisions
from rawproto.lab.faults import BACKWARD, FORWARD
from rawproto.lab.links import LabLink, introduce, plug_in
from rawproto.lab.netns import Namespace
from rawproto.lab.process import RelayProcess
from rawproto.lab.settling import settle
from rawproto.lab.shaper import Shaper
from rawproto.lab.wiring import Port

if TYPE_CHECKING:
    import os
    from typing import Any, NoReturn

    from rawproto.lab.children import Children
    from rawproto.lab.counters import DirectionStats
    from rawproto.lab.host import Host
    from rawproto.lab.rules import Rule
    from rawproto.lab.spec import Impairments

__all__ = ["BetweenLink"]


class BetweenLink(LabLink):
    """Two hosts with a namespace between them; made by :meth:`rawproto.lab.Lab.link`.

    Where the kernel does all that is asked it does it alone. As soon as something else is asked the relay takes its
    place: what waits is delivered at once, what comes in that moment may be lost.

    Attributes:
        a: the host at one end.
        b: the host at the other end.
        seed: of all chance on this link.
        means: what does it: "tbf" (the kernel's token bucket) or "relay".
        namespace: what is between them.
    """

    def __init__(
        self,
        number: int,
        a: Host,
        b: Host,
        *,
        device_mtu: int,
        seed: int | None,
        relay: bool | None,
        children: Children,
        **asked: Any,
    ) -> None:
        super().__init__(number, a, b, **asked)
        self.seed = secrets.randbits(32) if seed is None else seed
        self.means = "relay"
        self._children = children
        self._mtu = device_mtu
        self._never = relay is False
        self._lock = threading.RLock()
        self._relay: RelayProcess | None = None
        self._shaper: Shaper | None = None
        self._before: dict[str, DirectionStats] = {}
        by_kernel = not relay and seed is None and all(map(shaper.suffices, self._specs.values()))
        if self._never and not by_kernel:
            self._refuse()
        self.namespace = Namespace(f"link{number}")
        children.watch(self.namespace)
        try:
            self._build(number, by_kernel)
        except BaseException:
            self.close()
            raise

    def _build(self, number: int, by_kernel: bool) -> None:
        a_inner, b_inner = (
            Port(self.namespace, name, plan.mac_for(number, end, relay=True))
            for name, end in (("a", 1), ("b", 2))
        )
        for port, inner in ((self.a_port, a_inner), (self.b_port, b_inner)):
            wiring.connect(port, inner, self._mtu)
            wiring.configure(inner, offloads=False)
        if by_kernel:
            self._try_kernel(a_inner, b_inner)
        plug_in(self.a, self.a_port, offloads=False)
        plug_in(self.b, self.b_port, offloads=False)
        introduce(self.a_port, self.b_port)
        for port in (a_inner, b_inner, self.a_port, self.b_port):
            settle(port)
        if self._shaper is None:
            self._relaying()

    def __repr__(self) -> str:
        chance = "" if self._relay is None else f", seed {self.seed}"
        return f"<link {self.a.name} - {self.b.name} by {self.means}{chance}>"

    @property
    def namespaces(self) -> tuple[int, ...]:
        """The one between the hosts."""
        return (self.namespace.ident,)

    @property
    def process_id(self) -> int | None:
        """Of the relay; None while there is none."""
        return None if self._relay is None else self._relay.pid

    def _try_kernel(self, a_inner: Port, b_inner: Port) -> None:
        try:
            self._shaper = Shaper(a_inner, b_inner, self._mtu, self._specs)
            self.means = "tbf"
        except (OSError, LabError):
            pass  # a kernel without it: the relay does the same

    def _refuse(self) -> NoReturn:
        raise LabError(
            f"the link {self.a.name} - {self.b.name} needs the relay for that, or its kernel has no token bucket: "
            "leave relay=False out"
        )

    def _relaying(self) -> RelayProcess:
        """The relay, which takes over from the kernel if it was not there."""
        with self._lock:
            if self._relay is not None:
                return self._relay
            if self._never:
                self._refuse()
            ends = {FORWARD: self.b.name, BACKWARD: self.a.name}
            relay = RelayProcess(self.namespace, self._children, f"{self.a.name} - {self.b.name}", ends)
            if self._shaper is not None:
                self._before = self._shaper.hand_over()
                self._shaper = None
            relay.begin({"mtu": self._mtu, "seed": self.seed, **self._specs})
            self._relay = relay
            self.means = "relay"
            return relay

    def _apply(self, direction: str, spec: Impairments) -> None:
        with self._lock:
            if self._shaper is not None and shaper.suffices(spec):
                self._shaper.set(direction, spec)
            else:
                self._relaying().command("set", direction, spec)

    def _add_rule(self, direction: str, rule: Rule) -> None:
        self._relaying().add_rule(direction, rule)

    def _release(self, direction: str, token: int) -> int:
        freed: int = self._relaying().command("release", direction, token)
        return freed

    def _stats(self, direction: str) -> DirectionStats:
        with self._lock:
            if self._shaper is not None:
                return self._shaper.stats(direction)
        stats: DirectionStats = self._relaying().command("stats", direction)
        return stats + self._before[direction] if self._before else stats

    def _decisions(self, direction: str) -> Decisions:
        if self._shaper is not None:
            return Decisions(b"")  # nothing was left to chance
        return Decisions(self._relaying().command("decisions", direction))

    def capture(self, path: str | os.PathLike[str] | None, *, limit: int | None = None) -> None:
        """Write what passes to a pcapng file from now on; None ends the capture, as closing the lab does.

        Each end is an interface of the capture: a packet is there when it comes from a host, and again on the other
        end when it is delivered. Wireshark and tshark open the file. After ``limit`` bytes of packets
        no more are written.
        """
        if path is None and self._relay is None:
            return
        where = None if path is None else str(Path(path).absolute())
        self._relaying().command("capture", where, (self.a.name, self.b.name), limit)

    def close(self) -> None:
        """End the relay and let the namespace go. Harmless when called again."""
        if self.namespace.closed:
            return
        if self._relay is not None:
            self._relay.close()
        self.namespace.close()

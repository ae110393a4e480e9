"""What the kernel alone does to the packets of a link: a rate with its queue, and nothing while the link is down.

The two cables of the link meet in a bridge, and a token bucket (tc-tbf(8)) stands where packets leave it. This costs no
process and holds rates that no program reaches. All that has to do with chance, with time or with single packets is the
relay's: see docs/design.md for what netem and nft would do instead.
"""

from __future__ import annotations

import contextlib
import dataclasses
import time
from functools import partial

from rawproto.errors import LabError
from rawproto.lab import qdisc, wiring
from rawproto.lab.counters import DirectionStats
from rawproto.lab.faults import BACKWARD, FORWARD
from rawproto.lab.spec import Impairments
from rawproto.lab.wiring import Port

__all__ = ["Shaper", "suffices"]

BRIDGE = "bridge"
# Less than a byte a second is nothing to a token bucket.
_LOWEST_RATE = 8
# How long what waits may take to leave when the relay takes over; it does so at the speed of the cable.
_DRAINING = 5.0
_ETHERNET = 14


def suffices(spec: Impairments) -> bool:
    """Whether the kernel can do all that is asked of one direction."""
    plain = Impairments(
        rate=spec.rate, limit_packets=spec.limit_packets, limit_bytes=spec.limit_bytes, up=spec.up
    )
    return spec == plain and (spec.rate is None or spec.rate >= _LOWEST_RATE)


class Shaper:
    """The bridge and the token buckets of one link.

    Args:
        a: the inner end of the cable to the link's ``a``, in the link's own namespace.
        b: that of the cable to ``b``.
        mtu: of the link's interfaces.
        specs: what is asked, by direction.

    Raises:
        OSError: this kernel has no token bucket; then there is no bucket and no bridge.
        LabError: likewise, it makes no bridge.
    """

    def __init__(self, a: Port, b: Port, mtu: int, specs: dict[str, Impairments]) -> None:
        self._into = {FORWARD: a, BACKWARD: b}
        self._out = {FORWARD: b, BACKWARD: a}
        self._namespace = a.namespace
        self._mtu = mtu
        self._specs = dict(specs)
        self._counted = dict.fromkeys(specs, 0)
        self._blackholed = dict.fromkeys(specs, 0)
        self._own = dict.fromkeys(specs, (0, 0))
        try:
            for direction, spec in specs.items():
                self._shape(direction, spec)
            wiring.add_bridge(self._namespace, BRIDGE)
            for inner in (a, b):
                wiring.enslave(inner, BRIDGE)
        except (OSError, LabError):
            wiring.remove(Port(self._namespace, BRIDGE, ""))
            self._clear()
            raise

    def set(self, direction: str, spec: Impairments) -> None:
        """Change one direction; what waits in its queue stays."""
        self._count(direction)
        self._specs[direction] = spec
        self._shape(direction, spec)

    def _shape(self, direction: str, spec: Impairments) -> None:
        self._namespace.run(partial(qdisc.shape, self._out[direction].name, spec, self._mtu))

    def _counts(self, direction: str) -> qdisc.Counts:
        return self._namespace.run(partial(qdisc.read, self._out[direction].name))

    def _count(self, direction: str) -> qdisc.Counts:
        """Put down what was dropped since the last time as lost for the reason that held since then."""
        counts = self._counts(direction)
        if not self._specs[direction].up:
            self._blackholed[direction] += counts.dropped - self._counted[direction]
        self._counted[direction] = counts.dropped
        return counts

    def stats(self, direction: str) -> DirectionStats:
        """Counters of one direction; the kernel counts all frames, the relay only IP packets of the hosts' own."""
        counts = self._count(direction)
        own, refused = self._own[direction]
        came, left = wiring.counters(self._into[direction]), wiring.counters(self._out[direction])
        return DirectionStats(
            received=came["rx_packets"],
            received_bytes=came["rx_bytes"] - _ETHERNET * came["rx_packets"],
            delivered=left["tx_packets"] - own,
            delivered_bytes=left["tx_bytes"] - _ETHERNET * left["tx_packets"] - own * qdisc.WAKING_SIZE,
            blackholed=self._blackholed[direction],
            queue_dropped=counts.dropped - self._blackholed[direction] - refused,
            waiting=counts.waiting,
        )

    def hand_over(self) -> dict[str, DirectionStats]:
        """Take bridge and buckets away, so that the relay can stand there; gives the counters of both directions.

        What waits in the queues is delivered first, at once.
        """
        for direction, port in self._out.items():
            self.set(direction, dataclasses.replace(self._specs[direction], rate=None))
            taken = self._namespace.run(partial(qdisc.wake, port.name))
            self._counted[direction] += not taken
            self._own[direction] = (int(taken), int(not taken))
        end = time.monotonic() + _DRAINING
        while any(self._counts(direction).waiting for direction in self._out) and time.monotonic() < end:
            time.sleep(0.001)
        wiring.remove(Port(self._namespace, BRIDGE, ""))
        stats = {direction: dataclasses.replace(self.stats(direction), waiting=0) for direction in self._out}
        self._clear()
        return stats

    def _clear(self) -> None:
        """Take the buckets away, those that are there."""
        for port in self._out.values():
            with contextlib.suppress(OSError):
                self._namespace.run(partial(qdisc.clear, port.name))

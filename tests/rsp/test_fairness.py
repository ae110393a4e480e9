"""Flows that share a bottleneck, in the simulator: shares do not depend on the machine."""

from __future__ import annotations

import pytest

from rawproto import IPAddr, RSPConfig, Simulation
from rawproto.rsp import Endpoint

CHUNK = bytes(64 * 1024)


class Flow:
    """One endless transfer; ``received`` bytes have arrived."""

    def __init__(self, simulation, source, target, congestion):
        self.received = 0
        self.client = self.server = None
        config = RSPConfig(congestion=congestion)
        receiver = target.run(self.endpoint(simulation, target, config), on_event=self.on_received)
        self.listener = receiver.do(lambda endpoint, now: endpoint.listen(1200, now=now))
        sender = source.run(self.endpoint(simulation, source, config), on_event=self.on_sent)
        self.client = sender.do(lambda endpoint, now: endpoint.connect(IPAddr(target.ip4), 1200, now=now))

    @staticmethod
    def endpoint(simulation, host, config):
        return Endpoint(config, entropy=simulation.entropy(host.name), now=simulation.now)

    def on_received(self, event, now):
        self.server = self.server or self.listener.accept()
        if self.server is not None:
            self.received += len(self.server.read(-1, now))

    def on_sent(self, event, now):
        if self.client is not None and self.client.established and not self.client.closed:
            while self.client.writable >= len(CHUNK):
                self.client.write(CHUNK, now)


def shares(congestion, *, rate, delay, limit, seconds):
    """Bytes each flow got in the second half of ``seconds``, as parts of 1."""
    simulation = Simulation(seed=3)
    left, right = simulation.router("left"), simulation.router("right")
    simulation.link(left, right, rate=rate, delay=delay, limit=limit)
    flows = []
    for index, name in enumerate(congestion):
        source, target = simulation.hosts(f"source{index}", f"target{index}")
        simulation.link(source, left, rate="1gbit", delay="0.1ms")
        simulation.link(right, target, rate="1gbit", delay="0.1ms")
        flows.append(Flow(simulation, source, target, name))
    simulation.run(until=lambda: False, deadline=seconds / 2)
    before = [flow.received for flow in flows]
    simulation.run(until=lambda: False, deadline=seconds / 2)
    got = [flow.received - start for flow, start in zip(flows, before, strict=True)]
    assert sum(got) * 8 / (seconds / 2) >= 0.85 * rate, "the bottleneck is not used"
    return [amount / sum(got) for amount in got]


def jain(parts):
    """Jain's index: 1 when all shares are equal, 1/n when one flow has all."""
    return sum(parts) ** 2 / (len(parts) * sum(part * part for part in parts))


@pytest.mark.parametrize("flows", [2, 4])
def test_flows_of_the_default_controller_share_alike(flows):
    parts = shares(["bbr"] * flows, rate=20_000_000, delay="10ms", limit=50, seconds=10)
    assert jain(parts) >= 0.95


def test_beside_cubic_neither_starves():
    # B4 of the catalogue's link: 10 Mbit/s, 15 ms each way, a queue of 25 packets.
    ours, theirs = shares(["bbr", "cubic"], rate=10_000_000, delay="15ms", limit=25, seconds=30)
    assert 0.25 <= ours <= 0.75
    assert 0.25 <= theirs <= 0.75

"""The simulator: virtual time, the calling order of the contract, topology, faults, equal traces for equal seeds."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rawproto import DatagramProtocol, IPAddr, LabError, Protocol, Simulation, UDPAddr
from rawproto.wire import Batch, Transmit

if TYPE_CHECKING:
    from rawproto.lab import Node

MS = 1_000_000
S = 1_000_000_000


class StopAndWait(DatagramProtocol):
    """Sends items one by one, each again and again until it is acknowledged; takes those of its peer in order."""

    RETRY = 50 * MS

    def __init__(self, peer: Any = None) -> None:
        super().__init__()
        self.peer = peer
        self.waiting: list[bytes] = []
        self.number = 0
        self.expected = 0
        self.sent = 0

    def say(self, items: list[bytes], now: int) -> None:
        self.waiting += items
        self._offer(now)

    def _offer(self, now: int) -> None:
        if self.waiting:
            self.send(b"D" + bytes([self.number & 255]) + self.waiting[0], self.peer)
            self.sent += 1
            self.set_timer(now + self.RETRY)

    def timer_expired(self, now: int) -> None:
        self._offer(now)

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        kind, number = data[:1], data[1]
        if kind == b"A":
            if self.waiting and number == self.number & 255:
                self.waiting.pop(0)
                self.number += 1
                self.set_timer(None)
                if not self.waiting:
                    self.emit("done")
                self._offer(now)
            return
        self.send(b"A" + data[1:2], source)
        if number == self.expected & 255:
            self.expected += 1
            self.emit(data[2:])


def pair(simulation: Simulation, **words: Any) -> tuple[Any, Node[StopAndWait], Node[StopAndWait]]:
    a, b = simulation.hosts("a", "b")
    link = simulation.link(a, b, **words)
    receiver = b.run(StopAndWait())
    sender = a.run(StopAndWait(receiver.address))
    return link, sender, receiver


def say(node: Node[StopAndWait], *items: bytes) -> None:
    node.do(lambda protocol, now: protocol.say(list(items), now))


ITEMS = [bytes([65 + number]) * 100 for number in range(20)]


def test_a_clean_link_takes_a_round_trip_an_item(simulation: Simulation) -> None:
    _, sender, receiver = pair(simulation, delay="10ms")
    say(sender, *ITEMS)
    assert simulation.run(lambda: "done" in sender.events)
    assert receiver.events == ITEMS
    assert simulation.now == 20 * 20 * MS
    assert simulation.run()


@pytest.mark.parametrize("seed", range(20))
def test_a_bad_link_is_overcome(seed: int) -> None:
    simulation = Simulation(seed)
    _, sender, receiver = pair(
        simulation, delay="10ms", jitter="5ms", loss=0.2, reorder=0.1, duplicate=0.1, rate="1mbit"
    )
    say(sender, *ITEMS)
    assert simulation.run(lambda: "done" in sender.events, deadline="60s"), simulation.how_to_replay()
    assert receiver.events == ITEMS


def test_a_day_of_idle_time_is_nothing(simulation: Simulation) -> None:
    _, sender, _ = pair(simulation)
    simulation.after("1d", lambda: say(sender, b"good morning"))
    begin = time.thread_time()
    assert simulation.run(lambda: "done" in sender.events)
    assert simulation.now == 86_400 * S
    # Processor time of this thread alone, and generous: a loop over even a thousandth of the day takes longer.
    assert time.thread_time() - begin < 10


def test_the_nth_packet_that_fits(simulation: Simulation) -> None:
    link, sender, receiver = pair(simulation, delay="1ms")
    rule = link.drop(nth=3, when=lambda packet: packet.payload[:1] == b"D", toward="b")
    say(sender, *ITEMS)
    assert simulation.run(lambda: "done" in sender.events)
    assert receiver.events == ITEMS
    assert rule.hits == 1
    assert sender.protocol.sent == 21
    assert link.stats(toward="b").rule_dropped == 1
    assert simulation.now == 20 * 2 * MS + StopAndWait.RETRY


def test_held_packets_and_their_release(simulation: Simulation) -> None:
    link, sender, receiver = pair(simulation, delay="1ms")
    held = link.hold(toward="b", count=3)
    say(sender, b"x")
    assert not simulation.run(lambda: bool(receiver.events), deadline="120ms")
    assert held.hits == 3
    assert link.stats(toward="b").waiting == 3
    assert held.release() == 3
    assert simulation.run(lambda: bool(receiver.events), deadline="0s")
    assert link.stats(toward="b").waiting == 0


def test_udp_damage_is_caught_by_the_kernel(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    link = simulation.link(a, b, corrupt=1.0)
    there = UDPAddr(b.ip4, 7)
    receiver = b.run(StopAndWait(), address=there)
    sender = a.run(StopAndWait(there), address=UDPAddr(a.ip4, 9))
    say(sender, b"x")
    simulation.run(deadline="1s")
    assert link.stats(toward=b).corrupted > 10
    assert receiver.events == []


class Probe(Protocol):
    """Notes the order of calls; sends, tells and wakes as it is told."""

    def __init__(self) -> None:
        self.calls: list[Any] = []
        self.outgoing: list[Transmit] = []
        self.news: list[Any] = []
        self.timeout: int | None = None

    def handle_datagrams(self, batch: Any, now: int) -> None:
        sources = [batch.source_of(index) for index in range(len(batch))]
        self.calls.append(("datagrams", now, list(batch), sources, batch.destination, batch.ecn.tolist()))

    def handle_icmp(self, error: Any, now: int) -> None:
        self.calls.append(("icmp", now, error))

    def handle_timeout(self, now: int) -> None:
        self.calls.append(("timeout", now))
        self.timeout = None

    def poll_transmit(self, now: int) -> Transmit | None:
        self.calls.append("transmit")
        return self.outgoing.pop(0) if self.outgoing else None

    def poll_timeout(self) -> int | None:
        self.calls.append("when")
        return self.timeout

    def poll_event(self) -> Any:
        self.calls.append("event")
        return self.news.pop(0) if self.news else None


def probes(simulation: Simulation, **words: Any) -> tuple[Any, Node[Probe], Node[Probe]]:
    a, b = simulation.hosts("a", "b")
    link = simulation.link(a, b, **words)
    return link, a.run(Probe()), b.run(Probe())


def queue(node: Node[Probe], destination: Any, *datagrams: bytes, ecn: int = 0) -> None:
    node.do(
        lambda probe, now: probe.outgoing.append(Transmit(Batch.from_datagrams(datagrams), destination, ecn))
    )


def test_the_polling_order_of_the_contract(simulation: Simulation) -> None:
    _, near, far = probes(simulation)
    near.protocol.calls.clear()
    near.protocol.news = ["one", "two"]
    queue(near, far.address, b"x")
    assert near.protocol.calls == ["transmit", "transmit", "event", "event", "event", "when"]
    assert near.events == ["one", "two"]
    # With a handler, which may command, everything is polled again after it.
    near.protocol.calls.clear()
    near.protocol.news = ["three"]
    told: list[Any] = []
    near.on_event = lambda event, now: told.append((event, now))
    near.wake()
    assert near.protocol.calls == ["transmit", "event", "event", "transmit", "event", "when"]
    assert told == [("three", 0)]


def test_what_arrives_together_is_one_batch(simulation: Simulation) -> None:
    _, near, far = probes(simulation, delay="2ms")
    queue(near, far.address, b"1", b"2", ecn=1)
    queue(near, far.address, b"3")
    simulation.run()
    ((_, now, datagrams, sources, destination, ecn),) = [
        call for call in far.protocol.calls if len(call) == 6
    ]
    assert (now, datagrams) == (2 * MS, [b"1", b"2", b"3"])
    assert sources == [near.address] * 3
    assert destination == far.address
    assert ecn == [1, 1, 0]


def test_coalescing_waits_for_more(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, rate="8mbit")
    near, far = a.run(Probe()), b.run(Probe(), coalesce="2ms")
    queue(near, far.address, *[bytes(980)] * 4)  # one a millisecond
    simulation.run()
    batches = [(call[1], len(call[2])) for call in far.protocol.calls if call[0] == "datagrams"]
    assert batches == [(3 * MS, 3), (6 * MS, 1)]


def test_datagrams_go_before_a_timer_due_at_the_same_time(simulation: Simulation) -> None:
    _, near, far = probes(simulation, delay="5ms")
    far.protocol.timeout = 5 * MS
    far.wake()
    queue(near, far.address, b"x")
    far.protocol.calls.clear()
    simulation.run()
    assert [call[0] for call in far.protocol.calls if isinstance(call, tuple)] == ["datagrams", "timeout"]


def test_a_timer_moved_or_stopped_does_not_fire_where_it_was(simulation: Simulation) -> None:
    _, near, _ = probes(simulation)
    for due in (10 * MS, 5 * MS, 20 * MS, None, 30 * MS):
        near.protocol.timeout = due
        near.wake()
    simulation.run()
    assert [call for call in near.protocol.calls if isinstance(call, tuple)] == [("timeout", 30 * MS)]


class Restless(Probe):
    def handle_timeout(self, now: int) -> None:
        self.timeout = now


class Talkative(Probe):
    def poll_transmit(self, now: int) -> Transmit | None:
        return Transmit(Batch.from_datagrams([b"x"]), IPAddr("10.0.0.2"))


def test_protocols_that_never_rest_are_stopped(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, loss=1)
    restless = b.run(Restless())
    restless.protocol.timeout = 5
    restless.wake()
    with pytest.raises(LabError, match=r"again and again.*seed=0"):
        simulation.run()
    with pytest.raises(LabError, match="sends without end"):
        a.run(Talkative())


def test_damage_and_changes_reach_the_protocol(simulation: Simulation) -> None:
    link, near, far = probes(simulation, corrupt=1.0)
    queue(near, far.address, *[bytes(100)] * 50)
    simulation.run()
    ((*_, datagrams, _, _, _),) = [call for call in far.protocol.calls if call[0] == "datagrams"]
    assert [int.from_bytes(data, "big").bit_count() for data in datagrams] == [1] * 50
    assert len(set(datagrams)) > 40
    assert link.stats(toward="b").corrupted == 50
    link.heal()
    link.change(lambda payload: payload[::-1], when=lambda packet: len(packet) == 7, toward="b")
    queue(near, far.address, b"8 bytes.", b"7 bytes", b"7 bytes")
    simulation.run()
    assert [call[2] for call in far.protocol.calls if call[0] == "datagrams"][1] == [
        b"8 bytes.", b"setyb 7", b"7 bytes"
    ]  # fmt: skip


def test_nobody_there(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="1ms")
    near = a.run(Probe())
    queue(near, IPAddr(b.ip4), b"anybody?")
    simulation.run()
    ((_, now, error),) = [call for call in near.protocol.calls if call[0] == "icmp"]
    assert now == 2 * MS
    assert error.kind.value == "protocol unreachable"
    assert (error.type, error.code, error.quoted, error.destination) == (3, 2, b"anybody?", IPAddr(b.ip4))
    silent = Simulation(icmp=False)
    a, b = silent.hosts("a", "b")
    silent.link(a, b)
    near = a.run(Probe())
    queue(near, IPAddr(b.ip4), b"anybody?")
    silent.run()
    assert [call for call in near.protocol.calls if call[0] == "icmp"] == []


def test_a_killed_node_neither_hears_nor_wakes(simulation: Simulation) -> None:
    _, near, far = probes(simulation, delay="1ms")
    far.protocol.timeout = 3 * MS
    far.wake()
    queue(near, far.address, b"x")
    far.host.stop(far)
    far.protocol.calls.clear()
    simulation.run()
    assert far.protocol.calls == []
    with pytest.raises(LabError, match="stopped"):
        queue(far, near.address, b"x")
    assert near.protocol.calls[-4:][0][0] == "icmp"


def test_routers_pass_on_by_the_shortest_way(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    near_router, far_router, detour = map(simulation.router, ("r1", "r2", "r3"))
    simulation.link(a, near_router, delay="1ms")
    simulation.link(near_router, detour, delay="1ms")
    simulation.link(detour, far_router, delay="1ms")
    direct = simulation.link(near_router, far_router, delay="10ms")
    simulation.link(far_router, b, delay="1ms")
    near, far = a.run(Probe()), b.run(Probe())
    queue(near, far.address, b"x")
    simulation.run()
    assert [call[1] for call in far.protocol.calls if call[0] == "datagrams"] == [12 * MS]
    assert direct.stats(toward=far_router).delivered == 1
    stranger = simulation.host("stranger")
    simulation.link(stranger, simulation.host("island"))
    queue(near, IPAddr(stranger.ip4), b"x")
    assert a.refused == 1
    # Hosts do not pass on.
    c = simulation.host("c")
    simulation.link(b, c)
    queue(near, IPAddr(c.ip4), b"x")
    assert a.refused == 2


def test_two_links_between_the_same_hosts(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    slow = simulation.link(a, b, delay="50ms")
    fast = simulation.link(a, b, delay="1ms")
    near, far = a.run(Probe()), b.run(Probe(), address=IPAddr(b.addresses()[2]))
    queue(near, far.address, b"x")
    simulation.run()
    assert (slow.stats(toward=b).received, fast.stats(toward=b).received) == (0, 1)


def test_ipv6_and_the_size_of_headers(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    link = simulation.link(a, b, mtu=1400)
    near, far = a.run(Probe(), address=IPAddr(a.ip6)), b.run(Probe(), address=IPAddr(b.ip6))
    queue(near, far.address, bytes(1360), bytes(1361), bytes(1461))
    simulation.run()
    assert [len(call[2]) for call in far.protocol.calls if call[0] == "datagrams"] == [1]
    assert link.stats(toward=b).too_big == 1
    assert a.refused == 1


def test_wrong_addresses_are_refused(simulation: Simulation) -> None:
    a, b = simulation.hosts("a", "b")
    with pytest.raises(LabError, match="no IPv4 address"):
        a.run(Probe())
    simulation.link(a, b)
    with pytest.raises(LabError, match="no address of host a"):
        a.run(Probe(), address=IPAddr("192.0.2.1"))
    a.run(Probe())
    with pytest.raises(LabError, match="runs there already"):
        a.run(Probe())
    a.run(Probe(), channel=254)


def test_deadlines_and_planned_acts(simulation: Simulation) -> None:
    done: list[int] = []
    simulation.after("10ms", lambda: done.append(simulation.now))
    simulation.at(5 * MS, lambda: done.append(simulation.now))
    simulation.every("4ms", lambda: done.append(-simulation.now), until=lambda: len(done) >= 4)
    assert not simulation.run(deadline="7ms")
    assert simulation.now == 7 * MS
    assert simulation.run(lambda: len(done) >= 4, deadline="1s")
    assert done == [-4 * MS, 5 * MS, -8 * MS, 10 * MS]
    assert simulation.run()
    assert not simulation.run(lambda: False, deadline="3ms")
    assert simulation.now == 15 * MS
    with pytest.raises(LabError, match="has passed"):
        simulation.at(1, lambda: None)


def test_chance_has_names_and_is_the_same_each_time() -> None:
    one, same, other = Simulation(1), Simulation(1), Simulation(2)
    assert one.entropy("a")(16) == same.entropy("a")(16)
    assert len({one.random(name).random() for name in "abc"} | {other.random("a").random()}) == 4


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from rawproto import Simulation
from test_simulation import ITEMS, pair, say
simulation = Simulation({seed})
link, sender, receiver = pair(simulation, delay="10ms", jitter="9ms", loss=0.2, reorder=0.2, duplicate=0.1, corrupt=0.1)
say(sender, *ITEMS)
simulation.run(deadline="30s")
print(simulation.record.digest(), simulation.record.count, simulation.now)
"""


def test_equal_seeds_give_equal_traces_in_any_process() -> None:
    def run(seed: int, hash_seed: str) -> str:
        script = SCRIPT.format(folder=str(Path(__file__).parent), seed=seed)
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        done = subprocess.run(
            [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
        )
        return done.stdout

    assert run(7, "1") == run(7, "2") != run(8, "1")


def test_the_trace_tells_what_happened() -> None:
    simulation = Simulation(trace=True)
    link, sender, _ = pair(simulation, delay="1ms")
    link.drop(toward="b")
    say(sender, b"x")
    simulation.run()
    kinds = [event.kind for event in simulation.record.events or ()]
    assert kinds == ["command", "send", "lose", "timer", "send", "arrive", "send", "arrive"]
    assert str((simulation.record.events or [])[1]).split()[:5] == [
        "0.000000000",
        "send",
        "a:253",
        "3",
        "bytes",
    ]

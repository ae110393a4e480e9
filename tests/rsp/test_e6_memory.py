"""The memory of all connections together: E6, E13, F9 and F15 of the reliability catalogue."""

from __future__ import annotations

import random

import numpy as np
import pytest

from rawproto.addr import IP, UDPAddr
from rawproto.errors import ConnectionAborted, ConnectionRefused
from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp import arrivals, inbound, receive_stream, send_stream, sender, train
from rawproto.rsp.config import RSPConfig
from rawproto.rsp.memory import Memory, Share
from rawproto.rsp.sources import source_key
from rawproto.rsp.train import recognise

KIB = 1024
FAST = {"delay": 5 * MILLISECOND, "rate": 1e9}


def connections(p, count):
    """``count`` connections, the dialer's ends and the listener's."""
    listener = p.listen(backlog=1000)
    ends = []
    for _ in range(count):
        client = p.dial()
        p.run(lambda: len(listener) > 0)
        ends.append((client, listener.accept()))
    return ends


class TestReceiving:
    def test_e6_the_cap_holds_and_nothing_acknowledged_is_lost(self, pair, flow):
        # The oracle asserts the cap after every step.
        limit = 80 * KIB
        p = pair(link=FAST, b_config=RSPConfig(memory_limit=limit))
        ends = connections(p, 14)
        data = p.payload(30_000)
        for client, _ in ends:
            writer = flow(client, data)
            writer.half_close = False
            p.flows.append(writer)
        p.run_for(10)
        assert limit // 2 < p.b.memory.used <= limit
        assert sum(server.stats().refused_received for _, server in ends) > 0
        for client, server in ends:
            assert client.stats().bytes_acknowledged <= server.stats().bytes_received
        readers = [flow(server, b"", data) for _, server in ends]
        p.flows += readers
        p.run(lambda: all(len(reader.received) == len(data) for reader in readers), 120)
        for client, server in ends:
            client.close(p.now)
            server.close(p.now)
        p.run(lambda: not p.b.connections and not p.a.connections)
        assert p.b.memory.used == p.a.memory.used == 0

    def test_scarce_memory_shrinks_the_windows(self, pair, flow):
        p = pair(link=FAST, b_config=RSPConfig(memory_limit=400 * KIB))
        [(busy, taking), (other, idle)] = connections(p, 2)
        p.flows.append(flow(other, p.payload(900_000)))
        p.run_for(2)
        assert p.b.memory.scarce
        assert idle.stats().receive_window >= 256 * KIB
        reader = flow(taking)
        writer = flow(busy, p.payload(1_000_000))
        p.flows += [reader, writer]
        start = len(p.packets)
        p.run(lambda: len(reader.received) == 1_000_000, 60)
        assert taking.stats().receive_window == 256 * KIB  # did not grow
        told = [each for each in p.packets[start:] if each.sender == "b" and each.kind == "ACK"]
        mine = [each.window for each in told if each.connection == busy.identifier]
        assert mine[-1] - len(reader.received) <= 256 * KIB
        assert bytes(reader.received) == writer.data

    def test_before_the_accept_it_is_little(self, pair):
        p = pair(link=FAST)
        p.listen(backlog=10)
        client = p.dial()
        p.run(lambda: client.established)
        p.send(client, bytes(1_000_000))
        p.run_for(10)
        assert p.b.memory.used <= 2 * 64 * KIB
        assert client.unacknowledged >= 1_000_000 - 64 * KIB


class TestWriting:
    def test_writers_are_held_back_and_told_when_there_is_room(self, pair, flow):
        limit = 512 * KIB
        p = pair(
            link=FAST, b_config=RSPConfig(memory_limit=limit, send_buffer=256 * KIB), a_config=RSPConfig()
        )
        ends = connections(p, 20)
        data = p.payload(300_000)
        readers = []
        for client, server in ends:
            readers.append(flow(client, b"", data))
            readers[-1].reading = False
            writer = flow(server, data)
            p.flows += [writer, readers[-1]]
        p.run_for(5)
        assert not all(writer.written == len(data) for writer in p.flows if writer.data)
        for reader in readers:
            reader.reading = True
        p.run(lambda: all(len(reader.received) == len(data) for reader in readers), 120)
        assert p.b.stats.stalled == 0

    def test_write_takes_less_and_an_event_says_when_to_try_again(self, pair, flow):
        p = pair(link=FAST, b_config=RSPConfig(memory_limit=128 * KIB))
        [(far, near), (_, other)] = connections(p, 2)
        assert near.write(bytes(1_000_000), p.now) == 112 * KIB
        assert near.write(b"x", p.now) == other.write(b"x", p.now) == other.writable == 0
        p.flows.append(flow(far))
        events = []
        drain = p._drain

        def draining(name, endpoint):
            while (transmit := endpoint.poll_event()) is not None:
                events.append(transmit)
            drain(name, endpoint)

        p._drain = draining
        p.run(lambda: near.delivered, 60)
        p.settle()
        assert other in events
        assert other.writable == 112 * KIB
        assert other.write(bytearray(b"now"), p.now) == 3

    def test_any_bytes_like_may_be_cut(self, pair):
        p = pair(b_config=RSPConfig(memory_limit=64 * KIB))
        [(_, server)] = connections(p, 1)
        assert server.write(memoryview(np.zeros(50_000, dtype=np.uint32)), p.now) == 56 * KIB


class TestNewConnections:
    def test_are_refused_with_a_reason_when_memory_is_used_up(self, pair):
        small = RSPConfig(initial_window=4096, receive_window=4096)
        p = pair(link=FAST, a_config=small, b_config=RSPConfig(memory_limit=128 * KIB))
        [(client, server)] = connections(p, 1)
        server.write(bytes(1_000_000), p.now)
        p.send(client, bytes(8000))  # what arrives may take the last eighth
        p.run_for(1)
        assert p.b.memory.exhausted
        late = p.dial()
        p.run(lambda: late.closed, 20)
        assert isinstance(late.error, ConnectionRefused)
        assert "no room" in str(late.error)
        assert p.b.stats.overloaded == 1
        assert not server.closed


class TestF15Stalled:
    LIMIT = 1024 * KIB

    def attacked(self, pair, flow, take):
        """An endpoint under 16 peers that fetch a lot and for whom ``take`` reads."""
        p = pair(
            link={"delay": 5 * MILLISECOND, "rate": 100e6},
            b_config=RSPConfig(memory_limit=self.LIMIT, send_buffer=192 * KIB),
            a_config=RSPConfig(initial_window=32 * KIB, receive_window=32 * KIB),
        )
        ends = connections(p, 16)
        for client, server in ends:
            writer = flow(server, bytes(1_000_000))
            writer.close = False
            p.flows.append(writer)
            reader = flow(client)
            reader.reading = False
            take(p, client)
            p.flows.append(reader)
        p.run_for(30)
        return p, ends

    def honest(self, p, flow):
        listener = p.listener
        client = p.dial()
        p.run(lambda: len(listener) > 0, 30)
        reader, writer = flow(client), flow(listener.accept(), p.payload(1_000_000))
        p.flows += [reader, writer]
        start = p.now
        p.run(lambda: len(reader.received) == 1_000_000, 60)
        return 1_000_000 / (p.now - start)

    @pytest.mark.parametrize("how", ["nothing", "a byte every ten seconds"])
    def test_the_longest_stalled_go_first_and_others_go_on(self, pair, flow, how):
        def trickle(p, client):
            if how != "nothing":
                for turn in range(9):
                    p.at(10.0 * turn + 1, lambda: client.read(1, p.now))

        alone = pair(link={"delay": 5 * MILLISECOND, "rate": 100e6})
        alone.listen()
        p, ends = self.attacked(pair, flow, trickle)
        alone.endpoints["a"] = pair(a_config=p.configs["a"]).a
        goodput = self.honest(alone, flow)
        assert p.b.memory.scarce
        assert self.honest(p, flow) >= 0.95 * goodput
        assert p.b.stats.stalled == 0
        p.run_for(60)
        assert p.b.stats.stalled > 0
        gone = [index for index, (_, server) in enumerate(ends) if server.closed]
        assert len(gone) == p.b.stats.stalled < len(ends)
        assert gone == list(range(len(gone)))  # in the order in which they stalled
        for index in gone:
            client, server = ends[index]
            assert isinstance(server.error, ConnectionAborted)
            assert "memory is scarce" in str(server.error)
            assert client.closed
        assert self.honest(p, flow) >= 0.95 * goodput

    @pytest.mark.parametrize(
        "peers", [400, pytest.param(10_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])]
    )
    def test_many_peers_that_take_a_byte_every_ten_seconds(self, pair, flow, peers):
        link = {"delay": 5 * MILLISECOND, "rate": 100e6}
        small = RSPConfig(initial_window=4096, receive_window=4096)
        config = RSPConfig(memory_limit=peers * 8 * KIB)
        alone = pair(link=link, a_config=small, b_config=config)
        alone.listen()
        goodput = self.honest(alone, flow)
        p = pair(link=link, a_config=small, b_config=config)
        ends = connections(p, peers)
        for _, server in ends:
            server.write(bytes(12 * KIB), p.now)

        def take():
            for client, _ in ends:
                client.read(1, p.now)
            p.at(p.now / SECOND + 10, take)

        take()
        p.run_for(20)
        assert p.b.memory.scarce
        assert self.honest(p, flow) >= 0.95 * goodput
        assert p.b.stats.stalled == 0
        p.run_for(60)
        gone = [index for index, (_, server) in enumerate(ends) if server.closed]
        assert 0 < len(gone) == p.b.stats.stalled < peers
        assert gone == list(range(len(gone)))  # in the order in which they stalled
        assert not p.b.memory.scarce
        assert self.honest(p, flow) >= 0.95 * goodput

    def test_without_pressure_a_stalled_peer_may_wait(self, pair, flow):
        p = pair(link=FAST)
        [(client, server)] = connections(p, 1)
        p.flows.append(flow(server, p.payload(1_000_000)))
        p.run_for(3600)
        assert not server.closed
        assert not client.closed


class TestF9Sources:
    def test_one_source_cannot_fill_the_backlog(self, pair):
        p = pair()
        listener = p.listen(backlog=64)
        for _ in range(100):
            p.dial()
        p.run_for(5)
        assert len(listener) == 48
        assert p.b.stats.backlog_full > 0

    def test_nor_more_than_its_share(self, pair):
        p = pair(backlog_share=20)
        listener = p.listen(backlog=1000)
        for _ in range(30):
            p.dial()
        p.run_for(5)
        assert len(listener) == 20
        while listener.accept() is not None:
            pass
        p.run_for(5)
        assert len(listener) == 10

    def test_others_get_in(self, pair):
        p = pair()
        listener = p.listen(backlog=40)
        inject, names = p.inject, {"a": "a"}
        p.inject = lambda to, data, *, source="x", at=None, ecn=0: inject(
            "a" if to == "elsewhere" else to, data, source=names.get(source, source), at=at, ecn=ecn
        )
        for _ in range(60):
            p.dial()
        p.run_for(3)
        assert len(listener) == 30
        names["a"] = "elsewhere"
        late = [p.dial() for _ in range(10)]
        p.run_for(1)
        assert len(listener) == 40
        assert all(each.state.name == "ESTABLISHED" for each in late)

    def test_what_counts_as_one_source(self):
        def key(text, port=1):
            return source_key(UDPAddr(IP(text), port))

        assert key("10.0.0.1", 1) == key("10.0.0.1", 2)
        assert key("10.0.0.1") != key("10.0.0.2")
        assert key("2001:db8::1") == key("2001:db8::ffff:1")
        assert key("2001:db8::1") != key("2001:db8:0:1::1")
        assert source_key("anything") == "anything"


class Failing:
    """numpy, whose allocations fail once in a while."""

    def __init__(self, rng, one_in):
        self._rng, self._one_in = rng, one_in
        self.failures = 0

    def __getattr__(self, name):
        value = getattr(np, name)
        if name not in ("empty", "zeros", "full", "frombuffer", "concatenate"):
            return value

        def allocate(*args, **options):
            if self._rng.random() * self._one_in < 1:
                self.failures += 1
                raise MemoryError
            return value(*args, **options)

        return allocate


class TestE13OutOfMemory:
    @pytest.mark.parametrize("together", [0, MILLISECOND], ids=["packet by packet", "in batches"])
    @pytest.mark.parametrize("seed", range(8))
    def test_a_connection_dies_cleanly_and_the_endpoint_lives(self, pair, flow, monkeypatch, seed, together):
        p = pair(seed=seed, link={**FAST, "loss": 0.02})
        p.coalesce = together
        p.listen(backlog=1000)
        failing = Failing(random.Random(seed), 100)
        for module in (inbound, receive_stream, send_stream, sender, train):
            monkeypatch.setattr(module, "np", failing)
        data = p.payload(30_000)
        failed = 0
        while failed < 2:
            try:
                client, server = p.open(limit=20)
            except (AssertionError, MemoryError):
                continue  # it died in the handshake
            ends = [flow(client, data, data), flow(server, data, data)]
            for each in ends:
                each.tick = forgiving(each)
            p.flows = ends
            p.run(
                lambda ends=ends: all(e.connection.closed for e in ends) or any(e.failed for e in ends), 200
            )
            for each in ends:
                each.connection.abort(p.now)
            p.flows = []
            p.run(lambda: not p.a.connections and not p.b.connections, 200)
            whole = all(len(each.received) == len(data) for each in ends)
            failed += not whole
        assert failing.failures >= failed
        monkeypatch.undo()
        client, server = p.transfer(data, data)
        assert server.received == client.received == data
        assert p.a.memory.used == p.b.memory.used == 0

    def test_a_train_without_memory_ends_its_connection_and_no_other(self, pair, monkeypatch):
        p = pair(link=FAST)
        [(client, server), (other, _)] = connections(p, 2)
        data = p.payload(15_000)
        client.write(data, p.now)  # with the probes of the path that go between the first packets
        p.run(lambda: server.readable == len(data))
        p.coalesce = 20 * MILLISECOND
        trains = []
        monkeypatch.setattr(
            arrivals, "recognise", lambda batch: trains.append(recognise(batch)) or trains[-1]
        )
        monkeypatch.setattr(receive_stream, "np", Failing(random.Random(), 1))
        client.write(data[:6000], p.now)
        p.run(lambda: server.closed)
        assert trains[-1] is not None
        monkeypatch.undo()
        assert p.b.stats.out_of_memory == 1
        other.write(data, p.now)
        p.run(lambda: other.stats().bytes_acknowledged == len(data))


def forgiving(each):
    """The flow's tick, for an application to which the process's want of memory is told."""
    tick = each.tick
    each.failed = False

    def ticking(now):
        try:
            return not each.failed and tick(now)
        except (MemoryError, ConnectionAborted, ConnectionResetError):
            each.failed = True
            return True

    return ticking


class TestMemory:
    def test_what_is_given_back_wakes_who_waits_once(self):
        memory = Memory(1000)
        share, told = Share(memory), []
        share.take(900)
        memory.wait(share, lambda: told.append(1))
        share.take(-100)
        assert not told
        share.take(-100)
        share.take(-100)
        assert told == [1]

    def test_a_share_that_is_closed_holds_nothing(self):
        memory = Memory(1000)
        share, told = Share(memory), []
        share.take(300)
        memory.wait(share, lambda: told.append(1))
        share.close()
        share.take(50)
        assert (memory.used, told) == (0, [])

    def test_the_levels(self):
        memory = Memory(1000)
        seen = []
        for used in (500, 501, 751, 876):
            memory.take(used - memory.used)
            seen.append((memory.scarce, memory.pressed, memory.exhausted))
        assert seen == [(False,) * 3, (True, False, False), (True, True, False), (True,) * 3]

    def test_who_has_little_waiting_may_write_when_others_have_much(self):
        memory = Memory(1 << 20)
        hog, small = Share(memory), Share(memory)
        hog.take(600_000)
        assert hog.write_room(600_000, 10_000) == 0
        assert small.write_room(0, 10_000) == 10_000
        assert small.write_room(0, 0) == 4 * KIB
        assert small.write_room(3 * KIB, 0) == 1 * KIB

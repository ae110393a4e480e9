"""Resources and time: the lines E3 to E9, I1, I4 and I7 of the reliability catalogue, as far as the core goes."""

from __future__ import annotations

import gc
import itertools
import tracemalloc

import pytest

from rawproto.errors import ConnectionReset, OpError
from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.state import State


def traced_in_rsp():
    """Bytes held that were allocated by rawproto.rsp, the rig's own records apart."""
    kept = [tracemalloc.Filter(True, "*/rawproto/rsp/*")]
    gc.collect()
    snapshot = tracemalloc.take_snapshot().filter_traces(kept)
    return sum(trace.size for trace in snapshot.statistics("filename"))


class TestE3ManyConnections:
    def test_all_finish_and_nothing_is_left(self, pair, flow):
        p = pair(link={"rate": 1e9, "loss": 0.01})
        p.coalesce = 100_000
        p.listen(backlog=1000)
        data = p.payload(2000)
        clients = [flow(p.dial(), data, data) for _ in range(200)]
        servers = []

        def serve(connection):
            servers.append(flow(connection, data, data))
            return servers[-1]

        p.serve = serve
        p.flows += clients
        p.run(lambda: all(each.connection.closed for each in p.flows) and len(servers) == 200)
        assert all(bytes(each.received) == data for each in p.flows)
        assert p.a.connections == p.b.connections == []
        for endpoint in (p.a, p.b):
            assert endpoint.poll_timeout() is None
            assert endpoint.poll_transmit(p.now) is None
        assert {name for name, table in p.tables("a").items() if table} <= {"_recent"}
        assert {name for name, table in p.tables("b").items() if table} <= {"_recent", "listeners", "ports"}

    def test_idle_connections_are_small(self, pair):
        p = pair()
        p.listen(backlog=1000)
        tracemalloc.start()
        try:
            for _ in range(5):
                p.dial()
            p.run_for(0.2)
            before = tracemalloc.get_traced_memory()[0]
            p.packets.clear()
            for _ in range(100):
                p.dial()
            p.run_for(0.2)
            p.packets.clear()
            each = (tracemalloc.get_traced_memory()[0] - before) / 200
        finally:
            tracemalloc.stop()
        assert len(p.a.connections) == 105
        assert each <= 6 * 1024

    def test_after_a_transfer_and_a_silence_they_are_small_again(self, pair, flow):
        p = pair(link={"rate": 1e9})
        p.listen(backlog=1000)
        data = p.payload(1_000_000)

        def exchange(client, server, up, down):
            p.flows = [flow(client, up), flow(server, down)]
            for each in p.flows:
                each.half_close = False
            p.run(lambda: [len(each.received) for each in p.flows] == [len(down), len(up)])
            p.flows.clear()
            p.packets.clear()

        exchange(*p.open(), data, data)  # what is made once is made now
        tracemalloc.start()
        try:
            client, server = p.open()
            exchange(client, server, data, data)
            busy = traced_in_rsp()
            p.run_for(5)
            idle = traced_in_rsp()
        finally:
            tracemalloc.stop()
        assert busy > 30_000
        assert idle <= 24 * 1024  # both ends, and what the endpoints keep for them
        # What was forgotten is not missed: it goes on in both directions.
        exchange(client, server, data[:5000], data[:3000])

    def test_the_timers_of_idle_connections_do_not_run(self, pair):
        p = pair()
        p.listen(backlog=1000)
        for _ in range(50):
            p.dial()
        p.run_for(5)
        assert p.a.poll_timeout() is None
        assert p.b.poll_timeout() is None


class TestE7NobodyAccepts:
    def test_the_backlog_is_the_limit(self, pair):
        p = pair(handshake_timeout=3.0)
        listener = p.listen(backlog=16)
        for _ in range(100):
            p.dial()
        p.run_for(10)
        assert len(listener) == len(p.b.connections) == 16
        assert len(p.a.connections) == 16


class TestE8NobodyReads:
    def test_what_is_held_stays_within_the_window(self, pair, flow):
        p = pair(link={"rate": 1e9}, receive_window=100_000, initial_window=50_000)
        client, server = p.open()
        p.flows.append(flow(client, p.payload(1_000_000)))
        p.run_for(30)
        assert server.readable == 50_000
        assert server._core.receiver.stream.memory <= 100_000
        assert client.unacknowledged == 950_000

    def test_e6_what_was_acknowledged_is_never_dropped(self, pair, flow):
        p = pair(seed=6, link={"rate": 1e8, "loss": 0.05}, receive_window=20_000, initial_window=20_000)
        client, server = p.open()
        sender = flow(client, p.payload(300_000))
        p.flows.append(sender)
        got = bytearray()
        for _ in range(3000):
            p.run_for(0.02)
            assert client.stats().bytes_acknowledged <= server.stats().bytes_received
            got += server.read(3000, p.now)
            if server.at_eof:
                break
        assert got == sender.data


class TestE9WriterNeverStops:
    @pytest.mark.parametrize("limit", [1000, 100_000])
    def test_write_takes_no_more_than_the_buffer(self, pair, limit):
        p = pair(send_buffer=limit)
        client = p.dial()
        assert client.write(bytes(1 << 20), 0) == limit
        assert client.write(b"x", 0) == 0
        assert client.writable == 0


class TestE11Ports:
    def test_used_up_is_said_clearly(self, pair):
        p = pair(source_port_range=(6000, 6009))
        for _ in range(10):
            p.dial()
        with pytest.raises(OpError, match="all local ports from 6000 to 6009 are taken"):
            p.dial()

    def test_come_back_when_the_connection_is_over(self, pair):
        p = pair(source_port_range=(6000, 6000))
        p.listen()
        for _ in range(5):
            client = p.dial()
            p.run(lambda c=client: c.established)
            client.abort(p.now)
            p.settle()

    def test_the_choice_is_spread(self, pair):
        p = pair()
        ports = [p.dial().local for _ in range(200)]
        assert len(set(ports)) == 200
        assert max(ports) - min(ports) > 10_000
        steps = {later - earlier for earlier, later in itertools.pairwise(ports)}
        assert len(steps) > 150

    def test_a_port_taken_is_said_clearly(self, pair):
        p = pair()
        p.listen()
        with pytest.raises(OpError, match="port 1200 is taken"):
            p.b.listen(1200, now=0)
        with pytest.raises(OpError, match="port 1200 is taken"):
            p.b.connect("a", 5, local_port=1200, now=0)


class TestTime:
    @pytest.mark.parametrize("offset", [0, 10**9, 10**18, 2**62])
    def test_i1_the_clock_may_start_anywhere(self, pair, offset):
        p = pair(link={"loss": 0.05}, seed=1)
        p.now = offset
        p.listen()
        client, server = p.transfer(p.payload(50_000))
        assert server.received == client.data

    @pytest.mark.parametrize("blocked", [10, 100, 1000])
    def test_i4_a_blocked_loop_reads_acknowledgements_before_timers_fire(self, pair, blocked):
        p = pair(link={"rate": 50e6, "delay": 10 * MILLISECOND, "queue": SECOND})
        client, server = p.open()
        p.send(client, p.payload(400_000))
        p.run_for(0.02)
        for _ in range(5):
            p.coalesce = blocked * MILLISECOND
            following = p.next_time()
            if following is None:
                break
            p.step(following)
            p.coalesce = 0
            p.settle()
            server.read(-1, p.now)
        p.run(lambda: (bool(server.read(-1, p.now)) and False) or client.unacknowledged == 0)
        assert client.stats().packets_lost == 0
        assert client.stats().probes == 0

    def test_polling_early_or_often_is_harmless(self, pair):
        p = pair(link={"loss": 0.05}, seed=3)
        p.listen()
        client, server = p.open()
        data = p.payload(30_000)
        p.send(client, data)
        got = bytearray()

        def poke():
            for endpoint in (p.a, p.b):
                endpoint.handle_timeout(p.now)
            got.extend(server.read(-1, p.now))
            return len(got) == len(data)

        p.run(poke)
        assert got == data


class TestI7Restart:
    def test_old_packets_get_one_reset_and_new_connections_work(self, pair):
        p = pair()
        old, _ = p.open()
        p.send(old, b"before")
        p.run_for(1)
        restarted = type(p)(seed=99).b
        p.listener = restarted.listen(1200, now=p.now)
        p.endpoints["b"] = restarted
        p.send(old, b"after")
        p.run(lambda: old.closed, 5)
        assert isinstance(old.error, ConnectionReset)
        assert len([packet for packet in p.sent("b") if packet.kind == "RESET"]) == 1
        new, server = p.open()
        assert server.readable == 0
        assert new.state is State.ESTABLISHED

    def test_a_confirm_for_the_instance_before_is_not_taken(self, pair):
        p = pair(handshake_timeout=4.0)
        p.listen()
        p.links["a"].drop = lambda packet: packet.kind == "CONFIRM"
        client = p.dial()
        p.run(lambda: client.state is State.CONFIRMING)
        p.endpoints["b"] = type(p)(seed=99).b
        p.listener = p.endpoints["b"].listen(1200, now=p.now)
        p.links["a"].drop = None
        p.run(lambda: client.closed)
        assert p.b.stats.cookies_rejected > 0
        assert p.b.connections == []
        assert client.error is not None

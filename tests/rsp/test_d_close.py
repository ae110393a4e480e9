"""The end of a connection: the lines D1 to D10 of the reliability catalogue."""

from __future__ import annotations

import pytest

from rawproto import Simulation
from rawproto.errors import ClosedError, ConnectionAborted, ConnectionReset, OpError
from rawproto.lab.swarm import rsp_transfer
from rawproto.protocol import SECOND
from rawproto.rsp.state import State


def all_over(p):
    return p.a.connections == [] and p.b.connections == []


class TestD1Orders:
    @pytest.mark.parametrize("first", ["a", "b", "both"])
    def test_active_passive_and_simultaneous_close(self, pair, first):
        p = pair()
        client, server = p.open()
        ends = {"a": [client, server], "b": [server, client], "both": [client, server]}[first]
        ends[0].close(p.now)
        if first != "both":
            p.run(lambda: ends[1].at_eof)
        ends[1].close(p.now)
        p.run(lambda: client.closed and server.closed)
        assert (client.error, server.error) == (None, None)
        assert all_over(p)
        assert p.a.poll_timeout() is None

    @pytest.mark.parametrize("size", [0, 1, 100, 1448, 1449, 50_000])
    def test_the_end_with_data(self, pair, size):
        p = pair()
        client, server = p.transfer(p.payload(size), p.payload(size))
        assert server.received == client.data
        assert client.received == server.data
        assert (client.error, server.error) == (None, None)

    @pytest.mark.parametrize("times", range(1, 13))
    @pytest.mark.parametrize("direction", ["a", "b"])
    def test_the_end_lost(self, pair, times, direction):
        p = pair(linger=10_000.0, idle_timeout=10_000.0)
        lost = []
        p.links[direction].drop = lambda packet: (
            packet.fin and len(lost) < times and (lost.append(packet) or True)
        )
        client, server = p.transfer(p.payload(3000), p.payload(2000), limit=9000)
        assert server.received == client.data
        assert client.received == server.data
        assert len(lost) == times
        assert (client.error, server.error) == (None, None)

    def test_the_end_arrives_before_what_precedes_it(self, pair):
        p = pair()
        dropped = []
        p.links["a"].drop = lambda packet: (
            packet.stream is not None
            and packet.stream[0] == 0
            and not dropped
            and (dropped.append(1) or True)
        )
        client, server = p.transfer(p.payload(6000))
        assert dropped
        assert server.received == client.data
        assert (client.error, server.error) == (None, None)

    @pytest.mark.parametrize("seed", range(40))
    def test_both_ends_close_through_a_bad_link(self, pair, seed):
        p = pair(seed=seed, link={"loss": 0.3, "duplicate": 0.2, "reorder": 0.3})
        client, server = p.transfer(p.payload(3000), p.payload(4000))
        assert server.received == client.data
        assert client.received == server.data
        assert (client.error, server.error) == (None, None)
        assert all_over(p)


@pytest.mark.parametrize("first", ["a", "b"])
def test_d2_half_close_then_much_the_other_way(pair, first):
    p = pair(link={"rate": 100e6})
    size = 2_000_000
    client, server = p.transfer(
        p.payload(size) if first == "b" else b"", p.payload(size) if first == "a" else b""
    )
    assert server.received == client.data
    assert client.received == server.data
    with pytest.raises(ClosedError):
        client.connection.write(b"x", p.now)


class TestD3UnreadData:
    def test_closing_with_unread_data_resets(self, pair):
        p = pair()
        client, server = p.open()
        p.send(client, b"nobody will read this")
        p.run(lambda: server.readable > 0)
        server.close(p.now)
        p.run(lambda: client.closed)
        assert isinstance(client.error, ConnectionReset)
        assert "does not read" in str(client.error)
        assert server.error is None

    def test_data_that_arrives_after_closing_resets(self, pair):
        p = pair()
        client, server = p.open()
        server.close(p.now)
        p.run(lambda: client.at_eof)
        p.send(client, b"too late")
        p.run(lambda: client.closed and server.closed)
        assert isinstance(client.error, ConnectionReset)

    def test_the_reset_lost_is_said_again_with_its_reason(self, pair):
        p = pair(b_to_a={"drop": None})
        client, server = p.open()
        p.links["b"].drop = lambda packet: packet.kind == "RESET" and len(p.sent("b", "RESET")) == 1
        p.send(client, b"first")
        p.run(lambda: server.readable > 0)
        server.close(p.now)
        p.run(lambda: client.closed, 10)
        assert "does not read" in str(client.error)


class TestD4PendingData:
    def test_closed_with_the_congestion_window_full(self, pair):
        p = pair(link={"rate": 2e6})
        client, server = p.open()
        data = p.payload(300_000)
        p.send(client, data)
        p.run_for(0.05)
        client.close(p.now)
        got = bytearray()
        p.run(lambda: bool(got.extend(server.read(-1, p.now))) or server.at_eof)
        server.close(p.now)
        p.run(lambda: client.closed and server.closed)
        assert got == data
        assert client.error is None

    def test_closed_against_a_closed_window_the_linger_time_is_told(self, pair):
        p = pair(initial_window=1000, receive_window=1000, linger=7.0)
        client, server = p.open()
        p.send(client, bytes(5000))
        p.run_for(1)
        client.close(p.now)
        start = p.now
        p.run(lambda: client.closed)
        assert p.now - start == pytest.approx(7 * SECOND, rel=0.01)
        assert isinstance(client.error, TimeoutError)
        assert "within 7 s" in str(client.error)
        p.run(lambda: server.closed)
        assert server.error is not None

    def test_closed_against_a_closed_window_that_opens(self, pair):
        p = pair(initial_window=1000, receive_window=1000)
        client, server = p.open()
        data = p.payload(5000)
        p.send(client, data)
        p.run_for(1)
        client.close(p.now)
        p.run_for(5)
        got = bytearray()
        p.run(lambda: bool(got.extend(server.read(-1, p.now))) or server.at_eof)
        assert got == data

    def test_closed_while_a_tail_loss_is_being_probed(self, pair):
        p = pair()
        client, server = p.open()
        p.links["a"].drop = lambda packet: packet.stream is not None and packet.number < 3
        p.send(client, b"tail")
        p.settle()
        client.close(p.now)
        p.run(lambda: server.at_eof or (bool(server.read(-1, p.now)) and server.at_eof))
        server.close(p.now)
        p.run(lambda: client.closed and server.closed)
        assert (client.error, server.error) == (None, None)

    def test_closed_before_the_listener_was_heard(self, pair):
        # The CONFIRM is lost, data overtakes it and is unknown there: that must not end the connection.
        p = pair()
        p.links["a"].drop = lambda packet: packet.kind == "CONFIRM" and len(p.sent("a", "CONFIRM")) < 3
        listener = p.listen()
        client = p.dial()
        p.run(lambda: client.state is State.CONFIRMING)
        p.send(client, b"short and sweet")
        client.close(p.now)
        p.run(lambda: len(listener) > 0)
        server = listener.accept()
        p.run(lambda: server.readable > 0)
        assert server.read(-1, p.now) == b"short and sweet"
        server.close(p.now)
        p.run(lambda: client.closed and server.closed)
        assert (client.error, server.error) == (None, None)


class TestD5PeerNeverCloses:
    def test_is_let_go_after_a_minute(self, pair):
        p = pair()
        client, server = p.open()
        client.close(p.now)
        p.run(lambda: server.at_eof)
        start = p.now
        p.run(lambda: client.closed, 100)
        assert p.now - start == pytest.approx(60 * SECOND, rel=0.01)
        assert client.error is None
        p.run(lambda: server.closed)
        assert isinstance(server.error, ConnectionReset)

    def test_keepalive_does_not_put_it_off(self, pair):
        p = pair(keepalive=10.0)
        client, server = p.open()
        client.close(p.now)
        p.run(lambda: server.at_eof)
        start = p.now
        p.run(lambda: client.closed, 100)
        assert p.now - start <= 61 * SECOND


class TestD6LastAcknowledgement:
    @pytest.mark.parametrize("direction", ["a", "b"])
    def test_lost_for_good_both_sides_still_end_well(self, pair, direction):
        p = pair()
        client, server = p.open()
        client.close(p.now)
        p.run(lambda: server.at_eof)
        server.close(p.now)
        p.links[direction].drop = lambda packet: packet.kind == "ACK"
        p.run(lambda: client.closed and server.closed, 200)
        assert (client.error, server.error) == (None, None)
        assert all_over(p)

    @pytest.mark.parametrize("others", [0, 1])
    def test_the_last_connection_stays_until_any_peer_has_repeated_its_end(self, pair, others):
        # The listener's one packet is its answer and its end, and the word that it arrived is lost: it has no round
        # trip to go by. Nobody would answer it behind the last connection of the dialer's endpoint.
        p = pair()
        p.listen()
        kept = [p.dial() for _ in range(others)]
        client = p.dial()
        p.run(lambda: len(p.listener) == 1 + others)
        server = [p.listener.accept() for _ in range(1 + others)][-1]
        p.links["a"].drop = lambda packet: packet.kind == "ACK"
        p.send(client, b"a question")
        client.close_write(p.now)
        p.run(lambda: server.at_eof or server.readable)
        server.read(-1, p.now)
        p.send(server, b"the answer")
        server.close(p.now)
        p.run(lambda: client.readable)
        client.read(-1, p.now)
        client.close(p.now)
        p.run(lambda: client.state is State.DRAINING)
        since = p.now
        p.links["a"].drop = None
        p.run(lambda: client.closed, 5)
        assert (p.now - since > SECOND) is not bool(others)
        p.run(lambda: server.closed, 5)
        assert (client.error, server.error) == (None, None)
        assert not any(each.closed for each in kept)

    def test_a_peer_gone_for_good_is_given_up(self, pair):
        p = pair(linger=20.0)
        client, server = p.open()
        p.links["a"].up = False
        server.close(p.now)
        p.run(lambda: server.closed, 100)
        assert isinstance(server.error, TimeoutError)
        assert client.state is State.ESTABLISHED

    def test_the_answer_is_given_also_where_others_share_the_packets(self, pair):
        # On raw sockets several endpoints see the same packets; who ended the connection knows it was its own.
        class Others:
            def listens(self, port):
                return False

            def present(self):
                return True

        p = pair()
        p.a._strangers._neighbours = Others()
        client, server = p.open()
        client.close(p.now)
        p.run(lambda: server.at_eof)
        server.close(p.now)
        p.links["a"].drop = lambda packet: packet.kind == "ACK"
        p.run(lambda: client.closed and server.closed, 25)
        assert (client.error, server.error) == (None, None)


class TestD7QuietTime:
    def draining(self, pair):
        p = pair()
        client, server = p.open()
        client.close(p.now)
        server.close(p.now)
        p.run(lambda: client.state is State.DRAINING)
        return p, client, server

    def test_an_old_end_is_acknowledged_again(self, pair):
        p, client, _ = self.draining(pair)
        fin = next(packet for packet in p.sent("b") if packet.fin)
        before = len(p.sent("a", "ACK"))
        p.inject("a", fin.data, source="b")
        p.step(p.now)
        p.settle()
        assert len(p.sent("a", "ACK")) == before + 1
        assert client.state is State.DRAINING

    def test_it_ends_by_itself_and_without_error(self, pair):
        p, client, server = self.draining(pair)
        p.run(lambda: client.closed and server.closed, 5)
        assert (client.error, server.error) == (None, None)

    def test_a_new_connection_between_the_same_ports_is_a_new_one(self, pair):
        p = pair()
        p.listen()
        first = p.dial(local_port=5000)
        p.run(lambda: first.established)
        first.abort(p.now)
        p.run(lambda: p.a.connections == [])
        second = p.dial(local_port=5000)
        p.run(lambda: second.state is State.ESTABLISHED)
        assert second.identifier != first.identifier
        old = p.sent("b", "ACK")[0]
        p.inject("a", old.data, source="b")
        p.run_for(1)
        assert second.state is State.ESTABLISHED


def in_state(p, name):
    """(connection, its endpoint's name) in a state, the peer's answers held back where that is needed."""
    listener = p.listen()
    client = p.dial()
    p.settle()
    if name == "SYN_SENT":
        return client
    p.links["b"].drop = (lambda packet: packet.kind != "COOKIE") if name == "CONFIRMING" else None
    p.run(lambda: client.state.name in ("CONFIRMING" if name == "CONFIRMING" else "ESTABLISHED"))
    if name in ("CONFIRMING", "ESTABLISHED"):
        return client
    client.close(p.now)
    if name == "DRAINING":
        p.run(lambda: len(listener) > 0)
        listener.accept().close(p.now)
        p.run(lambda: client.state is State.DRAINING)
    if name == "CLOSED":
        client.abort(p.now)
    return client


@pytest.mark.parametrize("name", [state.name for state in State])
class TestD9AbortInEveryState:
    def test_abort(self, pair, name):
        p = pair()
        client = in_state(p, name)
        assert client.state.name == name
        client.abort(p.now)
        assert client.closed
        p.run_for(120)
        assert all_over(p) or (name == "CONFIRMING" and p.a.connections == [])
        assert client.error is None

    def test_every_command_in_every_state(self, pair, name):
        for command in ("close", "close_write", "read", "write", "readinto", "abort"):
            p = pair()
            client = in_state(p, name)
            arguments = {"read": (-1,), "write": (b"x",), "readinto": (memoryview(bytearray(10)),)}
            try:
                getattr(client, command)(*arguments.get(command, ()), p.now)
            except OpError:
                assert command == "write"
            p.run_for(200)
            assert client.stats().state in {state.value for state in State}


class TestD10PeerKilled:
    def test_while_data_is_owed_the_idle_timeout_tells(self, pair):
        p = pair(idle_timeout=20.0)
        client, _ = p.open()
        p.links["a"].up = False
        p.send(client, b"into the void")
        start = p.now
        p.run(lambda: client.closed, 60)
        assert isinstance(client.error, TimeoutError)
        assert isinstance(client.error, ConnectionAborted)
        assert "not heard for 20 s" in str(client.error)
        assert p.now - start <= 21 * SECOND

    @pytest.mark.parametrize("side", ["client", "server"])
    def test_an_idle_connection_with_keepalive_notices(self, pair, side):
        p = pair(keepalive=15.0, idle_timeout=30.0)
        client, server = p.open()
        for direction in p.links.values():
            direction.up = False
        connection = client if side == "client" else server
        p.run(lambda: connection.closed, 60)
        assert isinstance(connection.error, TimeoutError)

    def forget(self, p):
        """Have another connection end 125 s from now: what ended before the last 120 s is then forgotten."""

        def come_and_go():
            passing = p.dial()
            p.at(p.now / SECOND + 1, lambda: passing.abort(p.now))

        p.at(p.now / SECOND + 124, come_and_go)

    @pytest.mark.parametrize(("keepalive", "word"), [(15.0, "the peer aborted"), (150.0, "no longer knows")])
    def test_an_idle_connection_whose_peer_aborted_unheard_learns_of_it(self, pair, keepalive, word):
        # The RESET goes out once. When it is lost the next packet is answered: with the reason for as long as the
        # ended connection is remembered, then in ignorance of it.
        p = pair(keepalive=keepalive, idle_timeout=30.0)
        client, server = p.open()
        p.run_for(1)
        p.links["b"].drop = lambda packet: packet.kind == "RESET"
        server.abort(p.now)
        p.settle()
        assert [packet.fate for packet in p.sent("b", "RESET")] == ["dropped"]
        p.links["b"].drop = None
        start = p.now
        self.forget(p)
        p.run(lambda: client.closed, 200)
        assert isinstance(client.error, ConnectionReset)
        assert word in str(client.error)
        assert p.now - start <= (keepalive + 0.1) * SECOND
        assert [packet.kind for packet in p.packets[-2:]] == ["PROBE", "RESET"]

    def test_an_aborted_dialer_whose_port_is_free_again_is_missed_in_the_end(self, pair):
        # Behind 120 s nobody answers for the port any more: the idle timeout of the question tells.
        p = pair(keepalive=150.0, idle_timeout=30.0)
        client, server = p.open()
        p.run_for(1)
        p.links["a"].drop = lambda packet: packet.kind == "RESET"
        client.abort(p.now)
        p.settle()
        p.links["a"].drop = None
        self.forget(p)
        p.run(lambda: server.closed, 200)
        assert isinstance(server.error, TimeoutError)

    def test_an_idle_connection_with_keepalive_lives_while_the_peer_does(self, pair):
        p = pair(keepalive=15.0, idle_timeout=30.0)
        client, server = p.open()
        p.run_for(600)
        assert client.state is server.state is State.ESTABLISHED
        assert len(p.sent("a", "PROBE")) <= 41

    def test_an_idle_connection_without_keepalive_is_silent_for_ever(self, pair):
        p = pair()
        client, server = p.open()
        p.run_for(1)
        before = len(p.packets)
        p.run_for(86400)
        assert len(p.packets) == before
        assert client.state is server.state is State.ESTABLISHED

    def test_a_peer_that_restarted_says_so_at_once(self, pair):
        p = pair()
        client, _server = p.open()
        restarted = pair(seed=1)
        restarted.listen()
        p.endpoints["b"] = restarted.b
        p.send(client, b"do you know me?")
        p.run(lambda: client.closed, 5)
        assert isinstance(client.error, ConnectionReset)
        assert "restarted" in str(client.error)


def test_a_late_reset_for_a_connection_that_ended_by_itself_is_not_answered(pair):
    p = pair()
    client, server = p.open()
    client.abort(p.now)
    server.abort(p.now)
    p.run()
    assert all_over(p)
    assert len(p.sent("a", "RESET")) == len(p.sent("b", "RESET")) == 1


def test_a_listener_that_closes_leaves_accepted_connections_alone(pair):
    p = pair()
    client, server = p.open()
    waiting = p.dial()
    p.run(lambda: len(p.listener) == 1)
    p.listener.close(p.now)
    p.run(lambda: waiting.closed)
    assert isinstance(waiting.error, ConnectionReset)
    p.send(client, b"still here")
    p.run(lambda: server.readable == 10)
    late = p.dial()
    p.run(lambda: late.closed)
    assert isinstance(late.error, ConnectionRefusedError)


def test_the_application_hears_of_an_end_whose_last_word_is_on_a_packet_declared_lost():
    # Found by the campaign: data declared lost is acknowledged after the end was, and nothing else moves.
    faults = [(0, "forward", 0), *((0, "backward", index) for index in (3, 4, 10, 12, 24))]
    rsp_transfer(Simulation(4290, faults=faults))


class TestD11GracefulStop:
    """A server stops with 1,000 connections: no new ones, what was written arrives, nothing is left after 30 s."""

    def test_all_drain_and_nothing_is_left(self, pair):
        p = pair(link={"rate": 1e9})
        p.coalesce = 100_000
        listener = p.listen(backlog=2000)
        servers = []
        clients = []
        for _ in range(1000):
            clients.append(p.dial())
            if len(clients) % 100 == 0:
                p.run_for(0.1)
                while (found := listener.accept()) is not None:
                    servers.append(found)
        assert len(servers) == 1000
        silent = {each.identifier for each in clients[:20]}  # these have vanished
        p.oracle.on_sent = lambda *_: None
        inject = p.inject
        p.inject = lambda to, data, **options: (
            None if int.from_bytes(data[8:16], "big") in silent else inject(to, data, **options)
        )
        for server in servers:
            p.send(server, b"the last word")
        stopped = p.now
        listener.close(p.now)
        for server in servers:
            server.close(p.now)
        late = p.dial()
        waiting = dict.fromkeys(clients[20:])

        def finish():
            for client in list(waiting):
                if client.at_eof or client.readable:
                    assert client.read(-1, p.now) in (b"the last word", b"")
                if client.at_eof:
                    client.close(p.now)
                    del waiting[client]
            return not p.b.connections

        p.run(finish, 60)
        assert p.now - stopped <= 31 * SECOND
        assert not waiting
        assert isinstance(late.error, ConnectionRefusedError)
        assert p.b.idle
        assert p.b.memory.used == 0
        assert {name for name, table in p.tables("b").items() if table} <= {"_recent"}

"""Resets and openings that do not belong: the lines F1, F2 and F4 of the reliability catalogue (RFC 5961)."""

from __future__ import annotations

import pytest

from rawproto.errors import ConnectionReset
from rawproto.rsp import checks
from rawproto.rsp.handshake import Terms, hello_packet
from rawproto.rsp.header import Kind, Reset, RSPFlags
from rawproto.rsp.reasons import Reason
from rawproto.rsp.state import State

PORT = 1200


def reset(connection, number, reason=Reason.ABORTED, *, echo=False):
    flags = RSPFlags(RSPFlags.ECHO if echo else 0)
    packet = Reset(
        kind=Kind.RESET, flags=flags, port=PORT, connection=connection, number=number, reason=int(reason)
    )
    return checks.fill_one(bytes(packet))


def talking(pair, **settings):
    """Two ends that have exchanged five packets each way and are quiet."""
    p = pair(**settings)
    client, server = p.open()
    for _ in range(5):
        p.send(client, b"ping")
        p.run_for(0.2)
        p.send(server, server.read(-1, p.now))
        p.run_for(0.2)
        client.read(-1, p.now)
    return p, client, server


def expected(connection):
    return connection._core.receiver.acks.largest + 1


class TestF1Number:
    def test_exact_it_ends_the_connection(self, pair):
        p, client, _ = talking(pair)
        p.deliver("a", reset(client.identifier, expected(client)))
        assert isinstance(client.error, ConnectionReset)

    @pytest.mark.parametrize("beyond", [1, 2, 1000, 1 << 20])
    def test_a_little_more_is_questioned_once_and_the_living_peer_answers(self, pair, beyond):
        p, client, server = talking(pair)
        before = len(p.sent("a"))
        p.deliver("a", reset(client.identifier, expected(client) + beyond))
        p.run_for(60)
        assert [packet.kind for packet in p.sent("a")[before:]] == ["PROBE"]
        assert client.state is server.state is State.ESTABLISHED

    @pytest.mark.parametrize("beyond", [(1 << 20) + 1, 1 << 40, -1, -2])
    def test_outside_there_is_silence(self, pair, beyond):
        p, client, _ = talking(pair)
        before = len(p.packets)
        p.deliver("a", reset(client.identifier, (expected(client) + beyond) % (1 << 64)))
        p.run_for(60)
        assert len(p.packets) == before
        assert client.state is State.ESTABLISHED

    @pytest.mark.parametrize("reason", [Reason.REFUSED, Reason.VERSION])
    def test_an_answer_to_the_handshake_is_late_once_the_peer_was_heard(self, pair, reason):
        """A copy of the SYN came to an endpoint when the listener had closed."""
        p = pair()
        client, server = p.open()
        for name, end in (("a", client), ("b", server)):
            p.deliver(name, reset(end.identifier, expected(end), reason))
        p.run_for(60)
        assert client.state is server.state is State.ESTABLISHED

    def test_a_wrong_check_is_silence(self, pair):
        p, client, _ = talking(pair)
        packet = bytearray(reset(client.identifier, expected(client)))
        packet[-1] ^= 1
        p.deliver("a", bytes(packet))
        assert client.state is State.ESTABLISHED
        assert client.stats().corrupted_received == 1


class TestF1TheRealPeer:
    def test_gone_with_packets_lost_its_reset_is_believed_after_a_while(self, pair):
        # The RESET is right, but packets before it are lost, and nobody is there any more to answer the question.
        p, client, server = talking(pair)
        p.links["b"].drop = lambda packet: packet.kind != "RESET"
        p.send(server, b"lost")
        p.settle()
        server.abort(p.now)
        p.settle()
        p.links["a"].up = False
        start = p.now
        p.run(lambda: client.closed, 10)
        assert isinstance(client.error, ConnectionReset)
        assert "aborted" in str(client.error)
        assert p.now - start < 10**9

    def test_there_but_without_the_connection_it_says_why(self, pair):
        p, client, server = talking(pair)
        p.links["b"].drop = lambda packet: packet.kind != "RESET"
        p.send(server, b"lost")
        p.settle()
        server.abort(p.now)
        start = p.now
        p.run(lambda: client.closed, 10)
        assert "aborted" in str(client.error)
        assert p.now - start < 10**8
        assert p.sent("b", "RESET")[-1].flags & RSPFlags.ECHO

    def test_a_question_lost_is_asked_again(self, pair):
        p, client, server = talking(pair)
        dropped = []
        p.links["a"].drop = lambda packet: (
            packet.kind == "PROBE" and len(dropped) < 1 and (dropped.append(1) or True)
        )
        p.deliver("a", reset(client.identifier, expected(client) + 5))
        p.run_for(60)
        assert dropped
        assert client.state is server.state is State.ESTABLISHED


class TestF1EveryState:
    @pytest.mark.parametrize("beyond", [0, 1, -1])
    def test_syn_sent(self, pair, beyond):
        p = pair(handshake_timeout=5.0)
        client = p.dial()
        p.links["a"].up = False
        p.settle()
        p.deliver("a", reset(client.identifier, beyond % (1 << 64), Reason.REFUSED))
        assert client.closed is (beyond == 0)

    def test_confirming(self, pair):
        p = pair()
        p.listen()
        p.links["a"].drop = lambda packet: packet.kind == "CONFIRM"
        client = p.dial()
        p.run(lambda: client.state is State.CONFIRMING)
        p.deliver("a", reset(client.identifier, 7))
        assert client.state is State.CONFIRMING
        p.deliver("a", reset(client.identifier, 0))
        assert client.closed

    def test_closing(self, pair):
        p, client, _ = talking(pair)
        client.close(p.now)
        p.run_for(1)
        assert client.state is State.CLOSING
        p.deliver("a", reset(client.identifier, expected(client) + 1))
        p.run_for(1)
        assert client.state is State.CLOSING
        p.deliver("a", reset(client.identifier, expected(client)))
        assert client.closed

    def test_draining_takes_no_notice(self, pair):
        # RFC 1337: a reset must not shorten the quiet time.
        p, client, server = talking(pair)
        client.close(p.now)
        server.close(p.now)
        p.run(lambda: client.state is State.DRAINING)
        p.deliver("a", reset(client.identifier, expected(client)))
        assert client.state is State.DRAINING
        p.run(lambda: client.closed and server.closed)
        assert (client.error, server.error) == (None, None)


class TestF1Echo:
    @pytest.mark.parametrize("number", [0, 3, 1 << 30, (1 << 64) - 1])
    def test_of_an_old_or_unknown_packet_is_silence(self, pair, number):
        p, client, _ = talking(pair)
        p.deliver("a", reset(client.peer_identifier, number, Reason.UNKNOWN, echo=True))
        assert client.state is State.ESTABLISHED

    def test_of_our_own_identifier_is_silence(self, pair):
        # ECHO bears the identifier that we sent to, never the one that is sent to us.
        p, client, _ = talking(pair)
        p.send(client, b"x")
        p.settle()
        number = p.sent("a")[-1].number
        p.deliver("a", reset(client.identifier, number, Reason.UNKNOWN, echo=True))
        assert client.state is State.ESTABLISHED


class TestF2Openings:
    def test_a_syn_to_a_living_connection_is_questioned_and_changes_nothing(self, pair):
        p, client, server = talking(pair)
        before = len(p.sent("a"))
        for identifier in (1, 2, 3):
            terms = Terms(PORT, client.local, identifier, 1000, 1400, 3)
            p.deliver("a", hello_packet(Kind.SYN, terms, 0), source="b")
        p.run_for(10)
        kinds = [packet.kind for packet in p.sent("a")[before:]]
        assert set(kinds) == {"PROBE"}
        assert len(kinds) <= 3
        assert client.state is server.state is State.ESTABLISHED

    def test_a_syn_to_the_listener_from_a_connected_port_touches_nothing(self, pair):
        p, client, server = talking(pair)
        before = len(p.sent("b"))
        p.deliver("b", hello_packet(Kind.SYN, Terms(client.local, PORT, 5, 1000, 1400, 3), 0), source="a")
        p.run_for(1)
        assert [packet.kind for packet in p.sent("b")[before:]] == ["COOKIE"]
        assert server.state is State.ESTABLISHED
        assert len(p.b.connections) == 1

    def test_a_peer_that_restarted_and_dials_back_is_found_out(self, pair):
        p = pair()
        client = p.a.connect("b", 7000, local_port=7000, now=0)
        other = p.b.connect("a", 7000, local_port=7000, now=0)
        p.run(lambda: client.state is other.state is State.ESTABLISHED)
        p.run_for(1)
        p.endpoints["b"] = type(p)(seed=77).b
        again = p.b.connect("a", 7000, local_port=7000, now=p.now)
        p.run(lambda: client.closed, 10)
        assert isinstance(client.error, ConnectionReset)
        p.run_for(40)
        assert again.closed


class TestF4ChallengeFlood:
    @pytest.mark.parametrize("echo", [False])
    def test_no_more_than_ten_in_five_seconds(self, pair, echo):
        p, client, _ = talking(pair)
        before = len(p.sent("a", "PROBE"))
        for _ in range(1000):
            p.deliver("a", reset(client.identifier, expected(client) + 9, echo=echo))
            terms = Terms(PORT, client.local, 5, 1000, 1400, 3)
            p.deliver("a", hello_packet(Kind.SYN, terms, 0), source="b")
            p.run_for(0.005)
        assert 1 <= len(p.sent("a", "PROBE")) - before <= 20
        p.run_for(1)
        assert client.state is State.ESTABLISHED

    def test_the_limit_differs_from_period_to_period(self, pair):
        p, client, _ = talking(pair, seed=3)
        counts = set()
        for _ in range(12):
            before = len(p.sent("a", "PROBE"))
            for _ in range(100):
                terms = Terms(PORT, client.local, 5, 1000, 1400, 3)
                p.deliver("a", hello_packet(Kind.SYN, terms, 0), source="b")
                p.run_for(0.01)
            counts.add(len(p.sent("a", "PROBE")) - before)
            p.run_for(10)
        assert len(counts) > 1
        assert max(counts) <= 10

    def test_one_connection_does_not_use_up_another_ones(self, pair):
        p, client, _ = talking(pair)
        second = p.dial()
        p.run(lambda: second.state is State.ESTABLISHED)
        p.run_for(1)
        for _ in range(50):
            terms = Terms(PORT, client.local, 5, 1000, 1400, 3)
            p.deliver("a", hello_packet(Kind.SYN, terms, 0), source="b")
        before = len(p.sent("a", "PROBE"))
        p.deliver("a", reset(second.identifier, expected(second) + 1))
        assert len(p.sent("a", "PROBE")) == before + 1


@pytest.mark.parametrize("skew", [0, 1, 5, 14, 15, 16, 29, 40, 100])
@pytest.mark.parametrize("seed", range(4))
def test_a8_simultaneous_open(pair, skew, seed):
    # 15 ms one way: within that time the SYNs cross, and one connection comes of it; later one clear error each.
    p = pair(seed=seed, link={"rate": None})
    ends = {}

    def dial(name):
        other = "b" if name == "a" else "a"
        ends[name] = p.endpoints[name].connect(other, 7000, local_port=7000, now=p.now)

    first, second = ("a", "b") if seed % 2 else ("b", "a")
    dial(first)
    p.at(skew / 1000, lambda: dial(second))
    p.run(
        lambda: len(ends) == 2 and all(end.closed or end.state is State.ESTABLISHED for end in ends.values()),
        10,
    )
    one, other = ends["a"], ends["b"]
    if one.closed or other.closed:
        assert skew >= 15
        assert one.closed
        assert other.closed
        assert isinstance(one.error, ConnectionRefusedError)
        assert isinstance(other.error, ConnectionRefusedError)
        return
    assert skew <= 15
    assert (one.identifier, one.peer_identifier) == (other.peer_identifier, other.identifier)
    p.send(one, b"to the right")
    p.send(other, b"to the left")
    p.run(lambda: one.readable == 11 and other.readable == 12)
    assert (one.read(-1, p.now), other.read(-1, p.now)) == (b"to the left", b"to the right")
    one.close(p.now)
    other.close(p.now)
    p.run(lambda: one.closed and other.closed)
    assert (one.error, other.error) == (None, None)
    assert p.a.idle
    assert p.b.idle


@pytest.mark.parametrize("seed", range(60))
def test_a8_simultaneous_open_on_a_bad_link(pair, seed):
    p = pair(seed=seed, link={"loss": 0.3, "reorder": 0.3, "duplicate": 0.3}, handshake_timeout=300.0)
    ends = [p.endpoints[name].connect(other, 7000, local_port=7000, now=0) for name, other in ("ab", "ba")]
    p.run(lambda: all(end.state is State.ESTABLISHED for end in ends), 300)
    for end in ends:
        p.send(end, bytes(5000))
        end.close_write(p.now)
    p.run(
        lambda: (
            all(bool(end.read(-1, p.now)) or end.at_eof for end in ends) and all(end.at_eof for end in ends)
        ),
        300,
    )
    assert len(p.a.connections) == len(p.b.connections) == 1

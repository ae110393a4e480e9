"""Handshake: the lines A1 to A14 of the reliability catalogue."""

from __future__ import annotations

import itertools
import math

import pytest

from rawproto.errors import ConfigError, ConnectionRefused
from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp import checks
from rawproto.rsp.handshake import MIN_DATAGRAM, Terms, hello_packet
from rawproto.rsp.header import Hello, Kind
from rawproto.rsp.reasons import Reason
from rawproto.rsp.state import State

PORT = 1200


def hello_of(packet):
    return Hello.parse(packet.data)[0]


def test_a1_clean_link_one_handshake_in_two_round_trips(pair):
    p = pair(link={"delay": 15 * MILLISECOND})
    client, server = p.transfer(p.payload(1000), p.payload(1000))
    assert [packet.kind for packet in p.packets[:3]] == ["SYN", "COOKIE", "CONFIRM"]
    assert len(p.sent("a", "SYN")) == len(p.sent("b", "COOKIE")) == len(p.sent("a", "CONFIRM")) == 1
    # Everything has been said after two round trips; the rest is the quiet time after the close.
    spoken = max(packet.at for packet in p.packets if packet.stream)
    assert spoken <= 1.1 * 2 * 30 * MILLISECOND
    assert server.received == client.data


def test_a2_750_ms_one_way_still_one_connection(pair):
    p = pair(link={"delay": 750 * MILLISECOND})
    client, server = p.transfer(p.payload(1000), p.payload(1000))
    times = [packet.at for packet in p.sent("a", "SYN")]
    assert times[0] == 0
    assert len(times) == 2  # RFC 6298: again after one second; then the COOKIE is there
    assert abs(times[1] - SECOND) <= SECOND // 10
    assert server.received == client.data
    assert p.b.stats.accepted == 1
    assert client.connection.stats().rtt_minimum >= 1.5


def test_a2_silence_is_answered_by_waiting_longer(pair):
    p = pair(handshake_timeout=20.0)
    p.links["a"].up = False
    client = p.dial()
    p.run(lambda: client.closed)
    times = [packet.at / SECOND for packet in p.sent("a", "SYN")]
    waits = [later - sooner for sooner, later in itertools.pairwise(times)]
    assert all(
        abs(wait - due) <= due / 10 for wait, due in zip(waits, [1, 2, 3, 3, 3, 3, 3, 3], strict=False)
    )
    assert len(waits) in (6, 7, 8)
    assert len(set(waits)) == len(waits)  # never at regular times (F16)
    assert p.now == 20 * SECOND
    assert isinstance(client.error, TimeoutError)
    assert "no answer to the handshake" in str(client.error)
    assert p.a.idle


@pytest.mark.parametrize("seed", range(60))
def test_a3_30_percent_loss_in_bursts(pair, seed):
    p = pair(seed=seed, link={"loss": 0.3, "burst": 3})
    client, server = p.transfer(p.payload(1000))
    assert server.received == client.data
    assert p.b.stats.accepted == 1


@pytest.mark.long
def test_a3_30_percent_loss_many_connections(pair):
    for seed in range(3000):
        p = pair(seed=seed, link={"loss": 0.3, "burst": 3})
        client, server = p.transfer(p.payload(1000))
        assert server.received == client.data


def test_a4_the_failure_rate_is_that_of_the_retries(pair):
    # Without a cap on bursts a handshake fails when each of the SYN tries (11 in 30 s) or their COOKIEs is lost,
    # or when the CONFIRM tries in what remains are: with limits of 4 s there are 3 SYN tries, and 0.51 ** 3 = 13 %
    # of the dials do not even get a COOKIE. The number seen must agree with that, not with luck.
    tries, failed, dials = 3, 0, 400
    for seed in range(dials):
        p = pair(seed=seed, link={"loss": 0.3, "delay": MILLISECOND}, handshake_timeout=5.0)
        p.listen()
        client = p.dial()
        p.run(lambda c=client: c.state is not State.SYN_SENT)
        failed += client.closed
        assert len(p.sent("a", "SYN")) <= tries
    expected = 0.51**tries
    spread = 2.58 * math.sqrt(dials * expected * (1 - expected))
    assert abs(failed - dials * expected) < spread


@pytest.mark.parametrize("speaks", ["client", "server", "nobody"])
@pytest.mark.parametrize("direction", ["a", "b"])
def test_a5_any_of_the_first_packets_dropped(pair, flow, speaks, direction):
    data = bytes(range(256)) * 20
    up, down = (data, b"") if speaks == "client" else (b"", data if speaks == "server" else b"")
    for subset in range(256):
        p = pair(seed=subset, handshake_timeout=60.0)
        p.links[direction].drop = lambda packet, subset=subset: (
            packet.nth < 8 and bool(subset >> packet.nth & 1)
        )
        client, server = p.transfer(up, down, limit=200)
        assert (bytes(server.received), bytes(client.received)) == (up, down)
        assert client.error is None
        assert server.error is None


def test_a6_first_confirm_lost_data_comes_anyway(pair):
    p = pair()
    p.links["a"].drop = lambda packet: packet.kind == "CONFIRM" and len(p.sent("a", "CONFIRM")) == 1
    client, server = p.transfer(p.payload(5000))
    assert server.received == client.data
    assert client.error is None
    assert len(p.sent("a", "CONFIRM")) == 2


@pytest.mark.parametrize("lost", [1, 3, 5])
def test_a7_server_speaks_first_and_the_confirm_is_lost(pair, lost):
    p = pair()
    p.links["a"].drop = lambda packet: packet.kind == "CONFIRM" and len(p.sent("a", "CONFIRM")) <= lost
    client, server = p.transfer(b"", p.payload(3000))
    assert client.received == server.data
    assert len(p.sent("a", "CONFIRM")) == lost + 1
    # The listener says nothing unprompted before.
    first = next(packet for packet in p.sent("b") if packet.kind not in ("COOKIE", "RESET"))
    assert len(p.sent("b", "COOKIE")) == 1
    assert first.at > p.sent("a", "CONFIRM")[-1].at


def test_a7_the_first_answers_to_the_confirm_are_lost(pair):
    p = pair()
    p.links["b"].drop = lambda packet: packet.kind != "COOKIE" and packet.nth < 4
    client, server = p.open()
    assert client.state is State.ESTABLISHED
    assert p.b.stats.accepted == 1
    assert len(p.sent("a", "CONFIRM")) >= 2
    p.run_for(60)
    assert server.state is State.ESTABLISHED


class TestA9NobodyThere:
    def test_a_syn_to_a_closed_port_is_refused_at_once(self, pair):
        p = pair()
        client = p.dial()
        p.run(lambda: client.closed)
        assert isinstance(client.error, ConnectionRefused)
        assert "nobody listens" in str(client.error)
        assert [packet.kind for packet in p.packets] == ["SYN", "RESET"]
        assert len(p.packets[1].data) < len(p.packets[0].data)
        assert p.a.idle

    @pytest.mark.parametrize("kind", [Kind.COOKIE, Kind.ACK, Kind.RESET])
    def test_answers_to_nothing_are_not_answered(self, pair, kind):
        p = pair()
        p.listen()
        hello = hello_packet(kind, Terms(PORT, PORT, 7, 1, 1400, 3), 99)
        p.inject("b", hello)
        p.run()
        assert p.packets == []

    def test_a_confirm_to_a_closed_port_gets_one_reset(self, pair):
        p = pair()
        p.inject("b", hello_packet(Kind.CONFIRM, Terms(PORT, PORT, 7, 1, 1400, 3), 99))
        p.run()
        assert [packet.kind for packet in p.packets] == ["RESET"]
        assert p.b.idle

    def test_an_endless_rain_of_syns_is_answered_at_a_limited_rate(self, pair):
        p = pair()
        for number in range(1000):
            p.inject("b", hello_packet(Kind.SYN, Terms(9, PORT, number + 1, 1, 1400, 3), 0))
        p.run()
        assert len(p.sent("b", "RESET")) <= 100


@pytest.mark.parametrize("state", ["SYN_SENT", "CONFIRMING", "ESTABLISHED"])
def test_a10_a_cookie_with_another_identifier_changes_nothing(pair, state):
    p = pair()
    p.listen()
    client = p.dial()
    if state != "SYN_SENT":
        p.links["a"].drop = (lambda packet: packet.kind == "CONFIRM") if state == "CONFIRMING" else None
        p.run(lambda: client.state.name == state)
    else:
        p.settle()
    for offset in (-1, 1, 1 << 31):
        wrong = (client.identifier + offset) % (1 << 64)
        p.inject("a", hello_packet(Kind.COOKIE, Terms(PORT, client.local, 5, 1, 1400, 3), wrong), source="b")
    before = len(p.sent("a"))
    p.step(p.now)
    p.settle()
    assert client.state.name == state
    assert [
        packet.kind for packet in p.sent("a")[before:] if packet.kind not in ("ACK", "SYN", "CONFIRM")
    ] == []


def test_a10_a_cookie_that_names_no_identifier_is_ignored(pair):
    p = pair()
    client = p.dial()
    p.settle()
    p.inject(
        "a",
        hello_packet(Kind.COOKIE, Terms(PORT, client.local, 0, 1, 1400, 3), client.identifier),
        source="b",
    )
    p.step(p.now)
    assert client.state is State.SYN_SENT


@pytest.mark.parametrize("kind", [Kind.ACK, Kind.DATA, Kind.PROBE])
def test_a10_nothing_but_a_cookie_or_a_reset_counts_before_the_cookie(pair, kind):
    from rawproto.rsp.ack_packet import encode_ack
    from rawproto.rsp.header import Data, RSPFlags

    p = pair()
    client = p.dial()
    p.settle()
    if kind is Kind.ACK:
        front = encode_ack(
            port=1, connection=client.identifier, number=0, window=99, ranges=[], delay=0, marks=0,
            flags=RSPFlags.CARRIES_DATA,
        )  # fmt: skip
        packet = checks.fill_one(front + bytes(8) + b"early")
    else:
        packet = checks.fill_one(bytes(Data(kind=kind, port=1, connection=client.identifier)) + b"early")
    p.inject("a", packet, source="b")
    p.step(p.now)
    p.settle()
    assert (client.readable, client.state, len(p.packets)) == (0, State.SYN_SENT, 1)
    assert client.stats().peer_window == 0


class TestA11OddOpenings:
    @pytest.mark.parametrize("count", [1, 8])
    def test_an_identifier_of_zero_is_malformed(self, pair, count):
        # Zero stands for "no connection yet".
        p = pair()
        p.listen()
        p.links["a"].up = False
        p.dial()
        p.settle()
        packet = bytearray(p.sent("a", "SYN")[0].data)
        packet[32:40] = bytes(8)
        p.deliver("b", *[checks.fill_one(bytes(packet))] * count, source="a")
        assert p.sent("b") == []
        assert p.b.stats.malformed == count

    def test_a_duplicate_syn_makes_no_second_connection(self, pair):
        p = pair(a_to_b={"duplicate": 1.0}, b_to_a={"duplicate": 1.0})
        client, server = p.transfer(p.payload(1000), p.payload(1000))
        assert p.b.stats.accepted == 1
        assert server.received == client.data

    def test_a_confirm_that_comes_again_after_the_end_makes_no_second_connection(self, pair):
        p = pair()
        p.transfer(b"hello")
        (confirm,) = p.sent("a", "CONFIRM")
        before = len(p.listener)
        p.serve = None
        p.inject("b", confirm.data, source="a")
        p.run()
        assert len(p.listener) == before == 0
        assert p.b.stats.accepted == 1

    def test_a_syn_with_data_behind_it_delivers_nothing_early(self, pair):
        p = pair()
        listener = p.listen()
        p.links["a"].tamper = lambda packet: (
            checks.fill_one(packet.data + b"early data") if packet.kind == "SYN" else packet.data
        )
        client, server = p.open()
        assert listener.accept() is None
        p.run_for(5)
        assert server.readable == 0
        assert client.state is server.state is State.ESTABLISHED

    @pytest.mark.parametrize("flags", range(0, 256, 5))
    def test_flags_on_a_syn_change_nothing(self, pair, flags):
        p = pair()
        p.listen()
        syn = bytearray(hello_packet(Kind.SYN, Terms(9, PORT, 7, 1, 1400, 3), 0))
        syn[5] = flags
        p.inject("b", checks.fill_one(bytes(syn)))
        p.run()
        assert [packet.kind for packet in p.packets] == ["COOKIE"]


class TestA12Backlog:
    @pytest.mark.parametrize("backlog", [1, 10])
    def test_full_the_dialer_waits_and_loses_nothing(self, pair, flow, backlog):
        p = pair()
        listener = p.listen(backlog=backlog)
        clients = [p.dial() for _ in range(backlog + 2)]
        flows = []
        for number, client in enumerate(clients):
            flows.append(flow(client, bytes([number]) * 5000))
            flows[-1].close = False
        p.flows += flows
        p.run_for(5)
        assert len(listener) == backlog
        assert p.b.stats.backlog_full > 0
        assert not any(client.closed for client in clients)
        got = []
        p.serve = lambda connection: got.append(flow(connection)) or got[-1]
        p.run(lambda: len(got) == backlog + 2 and all(len(each.received) == 5000 for each in got))
        assert sorted(bytes(each.received[:1]) for each in got) == [bytes([n]) for n in range(backlog + 2)]

    def test_a_backlog_of_nothing_takes_nobody(self, pair):
        p = pair(handshake_timeout=5.0)
        p.listen(backlog=0)
        client = p.dial()
        p.run(lambda: client.closed)
        assert isinstance(client.error, TimeoutError)
        assert p.b.connections == []

    def test_a_backlog_below_nothing_is_refused_in_words(self, pair):
        p = pair()
        with pytest.raises(ConfigError, match="backlog must be 0 or more, not -1"):
            p.listen(backlog=-1)
        p.listen()  # the port is free still


@pytest.mark.parametrize("offered", [0, 1, 8, 48, MIN_DATAGRAM - 1, 65535])
def test_a13_any_size_offered_makes_progress(pair, offered):
    p = pair()

    def tamper(packet):
        if packet.kind not in ("SYN", "COOKIE", "CONFIRM"):
            return packet.data
        at = 26
        return checks.fill_one(packet.data[:at] + offered.to_bytes(2, "big") + packet.data[at + 2 :])

    for direction in p.links.values():
        direction.tamper = tamper
    client, server = p.transfer(p.payload(20_000), p.payload(20_000))
    assert server.received == client.data
    largest = max(len(packet.data) for packet in p.packets)
    assert largest == (1480 if offered == 65535 else MIN_DATAGRAM)


@pytest.mark.parametrize("length", [0, 1, 65535])
def test_a13_any_option_length_is_harmless(pair, length):
    p = pair()
    p.listen()
    syn = bytearray(hello_packet(Kind.SYN, Terms(9, PORT, 7, 1, 1400, 3), 0))
    syn[48:50] = length.to_bytes(2, "big")
    p.inject("b", checks.fill_one(bytes(syn)))
    p.run()
    assert [packet.kind for packet in p.packets] == ["COOKIE"]


@pytest.mark.parametrize(("window", "side"), [*itertools.product([0, 1], ["SYN", "COOKIE"])])
def test_a13_any_window_offered_makes_progress(pair, window, side):
    p = pair()

    def tamper(packet):
        if packet.kind != side and not (side == "SYN" and packet.kind == "CONFIRM"):
            return packet.data
        return checks.fill_one(packet.data[:40] + window.to_bytes(8, "big") + packet.data[48:])

    for direction in p.links.values():
        direction.tamper = tamper
    client, server = p.transfer(p.payload(3000), p.payload(3000))
    assert server.received == client.data


class TestA14CookieAge:
    @pytest.mark.parametrize(
        ("seconds", "good"), [(0, True), (59, True), (61, True), (119, True), (121, False)]
    )
    def test_a_confirm_is_good_while_its_key_is(self, pair, seconds, good):
        p = pair(handshake_timeout=1000.0)
        p.listen()
        held = []
        p.links["a"].drop = lambda packet: packet.kind == "CONFIRM" and (held.append(packet.data) or True)
        client = p.dial()
        p.run(lambda: bool(held))
        p.run_for(seconds)
        p.inject("b", held[0], source="a")
        p.run_for(0.001)
        assert (p.b.stats.accepted == 1) is good
        assert (p.b.stats.cookies_rejected > 0) is not good
        assert client.state is State.CONFIRMING

    def test_a_cookie_is_good_for_its_address_only(self, pair):
        p = pair()
        p.listen()
        p.links["a"].drop = lambda packet: packet.kind == "CONFIRM"
        client = p.dial()
        p.run(lambda: client.state is State.CONFIRMING)
        p.inject("b", p.sent("a", "CONFIRM")[0].data, source="elsewhere")
        p.run_for(0.001)
        assert p.b.stats.cookies_rejected == 1
        assert p.b.connections == []


def test_the_listener_keeps_nothing_for_a_syn(pair):
    p = pair()
    p.listen()
    before = repr(p.tables("b"))
    for number in range(1, 2000):
        p.inject("b", hello_packet(Kind.SYN, Terms(9, PORT, number, 1, 1400, 3), 0), source=f"x{number}")
    p.run()
    assert repr(p.tables("b")) == before
    assert p.b.poll_timeout() is None


class TestOtherVersions:
    def syn(self, p, version, *, check=True):
        """A SYN as another version might send it: the first 24 bytes alone are agreed."""
        p.links["a"].up = False
        p.dial()
        p.settle()
        packet = bytearray(p.sent("a", "SYN")[-1].data + b"and more")
        packet[4] = version << 4 | packet[4] & 0x0F
        return checks.fill_one(bytes(packet)) if check else bytes(packet)

    @pytest.mark.parametrize("version", [0, 2, 15])
    def test_a_syn_to_a_listener_is_told_which_is_spoken(self, pair, version):
        p = pair()
        p.listen()
        packet = self.syn(p, version)
        p.deliver("b", packet, source="a")
        [answer] = p.sent("b")
        assert answer.kind == "RESET"
        [client] = p.a.connections
        assert (answer.connection, answer.port) == (client.identifier, client.local)
        assert int.from_bytes(answer.data[24:28], "big") == Reason.VERSION
        assert answer.data[4] >> 4 == 1
        assert len(answer.data) < len(packet)
        assert p.b.connections == []

    def test_the_answer_ends_the_dial_that_it_answers_and_no_other(self, pair):
        p = pair()
        p.listen()
        p.links["a"].tamper = lambda packet: checks.fill_one(
            packet.data[:4] + bytes([packet.data[4] | 0x20]) + packet.data[5:]
        )
        client = p.dial()
        p.run(lambda: client.closed, 5)
        assert isinstance(client.error, ConnectionRefused)
        assert "does not speak this version" in str(client.error)
        p.links["a"].tamper = None
        answer = bytearray(p.sent("b", "RESET")[0].data)
        other = p.dial()
        for identifier in (0, client.identifier, other.identifier ^ 1):
            answer[8:16] = identifier.to_bytes(8, "big")
            p.deliver("a", checks.fill_one(bytes(answer)), source="b")
        p.run(lambda: other.established, 5)

    def test_a_syn_cut_before_its_identifier_is_not_answered(self, pair):
        p = pair()
        p.listen()
        packet = self.syn(p, 2)
        for size in (28, 32, 39):
            p.deliver("b", checks.fill_one(packet[:size]), source="a")
        assert p.sent("b") == []

    def test_nobody_else_is_answered(self, pair):
        p = pair()
        p.listen(admit=lambda address: address != "a")
        p.deliver("b", self.syn(p, 2), source="a")  # not admitted
        p.deliver("b", self.syn(p, 2, check=False), source="x")  # damaged
        other = bytearray(self.syn(p, 2))
        for kind in (0x23, 0x24, 0x26):  # DATA, ACK, RESET
            other[4] = kind
            p.deliver("b", checks.fill_one(bytes(other)), source="x")
        closed = bytearray(self.syn(p, 2))
        closed[6:8] = (PORT + 1).to_bytes(2, "big")
        p.deliver("b", checks.fill_one(bytes(closed)), source="x")
        assert p.sent("b") == []
        assert p.b.stats.malformed == 6

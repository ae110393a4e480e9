"""A peer that changes its address: F19 and I11 of the reliability catalogue (RFC 9000 sections 8.2 and 9)."""

from __future__ import annotations

import itertools

import pytest

from rawproto.protocol import MILLISECOND
from rawproto.rsp import checks
from rawproto.rsp.header import Data, Kind, Path


class Rebinding:
    """A NAT before a: b sees a under names that change, and only the newest one leads back to a."""

    def __init__(self, p):
        self.p = p
        self.name = "a"
        self._inject = p.inject
        p.inject = self.inject

    def inject(self, to, data, *, source="x", at=None, ecn=0):
        if source == "a":
            source = self.name
        if to == self.name:
            to = "a"
        elif to == "a" or (isinstance(to, str) and to.startswith("nat")):
            return  # an old binding: nobody is there any more
        self._inject(to, data, source=source, at=at, ecn=ecn)


@pytest.mark.parametrize("congestion", ["newreno", "cubic", "bbr"])
def test_i11_a_transfer_survives_new_bindings(pair, congestion):
    p = pair(link={"delay": 15 * MILLISECOND, "rate": 20e6}, congestion=congestion)
    nat = Rebinding(p)
    for turn, at in enumerate((0.3, 0.8, 1.5)):
        p.at(at, lambda turn=turn: setattr(nat, "name", f"nat{turn}"))
    client, server = p.transfer(p.payload(5_000_000), p.payload(300_000), limit=60)
    assert server.received == client.data
    assert client.received == server.data
    assert server.connection.address == "nat2"
    assert len(p.sent("b", "CHALLENGE")) >= 2
    assert p.now < 12 * 10**9


def test_a_download_survives_too(pair):
    # Here the moved side only acknowledges.
    p = pair(link={"delay": 15 * MILLISECOND, "rate": 20e6})
    nat = Rebinding(p)
    p.at(0.5, lambda: setattr(nat, "name", "nat"))
    client, server = p.transfer(b"", p.payload(3_000_000), limit=60)
    assert client.received == server.data
    assert server.connection.address == "nat"


def test_before_the_handshake_is_over(pair):
    p = pair()
    nat = Rebinding(p)
    p.at(0.04, lambda: setattr(nat, "name", "nat"))
    client, server = p.transfer(p.payload(20_000), p.payload(20_000), limit=60)
    assert server.received == client.data


@pytest.mark.parametrize("bad", ["loss", "lossy and reordered"])
def test_on_a_bad_link(pair, bad):
    link = {"loss": 0.1} if bad == "loss" else {"loss": 0.1, "reorder": 0.3, "duplicate": 0.3}
    for seed in range(10):
        p = pair(seed=seed, link=link)
        nat = Rebinding(p)
        p.at(0.3, lambda nat=nat: setattr(nat, "name", "nat"))
        client, server = p.transfer(p.payload(300_000), p.payload(100_000), limit=120)
        assert server.received == client.data
        assert client.received == server.data


class TestF19Theft:
    def stolen(self, pair, count=1, packets=None):
        """A thief replays what it saw of the client, from its own address."""
        p = pair()
        client, server = p.open()
        p.run_for(1)
        header = Data(kind=Kind.DATA, port=1200, connection=server.identifier, number=50, offset=0)
        for number in range(count):
            forged = bytes(header.replace(number=50 + number))
            p.deliver("b", checks.fill_one(forged + bytes(100), checks.XXH3), source="thief")
        return p, client, server

    def test_answers_stay_on_the_old_path(self, pair):
        p, _, server = self.stolen(pair)
        p.run_for(30)
        assert server.address == "a"
        p.send(server, b"for the client only")
        p.run_for(1)
        told = {packet.kind for packet in p.packets if packet.destination == "thief"}
        assert told == {"CHALLENGE"}

    def test_no_more_than_three_challenges_a_second_apart_and_not_more_bytes_than_came(self, pair):
        p, _, _ = self.stolen(pair, count=100)
        p.run_for(30)
        asked = [packet for packet in p.packets if packet.destination == "thief"]
        assert 1 <= len(asked) <= 3
        assert all(later.at - earlier.at >= 10**9 for earlier, later in itertools.pairwise(asked))

    def test_one_short_packet_gets_one_challenge(self, pair):
        p, _, server = self.stolen(pair, count=0)
        header = Data(kind=Kind.PROBE, port=1200, connection=server.identifier, number=50)
        p.deliver("b", checks.fill_one(bytes(header), checks.XXH3), source="thief")
        p.run_for(30)
        assert len([packet for packet in p.packets if packet.destination == "thief"]) == 1

    def test_a_wrong_token_proves_nothing(self, pair):
        p, _, server = self.stolen(pair)
        for token in (0, 1, (1 << 64) - 1):
            path = Path(kind=Kind.RESPONSE, port=1200, connection=server.identifier, token=token)
            p.deliver("b", checks.fill_one(bytes(path)), source="thief")
        p.run_for(1)
        assert server.address == "a"

    def test_an_old_packet_moves_nothing(self, pair):
        p = pair()
        client, server = p.open()
        p.send(client, p.payload(5000))
        p.run(lambda: server.readable == 5000)
        for packet in p.sent("a"):
            if packet.kind in ("DATA", "PROBE"):
                p.deliver("b", packet.data, source="thief")
        p.run_for(5)
        assert [packet for packet in p.packets if packet.destination == "thief"] == []

    def test_many_addresses_are_asked_one_a_second(self, pair):
        p, _, server = self.stolen(pair, count=0)
        for number in range(200):
            header = Data(kind=Kind.DATA, port=1200, connection=server.identifier, number=100 + number)
            p.deliver("b", checks.fill_one(bytes(header) + b"x", checks.XXH3), source=f"thief{number}")
            p.run_for(0.01)
        assert len(p.sent("b", "CHALLENGE")) <= 4
        assert server.address == "a"

    def test_a_challenge_is_answered_where_it_came_from_and_the_answer_is_no_longer(self, pair):
        p, client, _ = self.stolen(pair, count=0)
        path = Path(kind=Kind.CHALLENGE, port=client.local, connection=client.identifier, token=4711)
        p.deliver("a", checks.fill_one(bytes(path)), source="elsewhere")
        answer = p.packets[-1]
        assert (answer.kind, answer.destination, len(answer.data)) == ("RESPONSE", "elsewhere", 32)
        assert Path.parse(answer.data)[0].token == 4711
        before = len(p.packets)
        p.deliver("b", answer.data, source="a")
        p.run_for(1)
        assert len(p.packets) == before


def test_nothing_moves_in_an_ordinary_transfer(pair):
    p = pair(link={"loss": 0.05, "reorder": 0.1})
    p.transfer(p.payload(200_000), p.payload(200_000))
    assert p.sent("a", "CHALLENGE") == p.sent("b", "CHALLENGE") == []


def test_after_the_move_the_path_is_learned_afresh(pair):
    p = pair(link={"delay": 15 * MILLISECOND, "rate": 20e6}, congestion="cubic")
    nat = Rebinding(p)
    client, server = p.open()
    p.send(server, p.payload(500_000))
    p.run(lambda: (bool(client.read(-1, p.now)) and False) or server.unacknowledged == 0)
    grown = server.stats().congestion_window
    nat.name = "nat"
    for direction in p.links.values():
        direction.delay = 100 * MILLISECOND
    p.send(client, b"hello from elsewhere")
    p.run(lambda: server.address == "nat")
    assert server.stats().congestion_window < grown
    p.run_for(1)
    assert server.stats().rtt_smoothed > 0.19

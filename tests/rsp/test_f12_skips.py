"""F12: numbers are skipped, and who acknowledges one has lied."""

from __future__ import annotations

import random

import pytest

from rawproto.errors import ConnectionAborted
from rawproto.rsp import checks
from rawproto.rsp.ack_packet import encode_ack
from rawproto.rsp.sent import CARRIES_STREAM, SentPackets, Settled
from rawproto.rsp.skipper import FIRST_DISTANCE, LAST_DISTANCE, Skipper


def test_the_first_skip_comes_within_256_packets_and_distances_grow():
    for seed in range(50):
        skipper = Skipper(random.Random(seed).randbytes)
        assert 1 <= skipper.at <= FIRST_DISTANCE
        number, skips = 0, []
        while number < 4_000_000:
            number = skipper.at
            skips.append(number)
            skipper.skipped(number + 1)
            assert number < skipper.at <= number + 1 + LAST_DISTANCE
        assert 20 < len(skips) < 200


def test_the_positions_cannot_be_told_in_advance():
    firsts = {Skipper(random.Random(seed).randbytes).at for seed in range(200)}
    assert len(firsts) > 80


class TestLedger:
    def ledger(self):
        sent = SentPackets()
        sent.append(1, 3, 0, 10, 10, CARRIES_STREAM)
        sent.skip()
        sent.append(3, 3, 30, 10, 10, CARRIES_STREAM)
        return sent

    def test_a_skipped_number_is_not_in_flight_and_never_lost(self):
        sent = self.ledger()
        assert (sent.next, sent.packets_in_flight, sent.bytes_in_flight) == (7, 6, 60)
        sent.acknowledge(6, 7, 6, Settled())
        lost, _ = sent.detect_lost(6, 0, 6)
        assert (lost.count, lost.stream) == (5, [(0, 50)])
        assert sent.detect_lost(0, 1 << 80, sent.next)[0].count == 0

    @pytest.mark.parametrize(("start", "stop"), [(3, 4), (0, 7), (2, 4), (3, 7)])
    def test_an_acknowledgement_of_it_is_a_lie(self, start, stop):
        settled = Settled()
        self.ledger().acknowledge(start, stop, stop - 1, settled)
        assert settled.lied

    def test_an_honest_one_is_none(self):
        sent, settled = self.ledger(), Settled()
        sent.acknowledge(4, 7, 6, settled)
        sent.acknowledge(0, 3, 6, settled)
        assert (settled.lied, settled.count, sent.packets_in_flight) == (False, 6, 0)


@pytest.mark.parametrize("seed", range(5))
def test_who_acknowledges_everything_at_once_is_found_out_within_256_packets(pair, seed):
    p = pair(seed=seed, link={"rate": None}, send_buffer=1 << 22)
    client, _ = p.open()
    p.run_for(1)
    p.links["a"].up = False
    client.write(bytes(1 << 22), p.now)
    p.settle()
    while not client.closed and client._core.recovery.sent.next < 400:
        p.run_for(0.015)
        top = client._core.recovery.sent.next
        packet = encode_ack(
            port=1,
            connection=client.identifier,
            number=0,
            window=1 << 40,
            ranges=[(0, top)],
            delay=0,
            marks=0,
        )
        p.deliver("a", checks.fill_one(packet, checks.XXH3), source="b")
    assert isinstance(client.error, ConnectionAborted)
    assert "skipped" in str(client.error)
    assert client._core.recovery.sent.next <= FIRST_DISTANCE + 70


@pytest.mark.parametrize("seed", range(4))
def test_an_honest_peer_never_is(pair, seed):
    p = pair(seed=seed, link={"rate": 50e6, "loss": 0.05, "reorder": 0.05, "duplicate": 0.05})
    client, server = p.transfer(p.payload(1_000_000), p.payload(200_000))
    assert server.received == client.data
    numbers = {packet.number for packet in p.sent("a") if packet.numbered}
    skipped = set(range(max(numbers))) - numbers
    assert skipped
    assert len(skipped) <= 6

"""The ledger of sent packets against a plain dictionary of packets."""

from __future__ import annotations

import random

import pytest

from rawproto.rsp.sent import (
    CARRIES_FIN,
    CARRIES_MTU_PROBE,
    CARRIES_PROBE,
    CARRIES_STREAM,
    SentPackets,
    Settled,
)


def lose_all(ledger):
    """Declare lost what is in flight."""
    return ledger.detect_lost(ledger.next, 1 << 80, ledger.next)[0]


class Model:
    """One dictionary entry a packet: what the columns must amount to."""

    def __init__(self):
        self.packets = {}

    def append(self, now, offsets, lengths, carries):
        for offset, length in zip(offsets, lengths, strict=True):
            self.packets[len(self.packets)] = {
                "at": now, "offset": offset, "length": length, "carries": carries, "state": "in flight",
            }  # fmt: skip

    def in_flight(self):
        return [number for number, packet in self.packets.items() if packet["state"] == "in flight"]

    def acknowledge(self, start, stop):
        """(newly acknowledged, spurious) numbers."""
        new, spurious = [], []
        for number in range(start, stop):
            packet = self.packets[number]
            if packet["state"] == "in flight":
                new.append(number)
            elif packet["state"] == "lost":
                spurious.append(number)
            packet["state"] = "acknowledged"
        return new, spurious

    def detect(self, below, sent_before, largest):
        lost = [
            number
            for number in self.in_flight()
            if number < largest and (number < below or self.packets[number]["at"] <= sent_before)
        ]
        for number in lost:
            self.packets[number]["state"] = "lost"
        left = [number for number in self.in_flight() if number < largest]
        return lost, self.packets[left[0]]["at"] if left else None

    def bytes_of(self, numbers):
        return sum(self.packets[number]["length"] for number in numbers)

    def stream_of(self, numbers):
        covered = set()
        for number in numbers:
            packet = self.packets[number]
            if packet["carries"] & CARRIES_STREAM:
                covered |= set(range(packet["offset"], packet["offset"] + packet["length"]))
        return covered


def covered_by(ranges):
    return {value for start, stop in ranges for value in range(start, stop)}


@pytest.mark.parametrize("seed", range(12))
def test_the_ledger_agrees_with_a_dictionary(seed):
    rng = random.Random(seed)
    ledger, model = SentPackets(), Model()
    now = offset = largest = 0
    spurious_seen = 0
    for _ in range(400):
        now += rng.randrange(1, 10)
        for _ in range(rng.choice((1, 1, 5))):
            count = rng.choice((1, 1, 3, 40))
            lengths = [rng.choice((0, 7, 10)) if count == 1 else 10 for _ in range(count)]
            starts = [offset + sum(lengths[:index]) for index in range(count)]
            offset += sum(lengths)
            carries = CARRIES_STREAM if lengths[0] else CARRIES_PROBE
            if count > 1:
                lengths[-1] = rng.choice((3, 10))
            offset = starts[-1] + lengths[-1]
            first = ledger.append(now, count, starts[0], 10, lengths[-1], carries)
            assert first == len(model.packets)
            model.append(now, starts, lengths, carries)
        if rng.random() < 0.7:
            top = ledger.next
            stop = rng.randrange(max(0, top - 60), top) + 1
            start = max(0, stop - rng.choice((1, 2, 30)))
            largest = max(largest, stop - 1)
            settled = Settled()
            known = [number for number in range(start, stop) if ledger.sent_at(number) is not None]
            ledger.acknowledge(start, stop, largest, settled)
            new, spurious = model.acknowledge(start, stop)
            assert settled.count == len(new)
            assert settled.bytes == model.bytes_of(new)
            told = [number for number in spurious if number in known]
            assert settled.spurious <= len(spurious)
            spurious_seen += settled.spurious
            assert covered_by(settled.stream) <= model.stream_of(new + spurious)
            assert covered_by(settled.stream) >= model.stream_of(new)
            if new and max(new) > max(told, default=-1):
                assert settled.newest == max(new)
                assert settled.newest_sent_at == model.packets[max(new)]["at"]
        if rng.random() < 0.5:
            before = now - rng.randrange(40)
            lost, oldest = ledger.detect_lost(largest - 20, before, largest)
            expected, expected_oldest = model.detect(largest - 20, before, largest)
            assert (lost.count, lost.bytes, oldest) == (
                len(expected),
                model.bytes_of(expected),
                expected_oldest,
            )
            assert covered_by(lost.stream) == model.stream_of(expected)
            if expected:
                assert (lost.oldest, lost.newest) == (expected[0], expected[-1])
        flying = model.in_flight()
        assert ledger.packets_in_flight == len(flying)
        assert ledger.bytes_in_flight == model.bytes_of(flying)
        assert next((run.start for run in ledger), None) == (flying[0] if flying else None)
    assert spurious_seen
    assert len(ledger._lost.runs) <= 256
    lost = lose_all(ledger)
    assert lost.count == len(model.in_flight())
    assert not ledger.packets_in_flight
    assert not ledger.bytes_in_flight


def test_settled_packets_are_forgotten():
    ledger = SentPackets()
    for turn in range(200):
        first = ledger.append(turn, 64, 0, 10, 10, CARRIES_STREAM)
        ledger.acknowledge(first, first + 64, first + 63, Settled())
    assert not list(ledger)
    assert ledger.sent_at(ledger.next - 1) is None
    settled = Settled()
    ledger.acknowledge(0, ledger.next, ledger.next - 1, settled)
    assert settled.count == settled.spurious == 0


def test_a_loss_that_was_none_is_told_with_its_distance():
    ledger = SentPackets()
    ledger.append(1, 10, 0, 100, 100, CARRIES_STREAM)
    ledger.acknowledge(5, 6, 5, Settled())
    lost, oldest = ledger.detect_lost(3, 0, 5)
    assert (lost.count, lost.stream, oldest) == (3, [(0, 300)], 1)
    settled = Settled()
    ledger.acknowledge(0, 2, 9, settled)
    assert (settled.count, settled.spurious, settled.spurious_bytes, settled.reorder_distance) == (
        0,
        2,
        200,
        9,
    )
    assert settled.stream == [(0, 200)]


def test_an_acknowledgement_repeated_settles_nothing():
    ledger = SentPackets()
    ledger.append(1, 2, 0, 10, 10, CARRIES_STREAM | CARRIES_FIN)
    first, second = Settled(), Settled()
    ledger.acknowledge(0, 2, 1, first)
    ledger.acknowledge(0, 2, 1, second)
    assert (first.count, first.fin, first.stream) == (2, True, [(0, 20)])
    assert (second.count, second.fin, second.stream) == (0, False, [])


def test_what_a_packet_carried_comes_back():
    ledger = SentPackets()
    ledger.append(1, 1, 0, 10, 10, CARRIES_STREAM)
    ledger.append(2, 1, 0, 0, 0, CARRIES_PROBE)
    ledger.append(3, 1, 10, 4, 4, CARRIES_STREAM | CARRIES_FIN)
    lost = lose_all(ledger)
    assert (lost.stream, lost.probes, lost.fin, lost.count) == ([(0, 14)], [], True, 3)
    assert (lost.oldest_sent_at, lost.newest_sent_at, lost.shortest, lost.longest) == (1, 3, 0, 10)


def test_a_lost_mtu_probe_is_told_apart():
    # RFC 8899 section 3, item 7: it says something of its size, nothing of congestion.
    ledger = SentPackets()
    ledger.append(1, 1, 0, 10, 10, CARRIES_STREAM)
    ledger.append(2, 1, 0, 0, 0, CARRIES_MTU_PROBE)
    ledger.append(3, 1, 0, 0, 0, CARRIES_PROBE)
    lost, _ = ledger.detect_lost(2, 0, 2)
    assert (lost.probes, lost.count, lost.newest, lost.bytes) == ([1], 1, 0, 10)
    assert (ledger.packets_in_flight, ledger.bytes_in_flight) == (1, 0)
    late = Settled()
    ledger.acknowledge(0, 3, 2, late)
    assert (late.probes, late.count, late.spurious) == ([1], 1, 1)


def test_a_lost_mtu_probe_alone_is_no_loss():
    ledger = SentPackets()
    ledger.append(1, 1, 0, 0, 0, CARRIES_MTU_PROBE)
    lost = lose_all(ledger)
    assert (lost.probes, lost.count, lost.stream) == ([0], 0, [])
    assert not ledger.packets_in_flight


def test_sizes_in_flight_can_be_asked_for():
    ledger = SentPackets()
    ledger.append(1, 3, 0, 100, 40, CARRIES_STREAM)
    asked = [(99, 100), (39, 40), (40, 99), (100, 200)]
    assert [ledger.any_in_flight(*limits) for limits in asked] == [True, True, False, False]
    ledger.acknowledge(0, 2, 1, Settled())
    assert [ledger.any_in_flight(*limits) for limits in asked] == [False, True, False, False]
    assert [ledger.in_flight(number) for number in range(4)] == [False, False, True, False]


def test_the_delivery_rate_snapshot_is_kept_for_each_packet():
    ledger = SentPackets()
    ledger.append(5, 1, 0, 10, 10, CARRIES_STREAM, (1, 2, 3))
    ledger.append(6, 2, 10, 10, 10, CARRIES_STREAM, (4, 5, 6))
    assert [ledger.sent_at(number) for number in range(4)] == [5, 6, 6, None]
    rates = []
    for number in range(3):
        settled = Settled()
        ledger.acknowledge(number, number + 1, number, settled)
        rates.append(settled.rate)
    assert rates == [(1, 2, 3), (4, 5, 6), (4, 5, 6)]


def test_the_acknowledged_ranges_stay_few_when_every_second_packet_is_lost():
    # The scoreboard of an attacked sender must not grow (CVE-2019-11477 and its kin).
    ledger = SentPackets()
    for turn in range(100):
        first = ledger.append(turn, 64, 0, 10, 10, CARRIES_STREAM)
        for number in range(first, first + 64, 2):
            ledger.acknowledge(number, number + 1, number, Settled())
            ledger.detect_lost(number - 2, 0, number)
    assert len(ledger._lost.runs) <= 256

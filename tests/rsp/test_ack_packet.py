"""The ACK packet: there and back, and everything that can be wrong with it."""

from __future__ import annotations

import itertools
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawproto.errors import DecodeError
from rawproto.rsp.ack_packet import MAX_ACK_RANGES, decode_ranges, encode_ack
from rawproto.rsp.header import ACK_HEADER_SIZE, Ack


@st.composite
def descending_ranges(draw):
    """Half-open ranges with gaps between them, highest first."""
    top = draw(st.integers(0, 2**40))
    sizes = draw(st.lists(st.tuples(st.integers(1, 1000), st.integers(1, 1000)), max_size=40))
    ranges, stop = [], top + sum(run + gap for run, gap in sizes)
    for run, gap in sizes:
        ranges.append((stop - run, stop))
        stop -= run + gap
    return ranges


def build(ranges, **fields):
    defaults = {"port": 7, "connection": 9, "number": 11, "window": 13, "delay": 17_000, "marks": 19}
    return encode_ack(ranges=ranges, **(defaults | fields))


def parse(packet):
    ack, _ = Ack.parse(packet)
    return ack, *decode_ranges(ack.largest, ack.ranges, memoryview(packet))


@given(descending_ranges())
@settings(max_examples=200, deadline=None)
def test_round_trip(ranges):
    ack, found, end = parse(build(ranges))
    told = ranges[:MAX_ACK_RANGES]
    assert found == told
    assert end == ACK_HEADER_SIZE + 8 * len(told)
    assert ack.largest == (told[0][1] - 1 if told else 0)
    assert (ack.port, ack.connection, ack.number, ack.window, ack.delay, ack.marks) == (7, 9, 11, 13, 17, 19)


def test_what_does_not_fit_32_bits_is_cut_not_wrapped():
    huge = 2**33
    _, found, _ = parse(build([(5 * huge, 6 * huge)]))
    assert found == [(6 * huge - 0xFFFF_FFFF, 6 * huge)]
    _, found, _ = parse(build([(5 * huge, 5 * huge + 10), (0, 3)]))
    assert found == [(5 * huge, 5 * huge + 10)]
    ack, _, _ = parse(build([(0, 1)], delay=10**18, marks=2**33 + 5))
    assert (ack.delay, ack.marks) == (0xFFFF_FFFF, 5)


def raw(largest, *pairs, count=None):
    packet = bytearray(build([(largest, largest + 1)])[:ACK_HEADER_SIZE])
    packet[48:50] = (len(pairs) if count is None else count).to_bytes(2, "big")
    for run, gap in pairs:
        packet += run.to_bytes(4, "big") + gap.to_bytes(4, "big")
    return bytes(packet)


@pytest.mark.parametrize(
    "packet",
    [
        raw(5, (0, 0)),
        raw(5, (7, 0)),
        raw(5, (1, 0xFFFF_FFFF), (1, 0)),
        raw(5, (3, 3), (1, 0)),
        raw(5, (2, 0), (0, 0)),
        raw(5, (1, 0), count=2),
        raw(5, count=65535),
        raw(5, (1, 0))[:-1],
    ],
    ids=[
        "empty run",
        "below zero",
        "gap below zero",
        "nothing left",
        "empty second run",
        "short",
        "none",
        "cut",
    ],
)
def test_malformed_ranges_are_refused(packet):
    ack, _ = Ack.parse(packet)
    with pytest.raises(DecodeError):
        decode_ranges(ack.largest, ack.ranges, memoryview(packet))


def test_no_more_than_32_ranges_are_looked_at():
    pairs = [(1, 1)] * 100
    _ack, found, end = parse(raw(1000, *pairs))
    assert len(found) == MAX_ACK_RANGES
    assert end == ACK_HEADER_SIZE + 800


def test_any_bytes_give_ranges_or_the_one_error():
    rng = random.Random(3)
    good = 0
    for _ in range(3000):
        packet = bytearray(
            raw(rng.randrange(10, 50), *[(rng.randrange(1, 4), rng.randrange(4)) for _ in range(3)])
        )
        for _ in range(rng.randrange(3)):
            packet[rng.randrange(24, len(packet))] = rng.randrange(256)
        try:
            _, found, _ = parse(bytes(packet[: len(packet) - rng.choice((0, 0, 1, 9))]))
        except DecodeError:
            continue
        good += 1
        assert all(0 <= start < stop for start, stop in found)
        assert all(low[0] >= high[1] for low, high in itertools.pairwise(found))
    assert good > 100

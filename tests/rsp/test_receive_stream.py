"""The receiving half of the stream: any order, any overlap, the first copy of a byte counts (B6)."""

from __future__ import annotations

import itertools
import random

import numpy as np
import pytest

from rawproto.rsp.receive_stream import MAX_GAPS, ReceiveStream

UNITS = 6
SEGMENTS = [(start, stop) for start in range(UNITS) for stop in range(start + 1, UNITS + 1)]
"""The 21 segments of a grid of six units."""


def row(data):
    return np.frombuffer(data, dtype=np.uint8).reshape(1, -1)


def deliver(stream, start, stop, value):
    if not stream.would_refuse(start, stop):
        stream.write(start, row(bytes([value]) * (stop - start)))


def first_copies(sequence, size=UNITS):
    """What the stream must hold after segments that each carry a value of their own."""
    model = [0] * size
    for value, (start, stop) in enumerate(sequence, 1):
        for at in range(start, stop):
            model[at] = model[at] or value
    return model


def check_sequence(sequence):
    stream, model = ReceiveStream(UNITS), first_copies(sequence)
    for value, (start, stop) in enumerate(sequence, 1):
        deliver(stream, start, stop, value)
    prefix = model.index(0) if 0 in model else UNITS
    assert stream.next == prefix, sequence
    assert stream.read(-1) == bytes(model[:prefix]), sequence
    # Fill the holes: what lay beyond them must be what came first.
    stream.write(0, row(bytes([99]) * UNITS))
    assert stream.read(-1) == bytes(value or 99 for value in model[prefix:]), sequence


@pytest.mark.parametrize("length", [1, 2, 3])
def test_b6_all_sequences_of_segments_on_a_grid(length):
    assert len(SEGMENTS) == 21
    for sequence in itertools.product(SEGMENTS, repeat=length):
        check_sequence(sequence)


def test_b6_some_sequences_of_four():
    rng = random.Random(6)
    for _ in range(5000):
        check_sequence(rng.choices(SEGMENTS, k=4))


@pytest.mark.long
def test_b6_all_sequences_of_four():
    for sequence in itertools.product(SEGMENTS, repeat=4):
        check_sequence(sequence)


@pytest.mark.parametrize("seed", range(30))
def test_a_small_ring_wraps_without_harm(seed):
    rng = random.Random(seed)
    data = rng.randbytes(60_000)
    stream, out = ReceiveStream(5000), b""
    pending = []
    for _ in range(100_000):
        if rng.random() < 0.7:
            width = rng.choice((1, 100, 700))
            count = rng.choice((1, 1, 4))
            low = max(0, stream.next - 800)
            start = rng.randrange(low, low + 5000)
            pending = [(start, width, count)]
        else:
            pending = [(stream.next, 500, 1)]
        for start, width, count in pending:
            stop = start + width * count
            if stop <= len(data) and not stream.would_refuse(start, stop):
                piece = np.frombuffer(data[start:stop], dtype=np.uint8).reshape(count, width)
                stream.write(start, piece)
        if rng.random() < 0.5:
            if rng.random() < 0.5:
                out += stream.read(rng.choice((1, 10, 3000, -1)))
            else:
                target = bytearray(rng.choice((1, 3000)))
                out += bytes(target[: stream.readinto(memoryview(target))])
            assert (
                data.startswith(out) if len(out) < 2000 else data[len(out) - 2000 : len(out)] == out[-2000:]
            )
        if len(out) > 55_000:
            break
    assert len(out) > 55_000
    assert stream.memory <= 2 * stream.capacity


class TestTheEnd:
    def test_is_reached_when_everything_has_come(self):
        stream = ReceiveStream(100)
        assert stream.finish(10)
        assert not stream.complete
        stream.write(0, row(b"0123456789"))
        assert stream.complete
        assert not stream.at_end
        assert stream.read(-1) == b"0123456789"
        assert stream.at_end

    def test_cannot_be_stated_twice_differently(self):
        stream = ReceiveStream(100)
        assert stream.finish(10)
        assert stream.finish(10)
        assert not stream.finish(11)

    def test_cannot_lie_below_what_has_come(self):
        stream = ReceiveStream(100)
        stream.write(50, row(b"x"))
        assert not stream.finish(50)
        assert stream.finish(51)
        assert stream.final_size == 51

    def test_gives_the_ring_back(self):
        stream = ReceiveStream(1 << 20)
        stream.write(0, row(bytes(100_000)))
        stream.finish(100_000)
        stream.read(-1)
        assert stream.memory == 0


class TestLimits:
    def test_nothing_beyond_the_window(self):
        stream = ReceiveStream(100)
        assert not stream.would_refuse(0, 100)
        assert stream.would_refuse(0, 101)
        stream.write(0, row(bytes(100)))
        stream.read(40)
        assert stream.offer == 140
        assert not stream.would_refuse(100, 140)

    def test_no_more_holes_than_the_limit(self):
        # E4: gaps <= 256.
        stream = ReceiveStream(1 << 20)
        for gap in range(2 * MAX_GAPS):
            deliver(stream, 2 * gap + 1, 2 * gap + 2, 1)
        assert len(stream._beyond) == MAX_GAPS
        assert stream.would_refuse(2 * MAX_GAPS + 1, 2 * MAX_GAPS + 2)
        assert not stream.would_refuse(2, 3)
        assert not stream.would_refuse(0, 1)

    def test_memory_follows_what_arrives_not_the_window(self):
        stream = ReceiveStream(1 << 30)
        stream.write(0, row(bytes(1000)))
        assert stream.memory == 1024

    def test_a_repeated_byte_is_counted(self):
        stream = ReceiveStream(100)
        stream.write(0, row(b"abc"))
        stream.write(0, row(b"xyz"))
        stream.write(2, row(b"zde"))
        stream.write(10, row(b"k"))
        stream.write(9, row(b"jKl"))
        assert stream.duplicate_bytes == 3 + 1 + 1
        assert stream.read(-1) == b"abcde"


@pytest.mark.parametrize("seed", range(4))
def test_single_packets_and_rows_are_the_same_stream(seed):
    rng = random.Random(seed)
    data = rng.randbytes(200_000)
    stream, out, at = ReceiveStream(20_000), b"", 0
    while len(out) < len(data):
        piece = data[at : at + rng.choice((1, 64, 500, 1400, 5000))]
        if piece and not stream.would_refuse(at, at + len(piece)):
            if rng.random() < 0.2 and not stream.would_refuse(at, at + len(piece) + 10):
                stream.write_one(at + len(piece), data[at + len(piece) : at + len(piece) + 10])
            if rng.random() < 0.5:
                stream.write_one(at, piece)
            else:
                stream.write(at, row(piece))
            at += len(piece)
        else:
            out += stream.read(rng.choice((-1, 3000)))
        if rng.random() < 0.3:
            target = bytearray(rng.choice((10, 700, 9000)))
            out += target[: stream.readinto(memoryview(target))]
    assert out == data

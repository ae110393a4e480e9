"""The sending half of the stream against a byte-wise model."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rawproto.rsp.send_stream import REFERENCE_FROM, SendStream

BIG = 1 << 20


def content(stream, start, stop):
    """The bytes of a range, as a batch would carry them."""
    array, index = stream.locate(start, stop)
    return array[index : index + stop - start].tobytes()


class TestWriting:
    def test_takes_no_more_than_there_is_room_for(self):
        stream = SendStream(100)
        assert stream.write(b"x" * 60) == 60
        assert stream.write(b"x" * 60) == 40
        assert stream.write(b"x") == 0
        stream.new_range(100, BIG)
        stream.on_sent(0, 100)
        assert stream.on_acknowledged(0, 30) == 30
        assert stream.room == 30

    def test_large_bytes_are_kept_by_reference(self):
        data = bytes(range(256)) * (REFERENCE_FROM // 256)
        stream = SendStream(BIG)
        stream.write(data)
        array, index = stream.locate(0, len(data))
        assert np.shares_memory(array, np.frombuffer(data, dtype=np.uint8))
        assert index == 0

    @pytest.mark.parametrize("size", [10, REFERENCE_FROM])
    def test_what_can_change_is_copied(self, size):
        data = bytearray(b"a" * size)
        stream = SendStream(BIG)
        stream.write(data)
        stream.write(memoryview(data))
        data[:] = b"b" * size
        assert content(stream, 0, 2 * size) == b"a" * (2 * size)

    def test_other_element_types_are_bytes_in_the_end(self):
        stream = SendStream(BIG)
        stream.write(memoryview(np.arange(3, dtype=np.uint32)))
        assert content(stream, 0, 12) == np.arange(3, dtype=np.uint32).tobytes()

    def test_nothing_after_the_end(self):
        stream = SendStream(100)
        stream.finish()
        assert stream.write(b"x") == stream.room == 0
        assert stream.fin_pending
        stream.fin_pending, stream.fin_acked = False, True
        stream.finish()
        assert not stream.fin_pending
        assert stream.finished


class TestRanges:
    def test_new_data_stops_at_the_window(self):
        stream = SendStream(1000)
        stream.write(b"x" * 100)
        assert stream.new_range(30, 1000) == (0, 30)
        assert stream.new_range(300, 50) == (0, 50)
        stream.on_sent(0, 50)
        assert stream.new_range(300, 50) is None
        assert stream.new_range(300, 1000) == (50, 100)

    def test_lost_data_goes_out_again_but_not_what_arrived_meanwhile(self):
        stream = SendStream(1000)
        stream.write(b"x" * 100)
        stream.on_sent(0, 100)
        stream.on_acknowledged(20, 40)
        stream.on_lost(0, 60)
        assert stream.lost_range(100) == (0, 20)
        assert stream.lost_range(5) == (0, 5)
        stream.on_sent(0, 20)
        assert stream.lost_range(100) == (40, 60)
        stream.on_acknowledged(40, 60)
        assert not stream.lost

    def test_the_oldest_unacknowledged_is_what_a_probe_carries(self):
        stream = SendStream(1000)
        assert stream.oldest_range(10) is None
        stream.write(b"x" * 100)
        stream.on_sent(0, 50)
        stream.on_acknowledged(0, 20)
        assert stream.oldest_range(10) == (20, 30)
        assert stream.oldest_range(100) == (20, 50)

    def test_an_acknowledgement_out_of_order_moves_nothing_until_the_hole_fills(self):
        stream = SendStream(1000)
        stream.write(b"x" * 100)
        stream.on_sent(0, 100)
        assert stream.on_acknowledged(50, 100) == 0
        assert stream.unacknowledged == 100
        assert stream.on_acknowledged(0, 50) == 100
        assert stream.on_acknowledged(0, 50) == 0


class TestMemory:
    def test_a_write_taken_in_parts_is_one_chunk_again(self):
        data = bytes(range(256)) * 4096
        stream = SendStream(1 << 21)
        done = stream.write(memoryview(data)[:100_000])
        done += stream.write(memoryview(data)[done : done + 300_001])
        done += stream.write(memoryview(data)[done:])
        assert done == len(data)
        array, index = stream.locate(99_000, 900_000)
        assert index == 99_000
        assert np.shares_memory(array, np.frombuffer(data, dtype=np.uint8))
        assert array[index:900_000].tobytes() == data[99_000:900_000]
        stream.write(memoryview(data)[:100_000])  # the same bytes, but not what follows
        assert stream.piece(len(data) - 10, len(data) + 10) == data[-10:] + data[:10]

    def test_chunks_are_let_go(self):
        stream = SendStream(1 << 22)
        for turn in range(50):
            stream.write(bytes([turn]) * REFERENCE_FROM)
            stream.write(b"small")
        end = stream.end
        stream.on_sent(0, end)
        stream.on_acknowledged(0, end - 1)
        assert len(stream._chunks) <= 2
        stream.on_acknowledged(end - 1, end)
        assert not stream._chunks

    def test_small_writes_share_a_chunk(self):
        stream = SendStream(BIG)
        for _ in range(5000):
            stream.write(b"ten bytes!")
        assert len(stream._chunks) <= 3


@given(st.lists(st.integers(1, 40_000), min_size=1, max_size=8), st.integers(0, 10**6), st.booleans())
@settings(max_examples=60, deadline=None)
def test_any_range_can_be_found_again(sizes, seed, as_bytes):
    rng = random.Random(seed)
    stream, model = SendStream(BIG), b""
    for size in sizes:
        data = rng.randbytes(size)
        taken = stream.write(data if as_bytes else bytearray(data))
        model += data[:taken]
    for _ in range(20):
        start = rng.randrange(len(model))
        stop = rng.randrange(start, len(model)) + 1
        assert content(stream, start, stop) == model[start:stop]


@pytest.mark.parametrize("seed", range(20))
def test_whatever_is_lost_or_acknowledged_the_stream_gets_through(seed):
    rng = random.Random(seed)
    stream, model = SendStream(50_000), b""
    flying, total = [], 200_000
    for _ in range(100_000):
        if len(model) < total:
            piece = rng.randbytes(rng.choice((1, 300, 20_000)))[: total - len(model)]
            model += piece[: stream.write(piece)]
        found = stream.lost_range(3000) or stream.new_range(3000, stream.acked_end + 30_000)
        if found is not None and len(flying) < 30:
            start, stop = found
            assert content(stream, start, stop) == model[start:stop]
            stream.on_sent(start, stop)
            flying.append((start, stop))
        elif flying:
            start, stop = flying.pop(rng.randrange(len(flying)))
            if rng.random() < 0.6:
                stream.on_acknowledged(start, stop)
            else:
                stream.on_lost(start, stop)
        if stream.acked_end == total:
            break
    assert stream.acked_end == stream.end == total
    assert not stream.lost
    assert not len(stream._acknowledged)

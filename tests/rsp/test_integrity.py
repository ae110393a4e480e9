"""The integrity check: what it catches, and that one packet and a batch of them agree."""

from __future__ import annotations

import random

import numpy as np
import pytest

from rawproto.errors import ConfigError
from rawproto.rsp import integrity
from rawproto.wire.batch import Batch, pack_rows

RNG = random.Random(1)
PACKET = integrity.fill_one(bytes(4) + RNG.randbytes(96))


def test_a_good_packet_passes():
    assert integrity.verify_one(PACKET)
    assert integrity.verify_one(memoryview(PACKET))


def test_every_single_bit_flip_is_caught():
    for bit in range(8 * len(PACKET)):
        wrong = bytearray(PACKET)
        wrong[bit // 8] ^= 1 << bit % 8
        assert not integrity.verify_one(bytes(wrong)), bit


def test_every_burst_up_to_32_bits_is_caught():
    # C5: a CRC of 32 bits finds every burst of up to 32 bits, the check field's own included.
    whole = int.from_bytes(PACKET, "big")
    size = 8 * len(PACKET)
    for length in range(1, 33):
        for at in range(0, size - length + 1, 7):
            pattern = (RNG.getrandbits(length) | 1 | 1 << (length - 1)) << at
            assert not integrity.verify_one((whole ^ pattern).to_bytes(len(PACKET), "big"))


def test_every_cut_is_caught():
    for size in range(4, len(PACKET)):
        assert not integrity.verify_one(PACKET[:size])


def batches():
    """The same datagrams whole in their rows, and with a tail of their own."""
    sizes = [40, 40, 33, 100]
    packets = [bytes(4) + RNG.randbytes(size) for size in sizes]
    head = np.stack([np.frombuffer(packet[:32], dtype=np.uint8) for packet in packets]).copy()
    tail = np.frombuffer(b"".join(packet[32:] for packet in packets), dtype=np.uint8)
    lengths = np.array([len(packet) - 32 for packet in packets])
    with_tail = Batch(head, np.full(4, 32), tail, np.cumsum(lengths) - lengths, lengths)
    return packets, Batch.from_datagrams(packets), with_tail


def test_a_batch_is_filled_as_single_packets_are():
    packets, whole, with_tail = batches()
    expected = [integrity.fill_one(packet) for packet in packets]
    for batch in (whole, with_tail):
        integrity.fill(batch, integrity.CRC32)
        assert list(batch) == expected
        integrity.fill(batch, integrity.NONE)
        assert [packet[:4] for packet in batch] == [bytes(4)] * 4


def test_a_batch_is_verified_as_single_packets_are():
    packets = [integrity.fill_one(packet) for packet in batches()[0]]
    rows, lengths = pack_rows(packets)
    assert integrity.verify(rows, lengths, integrity.CRC32) is None
    for wrong in range(4):
        rows[wrong, 20] ^= 1
        found = integrity.verify(rows, lengths, integrity.CRC32)
        assert found is not None
        assert found.tolist() == [index == wrong for index in range(4)]
        assert integrity.verify(rows, lengths, integrity.NONE) is None
        rows[wrong, 20] ^= 1


def test_bytes_behind_the_packet_do_not_count():
    rows = np.full((1, 200), 255, dtype=np.uint8)
    rows[0, : len(PACKET)] = np.frombuffer(PACKET, dtype=np.uint8)
    assert integrity.verify(rows, np.array([len(PACKET)]), integrity.CRC32) is None


def test_each_check_has_a_bit_and_others_are_refused():
    bits = [integrity.check_bit(name) for name in integrity.check_names()]
    assert len(set(bits)) == len(bits)
    with pytest.raises(ConfigError, match=r"unknown integrity check 'md5'"):
        integrity.check_bit("md5")

"""The integrity checks: what they catch, and that one packet and a batch of them agree."""

from __future__ import annotations

import random
import zlib
from itertools import product

import numpy as np
import pytest
from xxhash import xxh3_64_intdigest

from rawproto.errors import ConfigError
from rawproto.rsp import RSPConfig, checks, integrity
from rawproto.rsp.checks import CRC32, NONE, XXH3
from rawproto.rsp.handshake import choose, wishes
from rawproto.wire.batch import Batch, pack_rows

RNG = random.Random(1)
BARE = bytes(4) + RNG.randbytes(96)
BOTH = pytest.mark.parametrize("check", [CRC32, XXH3])
SIZES = pytest.mark.parametrize("size", [5, 24, 31, 32, 33, 100])


def sealed(check, size=100):
    return checks.fill_one(BARE[:size], check)


@BOTH
@SIZES
def test_a_good_packet_passes(check, size):
    packet = sealed(check, size)
    assert packet[4:] == BARE[4:size]
    assert checks.verify_one(packet, check)
    assert checks.verify_one(memoryview(packet), check)
    assert checks.sound(packet)


def test_known_values():
    # Those of docs/rsp.md section 2.8; the first two are the check value of the CRC and XXH3's vector for no bytes.
    assert checks.crc32(bytes(4) + b"123456789") == 0xCBF43926
    assert xxh3_64_intdigest(b"") == 0x2D06800538D394C2
    assert checks.xxh3(bytes(4)) == 0xE10017F3
    assert checks.xxh3(bytes(range(24))) == 0xB721BF54
    assert checks.xxh3(bytes(range(40))) == 0xFD071391


@BOTH
@SIZES
def test_every_single_bit_flip_is_caught(check, size):
    packet = sealed(check, size)
    for bit in range(8 * size):
        wrong = bytearray(packet)
        wrong[bit // 8] ^= 1 << bit % 8
        assert not checks.verify_one(bytes(wrong), check), bit
        assert not checks.sound(bytes(wrong)), bit


@BOTH
def test_every_burst_up_to_32_bits_is_caught(check):
    # C5: a CRC of 32 bits finds every burst of up to 32 bits, the check field's own included; XXH3 these ones.
    packet = sealed(check)
    whole = int.from_bytes(packet, "big")
    size = 8 * len(packet)
    for length in range(1, 33):
        for at in range(0, size - length + 1, 7):
            pattern = (RNG.getrandbits(length) | 1 | 1 << (length - 1)) << at
            assert not checks.verify_one((whole ^ pattern).to_bytes(len(packet), "big"), check)


@BOTH
def test_two_bits_of_the_same_weight_are_caught(check):
    # What sums of machine words lose: the same line stuck twice.
    packet = sealed(check)
    for bit in range(8):
        for first in range(4, len(packet)):
            for second in range(first + 1, len(packet)):
                wrong = bytearray(packet)
                wrong[first] ^= 1 << bit
                wrong[second] ^= 1 << bit
                assert not checks.verify_one(wrong, check)


def test_what_ethernets_check_misses_xxh3_finds():
    # A multiple of the generator, anywhere in the packet, is what a frame's check sequence cannot see (IEEE 802.3).
    generator = 0x104C11DB7
    reflected = int(f"{generator:033b}"[::-1], 2)
    pattern = (reflected << 3).to_bytes(5, "little")
    for at in range(4, len(BARE) - 5):
        damage = bytes(at) + pattern + bytes(len(BARE) - at - 5)
        by_crc, by_xxh3 = (
            bytes(a ^ b for a, b in zip(sealed(check), damage, strict=True)) for check in (CRC32, XXH3)
        )
        assert zlib.crc32(by_crc) == zlib.crc32(sealed(CRC32))
        assert checks.verify_one(by_crc, CRC32)
        assert not checks.verify_one(by_xxh3, XXH3)


@BOTH
def test_every_cut_is_caught(check):
    packet = sealed(check)
    for size in range(4, len(packet)):
        assert not checks.verify_one(packet[:size], check)


def test_none_is_not_looked_at():
    assert checks.fill_one(b"\1\2\3\4rest", NONE) == bytes(4) + b"rest"
    assert checks.verify_one(b"\1\2\3\4rest", NONE)


def batches():
    """The same datagrams whole in their rows, and with a tail of their own."""
    sizes = [40, 40, 33, 100]
    packets = [bytes(4) + RNG.randbytes(size) for size in sizes]
    head = np.stack([np.frombuffer(packet[:32], dtype=np.uint8) for packet in packets]).copy()
    tail = np.frombuffer(b"".join(packet[32:] for packet in packets), dtype=np.uint8)
    lengths = np.array([len(packet) - 32 for packet in packets])
    with_tail = Batch(head, np.full(4, 32), tail, np.cumsum(lengths) - lengths, lengths)
    return packets, Batch.from_datagrams(packets), with_tail


@BOTH
def test_a_batch_is_filled_as_single_packets_are(check):
    packets, whole, with_tail = batches()
    expected = [checks.fill_one(packet, check) for packet in packets]
    for batch in (whole, with_tail):
        integrity.fill(batch, check)
        assert list(batch) == expected
        integrity.fill(batch, NONE)
        assert [packet[:4] for packet in batch] == [bytes(4)] * 4


@BOTH
def test_a_batch_is_verified_as_single_packets_are(check):
    packets = [checks.fill_one(packet, check) for packet in batches()[0]]
    rows, lengths = pack_rows(packets)
    assert integrity.verify(rows, lengths, check) is None
    for wrong, at in product(range(4), (20, 33)):
        rows[wrong, at] ^= 1
        found = integrity.verify(rows, lengths, check)
        assert found is not None
        assert found.tolist() == [index == wrong for index in range(4)]
        assert integrity.verify(rows, lengths, NONE) is None
        rows[wrong, at] ^= 1


@BOTH
@SIZES
def test_bytes_behind_the_packet_do_not_count(check, size):
    rows = np.full((1, 200), 255, dtype=np.uint8)
    rows[0, :size] = np.frombuffer(sealed(check, size), dtype=np.uint8)
    assert integrity.verify(rows, np.array([size]), check) is None


def test_each_check_has_a_bit_and_others_are_refused():
    bits = [checks.check_bit(name) for name in checks.check_names()]
    assert len(set(bits)) == len(bits)
    with pytest.raises(ConfigError, match=r"unknown integrity check 'md5'"):
        checks.check_bit("md5")


STRENGTH = {"none": 0, "xxh3": 1, "crc32": 2}


@pytest.mark.parametrize("carrier_checks", [True, False])
@pytest.mark.parametrize(("ours", "theirs"), list(product([None, *STRENGTH], repeat=2)))
def test_the_stronger_wish_wins(ours, theirs, *, carrier_checks):
    default = "none" if carrier_checks else "xxh3"
    expected = max(ours or default, theirs or default, key=STRENGTH.__getitem__)
    offers = [wishes(RSPConfig(integrity=wish), carrier_checks) for wish in (ours, theirs)]
    assert choose(*offers)[0] == expected
    # The dialer takes the answer for what it is.
    check, features = choose(*offers)
    assert choose(offers[0], features) == (check, features)


def test_a_peer_that_knows_no_xxh3_gets_the_crc():
    theirs = checks.check_bit(CRC32)
    assert choose(wishes(RSPConfig(), carrier_checks=False), theirs)[0] == CRC32

"""Cutting datagrams: by the RFCs, against scapy's view of the pieces, and back together."""

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import UDP, Datagram, IPv4, IPv6
from rawproto.errors import DecodeError, EncodeError
from rawproto.wire.fragmentation import fragment
from rawproto.wire.identification import IdentificationSequence
from rawproto.wire.reassembly import Reassembler


def offsets(parts):
    """(offset in bytes, more, data length) of IPv4 fragments, read independently."""
    found = []
    for part in parts:
        length = (part[0] & 15) * 4
        word = struct.unpack("!H", part[6:8])[0]
        found.append(((word & 0x1FFF) * 8, bool(word & 0x2000), len(part) - length))
    return found


def test_what_fits_is_left_alone(by_hand):
    for datagram in (by_hand.ipv4(bytes(80)), by_hand.ipv6(bytes(60))):
        assert fragment(datagram, 100) == [datagram]
        assert fragment(datagram + b"padding", 100) == [datagram]
        assert fragment(bytearray(datagram), 100) == [datagram]


def test_ipv4_pieces_are_whole_units_of_eight_and_carry_right_lengths_and_checksums(by_hand):
    data = by_hand.content(100)
    parts = fragment(by_hand.ipv4(data, ident=0x1234, protocol=17), 60)
    assert offsets(parts) == [(0, True, 40), (40, True, 40), (80, False, 20)]
    assert b"".join(part[20:] for part in parts) == data
    for part in parts:
        assert by_hand.sum16(part[:20]) == 0
        assert struct.unpack("!H", part[2:4])[0] == len(part)
        assert part[4:6] == b"\x12\x34"
        assert (part[1], part[8], part[9], part[12:20]) == (0, 64, 17, by_hand.SOURCE4 + by_hand.TARGET4)


def test_ipv4_options_are_copied_by_their_copy_bit(by_hand):
    """RFC 791 section 3.1: record route stays in the first fragment, a source route goes into all."""
    record, route = b"\x07\x07\x04" + bytes(4), b"\x83\x07\x04" + bytes(4)
    options = record + b"\x01" + route + b"\x00"
    parts = fragment(by_hand.ipv4(bytes(64), options=options), 64)
    assert parts[0][20:36] == options
    for part in parts[1:]:
        assert part[0] & 15 == 7
        assert part[20:28] == route + b"\x00"
        assert by_hand.sum16(part[:28]) == 0
    with pytest.raises(DecodeError):
        fragment(by_hand.ipv4(bytes(64), options=b"\x07\x00\x00\x00"), 64)


def test_ipv4_do_not_fragment_is_honoured(by_hand):
    with pytest.raises(EncodeError, match="don't-fragment") as caught:
        fragment(by_hand.ipv4(bytes(100), flags=2), 100)
    assert caught.value.field == "df"
    assert len(fragment(by_hand.ipv4(bytes(80), flags=2), 100)) == 1


def test_an_ipv4_fragment_is_cut_again(by_hand):
    middle = by_hand.ipv4(by_hand.content(80), start=160, more=True)
    assert offsets(fragment(middle, 60)) == [(160, True, 40), (200, True, 40)]
    last = by_hand.ipv4(by_hand.content(44), start=160)
    assert offsets(fragment(last, 60)) == [(160, True, 40), (200, False, 4)]


def test_identification_is_never_constant(by_hand):
    """It is the one given, the header's own when that is not 0, and else differs with the datagram."""
    first = fragment(by_hand.ipv4(by_hand.content(100, 1), ident=0), 60)
    second = fragment(by_hand.ipv4(by_hand.content(100, 2), ident=0), 60)
    assert first[0][4:6] == first[1][4:6] != b"\0\0"
    assert first[0][4:6] != second[0][4:6]
    assert fragment(by_hand.ipv4(bytes(100)), 60, identification=5)[0][4:6] == b"\0\5"
    third = fragment(by_hand.ipv6(by_hand.content(100, 1)), 100)
    fourth = fragment(by_hand.ipv6(by_hand.content(100, 2)), 100)
    assert third[0][44:48] == third[1][44:48] != fourth[0][44:48]
    assert fragment(by_hand.ipv6(bytes(100)), 100, identification=5)[1][44:48] == b"\0\0\0\5"
    with pytest.raises(EncodeError, match="16 bits"):
        fragment(by_hand.ipv4(bytes(100)), 60, identification=1 << 16)


@pytest.mark.parametrize("bits", [16, 32])
def test_identification_sequences_do_not_repeat_and_differ_by_pair_and_secret(bits):
    sequence = IdentificationSequence(bytes(16), bits)
    numbers = [sequence.next(b"a", b"b", 17) for _ in range(5_000)]
    assert len(set(numbers)) == 5_000
    assert max(numbers) < 1 << bits
    other = IdentificationSequence(bytes(16), bits)
    assert (
        other.next(b"a", b"c", 17)
        != numbers[0]
        != IdentificationSequence(bytes(15) + b"x", bits).next(b"a", b"b", 17)
    )
    assert sum(second - first == 1 for first, second in itertools.pairwise(numbers)) < 10
    with pytest.raises(ValueError, match="guessed"):
        IdentificationSequence(b"short")
    with pytest.raises(ValueError, match="16 or 32"):
        IdentificationSequence(bytes(16), 24)


def test_all_65536_identifications_come_before_any_comes_again():
    sequence = IdentificationSequence(bytes(range(16)))
    assert len({sequence.next(b"a", b"b", 17) for _ in range(1 << 16)}) == 1 << 16


def test_ipv6_pieces(by_hand):
    data = by_hand.content(100)
    parts = fragment(by_hand.ipv6(data, next_header=17), 88, identification=0xABCDEF01)
    assert [part[40:48].hex() for part in parts] == [
        "11000001abcdef01",
        "11000029abcdef01",
        "11000050abcdef01",
    ]
    assert b"".join(part[48:] for part in parts) == data
    for part in parts:
        assert part[6] == 44
        assert struct.unpack("!H", part[4:6])[0] == len(part) - 40


def test_ipv6_headers_up_to_the_routing_header_go_into_every_piece(by_hand):
    """RFC 8200 section 4.5: hop-by-hop, destination options before routing, routing; no options behind it."""
    hop = b"\x3c\x00\x05\x02\x00\x00\x01\x00"  # router alert, then destination options
    before = b"\x2b\x00\x01\x04" + bytes(4)
    routing = b"\x3c\x00" + bytes(6)
    behind = b"\x11\x00\x01\x04" + bytes(4)
    datagram = by_hand.ipv6(hop + before + routing + behind + by_hand.content(100), next_header=0)
    parts = fragment(datagram, 120)
    for part in parts:
        assert part[40:64] == hop + before + b"\x2c" + routing[1:]
        assert part[64] == 60
    assert parts[0][72:80] == behind
    only_hop = by_hand.ipv6(hop[:0] + b"\x3c" + hop[1:] + behind + by_hand.content(100), next_header=0)
    assert fragment(only_hop, 120)[1][40:49] == b"\x2c" + hop[1:] + b"\x3c"
    plain = by_hand.ipv6(behind + by_hand.content(100), next_header=60)
    assert fragment(plain, 120)[1][40:41] == b"\x3c"


def test_ipv6_first_piece_must_hold_all_headers(by_hand):
    """RFC 7112."""
    options = b"\x06\x06\x1e\x34" + bytes(52)
    datagram = by_hand.ipv6(options + by_hand.content(100), next_header=60)
    with pytest.raises(EncodeError, match="all headers"):
        fragment(datagram, 112)
    assert len(fragment(datagram, 136)) == 2


def test_an_ipv6_fragment_is_not_cut_again(by_hand):
    with pytest.raises(EncodeError, match="fragment"):
        fragment(by_hand.ipv6_piece(bytes(200), more=True), 100)


@pytest.mark.parametrize("version", [4, 6])
def test_an_mtu_without_room_is_refused(by_hand, version):
    with pytest.raises(EncodeError, match="no room"):
        fragment(by_hand.whole(version, bytes(100)), 27 if version == 4 else 55)


@pytest.mark.parametrize(
    "data", [b"", b"\x50" * 40, b"\x45" + bytes(10), b"\x44" + bytes(19), b"\x60" + bytes(10)]
)
def test_what_is_no_datagram_is_refused(data):
    with pytest.raises(DecodeError):
        fragment(data, 1500)


@given(
    st.sampled_from((4, 6)), st.integers(0, 3_000), st.integers(60, 1_500), st.randoms(use_true_random=False)
)
def test_fragments_in_any_order_reassemble(by_hand, version, size, mtu, rng):
    datagram = by_hand.whole(version, rng.randbytes(size))
    parts = fragment(datagram, mtu)
    assert all(len(part) <= mtu for part in parts)
    rng.shuffle(parts)
    reassembler = Reassembler(max_pieces=8_192)
    results = [reassembler.add(part) for part in parts]
    assert results[-1] == datagram
    assert results[:-1] == [None] * (len(parts) - 1)


@given(st.integers(100, 4_000), st.integers(68, 600))
def test_scapy_reads_our_pieces_and_puts_them_together(by_hand, size, mtu):
    from scapy.layers.inet import IP, defragment

    datagram = by_hand.ipv4(by_hand.content(size), ident=99)
    parts = [IP(part) for part in fragment(datagram, mtu)]
    assert bytes(next(iter(defragment(parts)))) == datagram


@pytest.mark.parametrize("version", [4, 6])
def test_datagrams_go_in_and_come_out_as_datagrams(version):
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2") if version == 4 else IPv6(src="fd00::1", dst="fd00::2")
    datagram = outer / UDP(sport=1, dport=2) / bytes(3_000)
    parts = fragment(datagram, 1_280)
    assert all(isinstance(part, Datagram) for part in parts)
    assert [len(bytes(part)) for part in parts[:-1]] == [1_276 if version == 4 else 1_280] * 2
    if version == 4:
        assert [part[IPv4].fragment_offset for part in parts] == [0, 1_256, 2_512]
        assert [part[IPv4].mf for part in parts] == [True, True, False]
        assert parts[0].verify() == []
    reassembler = Reassembler()
    assert reassembler.add(parts[1]) is None
    assert reassembler.add(parts[2]) is None
    whole = reassembler.add(parts[0])
    assert isinstance(whole, Datagram)
    assert bytes(whole) == bytes(datagram)
    assert whole.verify() == []
    small = outer / UDP(sport=1, dport=2) / b"x"
    assert fragment(small, 1_280) == [small]
    assert reassembler.add(small) is small


def test_the_public_name_is_the_function_whatever_was_imported_before():
    import rawproto.wire

    assert rawproto.fragment is rawproto.wire.fragment is fragment
    assert not hasattr(rawproto.wire.fragment, "__path__")

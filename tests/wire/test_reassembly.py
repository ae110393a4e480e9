"""Reassembly, by the scenarios G1 to G12 of the reliability catalogue; tests carry their numbers."""

import random
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto.errors import ConfigError
from rawproto.wire.reassembly import FragmentDrop, Reassembler

SECOND = 1_000_000_000
both_versions = pytest.mark.parametrize("version", [4, 6])


def feed(reassembler, parts, now=0):
    """What came out, None left out."""
    return [whole for part in parts if (whole := reassembler.add(part, now)) is not None]


def balanced(reassembler):
    """Every fragment is accounted for, once."""
    stats = reassembler.stats()
    return stats.received == stats.used + stats.duplicates + sum(stats.drops.values()) + stats.held


def run_sizes(by_hand, seed, count):
    """G1: sizes and fragment sizes of all orders, in two families."""
    rng = random.Random(seed)
    reassembler = Reassembler(max_pieces=8_192, max_bytes=8 << 20)
    for number in range(count):
        version = rng.choice((4, 6))
        size = rng.choice(
            (1, 7, 8, 9, rng.randrange(1, 200), rng.randrange(1, 4_000), rng.randrange(1, 65_516))
        )
        step = rng.randrange(1, 188) * 8 if size < 4_000 else rng.choice((512, 1_400, 1_496))
        data = rng.randbytes(size)
        parts = by_hand.pieces(version, data, step, ident=number & 0xFFFF)
        if len(parts) == 1:
            continue
        order = rng.choice(("forward", "reverse", "odd first", "random"))
        if order == "reverse":
            parts.reverse()
        elif order == "odd first":
            parts = parts[1::2] + parts[::2]
        elif order == "random":
            rng.shuffle(parts)
        assert feed(reassembler, parts) == [
            by_hand.whole(version, data, **({"ident": number & 0xFFFF} if version == 4 else {}))
        ]
    assert len(reassembler) == reassembler.memory == 0
    assert balanced(reassembler)


def test_g1_any_size_in_any_order_is_the_original(by_hand):
    run_sizes(by_hand, seed=1, count=1_000)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_g1_any_size_in_any_order_is_the_original_at_length(by_hand):
    run_sizes(by_hand, seed=2, count=100_000)


def test_g1_every_offset_of_eight_bytes(by_hand):
    """The longest datagram in the smallest fragments: 8,190 of them."""
    data = by_hand.content(65_515)
    parts = by_hand.pieces(4, data, 8)
    random.Random(3).shuffle(parts)
    assert feed(Reassembler(max_pieces=8_192, max_bytes=4 << 20), parts) == [by_hand.ipv4(data)]


def test_the_longest_datagram_at_an_mtu_of_576_passes_the_default_limits(by_hand):
    data = by_hand.content(65_515)
    parts = by_hand.pieces(4, data, 552)
    assert len(parts) == 119
    assert feed(Reassembler(), parts[::-1]) == [by_hand.ipv4(data)]


@both_versions
def test_g2_exact_duplicates_are_accepted(by_hand, version):
    parts = by_hand.pieces(version, by_hand.content(40), 16)
    reassembler = Reassembler()
    assert feed(reassembler, [parts[0], parts[0], parts[2], parts[2], parts[1]]) == [
        by_hand.whole(version, by_hand.content(40))
    ]
    assert reassembler.stats().duplicates == 2
    assert reassembler.drops == {}
    assert balanced(reassembler)


@both_versions
def test_g2_a_changed_duplicate_drops_the_whole_datagram(by_hand, version):
    parts = by_hand.pieces(version, by_hand.content(40), 16)
    changed = by_hand.piece(version, bytes(16), more=True)
    reassembler = Reassembler()
    assert feed(reassembler, [parts[0], changed, parts[1], parts[2], parts[0]]) == []
    assert reassembler.drops == {FragmentDrop.CHANGED_DUPLICATE: 2, FragmentDrop.REFUSED_DATAGRAM: 3}
    assert balanced(reassembler)


OVERLAPS = {
    "head": (8, 32),
    "tail": (24, 48),
    "inside": (24, 32),
    "cover": (8, 48),
    "same start, longer": (16, 48),
    "same start, shorter": (16, 24),
    "same end": (24, 40),
    "from the front": (0, 24),
}


@both_versions
@pytest.mark.parametrize(("start", "end"), OVERLAPS.values(), ids=OVERLAPS)
def test_g3_any_overlap_drops_everything_until_the_timer_ends(by_hand, version, start, end):
    """RFC 5722; teardrop is the case "inside"."""
    data = by_hand.content(80)
    held = by_hand.piece(version, data[16:40], start=16, more=True)
    overlap = by_hand.piece(version, data[start:end], start=start, more=True)
    reassembler = Reassembler()
    reassembler.add(held, 0)
    reassembler.add(overlap, 0)
    assert reassembler.drops == {FragmentDrop.OVERLAP: 2}
    assert feed(reassembler, by_hand.pieces(version, data, 40), now=29 * SECOND) == []
    assert reassembler.drops[FragmentDrop.REFUSED_DATAGRAM] == 2
    assert feed(reassembler, by_hand.pieces(version, data, 40), now=30 * SECOND) == [
        by_hand.whole(version, data)
    ]
    assert balanced(reassembler)


@both_versions
def test_g4_ping_of_death_is_dropped_and_nothing_is_kept_of_it(by_hand, version):
    reassembler = Reassembler()
    for start, size in ((8_189 * 8, 64), (8_191 * 8, 8), (65_528, 1_400)):
        assert reassembler.add(by_hand.piece(version, bytes(size), start=start)) is None
    assert reassembler.drops == {FragmentDrop.TOO_LONG: 3}
    assert reassembler.memory == len(reassembler) == 0
    # The largest that IPv4 can hold: 65,535 less its header.
    if version == 4:
        reassembler.add(by_hand.ipv4(bytes(3), start=65_512))
        assert len(reassembler) == 1


@both_versions
def test_g5_contradictions(by_hand, version):
    def drops(*parts):
        reassembler = Reassembler()
        assert feed(reassembler, parts) == []
        assert balanced(reassembler)
        return reassembler.drops

    def part(start, size, more):
        return by_hand.piece(version, bytes(size), start=start, more=more)

    assert drops(part(8, 0, True)) == {FragmentDrop.EMPTY: 1}
    assert drops(part(8, 0, False)) == {FragmentDrop.EMPTY: 1}
    assert drops(part(0, 12, True)) == {FragmentDrop.UNALIGNED: 1}
    assert drops(part(16, 8, False), part(32, 8, False)) == {FragmentDrop.CONTRADICTORY_END: 2}
    assert drops(part(32, 8, False), part(16, 8, False)) == {FragmentDrop.CONTRADICTORY_END: 2}
    assert drops(part(16, 8, False), part(24, 8, True)) == {FragmentDrop.CONTRADICTORY_END: 2}
    assert drops(part(24, 8, True), part(16, 8, False)) == {FragmentDrop.CONTRADICTORY_END: 2}
    assert drops(part(16, 8, False), part(8, 16, True)) == {FragmentDrop.OVERLAP: 2}
    # The same place and data, but once said to be the last.
    assert drops(part(16, 8, False), part(16, 8, True)) == {FragmentDrop.CHANGED_DUPLICATE: 2}
    assert drops(part(8, 8, True), part(24, 8, False), part(32, 4, False)) == {
        FragmentDrop.CONTRADICTORY_END: 3
    }


@pytest.mark.parametrize(
    ("protocol", "first", "start"),
    [(6, 8, 8), (6, 16, 16), (132, 8, 8), (33, 8, 8)],
    ids=["TCP 8", "TCP 16", "SCTP", "DCCP"],
)
def test_g6_tiny_fragments_are_dropped(by_hand, protocol, first, start):
    """RFC 1858 and RFC 3128: a filter must see the whole transport header in the first fragment."""
    reassembler = Reassembler()
    assert feed(reassembler, [by_hand.ipv4(bytes(first), protocol=protocol, more=True)]) == []
    assert feed(reassembler, [by_hand.ipv4(bytes(24), protocol=protocol, start=8)]) == []
    assert reassembler.drops == {FragmentDrop.TINY: 2}
    assert len(reassembler) == 0


def test_g6_tcp_options_belong_to_the_header(by_hand):
    header = bytes(12) + b"\x80" + bytes(11)  # data offset 8: 32 bytes
    reassembler = Reassembler()
    reassembler.add(by_hand.ipv4(header, protocol=6, more=True))
    assert reassembler.drops == {FragmentDrop.TINY: 1}
    reassembler.add(by_hand.ipv4(header + bytes(8), protocol=6, more=True))
    assert reassembler.stats().held == 1


def test_g6_ipv6_first_fragment_without_all_headers_is_dropped(by_hand):
    """RFC 7112."""
    reassembler = Reassembler()
    for number, data in (
        (6, bytes(16)),
        (60, b"\x06\x01" + bytes(6)),  # destination options cut off
        (60, b"\x06\x00\x01\x04" + bytes(4) + bytes(16)),  # TCP cut off behind them
    ):
        reassembler.add(by_hand.ipv6_piece(data, next_header=number, more=True))
    assert reassembler.drops == {FragmentDrop.HEADER_CHAIN: 3}
    reassembler.add(by_hand.ipv6_piece(b"\x06\x00\x01\x04" + bytes(4) + bytes(24), next_header=60, more=True))
    assert reassembler.stats().held == 1


def test_g7_equal_identification_between_others_is_never_mixed(by_hand):
    other = bytes((10, 9, 9, 9))
    variants = [{}, {"source": other}, {"target": other}, {"protocol": 254}, {"ident": 8}]
    reassembler = Reassembler()
    datas = [by_hand.content(48, seed) for seed in range(len(variants))]
    lists = [by_hand.pieces(4, data, 24, **variant) for data, variant in zip(datas, variants, strict=True)]
    assert feed(reassembler, [parts[0] for parts in lists]) == []
    assert feed(reassembler, [parts[1] for parts in lists]) == [
        by_hand.ipv4(data, **variant) for data, variant in zip(datas, variants, strict=True)
    ]
    assert reassembler.drops == {}


def test_g7_ipv6_next_header_of_later_fragments_plays_no_part(by_hand):
    """RFC 8200 section 4.5: the first fragment's counts; it is no part of what names a datagram."""
    data = by_hand.content(32)
    reassembler = Reassembler()
    reassembler.add(by_hand.ipv6_piece(data[16:], start=16, next_header=99))
    assert reassembler.add(by_hand.ipv6_piece(data[:16], more=True, next_header=253)) == by_hand.ipv6(data)


@both_versions
def test_g8_the_timer(by_hand, version):
    first, second, third = by_hand.pieces(version, by_hand.content(48), 16)
    begin = 5 * SECOND
    reassembler = Reassembler()
    assert reassembler.poll_timeout() is None
    reassembler.add(first, begin)
    reassembler.add(second, begin + 20 * SECOND)
    assert reassembler.poll_timeout() == begin + 30 * SECOND  # later fragments do not extend it
    assert reassembler.add(third, begin + 29_900_000_000) == by_hand.whole(version, by_hand.content(48))

    reassembler = Reassembler()
    reassembler.add(first, begin)
    reassembler.add(second, begin)
    assert reassembler.add(third, begin + 30_100_000_000) is None
    assert reassembler.drops == {FragmentDrop.TIMEOUT: 2}
    assert reassembler.stats().held == 1
    assert balanced(reassembler)
    assert Reassembler(timeout=0.5)._timeout == SECOND // 2


@both_versions
def test_g8_who_times_out_is_told_only_when_the_first_fragment_came(by_hand, version):
    data = by_hand.content(4_000)
    first, second, third = by_hand.pieces(version, data, 1_600)
    reassembler = Reassembler()
    reassembler.add(second, 0)
    assert reassembler.expire(31 * SECOND) == []
    reassembler.add(first, 31 * SECOND)
    (quote,) = reassembler.expire(61 * SECOND)
    assert len(quote) == (548 if version == 4 else 1_232)
    assert quote.endswith(data[500 : len(quote) - (20 if version == 4 else 40)])
    assert reassembler.expire(62 * SECOND) == []
    assert third


def flood(by_hand, reassembler, make, count, honest_every=50):
    """A flood with honest datagrams of two fragments in between; the share of those that completed."""
    honest = complete = 0
    for number in range(count):
        reassembler.add(make(number), number * 1_000)
        if number % honest_every == 0:
            honest += 1
            source = struct.pack("!I", 0xC0A80000 | honest & 0xFFFF)
            first, second = by_hand.pieces(4, bytes(2_000), 1_000, source=source, ident=honest & 0xFFFF)
            reassembler.add(first, number * 1_000)
            # Its second half comes a little later in the flood.
            for extra in range(5):
                reassembler.add(make(count + number * 5 + extra), number * 1_000)
            complete += reassembler.add(second, number * 1_000) is not None
        assert reassembler.memory <= 1 << 20
    assert balanced(reassembler)
    return complete / honest


FLOODS = {
    "first fragments, one source": lambda hand, n: hand.ipv4(
        bytes(8), ident=n & 0xFFFF, protocol=n >> 16 & 3, more=True
    ),
    "first fragments, any source": lambda hand, n: hand.ipv4(
        bytes(8), source=struct.pack("!I", n), more=True
    ),
    "large fragments, any source": lambda hand, n: hand.ipv4(
        bytes(1_480), source=struct.pack("!I", n), more=True
    ),
    "far ends, one source": lambda hand, n: hand.ipv4(bytes(8), ident=n & 0xFFFF, start=65_000),
    "overlaps, any source": lambda hand, n: hand.ipv4(
        bytes(16), source=struct.pack("!I", n // 2), start=8 * (n % 2), more=True
    ),
}


@pytest.mark.parametrize("make", FLOODS.values(), ids=FLOODS)
def test_g9_a_flood_stays_within_its_memory_and_the_honest_get_through(by_hand, make):
    share = flood(by_hand, Reassembler(), lambda number: make(by_hand, number), 5_000)
    assert share >= 0.99


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("make", FLOODS.values(), ids=FLOODS)
def test_g9_a_flood_of_100_000(by_hand, make):
    share = flood(by_hand, Reassembler(), lambda number: make(by_hand, number), 100_000)
    assert share >= 0.99


@pytest.mark.parametrize("size", [8, 1_480])
def test_g9_the_memory_charged_is_not_less_than_the_memory_used(by_hand, size):
    parts = [
        by_hand.ipv4(bytes(size), source=struct.pack("!I", number), more=True) for number in range(4_000)
    ]
    tracemalloc.start()
    try:
        reassembler = Reassembler()
        before, _ = tracemalloc.get_traced_memory()
        for part in parts:
            reassembler.add(part, 0)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before <= 1 << 20
    assert reassembler.memory > (1 << 20) * 0.9


def test_g9_one_source_is_held_to_its_share(by_hand):
    reassembler = Reassembler()
    for number in range(1_000):
        reassembler.add(by_hand.ipv4(bytes(800), ident=number, more=True))
        assert reassembler.memory <= 64 << 10
    assert set(reassembler.drops) == {FragmentDrop.SOURCE_MEMORY}
    assert balanced(reassembler)


def test_g9_a_datagram_of_too_many_pieces_is_dropped(by_hand):
    parts = by_hand.pieces(4, bytes(129 * 8), 8)
    reassembler = Reassembler()
    assert feed(reassembler, parts) == []
    assert reassembler.drops == {FragmentDrop.TOO_MANY_PIECES: 128, FragmentDrop.REFUSED_DATAGRAM: 1}
    assert feed(Reassembler(), by_hand.pieces(4, bytes(128 * 8), 8)) == [by_hand.ipv4(bytes(128 * 8))]


def test_g9_the_number_of_datagrams_is_capped_oldest_first(by_hand):
    reassembler = Reassembler(max_datagrams=3)
    parts = [by_hand.pieces(4, bytes(32), 16, ident=number) for number in range(4)]
    feed(reassembler, [first for first, _ in parts])
    assert len(reassembler) == 3
    assert reassembler.drops == {FragmentDrop.TOO_MANY_DATAGRAMS: 1}
    assert feed(reassembler, [parts[1][1]]) == [by_hand.ipv4(bytes(32), ident=1)]


def test_g10_rose_jolt2_and_fragment_smack(by_hand):
    """First and last only; one fragment for ever; 8-byte pieces in random order."""
    reassembler = Reassembler()
    for number in range(3_000):
        reassembler.add(by_hand.ipv4(bytes(8), ident=number, more=True))
        reassembler.add(by_hand.ipv4(bytes(8), ident=number, start=60_000))
    assert reassembler.memory <= 64 << 10
    jolt = by_hand.ipv4(bytes(8), ident=65_000, start=65_000, more=True)
    for _ in range(3_000):
        reassembler.add(jolt)
    assert reassembler.stats().duplicates == 2_999
    rng = random.Random(10)
    for _ in range(3_000):
        reassembler.add(by_hand.ipv4(bytes(8), ident=65_001, start=rng.randrange(1, 8_000) * 8, more=True))
        assert reassembler.memory <= 64 << 10
    assert balanced(reassembler)


def test_g11_fragments_mixed_by_an_identification_used_again_are_left_to_the_checksum(by_hand):
    """RFC 4963: what fits is joined; transports see it by their checksum, an overlap is seen here."""
    old, new = by_hand.content(48, 1), by_hand.content(48, 2)
    reassembler = Reassembler()
    reassembler.add(by_hand.pieces(4, old, 16)[0])
    first, second, third = by_hand.pieces(4, new, 16)
    assert reassembler.add(second) is None
    assert reassembler.add(third) == by_hand.ipv4(old[:16] + new[16:])
    assert by_hand.sum16(old[:16] + new[16:]) != by_hand.sum16(old)
    reassembler.add(by_hand.pieces(4, old, 16)[0])
    assert reassembler.add(first) is None
    assert reassembler.drops == {FragmentDrop.CHANGED_DUPLICATE: 2}


def test_g12_an_atomic_fragment_stands_alone(by_hand):
    """RFC 6946: it never meets fragments of the same identification."""
    data = by_hand.content(48)
    first, second, third = by_hand.pieces(6, data, 16)
    reassembler = Reassembler()
    feed(reassembler, [first, second])
    atomic = by_hand.ipv6_piece(b"alone", next_header=253)
    assert reassembler.add(atomic) == by_hand.ipv6(b"alone")
    assert reassembler.add(third) == by_hand.ipv6(data)
    assert reassembler.drops == {}


def test_g12_two_fragment_headers_are_refused(by_hand):
    inner = struct.pack("!BBHI", 253, 0, 1, 9) + bytes(16)
    reassembler = Reassembler()
    assert reassembler.add(by_hand.ipv6_piece(inner, next_header=44, more=True)) is None
    assert reassembler.drops == {FragmentDrop.HEADER_CHAIN: 1}


PADN = b"\x01\x04" + bytes(4)


@pytest.mark.parametrize(
    ("options", "accepted"),
    [
        (PADN, True),
        (b"\x05\x02\x00\x00" + b"\x01\x00", True),  # router alert
        (b"\x1e\x00" * 8 + PADN, True),
        (b"\x1e\x00" * 9 + b"\x01\x02\x00\x00", False),  # more than eight options
        (bytes(6), True),  # six Pad1
        (bytes(8) + PADN, False),  # more than seven bytes of padding
        (b"\x1e\x04" + bytes(4), True),  # unknown: skip
        (b"\x5e\x04" + bytes(4), False),  # unknown: discard
        (b"\x9e\x04" + bytes(4), False),  # unknown: discard and tell
        (b"\xde\x04" + bytes(4), False),  # unknown: discard and tell unless multicast
        (b"\xc2\x04" + bytes(4), True),  # jumbo payload is known
        (b"\x1e\x09" + bytes(4), False),  # ends beyond its header
        (bytes(5) + b"\x1e", False),  # no length
    ],
)
def test_g12_options_before_the_fragment_header(by_hand, options, accepted):
    """RFC 8200 section 4.2 and RFC 8504 section 5.3."""
    assert (len(options) + 2) % 8 == 0
    hop = struct.pack("!BB", 44, len(options) // 8) + options
    data = by_hand.content(32)
    parts = [
        by_hand.ipv6_piece(data[:16], more=True, extension=hop, first=0),
        by_hand.ipv6_piece(data[16:], start=16, extension=hop, first=0),
    ]
    reassembler = Reassembler()
    expected = by_hand.ipv6(b"\xfd" + hop[1:] + data, next_header=0)
    assert feed(reassembler, parts) == ([expected] if accepted else [])
    assert reassembler.drops == ({} if accepted else {FragmentDrop.HEADER_CHAIN: 2})


def test_g12_a_header_chain_beyond_1280_bytes_and_misplaced_hop_by_hop_options_are_refused(by_hand):
    long_routing = b"\x3c\x4f" + bytes(638)
    longer = (
        b"\x2c\x4f"
        + bytes([0x1E, 0xFF])
        + bytes(255)
        + bytes([0x1E, 0xFF])
        + bytes(255)
        + b"\x1e\x7a"
        + bytes(122)
    )
    hop_second = b"\x00\x00" + bytes(6) + b"\x2c\x00" + PADN
    reassembler = Reassembler()
    reassembler.add(by_hand.ipv6_piece(bytes(8), more=True, extension=long_routing + longer, first=43))
    reassembler.add(by_hand.ipv6_piece(bytes(8), more=True, extension=hop_second, first=43))
    assert reassembler.drops == {FragmentDrop.HEADER_CHAIN: 2}


def test_ecn_marks_are_combined(by_hand):
    """RFC 3168 section 5.3."""
    for version in (4, 6):
        for marks, expected in (
            ((2, 2), 2),
            ((2, 3), 3),
            ((3, 1), 3),
            ((1, 2), 1),
            ((0, 0), 0),
            ((0, 3), None),
            ((2, 0), None),
        ):
            reassembler = Reassembler()
            parts = [
                by_hand.piece(version, bytes(16), more=True, ecn=marks[0]),
                by_hand.piece(version, bytes(8), start=16, ecn=marks[1]),
            ]
            if expected is None:
                assert feed(reassembler, parts) == []
                assert reassembler.drops == {FragmentDrop.ECN: 2}
            else:
                assert feed(reassembler, parts) == [by_hand.whole(version, bytes(24), ecn=expected)]


def test_options_of_the_first_fragment_and_its_flags_are_those_of_the_datagram(by_hand):
    first = by_hand.ipv4(bytes(16), more=True, options=b"\x07\x04\x04\x00", flags=4)
    second = by_hand.ipv4(bytes(8), start=16)
    assert feed(Reassembler(), [second, first]) == [
        by_hand.ipv4(bytes(24), options=b"\x07\x04\x04\x00", flags=4)
    ]


def test_what_is_no_fragment_passes_through_and_rubbish_is_counted(by_hand):
    reassembler = Reassembler()
    for datagram in (by_hand.ipv4(b"x"), by_hand.ipv6(b"x"), by_hand.ipv4(b"x", flags=2)):
        assert reassembler.add(datagram) == datagram
        assert reassembler.add(memoryview(datagram + b"padding")) == datagram
    bad_sum = bytearray(by_hand.ipv4(bytes(8), more=True))
    bad_sum[10] ^= 1
    for rubbish in (b"", b"\x00" * 40, b"\x45" + bytes(30), b"\x60" + bytes(20), by_hand.ipv6(b"abc")[:-1]):
        assert reassembler.add(rubbish) is None
    assert reassembler.add(bytes(bad_sum)) is None
    assert reassembler.drops == {FragmentDrop.MALFORMED: 5, FragmentDrop.BAD_CHECKSUM: 1}


@both_versions
def test_every_prefix_and_every_changed_byte_of_a_fragment_is_taken_or_counted(by_hand, version):
    part = by_hand.piece(version, by_hand.content(24), more=True)
    reassembler = Reassembler()
    damaged = [part[:end] for end in range(len(part))]
    damaged += [
        part[:place] + bytes((value,)) + part[place + 1 :]
        for place in range(len(part))
        for value in (0, 1, 0x7F, 0xFF, part[place] ^ 0x20)
    ]
    passed = 0
    for item in damaged:
        passed += reassembler.add(item, 0) is not None
    assert balanced(reassembler)
    assert reassembler.stats().received + passed >= len(damaged)


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9), st.integers(1, 40), st.booleans()), max_size=40)
)
def test_any_sequence_keeps_the_books(by_hand, steps):
    """Every fragment is used, a duplicate, held or dropped under one reason; nothing raises, caps hold."""
    reassembler = Reassembler(max_bytes=6_000, max_datagrams=4, max_source_bytes=3_000, max_pieces=6)
    for now, (ident, start, size, more) in enumerate(steps):
        source = bytes((10, 0, 0, ident & 1))
        part = by_hand.ipv4(bytes(size), ident=ident, start=start * 8, more=more, source=source)
        reassembler.add(part, now * 3 * SECOND)
        assert balanced(reassembler)
        assert reassembler.memory <= 6_000
        assert len(reassembler) <= 4


@given(st.lists(st.binary(max_size=80), max_size=10), st.sampled_from((b"", b"\x45", b"\x60")))
def test_arbitrary_bytes_never_raise(noise, front):
    reassembler = Reassembler()
    for item in noise:
        reassembler.add(front + item)


@pytest.mark.parametrize("name", ["timeout", "max_bytes", "max_datagrams", "max_source_bytes", "max_pieces"])
def test_limits_must_be_positive(name):
    with pytest.raises(ConfigError, match=name):
        Reassembler(**{name: 0})


def test_time_never_runs_backwards(by_hand):
    reassembler = Reassembler()
    reassembler.add(by_hand.ipv4(bytes(8), more=True), 50 * SECOND)
    reassembler.add(by_hand.ipv4(bytes(8), more=True, ident=9), 10 * SECOND)
    assert reassembler.poll_timeout() == 80 * SECOND
    reassembler.expire(80 * SECOND)
    assert len(reassembler) == 0

"""Conditions on fields compiled to programs: against plain arithmetic, against the kernel, and combined."""

import random
import socket
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rawproto.errors import FilterError
from rawproto.wire.bpf import (
    AfterIPv4,
    AnyOf,
    Between,
    BPFProgram,
    Equals,
    FieldMatch,
    HeaderMatch,
    Masked,
    assemble,
)
from rawproto.wire.bpf.condition import All, Not

ACCEPT = 0xFFFFFFFF


def holds(test, value):
    if isinstance(test, Equals):
        return value == test.value
    if isinstance(test, Masked):
        return value & test.mask == test.value
    if isinstance(test, Between):
        return test.low <= value <= test.high
    return any(holds(each, value) for each in test.tests)


def expected(match, packet):
    """Plain arithmetic on the whole packet as one number."""
    start = 0
    base = match.base or 0
    if isinstance(base, AfterIPv4):
        start = base.offset
        if len(packet) < start + 20 or packet[start] >> 4 != 4:
            return False
        if int.from_bytes(packet[start + 6 : start + 8], "big") & 0x1FFF:
            return False
        start += (packet[start] & 15) * 4
    else:
        start = base
    if len(packet) < start + match.size:
        return False
    for field in match.fields:
        if len(packet) < start + field.end:
            return False
        inside = int.from_bytes(packet[start : start + field.end], "big")
        value = inside >> (field.end * 8 - field.bit_offset - field.bits) & (1 << field.bits) - 1
        if not holds(field.test, value):
            return False
    return True


@st.composite
def simple_tests(draw, bits):
    top = (1 << bits) - 1
    # Values near the edges of bytes and words, where a comparison part by part can go wrong.
    value = st.one_of(
        st.integers(0, top), st.sampled_from([0, top, 1 << (bits - 1), top >> 1, (1 << bits // 2) & top])
    )
    kind = draw(st.sampled_from(("equals", "masked", "between")))
    first, second = draw(value), draw(value)
    if kind == "equals":
        return Equals(first)
    if kind == "masked":
        return Masked(first & second, second)
    return Between(min(first, second), max(first, second))


@st.composite
def field_matches(draw):
    bits = draw(st.one_of(st.integers(1, 33), st.sampled_from([48, 64, 128])))
    plain = simple_tests(bits)
    test = draw(st.one_of(plain, st.builds(AnyOf, st.lists(plain, max_size=4).map(tuple))))
    return FieldMatch(draw(st.integers(0, 40)), bits, test)


bases = st.one_of(st.none(), st.integers(0, 20), st.builds(AfterIPv4, st.sampled_from((0, 14))))
header_matches = st.builds(
    HeaderMatch, st.lists(field_matches(), max_size=3).map(tuple), bases, st.integers(0, 30)
)


def numbers_of(test):
    return [number for each in getattr(test, "tests", (test,)) for number in vars_of(each)]


def vars_of(test):
    return [getattr(test, name) for name in ("value", "low", "high") if hasattr(test, name)]


def likely_packet(match, rng):
    """Bytes that have a fair chance to match: fields hold a number of their test, or one beside it."""
    start = 0 if match.base is None else match.base
    packet = bytearray(rng.randbytes(120))
    if isinstance(match.base, AfterIPv4):
        start = match.base.offset
        packet[start] = rng.choice((0x45, 0x46, 0x4F, 0x45, 0x65))
        packet[start + 6 : start + 8] = rng.choice((b"\0\0", b"\x40\0", b"\x20\x01"))
        start += (packet[start] & 15) * 4
    for field in match.fields:
        numbers = numbers_of(field.test) or [0]
        value = (rng.choice(numbers) + rng.choice((-1, 0, 0, 0, 1))) % (1 << field.bits)
        end = start + field.end
        shift = field.end * 8 - field.bit_offset - field.bits
        whole = int.from_bytes(packet[start:end], "big") & ~(((1 << field.bits) - 1) << shift)
        packet[start:end] = (whole | value << shift).to_bytes(field.end, "big")
    return bytes(packet[: rng.choice((len(packet), len(packet), rng.randrange(121)))])


@given(header_matches, st.randoms(use_true_random=False))
@example(HeaderMatch((FieldMatch(3, 30, Equals(5)),), 0), random.Random(1))
def test_a_compiled_match_is_what_arithmetic_says(match, rng):
    program = BPFProgram.from_condition(match)
    for _ in range(8):
        packet = likely_packet(match, rng)
        assert program.run(packet) == (ACCEPT if expected(match, packet) else 0), program.disassemble()


def random_match(rng):
    """A header of a few fields, without hypothesis: these runs are long."""
    fields = []
    for _ in range(rng.randrange(1, 4)):
        bits = rng.choice((1, 3, 4, 8, 13, 16, 20, 24, 29, 32, 48, 64, 128))
        tests = []
        for _ in range(rng.choice((1, 1, 3))):
            first, second = sorted((rng.getrandbits(bits), rng.getrandbits(bits)))
            tests.append(rng.choice((Equals(first), Masked(first & second, second), Between(first, second))))
        fields.append(
            FieldMatch(rng.randrange(40), bits, tests[0] if len(tests) == 1 else AnyOf(tuple(tests)))
        )
    return HeaderMatch(tuple(fields), rng.choice((0, 7, AfterIPv4(), AfterIPv4(14))))


def compare_with_kernel(seed, filters, packets):
    import ctypes

    rng = random.Random(seed)
    sender, receiver = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    verdicts = {True: 0, False: 0}
    with sender, receiver:
        receiver.setblocking(False)
        for _ in range(filters):
            first, second = random_match(rng), random_match(rng)
            condition = rng.choice((first, first, Not(first), All((first, Not(second)))))
            program = BPFProgram.from_condition(condition)
            packed = bytes(program)
            buffer = ctypes.create_string_buffer(packed, len(packed))
            receiver.setsockopt(
                socket.SOL_SOCKET, 26, struct.pack("HxxxxxxP", len(program), ctypes.addressof(buffer))
            )
            for _ in range(packets):
                packet = likely_packet(first, rng) or b"\0"
                sender.send(packet)
                try:
                    taken = receiver.recv(200) == packet
                except BlockingIOError:
                    taken = False
                assert taken == bool(program.run(packet)), program.disassemble()
                verdicts[taken] += 1
    assert min(verdicts.values()) > filters * packets / 20


def test_compiled_filters_agree_with_the_kernel():
    compare_with_kernel(seed=1, filters=150, packets=20)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_compiled_filters_agree_with_the_kernel_on_100_000_packets():
    compare_with_kernel(seed=2, filters=2_500, packets=40)


HEADERS = st.builds(
    BPFProgram.from_condition, st.builds(HeaderMatch, st.lists(field_matches(), max_size=2).map(tuple), bases)
)
TEXTS = st.sampled_from(
    [
        "ldb [9]\njeq #17, keep, drop\nkeep: ret #96\ndrop: ret #0",
        "ldx 4*([3]&0xf)\nldh [x + 2]\nret a",
        "ld [40]\nret a",
        "ldb [1]\ntax\nld #1000\ndiv x\nret a",
        "ldb [0]\nst M[2]\nldb [1]\ntax\nld M[2]\nmod x\nadd #1\nret a",
        "ret #0",
        "ret #1",
        "ld len\nret a",
    ]
).map(assemble)


@given(st.one_of(HEADERS, TEXTS), st.one_of(HEADERS, TEXTS), st.binary(max_size=70))
def test_combinations_mean_what_they_say(first, second, packet):
    one, two = bool(first.run(packet)), bool(second.run(packet))
    assert (first & second).run(packet) == (ACCEPT if one and two else 0)
    assert (first | second).run(packet) == (ACCEPT if one or two else 0)
    assert (~first).run(packet) == (0 if one else ACCEPT)
    assert (~(first & ~second) | second).run(packet) == (ACCEPT if not one or two else 0)


def test_a_filter_whose_place_is_open_moves_and_one_with_a_place_does_not():
    header = HeaderMatch((FieldMatch(0, 8, Equals(7)),))
    program = BPFProgram.from_condition(header, placed=False)
    assert program.run(b"\7")
    datagram = b"\x46" + bytes(23) + b"\7"
    moved = program.at(AfterIPv4())
    assert moved.run(datagram)
    assert not moved.run(b"\7")
    assert moved.at(3) is moved
    both = ~(program | assemble("ret #0"))
    assert not both.at(AfterIPv4()).run(datagram)
    assert both.at(AfterIPv4()).run(b"\7")
    fixed = BPFProgram.from_condition(HeaderMatch((FieldMatch(0, 8, Equals(7)),), 2), placed=False)
    assert fixed.at(5).run(b"\0\0\7")


def test_a_field_is_loaded_once_for_a_set_of_values():
    values = AnyOf(tuple(Equals(port) for port in (53, 80, 443)))
    text = BPFProgram.from_condition(HeaderMatch((FieldMatch(16, 16, values),))).disassemble()
    assert text.count("ldh") == 1


def test_a_program_longer_than_a_jump_reaches_still_compiles():
    values = AnyOf(tuple(Equals(number << 64 | number) for number in range(300)))
    program = BPFProgram.from_condition(
        HeaderMatch((FieldMatch(0, 128, values), FieldMatch(128, 8, Equals(1))))
    )
    assert program.run((299 << 64 | 299).to_bytes(16, "big") + b"\1")
    assert not program.run((300 << 64 | 300).to_bytes(16, "big") + b"\1")
    assert not program.run((5 << 64 | 5).to_bytes(16, "big") + b"\2")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: FieldMatch(0, 8, Equals(256)), "does not fit a field of 8 bits"),
        (lambda: FieldMatch(0, 8, AnyOf((Equals(1), Between(2, 300)))), "does not fit"),
        (lambda: Between(5, 4), "empty"),
        (lambda: Masked(3, 2), "outside the mask"),
        (
            lambda: BPFProgram.from_condition(HeaderMatch((FieldMatch(0, 8, Equals(1)),), 70_000)),
            "needs byte",
        ),
        (
            lambda: ~BPFProgram([*((2, 0, 0, slot) for slot in range(16)), (0xB1, 0, 0, 0), (0x16, 0, 0, 0)]),
            "all 16 memory slots",
        ),
    ],
)
def test_what_cannot_be_compiled_is_refused_with_the_reason(make, words):
    with pytest.raises(FilterError, match=words):
        make()

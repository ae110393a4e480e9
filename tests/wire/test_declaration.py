"""The declaration language: what can be said, what it means, what is refused and why."""

from __future__ import annotations

import pickle
from typing import Annotated, Any

import pytest
from hypothesis import find

from rawproto import DeclarationError, DecodeError, EncodeError
from rawproto.wire import (
    Constant,
    Flag,
    Flags,
    Header,
    IPv4,
    IPv6,
    OpenEnum,
    Overlay,
    bits,
    build_batch,
    checksum,
    checksum16,
    declare,
    enum8,
    fixed,
    flag,
    flags8,
    flags16,
    ip4,
    ip6,
    length8,
    length16,
    list_of,
    opaque,
    pseudo_checksum16,
    pseudo_header,
    scaled,
    u8,
    u16,
    u16le,
    u24,
    u32,
    u48,
    u64,
)


class Kind(OpenEnum):
    PING = 1
    PONG = 2


class Probe(Header, protocol=253):
    kind: u8
    flags: flags8("SYN", "ACK")  # type: ignore[valid-type]
    check: checksum16
    seq: u32 = 0


class Marks(Flags):
    FIRST = Flag(0)
    LAST = Flag(15)


class Everything(Header):
    version: Annotated[int, bits(4), Constant(2)] = declare(default=2, kw_only=True)
    odd: Annotated[int, bits(3)]
    on: flag
    kind: Annotated[int, enum8(Kind)]
    marks: Annotated[Marks, flags16(Marks)]
    small: u24
    little: u16le
    wide: u48
    huge: u64
    four: ip4
    six: ip6
    tag: Annotated[bytes, fixed(3)]
    eighths: Annotated[int, scaled(8, 8)]
    name_length: Annotated[int | None, length8("name")] = None
    words_length: Annotated[int | None, length8("words", unit=2)] = None
    name: opaque = b""
    words: Annotated[tuple[int, ...], list_of(u16)] = ()
    total: Annotated[int | None, length16("packet")] = None
    check: checksum16 = None


def everything(**changes: Any) -> Everything:
    values: dict[str, Any] = {
        "odd": 5, "on": True, "kind": 2, "marks": "FIRST|LAST", "small": 0x010203, "little": 0x1234,
        "wide": 0x0102030405, "huge": 2**63, "four": "10.0.0.1", "six": "2001:db8::1", "tag": b"abc", "eighths": 16,
        "name": b"hello", "words": (1, 2, 65535),
    }  # fmt: skip
    return Everything(**{**values, **changes})


EVERYTHING_BYTES = bytes.fromhex(
    "2b 02 8001 010203 3412 000102030405 8000000000000000 0a000001 20010db8000000000000000000000001 616263 02"
    "05 03 68656c6c6f 00010002ffff"
)


def test_the_example_of_the_api() -> None:
    probe = Probe(kind=1, flags="SYN|ACK", seq=7)
    assert probe.check is None
    built = bytes(probe)
    assert built[:2] == b"\x01\x03"
    assert built[4:] == b"\0\0\0\7"
    assert checksum(built) == 0
    again, payload = Probe.parse(built + b"rest")
    assert payload == b"rest"
    assert (again.kind, again.flags, again.seq) == (1, 3, 7)
    assert again.flags.SYN
    assert "ACK" in again.flags
    assert list(again.flags) == ["SYN", "ACK"]
    assert Probe.size == 8
    assert Probe.protocol_number == 253
    assert Probe(9, seq=1).flags == 0


def test_every_field_type_both_ways() -> None:
    header = everything()
    built = bytes(header)
    assert built[:-4] == EVERYTHING_BYTES
    assert int.from_bytes(built[-4:-2]) == len(built)
    assert checksum(built) == 0
    parsed, payload = Everything.parse(built)
    assert payload == b""
    assert bytes(parsed) == built
    assert parsed == header
    assert parsed.kind is Kind.PONG
    assert parsed.marks.LAST
    assert str(parsed.four) == "10.0.0.1"
    assert parsed.words == (1, 2, 65535)
    assert parsed.eighths == 16
    assert parsed.on is True


def test_fields_describe_the_layout() -> None:
    described = [
        (info.name, info.kind, info.offset, info.width, info.byteorder) for info in Everything.fields[:8]
    ]
    assert described == [
        ("version", "uint", 0, 4, "big"),
        ("odd", "uint", 4, 3, "big"),
        ("on", "bool", 7, 1, "big"),
        ("kind", "enum", 8, 8, "big"),
        ("marks", "flags", 16, 16, "big"),
        ("small", "uint", 32, 24, "big"),
        ("little", "uint", 56, 16, "little"),
        ("wide", "uint", 72, 48, "big"),
    ]
    by_name = {info.name: info for info in Everything.fields}
    assert by_name["marks"].names == {0: "FIRST", 15: "LAST"}
    assert by_name["kind"].names == {1: "PING", 2: "PONG"}
    assert by_name["name"].variable
    assert by_name["name"].length_by == "name_length"
    assert by_name["check"].offset is None
    assert by_name["version"].constant == 2


def test_unknown_codes_are_values() -> None:
    parsed, _ = Everything.parse(bytes(everything(kind=200)))
    assert parsed.kind == 200
    assert not parsed.kind.is_known
    assert Kind(200) == 200
    assert str(Kind(200)) == "UNKNOWN_200"
    assert pickle.loads(pickle.dumps(Kind(200))) == 200
    assert everything(kind="PING").kind is Kind.PING


def test_a_derived_field_has_three_states() -> None:
    computed = everything()
    right = Everything.parse(bytes(computed))[0].total
    fixed_right = computed.replace(total=right)
    wrong = computed.replace(total=3)
    assert bytes(fixed_right) == bytes(computed)
    assert int.from_bytes(bytes(wrong)[-4:-2]) == 3
    assert computed.total is None
    with pytest.raises(DecodeError) as caught:
        Everything.parse(bytes(wrong))
    assert (caught.value.header, caught.value.field) == ("Everything", "total")


class Unbound(Header):
    kind: u8
    reserved: u8 = 0
    check: Annotated[int | None, pseudo_checksum16] = None


class UnboundAndVariable(Unbound):
    data: Annotated[bytes, opaque] = b""


class BoundAndVariable(UnboundAndVariable, protocol=252):
    pass


@pytest.mark.parametrize("header", [Unbound(kind=1), UnboundAndVariable(kind=1, data=b"odd")])
@pytest.mark.parametrize("ip", [IPv4(src="10.0.0.1", dst="10.0.0.2"), IPv6(src="::1", dst="::2")])
def test_a_pseudo_header_needs_the_protocol_number_of_the_class(ip: Any, header: Header) -> None:
    """Whatever the header around is told to say: the sum must not depend on it silently."""
    addressed = ip.replace(**{"protocol" if ip.version == 4 else "next_header": 252})
    for build in (lambda: bytes(addressed / header), lambda: build_batch(addressed / header, [b"x", b"yz"])):
        with pytest.raises(EncodeError, match=r"check: the pseudo header .* protocol="):
            build()
    assert bytes(addressed / header.replace(check=7))
    assert bytes(header)[2:4] == bytes(2)  # without addresses there is nothing to compute from


def test_a_subclass_may_bind_what_its_base_declares() -> None:
    datagram = IPv4(src="10.0.0.1", dst="10.0.0.2") / BoundAndVariable(kind=1, data=b"odd")
    segment = bytes(datagram)[20:]
    pseudo = pseudo_header(bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2)), 252, len(segment))
    assert checksum(pseudo + segment) == 0
    assert datagram.verify() == []


def test_building_changes_nothing() -> None:
    header = everything()
    before = repr(header)
    assert bytes(header) == bytes(header)
    assert repr(header) == before


def test_untouched_builds_to_what_came_and_edited_is_computed_again() -> None:
    built = bytes(Probe(kind=1, seq=1))
    broken = built[:2] + b"\xbe\xef" + built[4:]
    received, _ = Probe.parse(broken + b"payload")
    assert bytes(received) == broken
    edited = received.replace(seq=2)
    assert checksum(bytes(edited) + b"payload") == 0
    received.seq = 2
    assert bytes(received) == bytes(edited)
    received.seq = 1
    assert bytes(received) == broken
    assert bytes(received.replace(seq=2, check=0xBEEF))[2:4] == b"\xbe\xef"
    assert bytes(received.replace(check=1))[2:4] == b"\0\1"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"odd": 8}, "odd"),
        ({"odd": -1}, "odd"),
        ({"odd": "x"}, "odd"),
        ({"odd": 1.5}, "odd"),
        ({"small": 1 << 24}, "small"),
        ({"huge": 1 << 64}, "huge"),
        ({"kind": 256}, "kind"),
        ({"kind": "NOPE"}, "kind"),
        ({"marks": "NOPE"}, "marks"),
        ({"four": "::1"}, "four"),
        ({"four": "x"}, "four"),
        ({"four": 5}, "four"),
        ({"tag": b"ab"}, "tag"),
        ({"tag": "abc"}, "tag"),
        ({"eighths": 4}, "eighths"),
        ({"eighths": 2048}, "eighths"),
        ({"total": 1 << 16}, "total"),
        ({"name": 5}, "name"),
        ({"words": 5}, "words"),
    ],
)
def test_a_value_that_does_not_fit_is_refused_when_given_and_when_built(
    changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(EncodeError) as caught:
        everything(**changes)
    assert caught.value.field == field
    assert caught.value.header == "Everything"
    header = everything()
    for name, value in changes.items():
        setattr(header, name, value)
    with pytest.raises(EncodeError):
        bytes(header)


def test_prefixes_and_broken_bytes_are_decode_errors_only() -> None:
    built = bytes(everything())
    for end in range(len(built)):
        with pytest.raises(DecodeError) as caught:
            Everything.parse(built[:end])
        assert caught.value.header == "Everything"
        assert caught.value.offset <= end
    for place in range(len(built)):
        for flip in (1, 0x80, 0xFF):
            changed = built[:place] + bytes((built[place] ^ flip,)) + built[place + 1 :]
            try:
                header, _ = Everything.parse(changed)
            except DecodeError:
                continue
            assert bytes(header) == changed[: len(bytes(header))]


def test_views_share_the_bits_of_fields() -> None:
    class Word(Header):
        first: u16 = 0
        second: u16 = 0
        whole: Annotated[int, u32, Overlay(0)] = declare(default=None)
        top: Annotated[int, u8, Overlay(0)] = declare(default=None)
        gateway: Annotated[Any, ip4, Overlay(0)] = declare(default=None)

    assert bytes(Word(gateway="10.1.2.3")) == b"\x0a\1\2\3"
    word = Word(whole=0x0A010203)
    assert (word.first, word.second, word.top) == (0x0A01, 0x0203, 10)
    assert str(word.gateway) == "10.1.2.3"
    word.top = 0xFF
    assert bytes(word) == b"\xff\1\2\3"
    with pytest.raises(EncodeError):
        Word(top=256)


def test_lists_of_headers() -> None:
    class Block(Header):
        left: u32
        right: u32

    class Sack(Header):
        count: Annotated[int | None, length8("blocks", unit=8)] = None
        blocks: Annotated[tuple[Block, ...], list_of(Block)] = ()

    built = bytes(Sack(blocks=(Block(1, 2), Block(3, 4))))
    assert built == bytes.fromhex("02 00000001 00000002 00000003 00000004")
    parsed, _ = Sack.parse(built)
    assert parsed.blocks == (Block(1, 2), Block(3, 4))
    with pytest.raises(EncodeError):
        Sack(blocks=(b"x",))


def test_fields_of_listed_headers_may_have_any_name() -> None:
    """Also those by which a field type itself is described: a class has them as attributes, too."""

    class Odd(Header):
        kind: u16
        width: u8
        byteorder: u8
        cls: u16

    class Listing(Header, protocol=254):
        check: Annotated[int | None, checksum16] = None
        odd: Annotated[tuple[Odd, ...], list_of(Odd)] = ()

    listing = Listing(odd=[Odd(1, 2, 3, 4), Odd(5, 6, 7, 8)])
    assert checksum(bytes(listing)) == 0
    assert Listing.parse(bytes(listing))[0].odd == listing.odd
    find(Listing.strategy(), lambda header: len(header.odd) == 2)
    assert "Odd" in Listing.wireshark_lua()
    assert Odd.filter(cls=4, kind=1).run(bytes(Odd(1, 2, 3, 4)))
    with pytest.raises(EncodeError, match="is no Odd"):
        Listing(odd=[7])


def test_subclasses_add_fields_and_fix_values() -> None:
    class Base(Header):
        kind: u8
        length: Annotated[int | None, length8("header")] = declare(default=None, kw_only=True)

    class Long(Base, kind=7):
        value: u16

    assert bytes(Long(5)) == b"\7\4\0\5"
    assert Long.parse(b"\7\4\0\5x")[0] == Long(5)
    with pytest.raises(DecodeError):
        Long.parse(b"\7\5\0\5x")
    with pytest.raises(DecodeError):
        Long.parse(b"\6\4\0\5")


def declare_bits_short() -> None:
    class Bad(Header):
        a: bits(3)  # type: ignore[valid-type]


def declare_unknown_type() -> None:
    class Bad(Header):
        a: int


def declare_unknown_name() -> None:
    class Bad(Header):
        a: nonsense  # type: ignore[name-defined]  # noqa: F821


def declare_taken_name() -> None:
    class Bad(Header):
        replace: u8  # type: ignore[assignment]


def declare_class_attribute() -> None:
    class Bad(Header):
        dtype: u8  # type: ignore[assignment]


def declare_two_open_fields() -> None:
    class Bad(Header):
        a: opaque
        b: opaque


def declare_length_of_nothing() -> None:
    class Bad(Header):
        a: length8("b")  # type: ignore[valid-type]


def declare_length_after() -> None:
    class Bad(Header):
        b: opaque
        a: length8("b")  # type: ignore[valid-type]


def declare_default_before_required() -> None:
    class Bad(Header):
        a: u8 = 5
        b: u8


def declare_bytes_in_bits() -> None:
    class Bad(Header):
        a: bits(4)  # type: ignore[valid-type]
        b: fixed(2)  # type: ignore[valid-type]
        c: bits(4)  # type: ignore[valid-type]


def declare_two_checksums() -> None:
    class Bad(Header):
        a: checksum16 = None
        b: checksum16 = None


def declare_protocol_out_of_range() -> None:
    class Bad(Header, protocol=256):
        a: u8


def declare_too_many_flags() -> None:
    class Bad(Header):
        a: flags8("A", "B", "C", "D", "E", "F", "G", "H", "I")  # type: ignore[valid-type]


def declare_view_outside() -> None:
    class Bad(Header):
        a: u8
        b: Annotated[int, u16, Overlay(0)] = declare(default=None)


def declare_zero_bits() -> None:
    class Bad(Header):
        a: bits(0)  # type: ignore[valid-type]


@pytest.mark.parametrize(
    ("declaration", "reason"),
    [
        (declare_bits_short, "byte border"),
        (declare_unknown_type, "no field type"),
        (declare_unknown_name, "does not evaluate"),
        (declare_taken_name, "taken"),
        (declare_class_attribute, "taken"),
        (declare_two_open_fields, "both take"),
        (declare_length_of_nothing, "neither"),
        (declare_length_after, "before"),
        (declare_default_before_required, "no default but follows"),
        (declare_bytes_in_bits, "byte borders"),
        (declare_two_checksums, "same rule"),
        (declare_protocol_out_of_range, "0 to 255"),
        (declare_too_many_flags, "do not fit"),
        (declare_view_outside, "overlays"),
        (declare_zero_bits, "not a whole number"),
    ],
)
def test_a_wrong_declaration_says_why(declaration: Any, reason: str) -> None:
    with pytest.raises(DeclarationError, match=reason):
        declaration()


def test_headers_pickle_copy_and_compare() -> None:
    probe = Probe(kind=1, seq=3)
    assert pickle.loads(pickle.dumps(probe)) == probe
    received, _ = Probe.parse(bytes(probe))
    assert bytes(pickle.loads(pickle.dumps(received))) == bytes(probe)
    assert received == probe
    assert probe != Probe(kind=2, seq=3)
    assert probe.__eq__(5) is NotImplemented
    assert repr(probe) == "Probe(kind=1, seq=3)"


def test_bytes_like_buffers_parse() -> None:
    built = bytes(Probe(kind=1))
    for buffer in (bytearray(built), memoryview(built)):
        assert Probe.parse(buffer)[0] == Probe(kind=1)

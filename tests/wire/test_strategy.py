"""Strategies: what they give builds, parses back, and covers the declaration."""

from typing import Annotated

import pytest
from hypothesis import Phase, find, given, settings
from hypothesis import strategies as st

from rawproto import ICMP, TCP, UDP, Header, ICMPv6, IPv4, IPv6, OpenEnum
from rawproto.wire.ipv6_ext import DestinationOptions, Fragment, HopByHop, SegmentRouting
from rawproto.wire.tcp_options import TCP_OPTIONS
from rawproto.wire.types import (
    Constant,
    bits,
    enum8,
    fixed,
    flag,
    flags8,
    ip4,
    ip6,
    length8,
    length16,
    list_of,
    opaque,
    scaled,
    u8,
    u16le,
    u32,
)

GENERATE = settings(phases=(Phase.generate,), max_examples=50_000)
"""Without shrinking, which takes most of the time and says nothing here. The rarest corner takes some hundred
examples; which ones come depends on all modules that are loaded, whose constants hypothesis tries."""

BUILT_IN = (IPv4, IPv6, ICMP, ICMPv6, UDP, TCP, HopByHop, DestinationOptions, SegmentRouting, Fragment)


class Colour(OpenEnum):
    RED = 1
    BLUE = 2


class Everything(Header):
    magic: Annotated[int, u8, Constant(0x5A)]
    colour: Annotated[Colour, enum8(Colour)]
    marks: Annotated[int, flags8("A", "B")]
    odd: Annotated[int, bits(3)]
    place: Annotated[int, scaled(12, 4)]
    last: Annotated[bool, flag]
    small: u16le
    tag: Annotated[bytes, fixed(3)]
    name_size: Annotated[int, length8("name")]
    count: Annotated[int, length16("numbers", 4)]
    four: ip4
    six: ip6
    name: opaque
    numbers: Annotated[tuple, list_of(u32)]
    rest: opaque = b""


def given_fields(header):
    return {info.name: getattr(header, info.name) for info in type(header).fields if info.derived is None}


@pytest.mark.parametrize("cls", [*BUILT_IN, Everything], ids=lambda cls: cls.__name__)
def test_what_a_strategy_gives_builds_and_parses_back(cls):
    @given(cls.strategy())
    @settings(max_examples=60)
    def check(header):
        assert type(header) is cls
        again, payload = cls.parse(bytes(header))
        assert payload == b""
        assert bytes(again) == bytes(header)
        assert given_fields(again) == given_fields(header)

    check()


@pytest.mark.parametrize("kind", sorted(TCP_OPTIONS.classes))
def test_option_classes_have_strategies_too(kind):
    cls = TCP_OPTIONS.classes[kind]

    @given(cls.strategy())
    @settings(max_examples=20)
    def check(option):
        assert bytes(option)[0] == kind

    check()


@pytest.mark.parametrize(
    "wanted",
    [
        lambda h: h.colour == Colour.BLUE,
        lambda h: h.colour not in (1, 2),
        lambda h: h.place == 4 * 4_095,
        lambda h: len(h.name) > 10 and len(h.numbers) > 2,
        lambda h: h.last and not h.marks and h.odd == 7,
    ],
)
def test_strategies_reach_the_corners(wanted):
    assert wanted(find(Everything.strategy(), wanted, settings=GENERATE))


@given(st.lists(UDP.strategy(), max_size=3))
def test_strategies_compose(headers):
    assert all(len(bytes(header)) == 8 for header in headers)

"""Layers for scapy out of declarations: same bytes as the declaration's own codec, both ways."""

from typing import Annotated

import pytest
from hypothesis import given, settings
from scapy.layers import inet, inet6
from scapy.layers.l2 import Ether
from scapy.packet import Padding, Raw

from rawproto import TCP, UDP, Datagram, Header, IPv4, IPv6, OpenEnum
from rawproto.errors import DecodeError
from rawproto.wire.types import (
    Constant,
    bits,
    checksum16,
    enum8,
    fixed,
    flag,
    flags8,
    ip4,
    ip6,
    length8,
    length16,
    list_of,
    next_protocol8,
    opaque,
    pseudo_checksum16,
    scaled,
    u8,
    u16,
    u16le,
    u32,
)


class Colour(OpenEnum):
    RED = 1
    BLUE = 2


class Layered(Header, protocol=240):
    magic: Annotated[int, u8, Constant(0x5A)]
    colour: Annotated[Colour, enum8(Colour)]
    marks: Annotated[int, flags8("A", "B")]
    odd: Annotated[int, bits(3)]
    place: Annotated[int, scaled(12, 4)]
    last: flag
    small: u16le
    check: pseudo_checksum16
    total: Annotated[int, length16("packet")]
    following: next_protocol8
    tag: Annotated[bytes, fixed(3)]
    name_size: Annotated[int, length8("name")]
    count: Annotated[int, length8("numbers", 4)]
    four: ip4
    six: ip6
    name: opaque = b""
    numbers: Annotated[tuple, list_of(u32)] = ()


class Probe(Header, protocol=241):
    kind: u8
    flags: Annotated[int, flags8("SYN", "ACK")]
    check: checksum16
    seq: u32 = 0


def test_a_layer_builds_what_the_declaration_builds():
    layer = Probe.to_scapy()
    assert layer is Probe.to_scapy()
    packet = inet.IP(src="10.0.0.1", dst="10.0.0.2", id=5) / layer(kind=7, flags="SYN+ACK", seq=9) / b"data"
    ours = IPv4(src="10.0.0.1", dst="10.0.0.2", ident=5) / Probe(kind=7, flags="SYN|ACK", seq=9) / b"data"
    assert bytes(packet) == bytes(ours)
    assert packet.proto == 241


def test_a_layer_is_found_behind_ip_and_ipv6_and_reads_every_field():
    layer = Probe.to_scapy()
    for outer, scapy_outer in (
        (IPv4(src="10.0.0.1", dst="10.0.0.2"), inet.IP),
        (IPv6(src="fd00::1", dst="fd00::2"), inet6.IPv6),
    ):
        read = scapy_outer(bytes(outer / Probe(kind=7, flags="ACK", seq=9) / b"data"))
        assert (read[layer].kind, str(read[layer].flags), read[layer].seq) == (7, "ACK", 9)
        assert read[Raw].load == b"data"


def test_a_value_that_was_given_is_sent_as_it_is():
    layer = Probe.to_scapy()
    assert bytes(layer(kind=1, check=0xBEEF))[2:4] == b"\xbe\xef"
    # What the declaration would refuse scapy still sends.
    assert bytes(Layered.to_scapy()(magic=1))[:1] == b"\x01"


class Entry(Header):
    kind: u8
    value: u32


class Listing(Header, protocol=242):
    kind: u8
    entries: Annotated[tuple, list_of(Entry)] = ()


def test_a_list_of_headers_is_bytes_that_need_not_be_right():
    layer = Listing.to_scapy()
    right = bytes(Entry(kind=1, value=2)) * 2
    assert bytes(layer(kind=7, entries=right)) == bytes(Listing(kind=7, entries=[Entry(1, 2)] * 2))
    assert bytes(layer(kind=7, entries=right[:-1])) == b"\x07" + right[:-1]


def wire_number(info, value):
    return int(value) // info.scale


@given(Layered.strategy())
@settings(max_examples=150)
def test_fields_of_every_kind_agree_both_ways(header):
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2", ident=1)
    data = bytes(outer / header / UDP(sport=1, dport=2) / b"xyz")
    layer = Layered.to_scapy()
    read = inet.IP(data + b"pad")
    mine = read[layer]
    for info in Layered.fields:
        value = mine.getfieldval(info.name)
        ours = getattr(Datagram.parse(data)[Layered], info.name)
        if info.kind in ("ip4", "ip6"):
            assert value == str(ours)
        elif info.kind == "bytes":
            assert value == ours
        elif info.kind == "list":
            assert value == b"".join(number.to_bytes(4, "big") for number in ours)
        else:
            assert value == wire_number(info, ours)
    assert read[Padding].load == b"pad"
    # Built from scapy's side, derived fields left to be computed.
    made = layer(
        colour=header.colour,
        marks=int(header.marks),
        odd=header.odd,
        place=header.place // 4,
        last=header.last,
        small=header.small,
        tag=header.tag,
        four=str(header.four),
        six=str(header.six),
        name=header.name,
        numbers=b"".join(number.to_bytes(4, "big") for number in header.numbers),
    )
    built = inet.IP(src="10.0.0.1", dst="10.0.0.2", id=1) / made / UDP.to_scapy()(sport=1, dport=2) / b"xyz"
    assert bytes(built)[20:] == data[20:]


@pytest.mark.parametrize("cls", [UDP, TCP], ids=lambda cls: cls.__name__)
def test_built_in_headers_become_layers_but_do_not_displace_scapys_own(cls):
    layer = cls.to_scapy()
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2", ident=1)
    ours = bytes(outer / cls(sport=1, dport=2) / b"abc")
    theirs = inet.IP(src="10.0.0.1", dst="10.0.0.2", id=1) / layer(sport=1, dport=2) / b"abc"
    assert bytes(theirs) == ours
    assert layer not in inet.IP(ours)
    read = layer(ours[20:])
    assert (read.sport, read.dport) == (1, 2)
    assert bytes(read) == ours[20:]


def test_of_two_declarations_with_one_number_the_last_one_counts():
    class First(Header, protocol=242):
        one: u8

    class Second(Header, protocol=242):
        two: u16

    First.to_scapy()
    second = Second.to_scapy()
    data = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2") / Second(two=5))
    assert inet.IP(data)[second].two == 5


def test_datagrams_cross_over_and_back():
    datagram = IPv4(src="10.0.0.1", dst="10.0.0.2") / Probe(kind=1, flags=2) / b"data"
    packet = datagram.to_scapy()
    assert packet[Probe.to_scapy()].kind == 1
    assert bytes(packet) == bytes(datagram)
    assert Datagram.from_scapy(packet)[Probe].kind == 1
    assert bytes(Datagram.from_scapy(Ether() / packet)) == bytes(datagram)
    six = IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=2) / b"x"
    assert isinstance(six.to_scapy(), inet6.IPv6)
    assert bytes(Datagram.from_scapy(six.to_scapy())) == bytes(six)
    bare = Datagram((Probe(kind=3, flags=0),), b"x")
    assert bare.to_scapy().kind == 3
    with pytest.raises(DecodeError, match="no IP layer"):
        Datagram.from_scapy(Ether())

"""``Header.filter``: what users write for a field's value, and where the header may stand."""

import random
from typing import Annotated

import pytest

from rawproto import UDP, BPFProgram, Header, IPv4, OpenEnum
from rawproto.errors import FilterError
from rawproto.wire.bpf import AfterIPv4, Between, Masked
from rawproto.wire.types import (
    Constant,
    bits,
    enum8,
    fixed,
    flags8,
    ip4,
    ip6,
    opaque,
    scaled,
    u8,
    u16,
    u16le,
    u24,
    u48,
)


class Kind(OpenEnum):
    DATA = 1
    ACK = 2


class Sample(Header):
    magic: Annotated[int, u8, Constant(0xA5)]
    kind: Annotated[Kind, enum8(Kind)]
    flags: Annotated[int, flags8("SYN", "ACK", "FIN")]
    high: Annotated[int, bits(3)]
    place: Annotated[int, scaled(13, 8)]
    port: u16
    small: u16le
    middle: u24
    wide: u48
    tag: Annotated[bytes, fixed(3)]
    address: ip4
    other: ip6
    rest: opaque = b""


def sample(**changes):
    values = {
        "kind": Kind.DATA,
        "flags": "SYN|ACK",
        "high": 5,
        "place": 80,
        "port": 4_000,
        "small": 0x1234,
        "middle": 0x10203,
        "wide": 1 << 40,
        "tag": b"abc",
        "address": "10.1.2.3",
        "other": "2001:db8::1",
    }
    return Sample(**{**values, **changes})


@pytest.mark.parametrize(
    ("wanted", "matches"),
    [
        ({}, True),
        ({"kind": Kind.DATA}, True),
        ({"kind": 1, "flags": 3}, True),
        ({"kind": "DATA"}, True),
        ({"kind": "ACK"}, False),
        ({"kind": {"ACK", "DATA"}}, True),
        ({"kind": {2, 3, 200}}, False),
        ({"kind": (1, 2)}, True),
        ({"flags": "SYN|ACK"}, True),
        ({"flags": "SYN"}, False),
        ({"flags": Masked(1, 5)}, True),
        ({"flags": Masked(5, 5)}, False),
        ({"high": 5, "place": 80}, True),
        ({"place": (73, 87)}, True),
        ({"place": (81, None)}, False),
        ({"place": range(0, 88, 8)}, True),
        ({"place": range(0, 88, 16)}, True),
        ({"place": range(78, 88)}, True),
        ({"port": range(4_000, 4_001)}, True),
        ({"port": range(4_001, 4_001)}, False),
        ({"port": [(1, 10), (3_999, 4_001)]}, True),
        ({"port": []}, False),
        ({"port": (None, 3_999)}, False),
        ({"port": Between(4_000, 65_535)}, True),
        ({"small": 0x1234}, True),
        ({"small": (0x1200, 0x12FF)}, True),
        ({"small": (0x3400, 0x34FF)}, False),
        ({"middle": 0x10203, "wide": 1 << 40}, True),
        ({"wide": ((1 << 40) + 1, None)}, False),
        ({"tag": b"abc"}, True),
        ({"tag": (b"abb", b"abd")}, True),
        ({"address": "10.1.2.3"}, True),
        ({"address": "10.1.0.0/16"}, True),
        ({"address": {"192.168.0.0/16", "10.0.0.0/8"}}, True),
        ({"address": "0.0.0.0/0"}, True),
        ({"address": "11.0.0.0/8"}, False),
        ({"other": "2001:db8::/32"}, True),
        ({"other": "2001:db8::1"}, True),
        ({"other": "2001:db8::/127"}, True),
        ({"other": "2001:db8:1::/48"}, False),
    ],
)
def test_what_can_be_asked(wanted, matches):
    program = Sample.filter(**wanted)
    assert isinstance(program, BPFProgram)
    packet = bytes(sample())
    assert bool(program.run(packet)) is matches
    assert bool(program.run(packet + b"more")) is matches
    assert not program.run(packet[:-1])
    assert not program.run(b"\xa6" + packet[1:])


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ({"colour": 1}, "no field 'colour'"),
        ({"rest": b"x"}, "no fixed place"),
        ({"port": 65_536}, "Sample.port.*16 bits"),
        ({"port": -1}, "16 bits"),
        ({"port": "http"}, "no name"),
        ({"port": 1.5}, "whole number"),
        ({"port": (1, 2, 3)}, "no range"),
        ({"port": (3, 2)}, "empty"),
        ({"kind": "NAK"}, "known: DATA, ACK"),
        ({"flags": "URG"}, "Sample.flags"),
        ({"place": 81}, "multiple of 8"),
        ({"tag": b"ab"}, "3 bytes"),
        ({"tag": "abc"}, "3 bytes"),
        ({"address": "2001:db8::1"}, "4 bytes"),
        ({"address": "10.0.0.0/33"}, "no network"),
        ({"address": "ten"}, "Sample.address"),
        ({"base": "tcp"}, "base"),
    ],
)
def test_what_cannot_be_asked_is_refused_with_the_field(wanted, words):
    with pytest.raises(FilterError, match=words):
        Sample.filter(**wanted)


def test_the_header_may_stand_behind_an_ip_header():
    data = bytes(UDP(sport=1, dport=53) / b"x")
    plain = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=17)) + data
    optioned = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=17, options=b"\x01\x01\x01\x00")) + data
    free = UDP.filter(dport=53)
    behind = UDP.filter(dport=53, base="ipv4")
    assert free.run(data)
    assert not free.run(plain)
    for program in (behind, free.at(AfterIPv4()), UDP.filter(dport=53, base=AfterIPv4())):
        assert program.run(plain)
        assert program.run(optioned)
        assert not program.run(data)
    assert UDP.filter(dport=53, base="ipv6").run(bytes(40) + data)
    assert UDP.filter(dport=53, base=2).run(b"ab" + data)
    assert behind.at(0) is behind


def test_an_ip_header_starts_the_packet_wherever_a_link_puts_other_headers():
    packet = bytes(IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=53))
    program = IPv4.filter(src="10.0.0.0/8", protocol="UDP") & UDP.filter(dport=53)
    assert program.at(AfterIPv4()).run(packet)
    assert not program.at(AfterIPv4()).run(packet.replace(b"\x0a\x00\x00\x01", b"\x0b\x00\x00\x01"))


def test_a_field_called_base_is_a_field():
    class Odd(Header):
        base: u8

    assert Odd.filter(base=7).run(b"\x07")


@pytest.mark.netns
def test_a_raw_socket_sees_what_the_filter_takes_in_both_families(lab):
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    for version in (4, 6):
        assert a.call(_send_and_receive, version) == [b"\x01two", b"\x01four"]


class _Probe(Header, protocol=253):
    kind: u8


def _send_and_receive(version):
    """Runs on a host of the lab: four datagrams to itself, two of which the filter takes."""
    from rawproto import IPAddr, RawSocket

    loopback = IPAddr("127.0.0.1" if version == 4 else "::1")
    with (
        RawSocket(253, version=version, local=loopback, filter=_Probe.filter(kind=1)) as receiver,
        RawSocket(253, version=version, local=loopback) as sender,
    ):
        receiver.set_deadline(60)
        for kind, text in ((2, b"one"), (1, b"two"), (3, b"three"), (1, b"four")):
            sender.send(bytes(_Probe(kind)) + text, loopback)
        return [receiver.receive().payload for _ in range(2)]


def test_random_filters_agree_with_the_values_they_ask_for():
    rng = random.Random(7)
    taken = 0
    for _ in range(300):
        port, wide = rng.choice((80, 443, rng.getrandbits(16))), rng.getrandbits(rng.choice((8, 48)))
        low, high = sorted((rng.getrandbits(48), rng.getrandbits(rng.choice((6, 48)))))
        packet = bytes(sample(port=port, wide=wide))
        expected = port in (80, 443) and low <= wide <= high
        assert bool(Sample.filter(port={80, 443}, wide=(low, high)).run(packet)) is expected
        taken += expected
    assert taken > 10

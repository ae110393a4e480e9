"""What a raw socket says of the checksums of payloads, against the declared headers and the kernel's own."""

import socket

import pytest

from rawproto.addr import IP, IPAddr
from rawproto.link import ChecksumState, RawSocket
from rawproto.link.checksums import checksum_state
from rawproto.wire import ICMP, TCP, UDP, IPv4, IPv6
from rawproto.wire.sums import checksum, ones_complement_sum, pseudo_header

ENDS = {4: (IP("192.0.2.1"), IP("192.0.2.2")), 6: (IP("2001:db8::1"), IP("2001:db8::2"))}
VALID, BAD, UNCHECKED = ChecksumState.VALID, ChecksumState.BAD, ChecksumState.UNCHECKED


def built(version, header, data):
    """The payload of an IP packet, its checksum filled in by the header's declaration."""
    source, to = ENDS[version]
    packet = bytes((IPv4(source, to) if version == 4 else IPv6(source, to)) / header / data)
    return packet[20 if version == 4 else 40 :]


def state(version, protocol, payload):
    return checksum_state(version, protocol, *map(bytes, ENDS[version]), payload)


@pytest.fixture(params=[4, 6])
def version(request):
    return request.param


@pytest.mark.parametrize("data", [b"", b"odd", b"even", bytes(1000)])
@pytest.mark.parametrize(("protocol", "header"), [(17, UDP(1000, 2000)), (6, TCP(1000, 2000))])
def test_transport_checksums(version, protocol, header, data):
    payload = built(version, header, data)
    assert state(version, protocol, payload) is VALID
    for place in range(len(payload)):
        if protocol == 17 and place in (4, 5):  # a length that does not fit is no sum to look at
            continue
        damaged = bytearray(payload)
        damaged[place] ^= 0x11
        assert state(version, protocol, bytes(damaged)) is BAD


@pytest.mark.parametrize(("protocol", "place"), [(17, 6), (6, 16)])
def test_hardware_was_to_fill_it_in(version, protocol, place):
    payload = bytearray(built(version, UDP(1, 2) if protocol == 17 else TCP(1, 2), b"data"))
    partial = ones_complement_sum(pseudo_header(*ENDS[version], protocol, len(payload)))
    payload[place : place + 2] = partial.to_bytes(2, "big")
    assert state(version, protocol, bytes(payload)) is UNCHECKED


def test_udp_may_have_none_on_ipv4_only(version):
    payload = bytearray(built(version, UDP(1, 2), b"data"))
    payload[6:8] = bytes(2)
    assert state(version, 17, bytes(payload)) is (UNCHECKED if version == 4 else BAD)


def test_udp_with_bytes_behind_it_and_with_too_few(version):
    payload = built(version, UDP(1, 2), b"data")
    assert state(version, 17, payload + b"trailer") is VALID
    assert state(version, 17, payload[:-1]) is BAD
    assert state(version, 17, payload[:4] + b"\0\7" + payload[6:]) is BAD


@pytest.mark.parametrize(("protocol", "size"), [(6, 19), (17, 7), (17, 0), (6, 0)])
def test_too_short_for_its_protocol(version, protocol, size):
    assert state(version, protocol, bytes(size)) is BAD


def test_sums_over_the_payload_alone():
    payload = bytes(ICMP(8, 0) / b"data")
    assert state(4, 1, payload) is VALID
    assert state(4, 1, payload + b"\1") is BAD
    report = b"\x16\0\0\0\xe0\0\0\xfb"
    report = report[:2] + checksum(report).to_bytes(2, "big") + report[4:]
    assert state(4, 2, report) is VALID
    assert state(4, 2, report[:-1] + b"\0") is BAD


def test_others_are_not_known(version):
    assert state(version, 253, b"anything") is UNCHECKED
    assert state(6, 1, b"no ICMP here") is UNCHECKED
    assert state(6, 58, b"the kernel looked") is VALID


@pytest.mark.netns
@pytest.mark.usefixtures("namespace")
@pytest.mark.parametrize("wanted", ["sent with a checksum", "left to hardware"])
def test_the_kernels_own_udp(version, wanted):
    """To itself the kernel computes no checksum, unless the datagram is sent raw with one in it."""
    one, other = (
        IPAddr(IP(text)) for text in ({4: ("127.0.0.1", "127.0.0.2"), 6: ("fd00::1", "fd00::2")}[version])
    )
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    with (
        RawSocket(17, version=version, local=other) as sock,
        socket.socket(family, socket.SOCK_DGRAM) as plain,
    ):
        sock.set_deadline(60)
        if wanted == "left to hardware":
            plain.bind((str(one), 0))
            plain.sendto(b"from the kernel", (str(other), 9))
            assert sock.receive().checksum is UNCHECKED
            return
        payload = bytes((IPv4 if version == 4 else IPv6)(one.ip, other.ip) / UDP(1, 9) / b"data")
        payload = payload[20 if version == 4 else 40 :]
        with RawSocket(17, version=version, local=one) as sender:
            sender.send(payload, other)
            assert sock.receive().checksum is VALID
            sender.send(payload[:-1] + b"x", other)
            assert sock.receive().checksum is BAD
        assert sock.stats().bad_checksum == 1

"""ICMP errors read from a raw ICMP socket, and tied to what another socket sent."""

import pytest

from rawproto.addr import IP, IPAddr
from rawproto.link import ChecksumState, RawSocket, Received
from rawproto.link.icmperrors import read_error
from rawproto.wire import IPv4, IPv6
from rawproto.wire.icmp_error import ICMPErrorKind

HERE, THERE, ROUTER = {}, {}, {}
HERE[4], THERE[4], ROUTER[4] = (IPAddr(IP(f"192.0.2.{n}")) for n in (1, 2, 9))
HERE[6], THERE[6], ROUTER[6] = (IPAddr(IP(f"2001:db8::{n}")) for n in (1, 2, 9))


@pytest.fixture(params=[4, 6])
def version(request):
    return request.param


def message(version, data):
    """What a raw ICMP socket would give of ``data``."""
    protocol = 1 if version == 4 else 58
    state = ChecksumState.VALID
    return Received(
        data, ROUTER[version], HERE[version], "eth0", 60, 0, 0, None, state, version, protocol, b""
    )


def quote(version, payload, protocol=253):
    if version == 4:
        return bytes(IPv4(HERE[4].ip, THERE[4].ip, protocol=protocol) / payload)
    return bytes(IPv6(HERE[6].ip, THERE[6].ip, next_header=protocol) / payload)


def test_an_error_and_the_protocol_it_is_about(version):
    kind, code = (3, 2) if version == 4 else (1, 4)
    found = read_error(message(version, bytes([kind, code, 0, 0, 0, 0, 0, 0]) + quote(version, b"ours")))
    assert found is not None
    protocol, error = found
    assert protocol == 253
    expected = ICMPErrorKind.PROTOCOL_UNREACHABLE if version == 4 else ICMPErrorKind.PORT_UNREACHABLE
    assert (error.kind, error.type, error.code, error.version) == (expected, kind, code, version)
    assert (error.reporter, error.destination, error.quoted) == (ROUTER[version], THERE[version], b"ours")
    assert error.mtu == 0


def test_the_mtu_of_a_path(version):
    head = bytes([3, 4, 0, 0, 0, 0]) + (1400).to_bytes(2, "big")
    if version == 6:
        head = bytes([2, 0, 0, 0]) + (1400).to_bytes(4, "big")
    found = read_error(message(version, head + quote(version, b"too big")))
    assert found is not None
    assert (found[1].kind, found[1].mtu) == (ICMPErrorKind.PACKET_TOO_BIG, 1400)


def test_options_of_the_quoted_header_are_no_part_of_the_quote():
    quoted = bytes.fromhex("46000020000000004011 0000") + HERE[4].ip + THERE[4].ip + bytes(4) + b"payload!"
    found = read_error(message(4, bytes([11, 0, 0, 0, 0, 0, 0, 0]) + quoted))
    assert found is not None
    assert found[0] == 17
    assert found[1].quoted == b"payload!"


@pytest.mark.parametrize("spoil", ["echo", "short", "version", "header"])
def test_what_is_no_error(version, spoil):
    kind = 3 if version == 4 else 1
    data = bytearray(bytes([kind, 0, 0, 0, 0, 0, 0, 0]) + quote(version, b"x"))
    if spoil == "echo":
        data[0] = 8 if version == 4 else 128
    elif spoil == "short":
        data = data[: 8 + (19 if version == 4 else 39)]
    elif spoil == "version":
        data[8] = 0x65 if version == 4 else 0x45
    elif version == 6:
        data[8] = 0
    else:
        data[8] = 0x44  # a header of 16 bytes
    assert read_error(message(version, bytes(data))) is None


@pytest.mark.netns
@pytest.mark.usefixtures("namespace")
def test_an_error_from_a_raw_icmp_socket_is_tied_to_its_datagram(version):
    here, absent = (
        IPAddr(IP(t)) for t in (("127.0.0.1", "127.0.0.9") if version == 4 else ("fd00::1", "fd00::9"))
    )
    with (
        RawSocket(1 if version == 4 else 58, version=version, local=here) as icmp,
        RawSocket(253, version=version, local=here) as sock,
        RawSocket(252, version=version, local=here) as stranger,
    ):
        icmp.set_deadline(60)
        sock.send(b"one of ours", absent)
        found = None
        while found is None:
            found = read_error(icmp.receive())
        protocol, error = found
        assert protocol == 253
        explained = sock.explain(error)
        assert explained is not None
        assert explained.datagram == b"one of ours"
        assert explained.kind is ICMPErrorKind.PROTOCOL_UNREACHABLE
        assert stranger.explain(error) is None

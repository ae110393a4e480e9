"""RawSocket and IPConn on loopback, both families."""

import errno
import select
import socket
import threading

import pytest

from rawproto.addr import IP, IPAddr
from rawproto.errors import (
    AddrError,
    ClosedError,
    ConnectionRefused,
    DeadlineExceeded,
    OpError,
    UnknownNetworkError,
)
from rawproto.link import ChecksumState, RawLink, RawSocket, dial_ip, listen_ip
from rawproto.link.networks import parse_network
from rawproto.wire import Batch, Transmit
from rawproto.wire.icmp_error import ICMPErrorKind
from tests.link.waiting import PATIENCE

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("namespace")]

HOSTS = {4: ("127.0.0.1", "127.0.0.2", "127.0.0.9"), 6: ("fd00::1", "fd00::2", "fd00::9")}


def addresses(version):
    return [IPAddr(IP(text)) for text in HOSTS[version]]


@pytest.fixture(params=[4, 6])
def version(request):
    return request.param


@pytest.fixture
def ends(version):
    one, other, _ = addresses(version)
    with (
        RawSocket(253, version=version, local=one) as first,
        RawSocket(253, version=version, local=other) as second,
    ):
        second.set_deadline(PATIENCE)
        yield first, second


def test_received_has_one_shape(ends, version):
    one, other = ends
    one.send(b"payload", other.local_addr, ttl=7, tos=0xB8 | 1)
    got = other.receive()
    assert got.payload == b"payload"
    assert (got.source, got.destination) == (one.local_addr, other.local_addr)
    assert (got.ttl, got.tos, got.dscp, got.ecn) == (7, 0xB9, 46, 1)
    assert got.interface == "lo"
    assert got.timestamp > 1_700_000_000 * 10**9
    assert (got.version, got.protocol) == (version, 253)
    assert got.checksum is ChecksumState.UNCHECKED
    assert len(got.raw_header) == (20 if version == 4 else 0)


def test_ttl_and_tos_are_of_one_datagram(ends):
    one, other = ends
    one.send(b"a", other.local_addr, ttl=9)
    one.send(b"b", other.local_addr)
    assert [other.receive().ttl for _ in range(2)] == [9, 64]


def test_payloads_of_every_size(ends):
    one, other = ends
    for size in (0, 1, 8, 1480, 9000, 65000):
        one.send(bytes(size), other.local_addr)
        assert other.receive().payload == bytes(size)


def test_batches_and_single_datagrams_mix(ends):
    one, other = ends
    one.send(b"first", other.local_addr)
    assert one.send_batch([b"second", b"third"], other.local_addr) == 2
    one.send(b"fourth", other.local_addr)
    assert other.receive().payload == b"first"
    got = []
    while len(got) < 3:
        got += [bytes(datagram) for batch in other.receive_batch() for datagram in batch]
    assert got == [b"second", b"third", b"fourth"]
    assert (one.stats().sent, other.stats().received) == (4, 4)


def test_a_link_open_to_every_address_tells_destinations_apart(version, settle):
    """Single batches and mixed ones in turn: what is remembered of one must not be said of the next."""
    one, other, _ = addresses(version)
    with RawLink(253, version=version, local=one) as sender, RawLink(253, version=version) as receiver:
        for targets in ([one], [other], [one, other], [other, other], [one]):
            for target in targets:
                sender.send(Transmit(Batch.from_datagrams([b"same length"]), target))
            settle()
            (batch,) = receiver.receive()
            assert len(batch) == len(targets)
            assert batch.source == one
            assert batch.destination == (targets[0] if len(set(targets)) == 1 else None)


def test_icmp_checksums_are_looked_at(version):
    """On IPv4 ours is the only look; on IPv6 the kernel drops what is wrong."""
    if version == 6:
        pytest.skip("the kernel drops ICMPv6 with a wrong checksum")
    one, other, _ = addresses(version)
    right = bytes.fromhex("0000ffff00000000")
    wrong = bytes.fromhex("0000fffe00000000")
    with RawSocket(1, local=one) as sender, RawSocket(1, local=other) as receiver:
        receiver.set_deadline(PATIENCE)
        sender.send(right, other)
        assert receiver.receive().checksum is ChecksumState.VALID
        sender.send(wrong, other)
        assert receiver.receive().checksum is ChecksumState.BAD
        assert receiver.stats().bad_checksum == 1


def test_the_kernel_answers_our_echo_request(version):
    one, other, _ = addresses(version)
    protocol, request, reply = (1, 8, 0) if version == 4 else (58, 128, 129)
    with RawSocket(protocol, version=version, local=one) as sock:
        sock.set_deadline(PATIENCE)
        body = b"\x12\x34\x00\x01hello"
        header = bytes([request, 0, 0, 0])
        if version == 4:  # ICMPv6 checksums are the kernel's work (RFC 3542 section 3.1)
            from rawproto.wire.sums import checksum

            header = bytes([request, 0]) + checksum(header + body).to_bytes(2, "big")
        sock.send(header + body, other)
        while (got := sock.receive()).payload[0] != reply:
            pass
        assert got.source == other
        assert got.payload[4:] == body
        assert got.checksum is ChecksumState.VALID


def test_header_included(version):
    one, other, _ = addresses(version)
    with (
        RawSocket(253, version=version, local=one, header_included=True) as sender,
        RawSocket(253, version=version, local=other) as receiver,
    ):
        receiver.set_deadline(PATIENCE)
        if version == 4:
            header = bytes.fromhex("4500001a123400003ffd0000") + one.ip + other.ip
        else:
            header = bytes.fromhex("600000000006fd3f") + one.ip + other.ip
        sender.send(header + b"abcdef", other)
        got = receiver.receive()
        assert (got.payload, got.ttl, got.source) == (b"abcdef", 0x3F, one)
        with pytest.raises(OpError) as caught:
            sender.send(header + bytes(65_530), other)
        assert caught.value.errno == errno.EMSGSIZE


def test_ipv4_options_are_no_part_of_the_payload():
    one, other, _ = addresses(4)
    with RawSocket(253, local=one) as sender, RawSocket(253, local=other) as receiver:
        receiver.set_deadline(PATIENCE)
        # Record route with room for one address, and an end of options (RFC 791 section 3.1).
        options = bytes([7, 7, 4, 0, 0, 0, 0, 0])
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, 253) as plain:
            plain.bind((HOSTS[4][0], 0))
            plain.setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, options)
            plain.sendto(b"with options", (HOSTS[4][1], 0))
        got = receiver.receive()
        assert (got.payload, len(got.raw_header)) == (b"with options", 28)
        sender.send(b"plain", other)
        assert receiver.receive().payload == b"plain"


def test_an_error_comes_with_its_datagram(version, errors_of):
    one, _, absent = addresses(version)
    with RawSocket(253, version=version, local=one) as sock:
        sock.send(b"first datagram", absent)
        sock.send(b"second datagram", absent)
        errors = errors_of(sock, 2)
        assert [error.datagram for error in errors] == [b"first datagram", b"second datagram"]
        assert {error.kind for error in errors} == {ICMPErrorKind.PROTOCOL_UNREACHABLE}
        assert {error.reporter for error in errors} == {absent}
        assert sock.stats().icmp_errors == 2


def test_an_error_that_quotes_nothing_of_ours_is_ignored():
    """Forged: a protocol unreachable about a datagram to a host we talk to, which we never sent."""
    one, other, _ = addresses(4)
    with (
        RawSocket(253, local=one) as sock,
        RawSocket(253, local=other),
        RawSocket(1, local=other) as forger,
    ):
        sock.send(b"really sent this", other)
        quoted = bytes.fromhex("450000240000000040fd0000") + one.ip + other.ip + b"never sent that!"
        message = bytes([3, 2, 0, 0, 0, 0, 0, 0]) + quoted
        from rawproto.wire.sums import checksum

        forger.send(message[:2] + checksum(message).to_bytes(2, "big") + message[4:], one)
        assert select.select([sock], [], [], PATIENCE)[0]
        assert sock.errors() == []
        assert sock.stats().icmp_ignored == 1
        assert sock.stats().icmp_errors == 0


def test_transmit_times(version):
    one, other, _ = addresses(version)
    with (
        RawSocket(253, version=version, local=one, transmit_timestamps=True) as sender,
        RawSocket(253, version=version, local=other) as receiver,
    ):
        receiver.set_deadline(PATIENCE)
        sender.send(b"a", other)
        sender.send(b"b", other)
        arrived = [receiver.receive().timestamp for _ in range(2)]
        left = sender.transmit_times()
        assert list(left) == [0, 1]
        assert left[0] <= arrived[0]
        assert left[1] <= arrived[1]
        assert sender.transmit_times() == {}


def test_deadlines_lose_nothing(ends):
    one, other = ends
    other.set_read_deadline(0)
    one.send(b"early", other.local_addr)
    with pytest.raises(DeadlineExceeded) as caught:
        other.receive()
    assert isinstance(caught.value, TimeoutError)
    other.set_read_deadline(None)
    assert other.receive().payload == b"early"
    other.set_read_deadline(0.01)
    with pytest.raises(DeadlineExceeded):
        other.receive()


def blocked(function):
    """A thread in ``function``, and a list that gets the class of what it raises."""
    raised = []

    def run():
        try:
            function()
        except Exception as error:
            raised.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    return thread, raised


def test_closing_wakes_a_reader(version):
    sock = RawSocket(253, version=version)
    thread, raised = blocked(sock.receive)
    sock.close()
    thread.join(PATIENCE)
    assert raised == [ClosedError]
    with pytest.raises(ClosedError):
        sock.receive()
    with pytest.raises(ClosedError):
        sock.send(b"x", addresses(version)[0])
    sock.close()


def test_a_new_deadline_wakes_a_reader(ends):
    _, other = ends
    other.set_read_deadline(None)
    thread, raised = blocked(other.receive)
    other.set_read_deadline(0)
    thread.join(PATIENCE)
    assert raised == [DeadlineExceeded]


def test_remote_receives_from_there_only(version):
    one, other, third = addresses(version)
    with (
        RawSocket(253, version=version, local=one, remote=other) as picky,
        RawSocket(253, version=version, local=other) as wanted,
        RawSocket(253, version=version, local=third) as unwanted,
    ):
        picky.set_deadline(PATIENCE)
        unwanted.send(b"no", one)
        wanted.send(b"yes", one)
        assert picky.receive().payload == b"yes"
        picky.send(b"to the remote")
        wanted.set_deadline(PATIENCE)
        assert wanted.receive().payload == b"to the remote"


@pytest.mark.parametrize(
    ("network", "expected"),
    [
        ("ip4:icmp", (4, 1)),
        ("ip6:ipv6-icmp", (6, 58)),
        ("ip6:58", (6, 58)),
        ("ip:253", (None, 253)),
        ("ip4:ICMP", (4, 1)),
    ],
)
def test_network_names(network, expected):
    assert parse_network(network) == expected


@pytest.mark.parametrize("network", ["ip4", "tcp", "ip5:1", "", "ip4icmp"])
def test_unknown_networks(network):
    with pytest.raises(UnknownNetworkError):
        parse_network(network)


@pytest.mark.parametrize(
    "network", ["ip4:", "ip4:0", "ip4:256", "ip4:no-such-protocol", "ip4:-1", "ip4:99999999999"]
)
def test_unknown_protocols(network):
    with pytest.raises(AddrError):
        parse_network(network)


def test_dial_and_listen(version):
    one, other, _ = addresses(version)
    network = f"ip{version}:253"
    with listen_ip(network, other) as server, dial_ip(network, one, other) as client:
        server.set_deadline(PATIENCE)
        client.set_deadline(PATIENCE)
        assert client.write(b"ping") == 4
        assert server.read_from() == (b"ping", one)
        assert server.write_to(b"pong!", one) == 5
        assert client.read(4) == b"pong"
        assert (client.local_addr, client.remote_addr) == (one, other)
        assert (server.local_addr, server.remote_addr) == (other, None)
        with pytest.raises(OpError) as caught:
            client.write_to(b"x", other)
        assert caught.value.errno == errno.EISCONN
        with pytest.raises(OpError) as caught:
            server.write(b"x")
        assert caught.value.errno == errno.EDESTADDRREQ


def test_dialling_chooses_version_and_local_address(version):
    _, other, _ = addresses(version)
    with dial_ip("ip:253", None, other) as conn:
        assert len(conn.local_addr.ip) == (4 if version == 4 else 16)
        assert not conn.local_addr.ip.is_unspecified


def test_nobody_speaks_the_protocol(version):
    one, _, absent = addresses(version)
    with dial_ip(f"ip{version}:253", one, absent) as conn:
        conn.set_deadline(PATIENCE)
        conn.write(b"anybody there?")
        with pytest.raises(ConnectionRefused) as caught:
            conn.read()
        assert caught.value.errno == errno.ECONNREFUSED
        assert caught.value.remote == absent
        assert isinstance(caught.value, ConnectionRefusedError)


def test_addresses_of_the_other_family_are_refused():
    four, six = addresses(4)[0], addresses(6)[0]
    with pytest.raises(AddrError):
        dial_ip("ip4:253", None, six)
    with pytest.raises(AddrError):
        dial_ip("ip6:253", None, four)
    with pytest.raises(AddrError):
        listen_ip("ip4:253", six)
    with pytest.raises(AddrError):
        dial_ip("ip4:253", four, IPAddr(None))


def test_a_foreign_local_address_is_refused(version):
    foreign = IPAddr(IP("192.0.2.1" if version == 4 else "2001:db8::1"))
    with pytest.raises(OpError) as caught:
        listen_ip(f"ip{version}:253", foreign)
    assert caught.value.errno == errno.EADDRNOTAVAIL
    with pytest.raises(OpError) as caught:
        dial_ip(f"ip{version}:253", None, foreign)
    assert caught.value.errno == errno.ENETUNREACH

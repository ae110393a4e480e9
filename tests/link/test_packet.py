"""What is special about the packet link: neighbours, damaged packets, fragments, filters."""

import errno
import shutil
import socket

import numpy as np
import pytest

from rawproto.addr import IP, IPAddr
from rawproto.errors import ConfigError, OpError
from rawproto.link import PacketLink, RawLink
from rawproto.link import nexthop as hops
from rawproto.link.ipheaders import HeaderWriter, ipv4_faults
from rawproto.wire import Batch, IPv4, IPv6, Transmit, assemble
from tests.link.waiting import PATIENCE, datagrams_of

pytestmark = pytest.mark.netns

ETH_P_IP = 0x0800


@pytest.fixture
def link(pair):
    """A packet link on host b."""
    with pair[1]:
        opened = PacketLink(253, local=IPAddr(pair[1].ip4))
    with opened:
        yield opened


def inject(host, *packets):
    """Put whole IP packets on the host's link, whatever is in them."""
    with host, socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, 0) as sock:
        for packet in packets:
            sock.sendto(packet, ("eth0", ETH_P_IP, 0, 0, b"\xff" * 6))


def packet(pair, payload, **fields):
    return bytes(IPv4(pair[0].ip4, pair[1].ip4, protocol=253, **fields) / payload)


def test_damaged_packets_and_fragments_are_counted_and_dropped(pair, link):
    good = packet(pair, b"good")
    bad_sum = bytearray(packet(pair, b"bad checksum"))
    bad_sum[10] ^= 1
    too_long = packet(pair, b"too long", total_length=900)
    first = packet(pair, b"8 bytes!", mf=True, ident=1)
    rest = packet(pair, b"rest", fragment_offset=8, ident=1)
    inject(pair[0], good, bytes(bad_sum), too_long, first, rest, good)
    assert datagrams_of(link, 2) == [b"good", b"good"]
    stats = link.stats()
    assert (stats.received, stats.bad_checksum, stats.malformed, stats.fragments) == (2, 1, 1, 2)


def test_padding_and_options_are_no_part_of_the_payload(pair, link):
    padded = packet(pair, b"padded") + bytes(20)
    options = bytearray(packet(pair, b"\x01\x01\x01\x00" + b"with options"))
    options[0] = 0x46
    options[10:12] = b"\0\0"
    options = IPv4.parse(bytes(options))[0].replace(checksum=None)
    with_options = bytes(options / b"with options")
    inject(pair[0], padded, with_options, packet(pair, b"plain"))
    assert datagrams_of(link, 3) == [b"padded", b"with options", b"plain"]


def test_other_protocols_and_addresses_are_not_seen(pair, link):
    other = bytes(IPv4(pair[0].ip4, "10.99.99.99", protocol=253) / b"other host")
    inject(pair[0], other, bytes(IPv4(pair[0].ip4, pair[1].ip4, protocol=254) / b"other protocol"))
    inject(pair[0], packet(pair, b"ours"))
    assert datagrams_of(link, 1) == [b"ours"]
    assert link.stats().malformed == 0


def test_its_filter_sees_the_ip_header(pair, settle):
    only_x = assemble("ldb [20]\njeq #120, yes, no\nyes: ret #-1\nno: ret #0")
    with pair[1]:
        link = PacketLink(253, local=IPAddr(pair[1].ip4), filter=only_x)
    with link:
        inject(pair[0], packet(pair, b"yes"), packet(pair, b"x marks it"))
        assert datagrams_of(link, 1) == [b"x marks it"]
        inject(pair[0], packet(pair, b"x again"), packet(pair, b"y"))
        settle()
        link.set_filter(assemble("ldb [20]\njeq #121, yes, no\nyes: ret #-1\nno: ret #0"))
        inject(pair[0], packet(pair, b"xx"), packet(pair, b"yy"))
        assert datagrams_of(link, 1) == [b"yy"]
        assert link.stats().filtered == 1
        settle()
        link.set_filter(None)
        inject(pair[0], packet(pair, b"anything"))
        assert datagrams_of(link, 1) == [b"anything"]


def test_the_kernel_does_not_answer_for_us(pair, link):
    with pair[0]:
        sender = RawLink(253, local=IPAddr(pair[0].ip4))
    with sender:
        sender.send(Transmit(Batch.from_datagrams([b"hello, is it you?"] * 5), IPAddr(pair[1].ip4)))
        assert len(datagrams_of(link, 5)) == 5
        assert sender.errors() == []


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
@pytest.mark.parametrize("version", [4, 6])
def test_an_unknown_neighbour_is_found_by_the_kernel(pair, version, monkeypatch):
    """The first batch goes the ordinary way, which resolves; later ones past the stack."""
    a, b = pair
    one, other = (IPAddr(h.ip4 if version == 4 else h.ip6) for h in pair)
    a.run(["ip", f"-{version}", "neigh", "flush", "all", "nud", "all"], check=True)
    a.run(["ip", f"-{version}", "neigh", "del", str(other), "dev", "eth0"], capture_output=True)
    with a:
        sender = PacketLink(253, local=one)
    with b:
        receiver = PacketLink(253, local=other)
    clock = [0]
    monkeypatch.setattr(hops.time, "monotonic_ns", lambda: clock[0])
    with sender, receiver:
        for step in range(3):
            clock[0] += 1
            sender.send(Transmit(Batch.from_datagrams([b"%d" % step]), other))
            assert datagrams_of(receiver, 1) == [b"%d" % step]
        assert sender._frames.hops.of(other) is not None
        clock[0] += hops._REFRESH
        assert sender._frames.hops.of(other) is None  # once in a while through the kernel
        assert sender._frames.hops.of(other) is not None
        assert sender.stats().sent == 3


def test_packets_with_the_known_header_and_others_mix(pair, link):
    """The remembered header must not be taken for that of another length, sender, mark or slot size."""
    groups = [
        [packet(pair, b"alike %d" % n) for n in range(5)],
        [packet(pair, b"alike %d" % n) for n in range(5, 9)],
        [packet(pair, b"longer than that %d" % n) for n in range(3)],
        [packet(pair, b"alike x"), packet(pair, b"longer than that y")],
        [packet(pair, b"alike m", ecn=1)],
        [packet(pair, b"alike n")],
        [bytes(IPv4("10.9.9.9", pair[1].ip4, protocol=253) / b"alike o")],
        [packet(pair, b"alike p") + b"padding"],
        [packet(pair, b"alike q")],
    ]
    for group in groups:
        inject(pair[0], *group)
        got = []
        while len(got) < len(group):
            assert link.wait(PATIENCE)
            for batch in link.receive():
                got += [
                    (batch.datagram(i), str(batch.source_of(i)), int(batch.ecn[i])) for i in range(len(batch))
                ]
        parsed = [IPv4.parse(data)[0] for data in group]
        assert got == [
            (data[20 : header.total_length], str(header.src), header.ecn)
            for data, header in zip(group, parsed, strict=True)
        ]


def test_room_after_a_short_send_is_told_by_the_descriptor(pair, link, monkeypatch):
    to = IPAddr(pair[0].ip4)
    with pair[0]:
        listener = RawLink(253, local=to)  # or errors would make the descriptor readable
    monkeypatch.setattr(
        hops, "_REFRESH", 1 << 62
    )  # no batch takes the ordinary way again, however long this takes
    with listener:
        while link._frames.hops.of(to) is None:
            link.send(Transmit(Batch.from_datagrams([b"resolve the neighbour"]), to))
        assert not link.wait(0)
        full = iter([2, -errno.EAGAIN])
        with monkeypatch.context() as patch:
            patch.setattr("rawproto.link.sender.sendmmsg", lambda *_: next(full))
            assert link.send(Transmit(Batch.from_datagrams([b"x"] * 5), to)) == 2
        assert link.wait(PATIENCE)
        assert link.receive() == ()
        assert not link.wait(0)  # told once
        assert link.send(Transmit(Batch.from_datagrams([b"x"] * 5), to)) == 5
        assert not link.wait(0)


@pytest.mark.parametrize("version", [4, 6])
def test_a_link_without_hardware_addresses(pair, version):
    """Loopback: the kernel is told an empty address instead of an Ethernet header."""
    local = IPAddr(IP("127.0.0.1" if version == 4 else "::1"))
    with pair[0], PacketLink(253, local=local, interface="lo") as loop:
        assert loop._frames.hops.of(local).frame_header == b""
        datagrams = [bytes([n]) * 700 for n in range(100)]
        assert loop.send(Transmit(Batch.from_datagrams(datagrams), local)) == 100
        assert datagrams_of(loop, 100) == datagrams
        assert loop.stats().sent_bytes == loop.stats().received_bytes == 70_000


def test_itself_is_reached_the_ordinary_way(pair, link):
    assert link.send(Transmit(Batch.from_datagrams([b"to myself"]), IPAddr(pair[1].ip4))) == 1
    assert link.send_errors() == []


def test_what_cannot_be_opened(pair):
    with pair[0]:
        with pytest.raises(OpError, match="Cannot assign"):
            PacketLink(253, local=IPAddr(IP("192.0.2.77")))
        with pytest.raises(ConfigError):
            PacketLink(253, local=IPAddr(None))
        with pytest.raises(OpError):
            PacketLink(253, local=IPAddr(pair[0].ip4), interface="no-such-one")


@pytest.mark.parametrize("version", [4, 6])
def test_headers_written_for_a_batch_are_those_of_the_single_datagrams(version):
    """The vectorised writer against the declared headers."""
    source, to = ("10.1.2.3", "10.255.0.9") if version == 4 else ("fd00::1", "2001:db8::ffff")
    writer = HeaderWriter(253, bytes(IP(source)))
    rng = np.random.default_rng(3)
    for count in (1, 64, 7, 200):
        datagrams = [rng.bytes(int(size)) for size in rng.integers(0, 1400, count)]
        for ecn in (0, 2):
            wrapped = list(writer.wrap(Batch.from_datagrams(datagrams), bytes(IP(to)), ecn))
            for got, datagram in zip(wrapped, datagrams, strict=True):
                if version == 4:
                    expected = IPv4(source, to, protocol=253, ident=0, df=True, ecn=ecn) / datagram
                else:
                    expected = IPv6(source, to, next_header=253, traffic_class=ecn) / datagram
                assert got == bytes(expected)


def test_faults_are_none_in_headers_of_our_own():
    writer = HeaderWriter(253, bytes(IP("10.0.0.1")))
    batch = writer.wrap(Batch.from_datagrams([bytes(n) for n in range(64)]), bytes(IP("10.0.0.2")), 1)
    totals, faults = ipv4_faults(batch.head, batch.lengths)
    assert totals.tolist() == [20 + n for n in range(64)]
    assert not any(mask.any() for mask in faults.values())

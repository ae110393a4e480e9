"""What each thing that can go wrong below a link looks like above it."""

import errno
import shutil
import time
from pathlib import Path

import pytest

from rawproto.addr import IPAddr, UDPAddr
from rawproto.errors import DeadlineExceeded, OpError
from rawproto.lab import Lab
from rawproto.link import PacketLink, RawLink, RawSocket, UDPLink
from rawproto.wire import Batch, Transmit

pytestmark = pytest.mark.netns

needs_ip = pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
needs_tc = pytest.mark.skipif(shutil.which("tc") is None, reason="tc is not installed")


def raw(host, version=4):
    return RawLink(253, version=version, local=IPAddr(ip_of(host, version)))


def packet(host, version=4):
    return PacketLink(253, local=IPAddr(ip_of(host, version)))


def udp(host, version=4):
    return UDPLink(UDPAddr(ip_of(host, version), 0))


def ip_of(host, version):
    return host.ip4 if version == 4 else host.ip6


MAKERS = [raw, packet, udp]


@pytest.mark.parametrize(
    ("make", "last"),
    [
        (raw, "rawproto.link.interfaces.Interfaces.path"),
        (packet, "rawproto.link.packet.ReceiveTable"),
        (udp, "rawproto.link.interfaces.Interfaces.path"),
    ],
)
def test_a_link_that_cannot_be_made_keeps_nothing_open(pair, monkeypatch, make, last):
    def refuse(*_, **__):
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(last, refuse)
    with pair[0]:
        before = len(set(Path("/proc/self/fd").iterdir()))
        with pytest.raises(OSError, match="Too many") as caught:
            make(pair[0])
        # Counted while the error is at hand, and by its traceback all that the constructor had made.
        assert len(set(Path("/proc/self/fd").iterdir())) == before, caught


def send(link, datagrams, host):
    ip = ip_of(host, 6 if "6" in link.network.partition(":")[0] else 4)
    to = UDPAddr(ip, 9) if isinstance(link, UDPLink) else IPAddr(ip)
    return link.send(Transmit(Batch.from_datagrams(datagrams), to))


def numbers(link):
    return [error.errno for error in link.send_errors()]


@needs_ip
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("make", MAKERS)
def test_a_downed_interface(pair, make, version):
    a, b = pair
    if version == 6:  # or the address goes with the interface
        a.run(["sysctl", "-qw", "net.ipv6.conf.eth0.keep_addr_on_down=1"], check=True)
    with a:
        link = make(a, version)
    with link:
        assert send(link, [b"before"], b) == 1
        a.run(["ip", "link", "set", "eth0", "down"], check=True)
        assert send(link, [b"one", b"two"], b) == 2
        stated = errno.ENETDOWN if make is packet else errno.ENETUNREACH
        assert numbers(link) == [stated, stated]
        assert (link.stats().sent, link.stats().send_refused) == (1, 2)
        link.receive()
        a.run(["ip", "link", "set", "eth0", "up"], check=True)
        assert send(link, [b"after"], b) == 1
        assert numbers(link) == []
        assert link.stats().sent == 2


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("make", MAKERS)
def test_a_removed_namespace(make, version):
    """The socket keeps its namespace alive, but nothing leads out of it any more."""
    with Lab() as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b)
        with a:
            link = make(a, version)
        assert send(link, [b"before"], b) == 1
        to = ip_of(b, version)
    with link:
        address = UDPAddr(to, 9) if make is udp else IPAddr(to)
        offered, errors = 1, []
        # The kernel takes the other host apart in its own time: at first packets still go nowhere without a word, and
        # while the far end of the cable has gone and this one not yet, the device takes none of them.
        while set(errors) <= {errno.ENOBUFS}:
            offered += link.send(Transmit(Batch.from_datagrams([b"after"]), address))
            errors += numbers(link)
            time.sleep(0.005)
        assert errors[-1] in (errno.ENETUNREACH, errno.ENXIO, errno.ENODEV, errno.ENETDOWN)
        assert link.stats().send_refused == len(errors)
        assert link.stats().sent + link.stats().send_refused == offered
        assert not link.receive()


def slow(host, limit):
    """A queue on the host's interface that sends 1 kB a second and holds ``limit`` bytes."""
    words = f"tc qdisc add dev eth0 root tbf rate 8kbit burst 1600 limit {limit}"
    done = host.run(words.split(), capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"tc does not work here: {done.stderr.strip()}")


@needs_tc
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("make", [raw, udp])
def test_a_full_queue_on_the_way(pair, make, version):
    a, b = pair
    slow(a, 4000)
    with a:
        link = make(a, version)
    with link:
        settled = send(link, [bytes(1000 + index) for index in range(64)], b)
        assert 0 < settled < 64
        stats = link.stats()
        assert stats.sent + stats.send_refused == 64
        assert stats.sent == settled
        assert numbers(link) == [errno.ENOBUFS]


def send_for_ever(sock, host):
    while True:
        sock.send(bytes(1400), IPAddr(host.ip4))


@needs_tc
def test_a_full_send_buffer(pair):
    a, b = pair
    slow(a, 10_000_000)
    with a:
        link = RawLink(253, send_buffer=1)
        sock = RawSocket(253)
    with link, sock:
        settled = send(link, [bytes(1400)] * 64, b)
        assert 0 < settled < 64
        assert numbers(link) == []
        assert link.stats().sent + link.stats().send_refused == 64
        sock.set_write_deadline(0.05)
        with pytest.raises(DeadlineExceeded):
            send_for_ever(sock, b)


@needs_ip
def test_a_raw_socket_raises_what_it_was_refused_for(pair):
    a, b = pair
    with a:
        sock = RawSocket(253, local=IPAddr(a.ip4))
    with sock:
        with pytest.raises(OpError) as caught:
            sock.send(bytes(1481), IPAddr(b.ip4))
        assert caught.value.errno == errno.EMSGSIZE
        assert str(caught.value) == f"write ip4:253 {a.ip4}->{b.ip4}: Message too long"
        a.run(["ip", "link", "set", "eth0", "down"], check=True)
        with pytest.raises(OpError) as caught:
            sock.send(b"x", IPAddr(b.ip4))
        assert caught.value.errno == errno.ENETUNREACH
        assert sock.stats().send_refused == 2


def test_a_firewall_refuses(pair):
    a, b = pair
    program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip("nft is not installed")
    for rule in (
        "add table inet t",
        "add chain inet t out { type filter hook output priority 0 ; policy drop ; }",
    ):
        done = a.run([program, *rule.split()], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"nft does not work here: {done.stderr.strip()}")
    with a:
        link, sock = raw(a), RawSocket(253)
    with link, sock:
        assert send(link, [b"one", b"two"], b) == 2
        assert numbers(link) == [errno.EPERM] * 2
        with pytest.raises(OpError, match="firewall") as caught:
            sock.send(b"x", IPAddr(b.ip4))
        assert caught.value.errno == errno.EPERM


@pytest.mark.parametrize("version", [4, 6])
def test_too_large_with_a_header_of_its_own(pair, version):
    """Refused or fragmented, as asked."""
    from rawproto.wire import IPv4, IPv6

    a, b = pair
    source, to = (a.ip4, b.ip4) if version == 4 else (a.ip6, b.ip6)
    payload = bytes(range(256)) * 20
    if version == 4:
        whole = bytes(IPv4(source, to, protocol=253, ident=7) / payload)
    else:
        whole = bytes(IPv6(source, to, next_header=253) / payload)
    with b:
        receiver = RawSocket(253, version=version)
    with receiver, a:
        with (
            RawSocket(253, version=version, header_included=True) as refusing,
            pytest.raises(OpError) as caught,
        ):
            refusing.send(whole, IPAddr(to))
        assert caught.value.errno == errno.EMSGSIZE
        with RawSocket(253, version=version, header_included=True, over_mtu="fragment") as fragmenting:
            fragmenting.send(whole, IPAddr(to))
            assert fragmenting.stats().sent == 1
        receiver.set_deadline(60)
        assert receiver.receive().payload == payload

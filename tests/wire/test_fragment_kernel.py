"""Fragments of the kernel's for us and of ours for the kernel, in a network namespace (G13)."""

import select
import shutil
import socket
import subprocess

import pytest

from rawproto import UDP, Datagram, IPv4, IPv6, Reassembler, fragment

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(shutil.which("ip") is None, reason="ip (iproute2) is not installed"),
]

ETH_P_ALL, OUTGOING = 3, 4
ADDRESS = {4: "127.0.0.1", 6: "::1"}
FAMILY = {4: socket.AF_INET, 6: socket.AF_INET6}
PATIENCE = 60  # seconds, for what comes in the end


def small_loopback():
    subprocess.run(["ip", "link", "set", "lo", "mtu", "1500", "up"], check=True, timeout=PATIENCE)


def is_readable(sock, within=0):
    return bool(select.select([sock], [], [], within)[0])


def ping_both_ways(version):
    """Runs on a host of the lab: what a packet socket saw, reassembled by us, and what a raw socket got."""
    small_loopback()
    protocol = {4: socket.IPPROTO_ICMP, 6: socket.IPPROTO_ICMPV6}[version]
    with (
        socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(ETH_P_ALL)) as wire,
        socket.socket(FAMILY[version], socket.SOCK_RAW, protocol) as raw,
    ):
        wire.bind(("lo", ETH_P_ALL))
        for sock in (wire, raw):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        command = ["ping", f"-{version}", "-c", "2", "-i", "0.2", "-W", "60", "-s", "20000", ADDRESS[version]]
        subprocess.run(command, check=True, timeout=PATIENCE, stdout=subprocess.DEVNULL)
        seen, fragments, whole = Reassembler(), 0, []
        while is_readable(wire):  # ping has its answers: all that makes them up has passed
            packet, address = wire.recvfrom(65_535)
            if address[2] == OUTGOING:
                continue
            fragments += 1
            datagram = seen.add(packet, 0)
            if datagram is not None:
                whole.append(datagram)
        got = []
        while len(got) < len(whole) and is_readable(raw, PATIENCE):
            got.append(raw.recv(65_535))
        return fragments, seen.drops, whole, got


@pytest.mark.skipif(shutil.which("ping") is None, reason="ping is not installed")
@pytest.mark.parametrize("version", [4, 6])
def test_g13_kernel_made_fragments_reassemble_to_what_the_kernel_delivers(lab, version):
    (host,) = lab.hosts("a")
    fragments, drops, whole, got = host.call(ping_both_ways, version, timeout=100)
    assert drops == {}
    pings = [datagram for datagram in whole if len(datagram) > 20_000]
    assert len(pings) == 4  # two requests, two replies
    assert fragments >= 4 * 14
    for datagram in pings:
        assert Datagram.parse(datagram).verify() == []
    shown = [datagram if version == 4 else datagram[40:] for datagram in pings]
    delivered = [datagram for datagram in got if len(datagram) > 20_000]
    # With IPv4 the header too: identification, flags and checksum as the kernel writes them on reassembly.
    assert sorted(delivered) == sorted(shown)


def send_to_kernel(version, size, mtu, backwards):
    """Runs on a host of the lab: a UDP socket's view of a datagram that went out in our fragments."""
    small_loopback()
    address = ADDRESS[version]
    with (
        socket.socket(FAMILY[version], socket.SOCK_DGRAM) as receiver,
        socket.socket(FAMILY[version], socket.SOCK_RAW, socket.IPPROTO_RAW) as sender,
    ):
        receiver.bind((address, 0))
        receiver.settimeout(PATIENCE)
        port = receiver.getsockname()[1]
        outer = IPv4(src=address, dst=address) if version == 4 else IPv6(src=address, dst=address)
        payload = bytes(number & 0xFF for number in range(size))
        parts = fragment(bytes(outer / UDP(sport=7, dport=port) / payload), mtu)
        for part in reversed(parts) if backwards else parts:
            sender.sendto(part, (address, 0))
        return len(parts), receiver.recv(65_535) == payload


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize(
    ("size", "mtu", "backwards"), [(20_000, 1_500, False), (20_000, 1_280, True), (3_000, 576, True)]
)
def test_our_fragments_are_accepted_by_the_kernel(lab, version, size, mtu, backwards):
    (host,) = lab.hosts("a")
    count, arrived = host.call(send_to_kernel, version, size, mtu, backwards, timeout=100)
    assert count > 2
    assert arrived

"""Where a Python developer goes wrong about Go's lookups; numbered as the notes beside the shared observations.

The other traps are the addresses': tests/addr/test_traps.py.
"""

import pytest

from rawproto import (
    IP,
    AddrError,
    DNSError,
    IPAddr,
    Resolver,
    TCPAddr,
    UnknownNetworkError,
    lookup_host,
    lookup_port,
    resolve_ip_addr,
    resolve_tcp_addr,
    resolve_udp_addr,
)

ALONE = Resolver(["127.0.0.1:9"], hosts=None, services=None)


@pytest.mark.parametrize("host", ["127.1", "1.2.3", "2130706433", "01.2.3.4", "0127.0.0.1"])
def test_trap_14_a_literal_is_gos_literal(host):
    with pytest.raises(DNSError, match="no such host"):
        resolve_tcp_addr("tcp", f"{host}:80")


def test_trap_16_empty_address_host_and_port():
    assert resolve_tcp_addr("tcp", "") == TCPAddr(None, 0)
    for network in ("tcp", "tcp4", "tcp6"):
        assert resolve_tcp_addr(network, ":80") == TCPAddr(None, 80)
    assert resolve_tcp_addr("tcp", "1.2.3.4:").port == 0
    assert resolve_ip_addr("ip", "") == IPAddr(None)


def test_trap_16_the_network_is_judged_first():
    for network in ("bad", "TCP", "udp"):
        with pytest.raises(UnknownNetworkError):
            resolve_tcp_addr(network, "bad")
    assert resolve_tcp_addr("", "1.2.3.4:80") == TCPAddr("1.2.3.4", 80)
    assert resolve_udp_addr("", "1.2.3.4:53").port == 53
    assert resolve_ip_addr("", "1.2.3.4") == IPAddr("1.2.3.4")


def test_trap_17_families():
    assert (
        resolve_tcp_addr("tcp4", "[::]:80")
        == resolve_tcp_addr("tcp4", "[::%lo]:80")
        == TCPAddr("0.0.0.0", 80)
    )
    for text in ("0.0.0.0:80", "[::ffff:1.2.3.4]:80"):
        with pytest.raises(AddrError, match="no suitable address"):
            resolve_tcp_addr("tcp6", text)
    assert resolve_tcp_addr("tcp4", "[::ffff:1.2.3.4]:80").ip.equal(IP("1.2.3.4"))
    assert resolve_tcp_addr("tcp", "[1.2.3.4]:80") == TCPAddr("1.2.3.4", 80)
    assert resolve_tcp_addr("tcp", "[::1%nosuchzone9]:80").zone == "nosuchzone9"  # trap 5


def test_trap_18_networks_of_ip():
    assert (
        resolve_ip_addr("ip4:icmp", "1.2.3.4") == resolve_ip_addr("ip4:999", "1.2.3.4") == IPAddr("1.2.3.4")
    )
    with pytest.raises(UnknownNetworkError):
        resolve_ip_addr("tcp", "1.2.3.4")
    with pytest.raises(DNSError):
        resolve_ip_addr("ip", "[::1]")
    with pytest.raises(AddrError, match="unknown IP protocol"):
        resolve_ip_addr("ip4:nosuchproto9", "1.2.3.4")


def test_trap_19_ports():
    assert lookup_port("bad", "80") == 80
    assert lookup_port("bad", "") == 0
    for network in ("bad", "sctp", "TCP"):
        with pytest.raises(UnknownNetworkError):
            lookup_port(network, "http")
    assert ALONE.lookup_port("tcp", "HTTP") == 80
    assert ALONE.lookup_port("tcp", "dicom") == 11112
    assert ALONE.lookup_port("tcp", "imap3") == 220
    assert lookup_port("tcp", "+80") == lookup_port("tcp", "080") == 80  # traps 3 and 4
    assert lookup_port("tcp", "-0") == 0
    with pytest.raises(AddrError, match="0 to 65535"):
        lookup_port("tcp", "-1")
    for service in (" 80", "8_0", "http\0", "８０"):
        with pytest.raises(AddrError, match="unknown port"):
            lookup_port("tcp", service)
    with pytest.raises(AddrError):
        lookup_port("", "http")


@pytest.mark.parametrize("service", ["+", "-", "4294967376", "18446744073709551696"])
def test_trap_19_quirks_of_go_that_are_not_copied(service):
    with pytest.raises(AddrError):
        lookup_port("tcp", service)


def test_trap_21_a_literal_comes_back_as_given():
    for text in ("::0001", "fe80::1%eth0", "1.2.3.4"):
        assert lookup_host(text) == [text]
    with pytest.raises(DNSError, match="no such host"):
        lookup_host("")

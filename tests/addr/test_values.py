"""Addresses as values: round trips, conversions, and what immutable, hashable, ordered and copyable promise."""

import copy
import ipaddress
import pickle
import socket

import netaddr
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import (
    IP,
    AddrError,
    IPAddr,
    IPMask,
    IPNet,
    RSPAddr,
    TCPAddr,
    UDPAddr,
    cidr_mask,
    parse_cidr,
    parse_ip,
)

PACKED = st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16)
# Long runs of zeros and the mapped prefix are rare among random bytes.
SIXTEEN = st.lists(
    st.sampled_from([b"\0\0", b"\0\0", b"\0\1", b"\xff\xff", b"\x0a\xbc"]), min_size=8, max_size=8
)
IPS = (PACKED | SIXTEEN.map(b"".join)).map(IP)
MASKS = st.sampled_from([32, 128]).flatmap(
    lambda bits: st.builds(cidr_mask, st.integers(0, bits), st.just(bits))
)
ZONES = st.sampled_from(["", "eth0", "7"])
ENDPOINTS = (IPAddr, TCPAddr, UDPAddr, RSPAddr)


def unmapped(ip):
    return ip.to4() or ip


@st.composite
def endpoints(draw):
    kind = draw(st.sampled_from(ENDPOINTS))
    ip = draw(st.none() | IPS.map(unmapped))
    zone = draw(ZONES) if ip is not None and len(ip) == 16 else ""
    return kind(ip, zone) if kind is IPAddr else kind(ip, draw(st.integers(0, 65535)), zone)


@st.composite
def networks(draw):
    mask = draw(MASKS)
    length = len(mask)
    return IPNet(unmapped(draw(st.binary(min_size=length, max_size=length).map(IP))).mask(mask), mask)


@given(IPS)
def test_ip_round_trips(ip):
    assert IP(bytes(ip)) == ip
    assert eval(repr(ip)) == ip
    assert parse_ip(str(ip)).equal(ip)
    assert IP(ip.to_ipaddress()) == ip
    assert IP(ip.to_netaddr()) == ip
    assert int(ip) == int(ip.to_ipaddress())
    assert f"{ip:>40}" == str(ip).rjust(40)


@given(IPS)
def test_ip_text_is_that_of_the_platform(ip):
    family = socket.AF_INET if len(ip) == 4 else socket.AF_INET6
    expected = socket.inet_ntop(family, ip)
    if not (len(ip) == 16 and "." in expected):  # inet_ntop dots the v4-compatible forms, Go does not
        assert str(ip) == expected
    assert parse_ip(str(ip)).equal(IP(socket.inet_pton(family, expected)))


@given(st.text(alphabet="0123456789abcfF:.%/x \n", max_size=24))
def test_parsing_agrees_with_the_platform(text):
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    try:
        expected = socket.inet_pton(family, text)
    except (OSError, ValueError):
        with pytest.raises(AddrError) as caught:
            parse_ip(text)
        assert caught.value.text == text
        assert not text or 0 <= caught.value.position <= len(text)
    else:
        assert parse_ip(text) == expected


@given(st.binary(min_size=4, max_size=4) | st.binary(min_size=16, max_size=16))
def test_mask_round_trips(packed):
    mask = IPMask(packed)
    assert IPMask(str(mask)) == IPMask(bytes(mask)) == mask
    assert eval(repr(mask)) == mask
    ones, bits = mask.size()
    assert (ones, bits) == (0, 0) or cidr_mask(ones, bits) == mask


@given(networks())
def test_network_round_trips(net):
    assert parse_cidr(str(net))[1] == net
    assert IPNet.of(net.to_ipaddress()) == IPNet.of(net.to_netaddr()) == net
    assert eval(repr(net)) == net
    assert str(net.to_ipaddress()) == str(ipaddress.ip_network(str(net)))


@given(networks(), IPS)
def test_membership_agrees_with_ipaddress(net, ip):
    plain = unmapped(ip).to_ipaddress()
    theirs = net.to_ipaddress()
    assert (ip in net) == (plain.version == theirs.version and plain in theirs)
    assert net.ip in net


@given(endpoints())
def test_endpoint_round_trips(endpoint):
    assert type(endpoint).parse(str(endpoint)) == endpoint
    assert eval(repr(endpoint)) == endpoint
    if not endpoint.zone:
        assert type(endpoint).from_sockaddr(endpoint.sockaddr()) == endpoint
    for copied in (pickle.loads(pickle.dumps(endpoint)), copy.copy(endpoint), copy.deepcopy(endpoint)):
        assert copied == endpoint
        assert hash(copied) == hash(endpoint)
        assert type(copied) is type(endpoint)


@given(endpoints(), endpoints())
def test_endpoints_are_equal_in_all_their_parts_or_not_at_all(one, other):
    same = type(one) is type(other) and (one.ip, one.zone, getattr(one, "port", 0)) == (
        other.ip,
        other.zone,
        getattr(other, "port", 0),
    )
    assert (one == other) is same
    assert not same or hash(one) == hash(other)
    if type(one) is type(other):
        assert (one < other) + (one > other) + same == 1
        assert (one <= other) == (one < other or same)
        assert (one >= other) == (one > other or same)


def test_endpoints_of_different_kinds_are_not_ordered():
    with pytest.raises(TypeError):
        assert TCPAddr("1.2.3.4", 1) < UDPAddr("1.2.3.4", 1)


VALUES = [
    IP("10.0.0.1"),
    IP("::ffff:10.0.0.1"),
    IPMask("ffffff00"),
    IPNet.parse("10.0.0.0/8"),
    IPAddr("fe80::1", "eth0"),
    TCPAddr(None, 80),
    UDPAddr("::1", 53),
    RSPAddr("10.0.0.1", 7),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_are_pickled_and_copied_as_equal(value):
    for copied in (pickle.loads(pickle.dumps(value)), copy.copy(value), copy.deepcopy(value)):
        assert copied == value
        assert type(copied) is type(value)
        assert hash(copied) == hash(value)


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_cannot_be_changed(value):
    for name in ("ip", "mask", "port", "zone"):
        if hasattr(value, name) and not callable(getattr(value, name)):
            with pytest.raises(AttributeError):
                setattr(value, name, 1)
    with pytest.raises((AttributeError, TypeError)):  # a TypeError by an oversight of dataclasses (gh-90562)
        value.anything = 1
    if isinstance(value, bytes):
        with pytest.raises(TypeError):
            value[0] = 1


def test_values_match_patterns():
    match TCPAddr("10.0.0.1", 80):
        case TCPAddr(IP(ip), 80, zone):
            assert (ip, zone) == (IP("10.0.0.1"), "")
        case _:
            pytest.fail("no match")
    match IPNet.parse("10.0.0.0/8"):
        case IPNet(ip, IPMask(mask)):
            assert (str(ip), str(mask)) == ("10.0.0.0", "ff000000")
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize(
    "value",
    [1, -1, True, None, 1.5, [10, 0, 0, 1], (10, 0, 0, 1), b"", b"123", bytes(5), bytes(17), "", object()],
    ids=repr,
)
def test_what_is_no_address_is_refused(value):
    with pytest.raises(AddrError):
        IP(value)


def test_whatever_carries_an_address_is_taken():
    expected = IP("10.0.0.1")
    for value in (
        "10.0.0.1",
        b"\x0a\0\0\1",
        bytearray(b"\x0a\0\0\1"),
        memoryview(b"\x0a\0\0\1"),
        expected,
        ipaddress.ip_address("10.0.0.1"),
        ipaddress.ip_interface("10.0.0.1/8"),
        netaddr.IPAddress("10.0.0.1"),
    ):
        assert IP(value) == expected
        assert type(IP(value)) is IP


def test_subclasses_of_ip_and_of_text():
    class Host(IP):
        pass

    class Text(str):
        __slots__ = ()

    assert type(Host("10.0.0.1")) is Host
    assert IP(Text("10.0.0.1")) == IP("10.0.0.1")


def test_zone_of_ipaddress_is_kept_by_endpoints_and_refused_by_ip():
    zoned = ipaddress.ip_address("fe80::1%eth0")
    assert IPAddr(zoned) == IPAddr("fe80::1", "eth0")
    assert TCPAddr(zoned, 80) == TCPAddr("fe80::1", 80, "eth0")
    assert IPAddr(zoned).to_ipaddress() == zoned
    with pytest.raises(AddrError, match="zone"):
        IP(zoned)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1.2.3.256", 'an octet above 255:\n  "1.2.3.256"\n         ^'),
        ("1.2.3", 'an IPv4 address has four octets, here are 3:\n  "1.2.3"\n        ^'),
        ("1::2::3", "a second '::':\n  \"1::2::3\"\n       ^"),
        ("fe80::1%eth0", 'a zone has no place here:\n  "fe80::1%eth0"\n          ^'),
        ("::12345", 'more than four digits in a group:\n  "::12345"\n     ^'),
    ],
)
def test_error_shows_the_text_with_a_caret_at_the_place(text, message):
    with pytest.raises(AddrError) as caught:
        parse_ip(text)
    assert str(caught.value) == message


def test_sockaddr_is_what_the_socket_module_takes():
    assert TCPAddr("127.0.0.1", 80).sockaddr() == ("127.0.0.1", 80)
    assert TCPAddr("127.0.0.1", 80).sockaddr(6) == ("::ffff:127.0.0.1", 80, 0, 0)
    assert TCPAddr("::ffff:127.0.0.1", 80).sockaddr() == ("127.0.0.1", 80)
    assert TCPAddr("::1", 80).sockaddr() == ("::1", 80, 0, 0)
    assert UDPAddr(None, 80).sockaddr() == ("", 80)
    assert UDPAddr(None, 80).sockaddr(6) == ("::", 80, 0, 0)
    assert IPAddr("10.0.0.1").sockaddr() == ("10.0.0.1", 0)
    for wrong in (
        lambda: TCPAddr("::1", 80).sockaddr(4),
        TCPAddr("::1", 65536).sockaddr,
        TCPAddr("::1", -1).sockaddr,
    ):
        with pytest.raises(AddrError):
            wrong()


def test_scope_numbers_become_interface_names_and_back():
    index = socket.if_nametoindex("lo")
    assert UDPAddr("fe80::1", 5, "lo").sockaddr() == ("fe80::1", 5, 0, index)
    assert UDPAddr("fe80::1", 5, str(index)).sockaddr() == ("fe80::1", 5, 0, index)
    assert UDPAddr.from_sockaddr(("fe80::1", 5, 0, index)) == UDPAddr("fe80::1", 5, "lo")
    assert UDPAddr.from_sockaddr(("fe80::1%lo", 5, 0, index)) == UDPAddr("fe80::1", 5, "lo")
    assert UDPAddr.from_sockaddr(("fe80::1", 5, 0, 999_999)).zone == "999999"
    with pytest.raises(AddrError, match="no network interface"):
        UDPAddr("fe80::1", 5, "nosuchzone9").sockaddr()


@pytest.mark.parametrize("address", [(), ("x", 1), ("10.0.0.1",), (1, 2), "10.0.0.1:80", None], ids=repr)
def test_what_is_no_socket_address_is_refused(address):
    with pytest.raises(AddrError):
        TCPAddr.from_sockaddr(address)


@pytest.mark.parametrize(
    "text", ["1.2.3.4", "1.2.3.4:", "1.2.3.4:http", "1.2.3.4:65536", "host:80", "[::1%]:80", "1.2.3.4%lo:80"]
)
def test_parse_of_an_endpoint_takes_literals_and_numbers_only(text):
    with pytest.raises(AddrError):
        TCPAddr.parse(text)


def test_network_names_of_endpoints():
    assert [kind.network for kind in ENDPOINTS] == ["ip", "tcp", "udp", "rsp"]


def test_network_of_other_kinds_of_value():
    assert IPNet.of("10.1.2.3") == IPNet.of(IP("10.1.2.3")) == IPNet.parse("10.1.2.3/32")
    assert IPNet.of(ipaddress.ip_address("::1")) == IPNet.parse("::1/128")
    assert sorted([IPNet.parse("10.0.0.0/9"), IPNet.parse("10.0.0.0/8")])[0].mask.size() == (8, 32)
    for wrong in (5, "10.0.0.0/8/8", "x"):
        with pytest.raises(AddrError):
            IPNet.of(wrong)
    for method in (IPNet("10.0.0.0", "ff00ff00").to_ipaddress, IPNet("10.0.0.0", "ff00ff00").to_netaddr):
        with pytest.raises(AddrError, match="not contiguous"):
            method()

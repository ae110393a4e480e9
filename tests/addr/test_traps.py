"""Where a Python developer goes wrong about Go's addresses; numbered as the notes beside the shared observations.

Traps 14, 16 to 19 and 21 are the resolvers': tests/resolve/test_traps.py.
"""

import pytest

from rawproto import (
    IP,
    AddrError,
    IPAddr,
    IPMask,
    IPNet,
    TCPAddr,
    UDPAddr,
    cidr_mask,
    join_host_port,
    parse_cidr,
    parse_ip,
    split_host_port,
)

NOT_ADDRESSES = [
    "1.2.3.4\n", " 1.2.3.4", "１.2.3.4", "١.2.3.4", "1.2.3.²", "1_0.0.0.1", "+1.2.3.4", "::1_0", "1.2.3.4\0", "::1 ",
    ": :1", "0x1.2.3.4",
]  # fmt: skip


def refuses(function, *args):
    with pytest.raises(AddrError) as caught:
        function(*args)
    return caught.value


def test_trap_1_two_lengths_for_one_address():
    assert parse_ip("1.2.3.4").to16() == parse_ip("::ffff:1.2.3.4").to16() == IP("::ffff:102:304")
    ip, net = parse_cidr("1.2.3.4/24")
    assert (ip.to16().hex(), net.ip.hex(), net.mask.hex()) == (
        f"{'0' * 20}ffff01020304",
        "01020300",
        "ffffff00",
    )
    four, mapped = IP(bytes.fromhex("01020304")), IP("::ffff:1.2.3.4")
    assert four != mapped
    assert four.equal(mapped)
    assert mapped.equal(four)
    assert not IP("0.0.0.0").equal(IP("::"))


@pytest.mark.parametrize("text", NOT_ADDRESSES)
def test_trap_2_digits_are_ascii_and_nothing_is_trimmed(text):
    refuses(parse_ip, text)
    refuses(parse_cidr, f"{text}/8")


def test_trap_3_leading_zeros():
    refuses(parse_ip, "01.2.3.4")
    refuses(parse_ip, "::ffff:01.2.3.4")
    assert str(parse_cidr("1.2.3.4/024")[1]) == "1.2.3.0/24"
    assert str(parse_cidr("1.2.3.4/00")[1]) == "0.0.0.0/0"
    assert parse_ip("::0001") == parse_ip("::1")
    refuses(parse_ip, "::00001")  # as in Go from 1.20 on; Go 1.19 took it


def test_trap_4_signs():
    refuses(parse_cidr, "1.2.3.4/+24")
    refuses(parse_cidr, "1.2.3.4/-0")


def test_trap_5_zones():
    refuses(parse_ip, "fe80::1%eth0")
    refuses(parse_cidr, "fe80::1%eth0/64")
    refuses(IP, "1.2.3.4%lo")
    assert IPAddr("fe80::1", "eth0").zone == "eth0"


def test_trap_6_a_gap_stands_for_a_group_at_least():
    assert parse_ip("1:2:3:4:5:6:7::") == parse_ip("1:2:3:4:5:6:7:0")
    refuses(parse_ip, "1:2:3:4:5:6:7::8")


def test_trap_7_cidr_wants_a_whole_address_and_a_number():
    for text in ("1.2.3.4", "10/8", "1.2.3.4/255.255.255.0", "1.2.3.4/0.0.0.255"):
        refuses(parse_cidr, text)
    assert str(parse_cidr("::ffff:1.2.3.4/24")[1]) == "::/24"
    _, net = parse_cidr("::ffff:1.2.3.4/120")
    assert (len(net.ip), str(net)) == (16, "1.2.3.0/24")
    assert str(parse_cidr("::ffff:1.2.3.4/96")[1]) == "0.0.0.0/0"


def test_trap_8_text_of_an_address():
    assert str(IP("::ffff:102:304")) == "1.2.3.4"
    assert str(IP("::102:304")) == "::102:304"
    assert str(IP("1:0:0:2:0:0:0:3")) == "1:0:0:2::3"
    assert str(IP("1:0:0:2:3:0:0:4")) == "1::2:3:0:0:4"
    assert str(IP("1:0:2:3:4:5:6:7")) == "1:0:2:3:4:5:6:7"


def test_trap_9_mask_changes_lengths():
    mapped = IP("::ffff:192.0.2.197")
    assert mapped.mask(IPMask("ffffff00")).hex() == "c0000200"
    assert IP("192.0.2.197").mask(IPMask("ff" * 14 + "0000")).hex() == "c0000000"
    refuses(IP("192.0.2.197").mask, IPMask("ff" * 8 + "00" * 8))
    assert mapped.mask(cidr_mask(64, 128)) == IP("::")
    refuses(IP("2001:db8::1").mask, IPMask("ffffff00"))


def test_trap_10_size_of_a_mask():
    assert IPMask("ff00ff00").size() == (0, 0)
    assert IPMask("00000000").size() == (0, 32)
    for ones, bits in ((33, 32), (-1, 32), (8, 16), (0, 0), (129, 128)):
        refuses(cidr_mask, ones, bits)


def test_trap_11_default_mask():
    assert str(IP("224.0.0.0").default_mask()) == "ffffff00"
    assert str(IP("0.0.0.0").default_mask()) == "ff000000"
    assert IP("2001:db8::1").default_mask() is None
    assert IP("::ffff:10.0.0.1").default_mask() == IPMask("ff000000")


def test_trap_12_networks():
    assert "192.0.2.1" in IPNet("192.0.2.77", "ffffff00")
    assert "::ffff:192.0.2.1" in IPNet("192.0.2.0", "ffffff00")
    assert "192.0.2.1" not in IPNet.parse("::/0")
    assert "::" not in IPNet.parse("0.0.0.0/0")
    assert "192.0.2.1" in IPNet("::ffff:0:0", cidr_mask(96, 128))
    odd = IPNet("192.0.2.0", "ffffff00" + "00" * 12)
    assert str(odd) == "192.0.2.0/0"
    assert "8.8.8.8" in odd
    assert str(IPNet("192.0.2.77", "ffffff00")) == "192.0.2.77/24"
    assert str(IPNet("192.0.2.1", "ff00ff00")) == "192.0.2.1/ff00ff00"
    unusable = IPNet("2001:db8::", "ffffff00")
    assert str(unusable) == "<nil>"
    assert "2001:db8::" not in unusable


def test_trap_13_predicates():
    for text in ("10.0.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.1", "240.0.0.1", "fc00::1", "2001:db8::1"):
        assert IP(text).is_global_unicast
    for text in (
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "169.254.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "fe80::1",
    ):
        assert not IP(text).is_global_unicast
    for text in ("127.0.0.1", "169.254.0.1", "100.64.0.1", "::1"):
        assert not IP(text).is_private
    assert IP("::ffff:127.0.0.1").is_loopback
    assert IP("::ffff:0.0.0.0").is_unspecified
    assert not IP("::7f00:1").is_loopback
    assert IP("ff11::1").is_interface_local_multicast
    assert IP("ff12::1").is_link_local_multicast
    assert IP("224.0.0.251").is_link_local_multicast
    assert not IP("224.0.0.1").is_interface_local_multicast
    assert not IP("fec0::1").is_link_local_unicast


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (":", ("", "")),
        ("a:", ("a", "")),
        ("[]:80", ("", "80")),
        ("[localhost]:80", ("localhost", "80")),
        ("http://host", ("http", "//host")),
        ("1.2.3.4:70000", ("1.2.3.4", "70000")),
    ],
)
def test_trap_15_split_looks_at_brackets_and_colons_only(text, parts):
    assert split_host_port(text) == parts


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("::1", "too many colons"),
        ("[::1]", "missing port"),
        ("[::1]80", "missing port"),
        ("[a", "missing port"),
        ("[::1]:80:90", "too many colons"),
        ("[::1:80", "missing ']'"),
        ("a[:80", "unexpected '['"),
        ("a]:80", "unexpected ']'"),
        ("", "missing port"),
    ],
)
def test_trap_15_reasons(text, reason):
    assert reason in refuses(split_host_port, text).reason


def test_trap_15_join_brackets_on_a_colon_only():
    assert join_host_port("host%eth0", "80") == "host%eth0:80"
    assert join_host_port("[::1]", 80) == "[[::1]]:80"
    assert join_host_port("", "") == ":"


def test_trap_20_text_of_endpoints():
    assert str(TCPAddr(None, 80)) == ":80"
    assert str(TCPAddr("127.0.0.1", 80, "eth0")) == "127.0.0.1%eth0:80"
    assert str(IPAddr(None, "eth0")) == "%eth0"
    assert str(UDPAddr("::1", -1)) == "[::1]:-1"

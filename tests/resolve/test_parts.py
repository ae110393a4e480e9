"""The smaller parts of a lookup: files, names, ports, cache, order of servers and addresses, weights of services."""

import collections
import itertools
import os
import random
import socket

import pytest

from rawproto import (
    IP,
    MX,
    SRV,
    AddrError,
    ConfigError,
    DNSError,
    IPAddr,
    Resolver,
    UDPAddr,
    UnknownNetworkError,
)
from rawproto.resolve.cache import MAX_NEGATIVE_TTL, MAX_TTL, Cache
from rawproto.resolve.config import DEFAULT_NAMESERVERS, ResolvConf, parse_resolv_conf, server_of
from rawproto.resolve.hosts import Hosts
from rawproto.resolve.message import Answer, Question
from rawproto.resolve.names import candidates, is_domain_name, reverse_name
from rawproto.resolve.records import order_mx, order_srv
from rawproto.resolve.servers import SUSPECT_SECONDS, ServerOrder
from rawproto.resolve.services import Protocols, Services
from rawproto.resolve.sort import sort_addresses


def test_resolv_conf():
    text = """
# a comment
; another
nameserver 192.0.2.1
nameserver fe80::1%eth0
nameserver not-an-address
nameserver 192.0.2.3
nameserver 192.0.2.4
domain old.test
search one.test two.test. .
options ndots:20 timeout:3 attempts:0 rotate use-vc unknown:1 timeout:x
sortlist 1.2.3.4
"""
    assert parse_resolv_conf(text) == ResolvConf(
        servers=(("192.0.2.1", 53), ("fe80::1%eth0", 53), ("192.0.2.3", 53)),
        search=("one.test.", "two.test."),
        ndots=15,
        timeout=3,
        attempts=1,
        rotate=True,
        use_tcp=True,
    )


def test_missing_resolv_conf_means_this_host():
    assert parse_resolv_conf(None).servers == DEFAULT_NAMESERVERS
    assert parse_resolv_conf("search a.test").search == ("a.test.",)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
        ("fe80::1%eth0", ("fe80::1%eth0", 53)),
        (IP("192.0.2.1"), ("192.0.2.1", 53)),
        (UDPAddr("fe80::1", 54, "eth0"), ("fe80::1%eth0", 54)),
    ],
)
def test_name_servers_as_people_write_them(value, expected):
    assert server_of(value, 53) == expected


@pytest.mark.parametrize("value", ["dns.test", "192.0.2.1:0", "192.0.2.1:x", "192.0.2.1:65536", "", None, 5])
def test_what_is_no_name_server_is_refused(value):
    with pytest.raises(ConfigError):
        Resolver([value])


@pytest.mark.parametrize("settings", [{"nameservers": []}, {"nameservers": "192.0.2.1"}, {"timeout": 0}])
def test_settings_that_cannot_be(settings):
    with pytest.raises(ConfigError):
        Resolver(**settings)


def test_changed_files_are_read_again(tmp_path, fake_dns):
    zone = {("a.test.", "A"): ["a.test. 60 A 10.0.0.1"]}
    server = fake_dns(zone=zone)
    conf, hosts = tmp_path / "resolv.conf", tmp_path / "hosts"
    conf.write_text("search nowhere.test\n")
    resolver = Resolver(hosts=hosts, conf=conf)
    assert resolver._policy.config().search == ("nowhere.test.",)
    conf.write_text("nameserver 127.0.0.1\nsearch other.test\n")
    assert resolver._policy.config().search == ("other.test.",)
    conf.unlink()
    assert resolver._policy.config().servers == DEFAULT_NAMESERVERS
    hosts.write_text("10.0.0.5 a.test\n")
    assert resolver.lookup_host("a.test") == ["10.0.0.5"]
    hosts.write_text("10.0.0.66 a.test\n")
    assert resolver.lookup_host("a.test") == ["10.0.0.66"]
    hosts.unlink()
    assert Resolver([server.address], hosts=hosts).lookup_ip("a.test", "ip4") == [IP("10.0.0.1")]


def test_hosts_file(tmp_path):
    path = tmp_path / "hosts"
    path.write_text(
        "# comment\n10.0.0.1 www.test www # alias\n10.0.0.2\tWWW.test\n2001:db8::1 www.test.\n"
        "fe80::1%lo linky\nnonsense www.test\n127.0.0.1 localhost\n10.0.0.9\n"
    )
    hosts = Hosts(path)
    assert [str(one) for one in hosts.addresses("Www.Test.")] == ["10.0.0.1", "10.0.0.2", "2001:db8::1"]
    assert hosts.addresses("www") == hosts.addresses("WWW.") == [IPAddr("10.0.0.1")]
    assert hosts.addresses("linky") == [IPAddr("fe80::1", "lo")]
    assert hosts.addresses("gone") == []
    assert hosts.canonical("www") == "www.test."
    assert hosts.names(IPAddr("10.0.0.1")) == ["www.test.", "www"]
    resolver = Resolver(["127.0.0.1:9"], hosts=path)
    assert sorted(resolver.lookup_host("www.test")) == ["10.0.0.1", "10.0.0.2", "2001:db8::1"]
    assert resolver.lookup_host("linky") == ["fe80::1%lo"]
    assert resolver.lookup_addr("::ffff:10.0.0.1") == ["www.test.", "www"]
    assert resolver.lookup_cname("www") == "www.test."
    assert resolver.resolve_tcp_addr("tcp6", "www.test:80").ip == IP("2001:db8::1")
    assert resolver.resolve_ip_addr("ip", "linky").zone == "lo"


def test_hosts_from_a_mapping():
    resolver = Resolver(["127.0.0.1:9"], hosts={"a": "10.0.0.1", "b.test": ["10.0.0.2", IP("::1")]})
    assert resolver.lookup_host("A") == ["10.0.0.1"]
    assert resolver.lookup_ip("b.test", "ip6") == [IP("::1")]
    with pytest.raises(AddrError, match="host 'c'"):
        Resolver(hosts={"c": "localhost"})


def test_services_file(tmp_path):
    path = tmp_path / "services"
    path.write_text(
        "web 81/tcp www # x\nweb 82/tcp\nUpper 83/tcp\nbad\nbad x/tcp\nnoslash 84\nweb 85/udp\nzero 0/tcp\n"
    )
    services = Services(path)
    assert services.port("tcp4", "WEB") == 82  # the last line counts
    assert services.port("udp6", "web") == 85
    assert services.port("rsp", "web") == services.port("rsp+udp4", "web") == 82
    assert services.port("tcp", "imap3") == 220  # known to Go without the file
    for name in ("Upper", "upper", "bad", "noslash", "zero", "domain-", "x" * 40):
        with pytest.raises(AddrError, match="unknown port"):
            services.port("tcp", name)
    path.unlink()
    assert services.port("tcp", "postgresql") == 5432  # and so is what a missing file would have said
    with pytest.raises(UnknownNetworkError) as caught:
        services.port("sctp", "web")
    assert "tcp4" in str(caught.value)


def test_services_from_a_mapping():
    services = Services({"a": 1, "B/udp": 2})
    assert (services.port("tcp", "A"), services.port("udp", "a"), services.port("udp", "b")) == (1, 1, 2)
    with pytest.raises(AddrError):
        services.port("tcp", "b")


def test_built_in_services_are_those_of_the_system_where_it_is_debian():
    if not os.path.exists("/etc/services"):  # noqa: PTH110
        pytest.skip("there is no /etc/services to compare with")
    ours, theirs = Services(None), Services("/etc/services")
    for name in ("http", "https", "domain", "ssh", "ntp", "snmp", "imaps", "ldap"):
        for network in ("tcp", "udp"):
            try:
                expected = theirs.port(network, name)
            except AddrError:
                continue
            assert ours.port(network, name) == expected == socket.getservbyname(name, network)


def test_protocols(tmp_path):
    path = tmp_path / "protocols"
    path.write_text("icmp 99\nnew 200 NEW alias\nbad\n")
    protocols = Protocols(path)
    assert protocols.number("ICMP") == 1  # known without the file, and the first one counts
    assert protocols.number("alias") == 200
    path.unlink()
    assert protocols.number("ospf") == 89
    with pytest.raises(AddrError, match="unknown IP protocol"):
        protocols.number("nosuch")


def test_candidates():
    assert candidates("a", ["x.test.", "y.test"], 1) == ["a.x.test.", "a.y.test.", "a."]
    assert candidates("a.b", ["x.test"], 1) == ["a.b.", "a.b.x.test."]
    assert candidates("a.b", ["x.test"], 2) == ["a.b.x.test.", "a.b."]
    assert candidates("a.b.", ["x.test"], 2) == ["a.b."]
    assert candidates("a.onion", ["x.test"], 1) == ["a.onion.x.test."]
    long = ".".join(["b" * 60] * 4)
    assert candidates(long, ["x.test", "so-long.test"], 9) == [f"{long}.x.test.", f"{long}."]
    assert candidates("a", ["x..y", "-", "ok"], 1) == ["a.ok.", "a."]


@pytest.mark.parametrize("name", [".", "a", "a.", "_sip._tcp.a", "a-b.c", "1a", "x" * 63, "1.2.3.x", "a_b"])
def test_domain_names(name):
    assert is_domain_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        "..",
        "a..b",
        ".a",
        "-a",
        "a-",
        "a-.b",
        "1.2.3.4",
        "127.1",
        "1",
        "x" * 64,
        "a b",
        "ä",
        "a\n",
        "a." * 127 + "aa",
    ],
)
def test_no_domain_names(name):
    assert not is_domain_name(name)


def test_reverse_names():
    assert reverse_name(IP("192.0.2.1")) == reverse_name(IP("::ffff:192.0.2.1")) == "1.2.0.192.in-addr.arpa."
    assert reverse_name(IP("2001:db8::567:89ab")) == (
        "b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa."
    )


def answer(name, ttl, *records):
    question = Question(name, "A")
    return Answer(question, records, name, exists=bool(records), complete=True, ttl=ttl, server="s")


def test_cache_keeps_for_the_ttl_and_no_longer():
    cache = Cache()
    kept = answer("a.", 60, IP("10.0.0.1"))
    cache.put(kept, 1000.0)
    assert cache.get(kept.question, 1059.9) is kept
    assert cache.get(kept.question, 1060.0) is None
    assert len(cache) == 0
    cache.put(answer("b.", 0, IP("10.0.0.1")), 1000.0)
    assert len(cache) == 0


@pytest.mark.parametrize(("records", "longest"), [((IP("10.0.0.1"),), MAX_TTL), ((), MAX_NEGATIVE_TTL)])
def test_cache_has_a_longest_time(records, longest):
    cache = Cache()
    kept = answer("a.", 10**9, *records)
    cache.put(kept, 0.0)
    assert cache.get(kept.question, longest - 1.0) is kept
    assert cache.get(kept.question, float(longest)) is None


def test_full_cache_forgets_what_was_not_used_longest():
    cache = Cache(size=2)
    first, second, third = (answer(name, 60, IP("10.0.0.1")) for name in ("a.", "b.", "c."))
    cache.put(first, 0.0)
    cache.put(second, 0.0)
    assert cache.get(first.question, 1.0) is first
    cache.put(third, 1.0)
    assert [cache.get(one.question, 2.0) for one in (first, second, third)] == [first, None, third]
    cache.clear()
    assert len(cache) == 0


def test_silent_servers_are_asked_last_for_a_while():
    order = ServerOrder()
    servers = [("a", 53), ("b", 53), ("c", 53)]
    assert order.order(servers, 0.0, rotate=False) == servers
    order.note({servers[0]}, 0.0)
    assert order.order(servers, 1.0, rotate=False) == [servers[1], servers[2], servers[0]]
    assert order.order(servers, SUSPECT_SECONDS, rotate=False) == servers


def test_rotation_gives_each_server_its_turn():
    order = ServerOrder()
    servers = [("a", 53), ("b", 53)]
    firsts = [order.order(servers, 0.0, rotate=True)[0] for _ in range(4)]
    assert sorted(firsts[:2]) == servers
    assert firsts[:2] == firsts[2:]


# RFC 6724 section 10.2, the examples that need no knowledge of the kernel's; destination, source, in the order to try.
RFC_6724 = [
    [("2001:db8:1::1", "2001:db8:1::2"), ("198.51.100.121", "169.254.13.78")],
    [("198.51.100.121", "198.51.100.117"), ("2001:db8:1::1", "fe80::1")],
    [("2001:db8:1::1", "2001:db8:1::2"), ("10.1.2.3", "10.1.2.4")],
    [("fe80::1", "fe80::2"), ("2001:db8:1::1", "2001:db8:1::2")],
    [("2001:db8:1::1", "2001:db8:1::2"), ("2002:c633:6401::1", "2002:c633:6401::2")],
    [("2002:c633:6401::1", "2002:c633:6401::2"), ("2001:db8:1::1", "fe80::1")],
]


@pytest.mark.parametrize("pairs", RFC_6724)
def test_order_of_addresses_as_in_the_rfc(pairs):
    for shuffled in itertools.permutations(pairs):
        order = sort_addresses([IP(to) for to, _ in shuffled], [IP(source) for _, source in shuffled])
        assert [shuffled[index] for index in order] == pairs


def test_unreachable_addresses_come_last():
    addresses = [IP("2001:db8::1"), IP("192.0.2.1"), IP("2001:db8::2")]
    assert sort_addresses(addresses, [None, IP("192.0.2.9"), None]) == [1, 0, 2]


def test_longer_common_prefix_goes_first_among_ipv6_only():
    six = [IP("2001:db8:ffff::1"), IP("2001:db8:1::1")]
    assert sort_addresses(six, [IP("2001:db8:1::9")] * 2) == [1, 0]
    four = [IP("192.0.2.200"), IP("198.51.100.1")]
    assert sort_addresses(four, [IP("198.51.100.9")] * 2) == [0, 1]


def test_services_are_drawn_by_weight():
    rng = random.Random(1)
    records = [
        SRV("light.", 1, 10, 10),
        SRV("heavy.", 1, 10, 90),
        SRV("none.", 1, 10, 0),
        SRV("later.", 1, 20, 100),
    ]
    firsts = collections.Counter()
    for _ in range(2000):
        ordered = order_srv(records, rng)
        assert sorted(ordered) == sorted(records)
        assert ordered[-1].target == "later."
        firsts[ordered[0].target] += 1
    assert 1600 < firsts["heavy."] < 1950
    assert 0 < firsts["none."] < 100


def test_exchangers_go_by_preference():
    records = [MX("b.", 20), MX("a.", 10), MX("c.", 10)]
    orders = {tuple(order_mx(records, random.Random(seed))) for seed in range(20)}
    assert len(orders) == 2
    assert {order[2].host for order in orders} == {"b."}


@pytest.mark.parametrize("rdtype", ["NOSUCH", "ANY", "OPT", ""])
def test_unknown_record_types_are_refused(rdtype):
    with pytest.raises(ConfigError, match="record type"):
        Resolver(["127.0.0.1:9"], hosts=None).lookup_records("a.test", rdtype)


def test_addresses_that_are_none_have_no_names():
    for text in ("", "localhost", "1.2.3.4/24", "fe80::1%lo"):
        with pytest.raises(DNSError, match="unrecognized address"):
            Resolver(["127.0.0.1:9"], hosts=None).lookup_addr(text)

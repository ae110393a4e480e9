"""Access lists, against a model that knows nothing of ranges: try every rule, the longest prefix wins."""

import ipaddress
import pickle

import netaddr
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import ACL, IP, AddrError, IPNet, parse_ips

MAPPED = bytes(10) + b"\xff\xff"


class Model:
    """The meaning written down plainly, over integers of a family's own width."""

    def __init__(self, allow, deny, default):
        self.default = default
        self.rules = [(ipaddress.ip_network(text), True) for text in allow]
        self.rules += [(ipaddress.ip_network(text), False) for text in deny]

    def permits(self, packed):
        """By brute force; ``packed`` is 16 bytes."""
        version, number = (4, packed[12:]) if packed[:12] == MAPPED else (6, packed)
        number = int.from_bytes(number)
        bits = 32 if version == 4 else 128
        best, decision = -1, self.default
        for network, allowed in self.rules:
            length = network.prefixlen
            if network.version == version and (number ^ int(network.network_address)) >> (bits - length) == 0:
                if length > best:
                    best, decision = length, allowed
                elif length == best and not allowed:
                    decision = False
        return decision

    def permits_many(self, rows):
        """The same over an array of rows, each rule tried on all of them."""
        four = (rows[:, :12] == np.frombuffer(MAPPED, np.uint8)).all(axis=1)
        best = np.full(len(rows), -1)
        decision = np.full(len(rows), self.default)
        for network, allowed in self.rules:
            length = network.prefixlen + (96 if network.version == 4 else 0)
            first = network.network_address.packed
            first = np.frombuffer(MAPPED + first if network.version == 4 else first, np.uint8)
            mask = np.frombuffer(((1 << 128) - (1 << (128 - length))).to_bytes(16), np.uint8)
            holds = ((rows ^ first) & mask == 0).all(axis=1) & (four == (network.version == 4))
            longer = holds & (network.prefixlen > best)
            equal = holds & (network.prefixlen == best)
            decision[longer] = allowed
            decision[equal] &= allowed
            best[longer] = network.prefixlen
        return decision


def random_rules(rng, count):
    """Rules that nest, touch and repeat: few first bytes, prefixes of every length."""
    rules = []
    for _ in range(count):
        if rng.random() < 0.5:
            number, bits, kind = (
                int(rng.integers(0, 4)) << 30 | int(rng.integers(0, 1 << 30)) & 0x3F000F,
                32,
                4,
            )
        else:
            number, bits, kind = int(rng.integers(0, 4)) << 126 | int(rng.integers(0, 1 << 20)) << 60, 128, 6
        length = int(rng.integers(0, bits + 1))
        number = number >> (bits - length) << (bits - length)
        address = ipaddress.IPv4Address(number) if kind == 4 else ipaddress.IPv6Address(number)
        rules.append(f"{address}/{length}")
    return rules


def probes(rng, count, rules):
    """Random addresses, most of them at or next to an edge of a rule, in both forms of IPv4 (which are one here)."""
    edges = []
    for text in rules:
        network = ipaddress.ip_network(text)
        prefix = int.from_bytes(MAPPED + bytes(4)) if network.version == 4 else 0
        for edge in (int(network.network_address), int(network.broadcast_address)):
            edges += [(prefix + edge + step) % (1 << 128) for step in (-1, 0, 1)]
    edges = np.frombuffer(b"".join(edge.to_bytes(16) for edge in edges), np.uint8).reshape(-1, 16)
    rows = edges[rng.integers(0, len(edges), count)].copy()
    noise = rng.random(count) < 0.4
    rows[noise, 13:] = rng.integers(0, 256, (int(noise.sum()), 3), dtype=np.uint8)
    plain = rng.random(count) < 0.2
    rows[plain] = rng.integers(0, 256, (int(plain.sum()), 16), dtype=np.uint8)
    return rows


def test_million_random_decisions_agree_with_the_model():
    rng = np.random.default_rng(20)
    for round_ in range(20):
        allow, deny, default = random_rules(rng, 12), random_rules(rng, 12), bool(round_ % 2)
        deny[:3] = allow[:3]  # the same network in both
        acl, model = ACL(allow, deny, default=default), Model(allow, deny, default)
        rows = probes(rng, 50_000, allow + deny)
        decisions = acl.permits_many(rows)
        assert (decisions == model.permits_many(rows)).all()
        for index in range(0, 50_000, 500):
            packed = rows[index].tobytes()
            assert acl.permits(packed) == bool(decisions[index]) == model.permits(packed)
            if packed[:12] == MAPPED:
                assert acl.permits(packed[12:]) == bool(decisions[index])


NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(
        lambda pair: str(ipaddress.ip_network(pair, strict=False)),
    ),
    st.tuples(st.integers(2**32, 2**128 - 1), st.integers(0, 128)).map(
        lambda pair: str(ipaddress.ip_network((pair[0].to_bytes(16), pair[1]), strict=False)),
    ),
)


@given(st.lists(NETWORKS, max_size=8), st.lists(NETWORKS, max_size=8), st.booleans(), st.data())
def test_decisions_agree_with_the_model(allow, deny, default, data):
    acl, model = ACL(allow, deny, default=default), Model(allow, deny, default)
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rows = probes(rng, 200, [*allow, *deny, "0.0.0.0/0", "::/0"])
    expected = [model.permits(row.tobytes()) for row in rows]
    assert acl.permits_many(rows).tolist() == expected
    assert [acl.permits(row.tobytes()) for row in rows] == expected
    assert pickle.loads(pickle.dumps(acl)) == acl


@given(st.lists(NETWORKS, max_size=4), st.lists(NETWORKS, max_size=4), st.booleans())
def test_the_permitted_set_is_what_is_permitted(allow, deny, default):
    acl = ACL(allow, deny, default=default)
    permitted = acl.permitted
    for text in [*allow, *deny, "0.0.0.0/0", "::/0"]:
        network = ipaddress.ip_network(text)
        for edge in (network.network_address, network.broadcast_address):
            ip = IP(edge)
            ip = ip.to4() or ip
            assert acl.permits(ip) == (ip.to_netaddr() in permitted)


def test_mapped_address_cannot_slip_past_an_ipv4_rule():
    acl = ACL(allow=["::/0"], deny=["10.0.0.0/8"], default=True)
    for text in ("10.1.2.3", "::ffff:10.1.2.3", "::ffff:a01:203"):
        assert not acl.permits(text)
    assert acl.permits_many(["10.1.2.3", "::ffff:10.1.2.3", "11.0.0.1"]).tolist() == [False, False, True]


def test_ipv6_rules_say_nothing_about_ipv4():
    assert not ACL(allow=["::/0"]).permits("::ffff:10.1.2.3")
    assert ACL(deny=["::/0"], default=True).permits("10.1.2.3")
    assert not ACL(deny=["::ffff:0:0/96"], default=True).permits("10.1.2.3")  # which is IPv4, whole


def test_longest_prefix_wins_and_deny_among_equals():
    acl = ACL(allow=["10.0.0.0/8", "10.1.1.0/24", "10.2.0.0/16"], deny=["10.1.0.0/16", "10.2.0.0/16"])
    decisions = {"10.9.9.9": True, "10.1.9.9": False, "10.1.1.9": True, "10.2.0.1": False, "11.0.0.1": False}
    assert {text: acl.permits(text) for text in decisions} == decisions


def test_neighbours_do_not_make_a_shorter_prefix():
    # netaddr's set merges the two halves to 10.0.0.0/8; as rules they stay longer than the deny rule.
    assert ACL(allow=["10.0.0.0/9", "10.128.0.0/9"], deny=["10.0.0.0/8"]).permits("10.200.0.1")


def test_every_way_to_name_networks():
    expected = ACL(["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32"])
    assert expected == ACL(
        [netaddr.IPNetwork("10.0.0.0/8"), IP("192.0.2.1"), ipaddress.ip_network("2001:db8::/32")]
    )
    assert expected == ACL(netaddr.IPSet(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"]))
    assert expected == ACL(["10.1.2.3/8", IPNet.parse("192.0.2.1/32"), netaddr.IPSet(["2001:db8::/32"])])
    assert ACL("10.0.0.0/8") == ACL(["10.0.0.0/8"]) == ACL(IPNet.parse("10.0.0.0/8"))
    assert ACL(netaddr.IPRange("10.0.0.0", "10.0.0.2")) == ACL(["10.0.0.0/31", "10.0.0.2"])
    assert hash(expected) == hash(pickle.loads(pickle.dumps(expected)))
    assert eval(repr(expected)) == expected
    assert expected.allow == netaddr.IPSet(["10.0.0.0/8", "192.0.2.1", "2001:db8::/32"])
    assert not expected.deny
    assert not expected.default


@pytest.mark.parametrize(
    "entry", ["10.0.0.0/33", "host", IPNet("10.0.0.0", "ff00ff00"), IPNet("::", "ff000000"), 5.0]
)
def test_what_is_no_network_is_refused(entry):
    with pytest.raises(AddrError):
        ACL([entry])


def test_shapes_of_batches():
    acl = ACL(["10.0.0.0/8"])
    assert acl.permits_many(np.array([0x0A000001, 0x0B000001], np.uint32)).tolist() == [True, False]
    assert acl.permits_many(np.array([0x0A000001], ">u4")).tolist() == [True]
    assert acl.permits_many(np.array([[10, 0, 0, 1], [11, 0, 0, 1]], np.uint8)).tolist() == [True, False]
    assert acl.permits_many(parse_ips(["10.0.0.1", "::1"])).tolist() == [True, False]
    assert acl.permits_many([]).tolist() == []
    assert acl.permits_many(np.empty((0, 16), np.uint8)).shape == (0,)
    with pytest.raises(AddrError, match="uint8"):
        acl.permits_many(np.zeros((2, 5), np.uint8))

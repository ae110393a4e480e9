"""Random valid packets built and read by dpkt and by us, as far as dpkt 1.9.8 is right.

What it does wrong, and is therefore not asked: IPv4 options do not change its header length and end up as payload; a
computed UDP checksum of 0 over IPv6 is sent as 0 (RFC 8200 section 8.1 wants 0xffff); lengths are left to the caller,
and a computed checksum is stored in the object and goes stale with the next change.
"""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st

from rawproto.wire import ICMP, MSS, TCP, UDP, Datagram, ICMPv6, IPv4, IPv6, TCPTimestamps, WindowScale

dpkt = pytest.importorskip("dpkt")

u8 = st.integers(0, 255)
u16 = st.integers(0, 65535)
u32 = st.integers(0, 2**32 - 1)
address4 = st.binary(min_size=4, max_size=4)
address6 = st.binary(min_size=16, max_size=16)
data = st.binary(max_size=48)

Pair = tuple[Any, Any]


@st.composite
def transport(draw: Any, version: int) -> tuple[Any, Any, int]:
    """Ours, dpkt's, and the protocol number."""
    kind, payload = draw(st.integers(0, 2)), draw(data)
    if kind == 0:
        sport, dport = draw(u16), draw(u16)
        theirs = dpkt.udp.UDP(sport=sport, dport=dport, data=payload)
        theirs.ulen = len(theirs)
        return UDP(sport, dport) / payload, theirs, 17
    if kind == 1:
        sport, dport, seq, ack, window, urgent = (draw(item) for item in (u16, u16, u32, u32, u16, u16))
        flags = draw(u8)
        options = draw(
            st.lists(st.sampled_from([MSS(1460), WindowScale(7), TCPTimestamps(1, 2)]), max_size=3)
        )
        ours = TCP(sport, dport, seq=seq, ack=ack, flags=flags, window=window, urgent=urgent, options=options)
        packed = bytes(ours)[20:]
        theirs = dpkt.tcp.TCP(
            sport=sport,
            dport=dport,
            seq=seq,
            ack=ack,
            flags=flags,
            win=window,
            urp=urgent,
            opts=packed,
            data=payload,
        )
        theirs.off = 5 + len(packed) // 4
        return ours / payload, theirs, 6
    ident, seq = draw(u16), draw(u16)
    if version == 4:
        echo = dpkt.icmp.ICMP.Echo(id=ident, seq=seq, data=payload)
        return ICMP(8, ident=ident, seq=seq) / payload, dpkt.icmp.ICMP(type=8, data=echo), 1
    echo = dpkt.icmp6.ICMP6.Echo(id=ident, seq=seq, data=payload)
    return ICMPv6(128, ident=ident, seq=seq) / payload, dpkt.icmp6.ICMP6(type=128, data=echo), 58


@st.composite
def over_ipv4(draw: Any) -> Pair:
    mine, other, number = draw(transport(4))
    src, dst, tos, ident, ttl, df = (draw(item) for item in (address4, address4, u8, u16, u8, st.booleans()))
    theirs = dpkt.ip.IP(src=src, dst=dst, tos=tos, id=ident, ttl=ttl, p=number, data=other)
    theirs.df = int(df)
    theirs.len = len(theirs)
    return IPv4(src, dst, dscp=tos >> 2, ecn=tos & 3, ident=ident, ttl=ttl, df=df) / mine, theirs


@st.composite
def over_ipv6(draw: Any) -> Pair:
    mine, other, number = draw(transport(6))
    src, dst, traffic, flow, hops = (
        draw(item) for item in (address6, address6, u8, st.integers(0, 2**20 - 1), u8)
    )
    theirs = dpkt.ip6.IP6(src=src, dst=dst, hlim=hops, nxt=number, plen=len(other), data=other)
    theirs.fc, theirs.flow = traffic, flow
    return IPv6(src, dst, traffic_class=traffic, flow_label=flow, hop_limit=hops) / mine, theirs


def compare(pair: Pair) -> None:
    ours, theirs = pair
    built = bytes(ours)
    if UDP in ours and IPv6 in ours and built[46:48] == b"\xff\xff":
        return
    assert built == bytes(theirs)
    read, parsed = Datagram.parse(built), type(theirs)(built)
    assert bytes(read.headers[0].src) == parsed.src
    assert bytes(read.headers[0].dst) == parsed.dst
    if TCP in read:
        tcp, other = read[TCP], parsed.data
        assert (tcp.sport, tcp.dport, tcp.seq, tcp.ack) == (other.sport, other.dport, other.seq, other.ack)
        assert (tcp.flags, tcp.window, tcp.checksum, tcp.urgent) == (
            other.flags,
            other.win,
            other.sum,
            other.urp,
        )
        assert bytes(other.data) == read.payload
        kinds = [kind for kind, _ in dpkt.tcp.parse_opts(other.opts) if kind]
        assert kinds == [int(option.kind) for option in tcp.options]
    elif UDP in read:
        udp, other = read[UDP], parsed.data
        assert (udp.sport, udp.dport, udp.length, udp.checksum) == (
            other.sport,
            other.dport,
            other.ulen,
            other.sum,
        )
        assert bytes(other.data) == read.payload


def run(strategy: Any, examples: int) -> None:
    @hypothesis.settings(max_examples=examples, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(strategy)
    def check(pair: Pair) -> None:
        compare(pair)

    check()


@pytest.mark.parametrize("strategy", [over_ipv4(), over_ipv6()], ids=["ipv4", "ipv6"])
def test_built_and_read_alike(strategy: Any) -> None:
    run(strategy, 200)


@pytest.mark.long
@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("strategy", [over_ipv4(), over_ipv6()], ids=["ipv4", "ipv6"])
def test_built_and_read_alike_at_length(strategy: Any) -> None:
    run(strategy, 50_000)

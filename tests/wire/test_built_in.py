"""The built-in headers: bytes written down by hand, both ways; what is derived; what broken bytes do."""

from __future__ import annotations

import random
from typing import Annotated, Any

import pytest

from rawproto import DecodeError, EncodeError, checksum
from rawproto.wire import (
    ICMP,
    MPTCP,
    MSS,
    SACK,
    SRHHMAC,
    TCP,
    TCPEOL,
    TCPMD5,
    TCPNOP,
    UDP,
    CommercialSecurity,
    Datagram,
    DestinationOptions,
    DNSSearchList,
    ExperimentalTCPOption,
    FastOpen,
    Fragment,
    Header,
    HomeAddress,
    HopByHop,
    ICMPAddressMask,
    ICMPExtensions,
    ICMPRouterAdvertisement,
    ICMPTimestamp,
    ICMPTraceroute,
    ICMPType,
    ICMPv6,
    IPProtocol,
    IPTimestamp,
    IPTraceroute,
    IPv4,
    IPv4NOP,
    IPv6,
    IPv6QuickStart,
    IPv6RouterAlert,
    JumboPayload,
    LinkMTU,
    LooseSourceRoute,
    MinimumPathMTU,
    MLDMessage,
    MLDQuery,
    MLDRecord,
    MLDReport,
    MobileRouting,
    MPLSLabel,
    MPLSLabelStack,
    MTUProbe,
    MTUReply,
    NAT64Prefix,
    NeighborAdvertisement,
    NeighborSolicitation,
    Nonce,
    PadN,
    PrefixInformation,
    QuickStart,
    QuickStartResponse,
    RawIPv4Option,
    RawIPv6Option,
    RawNDPOption,
    RawRouting,
    RawTCPOption,
    RecordRoute,
    RecursiveDNSServer,
    Redirect,
    RedirectedHeader,
    RouteInformation,
    RouterAdvertisement,
    RouterAlert,
    RouterEntry,
    RouterSolicitation,
    RPLOption,
    SACKBlock,
    SACKPermitted,
    Security,
    SegmentRouting,
    SourceLinkLayerAddress,
    SourceRouting,
    StreamID,
    StrictSourceRoute,
    TargetLinkLayerAddress,
    TCPAuthentication,
    TCPFlags,
    TCPTimestamps,
    TunnelEncapsulationLimit,
    UserTimeout,
    WindowScale,
    join_quote,
    length8,
    pseudo_header,
    u8,
)

A4, B4, C4 = "10.0.0.1", "10.0.0.2", "10.0.0.3"
A6, B6, C6 = "2001:db8::1", "2001:db8::2", "2001:db8::3"
HEX_A6 = "20010db8000000000000000000000001"
HEX_B6 = "20010db8000000000000000000000002"
HEX_C6 = "20010db8000000000000000000000003"

# (header, its bytes): options and bodies need no context, so their bytes are theirs alone.
PARTS: list[tuple[Header, str]] = [
    (IPv4NOP(), "01"),
    (RecordRoute([A4], pointer=8), "07 07 08 0a000001"),
    (LooseSourceRoute([A4, B4]), "83 0b 04 0a000001 0a000002"),
    (StrictSourceRoute([A4]), "89 07 04 0a000001"),
    (IPTimestamp([1, 2], overflow=3), "44 0c 05 30 00000001 00000002"),
    (Security(0xAB, b"\x80"), "82 04 ab 80"),
    (CommercialSecurity(3, b"\1\4\0\5"), "86 0a 00000003 01040005"),
    (StreamID(0x1234), "88 04 1234"),
    (MTUProbe(1500), "0b 04 05dc"),
    (MTUReply(576), "0c 04 0240"),
    (IPTraceroute(1, 2, 3, A4), "52 0c 0001 0002 0003 0a000001"),
    (RouterAlert(), "94 04 0000"),
    (QuickStart(function=8, rate=3, ttl=7, nonce=1), "19 08 83 07 00000004"),
    (RawIPv4Option(30, b"xyz"), "1e 05 78797a"),
    (TCPNOP(), "01"),
    (MSS(1460), "02 04 05b4"),
    (WindowScale(7), "03 03 07"),
    (SACKPermitted(), "04 02"),
    (SACK([SACKBlock(1, 2), SACKBlock(3, 4)]), "05 12 00000001 00000002 00000003 00000004"),
    (TCPTimestamps(5, 6), "08 0a 00000005 00000006"),
    (TCPMD5(b"0123456789abcdef"), "13 12" + b"0123456789abcdef".hex()),
    (QuickStartResponse(3, 4, 5), "1b 08 03 04 00000014"),
    (UserTimeout(True, 2), "1c 04 8002"),
    (TCPAuthentication(1, 2, b"mac!"), "1d 08 01 02 6d616321"),
    (MPTCP(2, 1, b"\x04"), "1e 04 21 04"),
    (FastOpen(b"12345678"), "22 0a 3132333435363738"),
    (ExperimentalTCPOption(0xF989, b"z"), "fd 05 f989 7a"),
    (RawTCPOption(200, b"\0"), "c8 03 00"),
    (PadN(b"\0\0"), "01 02 0000"),
    (TunnelEncapsulationLimit(4), "04 01 04"),
    (IPv6RouterAlert(1), "05 02 0001"),
    (JumboPayload(70000), "c2 04 00011170"),
    (HomeAddress(A6), "c9 10" + HEX_A6),
    (IPv6QuickStart(rate=2, ttl=1, nonce=1), "26 06 02 01 00000004"),
    (MinimumPathMTU(1500, 1400, True), "30 04 05dc 0af1"),
    (RPLOption(True, False, True, instance=5, rank=256), "23 04 a0 05 0100"),
    (RawIPv6Option(0x1E, b"abc"), "1e 03 616263"),
    (SRHHMAC(7, b"12345678", skip_address=True), "05 0e 8000 00000007 3132333435363738"),
    (SourceLinkLayerAddress(b"\2\0\0\0\0\1"), "01 01 020000000001"),
    (TargetLinkLayerAddress(b"\2\0\0\0\0\2"), "02 01 020000000002"),
    (
        PrefixInformation(64, True, False, True, 100, 50, prefix=A6),
        "03 04 40 a0 00000064 00000032 00000000" + HEX_A6,
    ),
    (RedirectedHeader(b"12345678"), "04 02 000000000000 3132333435363738"),
    (LinkMTU(1500), "05 01 0000 000005dc"),
    (Nonce(b"nonce!"), "0e 01 6e6f6e636521"),
    (RouteInformation(64, 1, 600, b"\x20\x01\x0d\xb8\0\0\0\0"), "18 02 40 08 00000258 20010db800000000"),
    (RecursiveDNSServer(300, [A6]), "19 03 0000 0000012c" + HEX_A6),
    (DNSSearchList(300, b"\3lan\0\0\0\0"), "1f 02 0000 0000012c 036c616e00000000"),
    (NAT64Prefix(800, 2, b"\0\x64\xff\x9b" + bytes(8)), "26 02 0322 0064ff9b0000000000000000"),
    (RawNDPOption(200, b"abcdef"), "c8 01 616263646566"),
    (ICMPTimestamp(1, 2, 3), "00000001 00000002 00000003"),
    (ICMPAddressMask("255.255.255.0"), "ffffff00"),
    (ICMPRouterAdvertisement([RouterEntry(A4, 5)]), "0a000001 00000005"),
    (ICMPTraceroute(1, 2, 3, 4), "0001 0002 00000003 00000004"),
    (RouterSolicitation(), ""),
    (RouterAdvertisement(1, 2, [LinkMTU(1280)]), "00000001 00000002 0501000000000500"),
    (NeighborSolicitation(A6), HEX_A6),
    (NeighborAdvertisement(B6), HEX_B6),
    (Redirect(A6, B6), HEX_A6 + HEX_B6),
    (MLDMessage(A6), HEX_A6),
    (MLDQuery(A6, [B6], suppress=True, robustness=2, interval=125), HEX_A6 + "0a 7d 0001" + HEX_B6),
    (MLDRecord(4, A6, [B6], aux=b"aux!"), "04 01 0001" + HEX_A6 + HEX_B6 + "61757821"),
    (MLDReport([MLDRecord(2, A6)]), "02 00 0000" + HEX_A6),
    (
        ICMPExtensions(objects=[MPLSLabelStack(1, [MPLSLabel(16, 1, True, 9)])]),
        "2000 dbec 0008 0101 00010309",
    ),
    (Fragment(1480, True, 7, next_header=17), "11 00 05c9 00000007"),
    (HopByHop([IPv6RouterAlert()], next_header=58), "3a 00 0502 0000 0100"),
    (HopByHop(next_header=58), "3a 00 0104 00000000"),
    (DestinationOptions([HomeAddress(A6)], next_header=6), "06 02 0102 0000 c910" + HEX_A6),
    (RawRouting(200, b"\0\0\0\0", next_header=6), "06 00 c8 00 00000000"),
    (SourceRouting([A6], next_header=6), "06 02 00 01 00000000" + HEX_A6),
    (MobileRouting(A6, next_header=6), "06 02 02 01 00000000" + HEX_A6),
    (SegmentRouting([B6, A6], next_header=6, tag=5), "06 04 04 01 01 00 0005" + HEX_B6 + HEX_A6),
]


@pytest.mark.parametrize(("header", "text"), PARTS, ids=lambda value: type(value).__name__)
def test_a_part_both_ways(header: Header, text: str) -> None:
    data = bytes.fromhex(text)
    assert bytes(header) == data
    parsed, payload = type(header).parse(data)
    assert payload == b""
    assert parsed == header
    assert bytes(parsed) == data
    assert parsed._released() == header
    assert parsed.verify() == []
    for info in type(header).fields:
        if info.derived is None:
            assert getattr(parsed, info.name) == getattr(header, info.name)


# (datagram, its bytes): checksums worked out with the byte loop of test_sums.
WHOLE: list[tuple[Datagram, str]] = [
    (
        IPv4(A4, B4, ident=1) / UDP(4660, 80) / b"data",
        "45000020 00010000 401166ca 0a000001 0a000002 1234 0050 000c 008d 64617461",
    ),
    (
        IPv4(A4, B4, ident=1, df=True, ttl=1, dscp=46, ecn=1, options=[RouterAlert()])
        / ICMP(8, ident=2, seq=3)
        / b"x",
        "46b90021 00014000 0101d01b 0a000001 0a000002 94040000 0800 7ffa 0002 0003 78",
    ),
    (
        IPv6(A6, B6, traffic_class=3, flow_label=5) / UDP(1, 2),
        f"60300005 0008 11 40 {HEX_A6} {HEX_B6} 0001 0002 0008 a466",
    ),
]


@pytest.mark.parametrize(("datagram", "text"), WHOLE)
def test_a_datagram_both_ways(datagram: Datagram, text: str) -> None:
    data = bytes.fromhex(text)
    assert bytes(datagram).hex() == data.hex()
    parsed = Datagram.parse(data)
    assert bytes(parsed) == data
    assert parsed.verify() == []
    assert [type(header) for header in parsed] == [type(header) for header in datagram]


def samples() -> list[bytes]:
    """One valid datagram at least of every kind."""
    quote = bytes(IPv4(B4, A4, ident=9) / UDP(1, 2) / b"quoted data")
    stack = MPLSLabelStack(1, [MPLSLabel(16, 1, True, 9)])
    extended, words = join_quote(quote, ICMPExtensions(objects=[stack]), 4)
    options4 = [RecordRoute([A4, B4]), IPv4NOP(), RouterAlert()]
    handshake = [MSS(1460), SACKPermitted(), TCPTimestamps(1, 2), TCPNOP(), WindowScale(7)]
    kinds: list[Any] = [
        IPv4(A4, B4) / UDP(1, 2) / b"payload",
        IPv4(A4, B4, options=options4) / TCP(1, 2, flags="SYN", options=handshake) / b"pay",
        IPv4(A4, B4, options=[IPTimestamp([1, 2]), StreamID(3)])
        / TCP(1, 2, options=[SACK([SACKBlock(1, 2)])]),
        IPv4(A4, B4, mf=True, fragment_offset=8, protocol=17) / b"12345678",
        IPv4(A4, B4) / ICMP(13) / ICMPTimestamp(1, 2, 3),
        IPv4(A4, B4) / ICMP(9, num_addrs=1, entry_size=2) / ICMPRouterAdvertisement([RouterEntry(A4)]),
        IPv4(A4, B4) / ICMP(3, 4, mtu=1400) / quote,
        IPv4(A4, B4) / ICMP(11, length=words) / extended,
        IPv4(A4, B4) / IPv6(A6, B6) / TCP(1, 2),
        IPv4(A4, B4, protocol=253) / b"own",
        IPv6(A6, B6)
        / HopByHop([IPv6RouterAlert()])
        / ICMPv6(143, num_records=1)
        / MLDReport([MLDRecord(2, C6, [A6])]),
        IPv6(A6, B6) / DestinationOptions([HomeAddress(C6)]) / SourceRouting([C6]) / UDP(1, 2) / b"x",
        IPv6(A6, B6) / SegmentRouting([C6, B6], tlvs=[SRHHMAC(1, bytes(8))]) / TCP(1, 2),
        IPv6(A6, B6) / MobileRouting(C6) / Fragment() / UDP(1, 2) / b"abc",
        IPv6(A6, B6) / Fragment(8, True, 77, next_header=17) / b"12345678",
        IPv6(A6, B6)
        / ICMPv6(134, hop_limit=64)
        / RouterAdvertisement(1, 2, [PrefixInformation(64), LinkMTU(1500)]),
        IPv6(A6, B6) / ICMPv6(135) / NeighborSolicitation(C6, [SourceLinkLayerAddress(b"123456")]),
        IPv6(A6, B6) / ICMPv6(130) / MLDQuery(C6, [A6]),
        IPv6(A6, B6) / ICMPv6(2, mtu=1280) / bytes(IPv6(B6, A6) / UDP(3, 4) / b"quoted"),
        IPv6(A6, B6) / IPv4(A4, B4) / UDP(1, 2),
    ]
    return [bytes(kind) for kind in kinds]


SAMPLES = samples()


def read_everything(data: bytes) -> None:
    """Parse, look at everything, rebuild: only DecodeError may come out, and only of parsing."""
    try:
        datagram = Datagram.parse(data)
    except DecodeError as error:
        told = error.header, 0 <= error.offset <= len(data)
        assert all(told), told
        return
    assert bytes(datagram) + datagram.trailer == data
    datagram.verify()
    quoted = datagram.quoted
    if quoted is not None:
        assert quoted.headers
    _ = datagram.extensions
    repr(datagram)


@pytest.mark.parametrize("data", SAMPLES, ids=lambda data: repr(Datagram.parse(data))[:60])
def test_every_sample_is_sound(data: bytes) -> None:
    datagram = Datagram.parse(data)
    assert datagram.verify() == []
    assert bytes(datagram) == data
    assert datagram.trailer == b""


@pytest.mark.parametrize("data", SAMPLES, ids=len)
def test_every_prefix_is_a_value_or_a_decode_error(data: bytes) -> None:
    for end in range(len(data)):
        with pytest.raises(DecodeError):
            Datagram.parse(data[:end])
        Datagram.parse(data[:end], quoted=True) if end >= 60 else None
    for trailer in (b"\0", b"junk" * 10):
        longer = Datagram.parse(data + trailer)
        assert longer.trailer == trailer
        assert bytes(longer) == data


def change_bytes(data: bytes, values: Any) -> None:
    for place in range(len(data)):
        for value in values(data[place]):
            read_everything(data[:place] + bytes((value,)) + data[place + 1 :])


@pytest.mark.parametrize("data", SAMPLES, ids=len)
def test_changed_bytes_are_a_value_or_a_decode_error(data: bytes) -> None:
    change_bytes(data, lambda old: {0, 1, 255, old ^ 0x80, old ^ 1, (old + 1) % 256, (old - 1) % 256})


@pytest.mark.long
@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("data", SAMPLES, ids=len)
def test_every_single_byte_change_is_a_value_or_a_decode_error(data: bytes) -> None:
    change_bytes(data, lambda old: set(range(256)) - {old})


def test_random_bytes_are_a_value_or_a_decode_error() -> None:
    rng = random.Random(1)
    for _ in range(3_000):
        data = bytearray(rng.choice(SAMPLES))
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        read_everything(bytes(data[: rng.randrange(len(data) + 1)]))
        read_everything(rng.choice((b"\x45", b"\x60", b"")) + rng.randbytes(rng.randrange(80)))


# -- single rules ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "value", "field"),
    [
        *((0, 0x40 | ihl, "ihl") for ihl in range(5)),
        (0, 0x4F, "ihl"),
        *((0, version << 4 | 5, "version") for version in range(16) if version != 4),
        (3, 19, "total_length"),
        (3, 0, "total_length"),
        (2, 1, "total_length"),
    ],
)
def test_broken_ipv4_names_the_field(place: int, value: int, field: str) -> None:
    data = bytearray(SAMPLES[0])
    data[place] = value
    with pytest.raises(DecodeError) as caught:
        IPv4.parse(data)
    assert caught.value.header == "IPv4"
    assert caught.value.field == field
    assert caught.value.offset == {"version": 0, "ihl": 0, "total_length": 2}[field]


@pytest.mark.parametrize("length", [*range(8), 20])
def test_broken_udp_lengths(length: int) -> None:
    with pytest.raises(DecodeError) as caught:
        UDP.parse(b"\0\1\0\2" + length.to_bytes(2, "big") + b"\0\0abc")
    assert (caught.value.field, caught.value.offset) == ("length", 4)


@pytest.mark.parametrize("offset", [0, 1, 2, 3, 4, 6, 15])
def test_broken_tcp_offsets(offset: int) -> None:
    data = bytearray(bytes(TCP(1, 2)))
    data[12] = offset << 4
    with pytest.raises(DecodeError) as caught:
        TCP.parse(data)
    assert caught.value.field == "data_offset"


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("02000000", "says 0 bytes"),
        ("02010000", "says 1 bytes"),
        ("02050000", "4 are left"),
        ("01010102", "no length byte"),
    ],
)
def test_broken_option_lists(options: str, reason: str) -> None:
    data = bytes(TCP(1, 2, data_offset=6)) + bytes.fromhex(options)
    with pytest.raises(DecodeError, match=reason) as caught:
        TCP.parse(data)
    assert caught.value.field == "options"
    assert 20 <= caught.value.offset < 24


def test_forty_option_bytes_of_any_kind_end() -> None:
    for kind in range(256):
        data = bytes(TCP(1, 2, data_offset=15)) + bytes((kind,)) * 40
        try:
            header, _ = TCP.parse(data)
        except DecodeError:
            continue
        assert len(header.options) <= 40
        assert bytes(header) == data


def test_what_stands_behind_the_end_of_options_is_kept() -> None:
    data = bytes(TCP(1, 2, data_offset=7)) + bytes.fromhex("0100 beef 00000000")
    header, _ = TCP.parse(data)
    assert header.options == (TCPNOP(), TCPEOL(bytes.fromhex("beef00000000")))
    assert bytes(header.replace(seq=1))[20:] == data[20:]
    plain, _ = TCP.parse(bytes(TCP(1, 2, options=[WindowScale(1)])))
    assert plain.options == (WindowScale(1),)


def test_a_known_option_of_another_size_is_kept_raw() -> None:
    header, _ = TCP.parse(bytes(TCP(1, 2, data_offset=6)) + bytes.fromhex("02030501"))
    assert header.options == (RawTCPOption(2, b"\5"), TCPNOP())


def test_udp_checksum_of_zero() -> None:
    # RFC 768: a computed zero is sent as all ones.
    base = Datagram.parse(bytes(IPv4(A4, B4) / UDP(0, 0) / b"\0\0"))[UDP].checksum
    data = bytes(IPv4(A4, B4) / UDP(0, 0) / base.to_bytes(2, "big"))
    assert data[26:28] == b"\xff\xff"
    assert Datagram.parse(data).verify() == []
    none = IPv4(A4, B4) / UDP(1, 2, checksum=0) / b"x"
    assert Datagram.parse(bytes(none)).verify() == []
    six = IPv6(A6, B6) / UDP(1, 2, checksum=0) / b"x"
    assert any("UDP.checksum" in fault for fault in Datagram.parse(bytes(six)).verify())


def test_wrong_checksums_and_lengths_are_told() -> None:
    datagram = IPv4(A4, B4, checksum=1) / TCP(1, 2, checksum=2) / b"x"
    faults = Datagram.parse(bytes(datagram)).verify()
    assert len(faults) == 2
    assert faults[0].startswith("IPv4.checksum is 0x0001, should be 0x")
    assert faults[1].startswith("TCP.checksum is 0x0002, should be 0x")
    header, _ = IPv4.parse(bytes(datagram))
    assert header.verify() == faults[:1]
    wrong_next = IPv4(A4, B4, protocol=6) / UDP(1, 2)
    assert wrong_next.verify() == ["IPv4.protocol is 6, should be 17"]


def test_an_edited_datagram_is_derived_anew() -> None:
    received = Datagram.parse(bytes(IPv4(A4, B4) / UDP(1, 2) / b"data"))
    received[IPv4].src = C4
    received[UDP].dport = 99
    rebuilt = Datagram.parse(bytes(received))
    assert rebuilt.verify() == []
    assert (str(rebuilt[IPv4].src), rebuilt[UDP].dport) == (C4, 99)
    assert rebuilt[IPv4].ident == received[IPv4].ident
    longer = received.replace(payload=b"much longer data")
    assert Datagram.parse(bytes(longer)).verify() == []
    assert Datagram.parse(bytes(longer))[UDP].length == 24
    other = received[IPv4] / TCP(1, 2)
    assert Datagram.parse(bytes(other))[IPv4].protocol == IPProtocol.TCP
    kept = received[IPv4] / b"raw"
    assert Datagram.parse(bytes(IPv4(A4, B4, protocol=17) / UDP(1, 2)))[IPv4].protocol == 17
    assert bytes(kept)[9] == 17


def test_an_edited_header_alone_fits_the_payload_it_came_with() -> None:
    data = bytes(IPv4(A4, B4) / UDP(1, 2) / b"data")
    header, payload = IPv4.parse(data)
    header.ttl -= 1
    again = bytes(header) + payload
    assert checksum(again[:20]) == 0
    assert len(again) == len(data)
    assert Datagram.parse(again).verify() == []


def test_pinned_values_survive_edits() -> None:
    header, _ = IPv4.parse(bytes(IPv4(A4, B4, protocol=6)))
    assert header.checksum is not None
    stale = header.replace(ttl=1, checksum=header.checksum)
    assert bytes(stale)[10:12] == bytes(header)[10:12]
    assert bytes(stale)[8] == 1


def test_pseudo_headers_reach_over_extension_headers() -> None:
    payload = b"abc"
    stack = IPv6(A6, B6) / HopByHop() / DestinationOptions() / UDP(1, 2) / payload
    data = bytes(stack)
    upper = data[-11:]
    source, destination = Datagram.parse(data)[IPv6].src, Datagram.parse(data)[IPv6].dst
    assert checksum(pseudo_header(source, destination, 17, len(upper)) + upper) == 0
    routed = bytes(IPv6(A6, B6) / SegmentRouting([C6, B6]) / UDP(1, 2) / payload)[-11:]
    final = bytes.fromhex(HEX_C6)
    assert checksum(pseudo_header(source, final, 17, len(routed)) + routed) == 0


def test_next_headers_are_filled_and_none_is_59() -> None:
    data = bytes(IPv6(A6, B6) / HopByHop() / Fragment() / TCP(1, 2))
    read = Datagram.parse(data)
    assert [read[IPv6].next_header, read[HopByHop].next_header, read[Fragment].next_header] == [0, 44, 6]
    assert bytes(IPv6(A6, B6))[6] == 59
    with pytest.raises(EncodeError, match="protocol"):
        bytes(IPv4(A4, B4) / b"unknown")


def test_fragments_are_not_read_on() -> None:
    piece = IPv4(A4, B4, mf=True, protocol=17) / b"\0\1\0\2\xff\xff\0\0"
    assert [type(header) for header in Datagram.parse(bytes(piece))] == [IPv4]
    atomic = IPv6(A6, B6) / Fragment(ident=5) / UDP(1, 2)
    assert UDP in Datagram.parse(bytes(atomic))


def test_icmp_views() -> None:
    assert bytes(ICMP(5, 1, gateway="1.2.3.4"))[4:] == b"\1\2\3\4"
    assert bytes(ICMP(3, 4, mtu=1400))[4:] == b"\0\0\5\x78"
    assert bytes(ICMP(12, pointer=20))[4:] == b"\x14\0\0\0"
    assert bytes(ICMPv6(4, pointer=40))[4:] == b"\0\0\0\x28"
    assert bytes(ICMPv6(136, router=True, override=True))[4:] == b"\xa0\0\0\0"
    header, _ = ICMP.parse(bytes(ICMP(3, 13, unused=7)))
    assert header.type is ICMPType.DESTINATION_UNREACHABLE
    assert header.code_name == "COMMUNICATION_PROHIBITED"
    assert header.unused == 7
    assert ICMPv6(1, 4).code_name == "PORT_UNREACHABLE"
    assert ICMP(200).code_name == "0"


def test_quotes_cut_anywhere() -> None:
    whole = IPv4(B4, A4, ident=9, options=[RouterAlert()]) / UDP(1, 2) / b"quoted data"
    quote = bytes(whole)
    for end in range(len(quote) + 1):
        error = Datagram.parse(bytes(IPv4(A4, B4) / ICMP(11) / quote[:end]))
        quoted = error.quoted
        if end < 24:
            assert quoted is None
            continue
        assert quoted is not None
        assert (UDP in quoted) == (end >= 32)
        assert bytes(quoted) == quote[:end]
    assert Datagram.parse(bytes(IPv4(A4, B4) / ICMP(8) / quote)).quoted is None


def test_extensions_of_old_senders_start_at_128() -> None:
    quote = bytes(IPv4(B4, A4) / UDP(1, 2) / bytes(200))[:128]
    extensions = ICMPExtensions(objects=[MPLSLabelStack(1, [MPLSLabel(5, ttl=1)])])
    error = Datagram.parse(bytes(IPv4(A4, B4) / ICMP(11) / (quote + bytes(extensions))))
    assert error.extensions == extensions
    assert error.quoted is not None
    broken = Datagram.parse(bytes(IPv4(A4, B4) / ICMP(11) / (quote + bytes(extensions)[:-1] + b"\xff")))
    assert broken.extensions is None


def test_tcp_flags_by_name() -> None:
    header = TCP(1, 2, flags="SYN|ACK")
    assert header.flags == TCPFlags.SYN | TCPFlags.ACK == 0x12
    assert header.flags.SYN
    assert not header.flags.FIN
    assert str(header.flags) == "SYN|ACK"
    assert str(TCPFlags(0)) == "0"
    assert bytes(TCP(1, 2, flags="AE"))[12] == 0x51


def test_datagrams_take_what_they_should() -> None:
    datagram = IPv4(A4, B4) / (UDP(1, 2) / b"x")
    assert datagram[UDP].sport == 1
    assert datagram[0] is datagram[IPv4]
    assert datagram.get(TCP) is None
    assert TCP not in datagram
    with pytest.raises(KeyError, match="no TCP in IPv4 / UDP"):
        datagram[TCP]
    with pytest.raises(TypeError, match="nothing can follow"):
        datagram / b"more"
    with pytest.raises(TypeError, match="not str"):
        IPv4(A4, B4) / "text"
    assert bytes(IPv4(A4, B4, protocol=1) / bytearray(b"x"))[20:] == b"x"
    assert len(datagram) == 29
    assert Datagram.parse(memoryview(bytes(datagram))) == Datagram.parse(bytes(datagram))


def test_declared_headers_are_read_by_their_number() -> None:
    class Own(Header, protocol=252):
        kind: u8
        total: Annotated[int | None, length8("packet")] = None

    datagram = IPv4(A4, B4) / Own(7) / b"data"
    read = Datagram.parse(bytes(datagram))
    assert read[Own].kind == 7
    assert read.payload == b"data"
    assert read[IPv4].protocol == 252
    strange = IPv4(A4, B4, protocol=252) / b"\1\xff"
    assert Datagram.parse(bytes(strange)).payload == b"\1\xff"

    class Usurper(Header, protocol=17):
        kind: u8

    assert UDP in Datagram.parse(SAMPLES[0])


def test_tunnels_in_tunnels_end() -> None:
    inner: Any = UDP(1, 2) / b""
    for _ in range(100):
        inner = IPv6(A6, B6) / inner
    read = Datagram.parse(bytes(inner))
    assert len(read.headers) == 64
    assert bytes(read) == bytes(inner)


def test_identification_differs_with_the_payload_and_is_stable() -> None:
    header = IPv4(A4, B4)
    idents = {bytes(header / UDP(1, 2) / bytes((number,)))[4:6] for number in range(100)}
    assert len(idents) > 95
    datagram = header / UDP(1, 2) / b"x"
    assert bytes(datagram) == bytes(datagram)

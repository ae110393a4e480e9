"""Batches against the one-by-one codec: what is built, what is read back, what is found broken."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto import DecodeError, EncodeError, checksum
from rawproto.wire import (
    ICMP,
    MSS,
    TCP,
    UDP,
    Batch,
    Datagram,
    Header,
    ICMPv6,
    IPv4,
    IPv6,
    ReceivedBatch,
    RouterAlert,
    SegmentRouting,
    bits,
    build_batch,
    checksum16,
    checksums,
    field_column,
    fixed,
    header_checksum16,
    parse_batch,
    u8,
    u16,
    u24,
    u48,
    verify_batch,
)

TEMPLATES = [
    IPv4("1.1.1.1", "2.2.2.2") / UDP(1, 2),
    IPv4("1.1.1.1", "2.2.2.2", options=[RouterAlert()]) / TCP(1, 2, options=[MSS(1460)]),
    IPv4("1.1.1.1", "2.2.2.2", df=True) / ICMP(8, ident=3),
    IPv6("::1", "::2") / UDP(1, 2),
    IPv6("::1", "::2") / SegmentRouting(["::3", "::4"]) / TCP(1, 2),
    IPv6("::1", "::2") / ICMPv6(128, ident=1),
    IPv4("1.1.1.1", "2.2.2.2") / IPv6("::1", "::2") / UDP(1, 2),
]


class Odd(Header, protocol=253):
    kind: u8
    high: Annotated[int, bits(4)] = 0
    low: Annotated[int, bits(12)] = 0
    three: u24 = 0
    six: u48 = 0
    tag: Annotated[bytes, fixed(2)] = b"ab"
    check: checksum16 = None
    last: u8 = 0


class Own(Header, protocol=254):
    a: u16
    check: header_checksum16 = None


@given(st.sampled_from(TEMPLATES), st.lists(st.binary(max_size=40), max_size=20))
def test_built_as_one_by_one(template: Datagram, payloads: list[bytes]) -> None:
    batch = build_batch(template, payloads)
    assert len(batch) == len(payloads)
    for built, payload in zip(batch, payloads, strict=True):
        single = template / payload
        if IPv4 in template:
            # In a batch the identification counts up instead of being hashed from each payload.
            single = single.replace(template[IPv4].replace(ident=Datagram.parse(built)[IPv4].ident))
        assert bytes(single) == built
    assert verify_batch(batch).all()
    assert checksums(batch).tolist() == [checksum(built) for built in batch]


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=20), st.data())
def test_columns_of_every_width(payloads: list[bytes], data: st.DataObject) -> None:
    count = len(payloads)

    def column(limit: int) -> list[int]:
        return data.draw(st.lists(st.integers(0, limit), min_size=count, max_size=count))

    columns = {
        "kind": column(255), "high": column(15), "low": column(4095), "three": column(2**24 - 1),
        "six": column(2**48 - 1), "last": column(255),
    }  # fmt: skip
    tags = [bytes((index, 255 - index)) for index in range(count)]
    batch = build_batch(Odd(0), payloads, **columns, tag=tags)
    array = parse_batch(batch, Odd)
    for index, (built, payload) in enumerate(zip(batch, payloads, strict=True)):
        values: Any = {name: column[index] for name, column in columns.items()}
        assert built == bytes(Odd(**values, tag=tags[index]) / payload)
    for name, values in columns.items():
        assert field_column(array, Odd, name).tolist() == values
    assert field_column(array, Odd, "tag").tobytes() == b"".join(tags)


def test_address_columns_are_in_the_pseudo_header() -> None:
    sources = [f"10.0.0.{index}" for index in range(5)]
    batch = build_batch(TEMPLATES[0], [b"x"] * 5, src=sources, dport=np.arange(5))
    for index, built in enumerate(batch):
        datagram = Datagram.parse(built)
        assert datagram.verify() == []
        assert str(datagram[IPv4].src) == sources[index]
        assert datagram[UDP].dport == index
    assert verify_batch(batch).all()
    rows = np.frombuffer(bytes(range(20)), dtype=np.uint8).reshape(5, 4)
    assert parse_batch(build_batch(TEMPLATES[0], [b""] * 5, src=rows), IPv4)["src"].tolist() == rows.tolist()


def test_prefixed_columns_and_wrong_on_purpose() -> None:
    template = TEMPLATES[0]
    batch = build_batch(template, [b"ab", b"cd"], ipv4_checksum=[1, 2], checksum=[3, 4], length=9, ident=7)
    ip, udp = parse_batch(batch, IPv4), parse_batch(batch, UDP, IPv4.size)
    assert ip["checksum"].tolist() == [1, 2]
    assert udp["checksum"].tolist() == [3, 4]
    assert udp["length"].tolist() == [9, 9]
    assert ip["ident"].tolist() == [7, 7]
    assert not verify_batch(batch).any()


def test_a_lone_header_and_a_header_checksum() -> None:
    batch = build_batch(Own(0), [b"abc", b""], a=[1, 0xFFFE])
    assert list(batch) == [b"\0\1\xff\xfeabc", b"\xff\xfe\0\1"]
    assert field_column(parse_batch(batch, Own), Own, "a").tolist() == [1, 0xFFFE]


def test_payload_rows_are_not_copied() -> None:
    rows = np.zeros((4, 8), dtype=np.uint8)
    batch = build_batch(TEMPLATES[0], rows)
    assert batch.tail is not None
    assert np.shares_memory(batch.tail, rows)
    assert verify_batch(batch).all()


def test_identification_counts_up() -> None:
    batch = build_batch(TEMPLATES[0], [b"same"] * 300)
    idents = parse_batch(batch, IPv4)["ident"].tolist()
    assert len(set(idents)) == 300


def test_a_parsed_batch_is_a_view_of_the_rows() -> None:
    batch = Batch.from_datagrams(list(build_batch(TEMPLATES[0], [b"abcd"] * 3)))
    array = parse_batch(batch, IPv4)
    assert array.dtype == IPv4.dtype
    assert np.shares_memory(array, batch.head)
    assert field_column(array, IPv4, "ihl").tolist() == [5, 5, 5]
    assert field_column(array, IPv4, "df").tolist() == [False] * 3
    array["ttl"] = 3
    assert not verify_batch(batch).any()


@given(st.sampled_from(TEMPLATES), st.integers(0, 10_000), st.integers(1, 255))
def test_one_changed_byte_is_found_as_one_by_one(template: Datagram, place: int, flip: int) -> None:
    good = list(build_batch(template, [b"abcdefg", b"", b"12345678"]))
    broken = bytearray(good[0])
    broken[place % len(broken)] ^= flip
    batch = Batch.from_datagrams([bytes(broken), *good[1:]])
    try:
        sound = Datagram.parse(bytes(broken)).verify() == []
    except DecodeError:
        sound = False
    assert verify_batch(batch).tolist() == [sound, True, True]


def test_stale_bytes_behind_a_short_datagram_do_not_count() -> None:
    rows = np.full((2, 64), 0xAA, dtype=np.uint8)
    built = list(build_batch(TEMPLATES[0], [b"abc", b"abcdefghij"]))
    for row, data in zip(rows, built, strict=True):
        row[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    batch = ReceivedBatch(rows, np.array([len(data) for data in built]))
    assert verify_batch(batch).all()
    assert checksums(batch).tolist() == [checksum(data) for data in built]


@pytest.mark.parametrize(
    ("columns", "field"),
    [
        ({"sport": [1, 2, 3]}, "sport"),
        ({"sport": [1, 70000]}, "sport"),
        ({"sport": [-1, 0]}, "sport"),
        ({"sport": [1.5, 2]}, "sport"),
        ({"fragment_offset": [4, 8]}, "fragment_offset"),
        ({"nonsense": 1}, "nonsense"),
        ({"src": ["::1", "::2"]}, "src"),
        ({"src": ["1.1.1.1"]}, "src"),
    ],
)
def test_wrong_columns_are_refused(columns: dict[str, Any], field: str) -> None:
    with pytest.raises(EncodeError) as caught:
        build_batch(TEMPLATES[0], [b"a", b"b"], **columns)
    assert caught.value.field == field


def test_wrong_payloads_are_refused() -> None:
    with pytest.raises(EncodeError):
        build_batch(TEMPLATES[0], [1, 2])
    with pytest.raises(EncodeError):
        build_batch(TEMPLATES[0], np.zeros(4, dtype=np.uint8))
    with pytest.raises(EncodeError):
        build_batch(TEMPLATES[0] / b"own", [b"a"])
    with pytest.raises(EncodeError):
        build_batch(IPv4("1.1.1.1", "2.2.2.2"), [b"a"])


def test_short_datagrams_are_named() -> None:
    with pytest.raises(DecodeError, match="datagram 1 has 3 bytes"):
        parse_batch(Batch.from_datagrams([bytes(20), b"abc"]), IPv4)
    assert len(parse_batch(Batch.from_datagrams([]), IPv4)) == 0


@given(st.lists(st.binary(max_size=50), min_size=1, max_size=30), st.integers(0, 70000))
def test_checksums_of_any_rows(datagrams: list[bytes], initial: int) -> None:
    batch = Batch.from_datagrams(datagrams)
    assert checksums(batch, initial).tolist() == [checksum(data, initial) for data in datagrams]


@given(st.integers(0, 5), st.integers(0, 60))
def test_checksums_of_an_array(count: int, width: int) -> None:
    rows = np.arange(count * width, dtype=np.uint8).reshape(count, width)
    assert checksums(rows).tolist() == [checksum(bytes(row)) for row in rows]


def test_wide_items_count_in_bytes() -> None:
    batch = build_batch(Odd(1), [memoryview(np.arange(3, dtype=np.uint32)), b"x"])
    assert batch.lengths.tolist() == [Odd.size + 12, Odd.size + 1]

"""pcapng: the writer against tshark and scapy, the reader against the writer and against hostile bytes."""

import io
import json
import os
import shutil
import struct
import subprocess

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto.errors import DecodeError, EncodeError
from rawproto.wire.pcapng import (
    Interface,
    InterfaceStatistics,
    LinkType,
    PacketFlags,
    PcapngReader,
    PcapngWriter,
    Secrets,
    SecretsType,
)

EPOCH = 1_790_000_000_123_456_789
IPV4_UDP = bytes.fromhex("4500002000010000401166ca0a0000010a000002000100020000c0000011223344"[:64])


def capture_of(*packets, **options):
    file = io.BytesIO()
    with PcapngWriter(file, **options) as writer:
        for packet in packets:
            writer.write(**packet)
    return file.getvalue()


def blocks_of(data):
    """(type, body) of each block: an independent little-endian walk."""
    place, found = 0, []
    while place < len(data):
        kind, total = struct.unpack_from("<II", data, place)
        assert total % 4 == 0
        assert struct.unpack_from("<I", data, place + total - 4)[0] == total
        found.append((kind, data[place + 8 : place + total - 4]))
        place += total
    return found


def byte_swapped(data):
    """The same capture as a big-endian machine writes it; packets here carry one option list at most."""

    def options(raw):
        out, place = b"", 0
        while place < len(raw):
            code, length = struct.unpack_from("<HH", raw, place)
            value = raw[place + 4 : place + 4 + length]
            if length in (4, 8) and code != 1:
                value = value[::-1] if not (length == 8 and code in (2, 3)) else swap(value, "II")
            out += struct.pack(">HH", code, length) + value + bytes(-length % 4)
            place += 4 + length + -length % 4
        return out

    def swap(raw, layout):
        return struct.pack(">" + layout, *struct.unpack("<" + layout, raw))

    result = b""
    for kind, body in blocks_of(data):
        if kind == 0x0A0D0D0A:
            new = swap(body[:16], "IHHq") + struct.pack(">HH", 4, 8) + b"rawproto" + bytes(4)
        elif kind == 1:
            new = swap(body[:8], "HHI") + struct.pack(">HHBxxxI", 9, 1, body[12], 0)
        elif kind == 6:
            kept = struct.unpack_from("<I", body, 12)[0]
            end = 20 + kept + -kept % 4
            new = swap(body[:20], "5I") + body[20:end] + options(body[end:])
        else:
            new = swap(body[:12], "3I") + options(body[12:])
        total = struct.pack(">I", len(new) + 12)
        result += struct.pack(">I", kind) + total + new + total
    return result


def test_packets_come_back_with_everything_said_about_them():
    data = capture_of(
        {"data": IPV4_UDP, "timestamp_ns": EPOCH, "comment": "erster «Ton»", "drops": 7},
        {"data": b"abc", "timestamp_ns": EPOCH + 1, "interface": 1, "original_length": 90, "flags": 2},
        {"data": b"", "timestamp_ns": 0},
        linktype=LinkType.IPV4,
        interfaces=("eth0", Interface(LinkType.ETHERNET, "veth1", "the other end", 64, "ip proto 253")),
        comment="a run",
    )
    with PcapngReader(data) as reader:
        first, second, third = reader
        assert [item.name for item in reader.interfaces] == ["eth0", "veth1"]
        assert reader.interfaces[1] == Interface(
            LinkType.ETHERNET, "veth1", "the other end", 64, "ip proto 253"
        )
    assert (first.data, first.timestamp_ns, first.linktype) == (IPV4_UDP, EPOCH, LinkType.IPV4)
    assert (first.comments, first.drops, first.flags) == (("erster «Ton»",), 7, 0)
    assert (second.data, second.original_length, second.linktype) == (b"abc", 90, LinkType.ETHERNET)
    assert second.flags == PacketFlags.OUTBOUND
    assert second.drops is None
    assert (third.data, third.original_length, third.timestamp_ns) == (b"", 0, 0)


@given(st.lists(st.binary(max_size=70), max_size=12), st.integers(0, 2**63 - 1))
def test_a_batch_writes_the_same_bytes_as_single_packets(datagrams, start):
    width = max((len(item) for item in datagrams), default=0)
    rows = np.full((len(datagrams), width + 3), 0xEE, dtype=np.uint8)
    for row, item in zip(rows, datagrams, strict=True):
        row[: len(item)] = np.frombuffer(item, dtype=np.uint8)
    lengths = np.array([len(item) for item in datagrams], dtype=np.int64)
    times = start + np.arange(len(datagrams), dtype=np.int64)
    file = io.BytesIO()
    with PcapngWriter(file) as writer:
        writer.write_batch(rows, lengths, times)
        assert writer.packets == len(datagrams)
    single = capture_of(
        *({"data": item, "timestamp_ns": start + index} for index, item in enumerate(datagrams))
    )
    assert file.getvalue() == single


def test_a_batch_of_equal_rows_may_be_a_strided_view_with_one_time_and_is_cut_at_the_snap_length():
    buffer = np.arange(4 * 32, dtype=np.uint8).reshape(4, 32)
    file = io.BytesIO()
    with PcapngWriter(file, snaplen=10) as writer:
        writer.write_batch(buffer[::2, 4:20], None, EPOCH)
        writer.write_batch(buffer[:1, :4], 4, EPOCH, original_lengths=[1500])
    packets = list(PcapngReader(file.getvalue()))
    assert [packet.data for packet in packets] == [
        buffer[0, 4:14].tobytes(),
        buffer[2, 4:14].tobytes(),
        buffer[0, :4].tobytes(),
    ]
    assert [packet.original_length for packet in packets] == [16, 16, 1500]


def test_statistics_and_secrets_come_back():
    file = io.BytesIO()
    with PcapngWriter(file) as writer:
        writer.write_secrets(b"CLIENT_RANDOM 00 11\n")
        writer.write_statistics(EPOCH, received=10, dropped=1, os_dropped=2, start_ns=EPOCH - 5, end_ns=EPOCH)
    reader = PcapngReader(file.getvalue())
    assert list(reader) == []
    assert reader.secrets == [Secrets(SecretsType.TLS_KEY_LOG, b"CLIENT_RANDOM 00 11\n")]
    assert reader.statistics == [
        InterfaceStatistics(0, EPOCH, received=10, dropped=1, os_dropped=2, start_ns=EPOCH - 5, end_ns=EPOCH)
    ]


def test_a_section_of_the_other_byte_order_reads_the_same_and_may_follow():
    file = io.BytesIO()
    with PcapngWriter(file) as writer:
        writer.write(b"hello", EPOCH, comment="c", drops=3, flags=1)
        writer.write_statistics(EPOCH, received=9, start_ns=1)
    little = file.getvalue()
    big = byte_swapped(little)
    assert big != little
    reader = PcapngReader(little + big)
    first, second = reader
    assert first == second
    assert reader.statistics[0] == reader.statistics[1]
    assert len(reader.interfaces) == 1


@pytest.mark.parametrize(
    ("resolution", "units", "nanoseconds"),
    [(6, 1_500_000, 1_500_000_000), (0, 3, 3_000_000_000), (12, 2_500, 2), (0x80 | 10, 1536, 1_500_000_000)],
)
def test_timestamp_resolutions(resolution, units, nanoseconds):
    assert Interface(resolution=resolution).to_nanoseconds(units) == nanoseconds
    assert Interface(resolution=resolution, offset=2).to_nanoseconds(units) == nanoseconds + 2_000_000_000


def block(kind, body):
    total = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + total + body + total


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
ETHERNET = block(1, struct.pack("<HHI", 1, 0, 8))


def test_old_and_simple_packets_and_unknown_blocks():
    simple = block(3, struct.pack("<I", 20) + b"12345678")
    old = block(2, struct.pack("<HH4I", 0, 4, 0, 1_000_000, 3, 5) + b"abc\0")
    unknown_drops = block(2, struct.pack("<HH4I", 0, 0xFFFF, 0, 0, 0, 5))
    strange = block(0x0BAD, b"whatever") + block(0x40000BAD, b"")
    reader = PcapngReader(SECTION + strange + ETHERNET + simple + strange + old + unknown_drops)
    first, second, third = reader
    assert (first.data, first.original_length, first.timestamp_ns) == (b"12345678", 20, None)
    assert (second.data, second.original_length, second.timestamp_ns, second.drops) == (
        b"abc",
        5,
        1_000_000_000,
        4,
    )
    assert third.drops is None


@pytest.mark.parametrize(
    ("data", "offset", "words"),
    [
        (ETHERNET, 0, "section header"),
        (SECTION[:3], 3, "ends"),
        (SECTION[:20], 20, "ends"),
        (SECTION[:8] + b"\1\2\3\4" + SECTION[12:], 8, "magic"),
        (SECTION[:12] + b"\2\0" + SECTION[14:], 12, "version 2"),
        (SECTION + struct.pack("<II", 1, 13), 32, "length 13"),
        (SECTION + struct.pack("<II", 1, 8), 32, "length 8"),
        (SECTION + struct.pack("<II", 99, 0xFFFFFFFC), 32, "limit"),
        (SECTION + struct.pack("<III", 99, 12, 16), 36, "closing"),
        (SECTION + block(6, struct.pack("<5I", 0, 0, 0, 0, 0)), 36, "interface 0"),
        (SECTION + ETHERNET + block(6, bytes(16)), 56, "too few"),
        (SECTION + ETHERNET + block(6, struct.pack("<5I", 0, 0, 0, 5, 5)), 68, "captured"),
        (SECTION + ETHERNET + block(6, struct.pack("<5IHH", 0, 0, 0, 0, 0, 1, 5) + bytes(4)), 76, "option 1"),
        (SECTION + ETHERNET + block(10, struct.pack("<II", 0, 9) + bytes(8)), 60, "secrets"),
        (SECTION + block(1, b"\1\0\0\0"), 36, "too few"),
    ],
)
def test_malformed_files_are_refused_with_the_offset(data, offset, words):
    with pytest.raises(DecodeError, match=words) as caught:
        list(PcapngReader(data))
    assert caught.value.offset == offset


def test_packets_before_the_fault_are_given():
    good = capture_of({"data": b"one", "timestamp_ns": 1})
    reader = iter(PcapngReader(good + b"\6\0\0\0"))
    assert next(reader).data == b"one"
    with pytest.raises(DecodeError):
        next(reader)


def test_every_prefix_and_every_changed_byte_reads_or_is_refused():
    file = io.BytesIO()
    with PcapngWriter(file, interfaces=("a",)) as writer:
        writer.write(b"hello", EPOCH, comment="c", drops=3)
        writer.write_statistics(EPOCH, received=9)
        writer.write_secrets(b"k")
    data = file.getvalue()
    damaged = [data[:end] for end in range(len(data))]
    damaged += [
        data[:place] + bytes((value,)) + data[place + 1 :]
        for place in range(len(data))
        for value in (0, 1, 0x7F, 0xFF, data[place] ^ 0x80)
    ]
    outcomes = set()
    for item in damaged:
        try:
            list(PcapngReader(item))
            outcomes.add("read")
        except DecodeError as error:
            outcomes.add("refused" if 0 <= error.offset <= len(data) else f"offset {error.offset}")
    assert outcomes == {"read", "refused"}


@given(st.binary(max_size=200))
def test_arbitrary_bytes_never_give_another_exception(noise):
    try:
        list(PcapngReader(SECTION + ETHERNET + noise))
    except DecodeError:
        pass


def test_what_cannot_be_written_is_refused():
    writer = PcapngWriter(io.BytesIO())
    for wrong in (
        {"interface": 1},
        {"interface": -1},
        {"timestamp_ns": -1},
        {"timestamp_ns": 1 << 64},
        {"comment": "x" * 65_536},
        {"drops": -1},
        {"flags": 1 << 32},
        {"original_length": 1 << 32},
    ):
        with pytest.raises(EncodeError):
            writer.write(**{"data": b"x", "timestamp_ns": 0, **wrong})
    with pytest.raises(EncodeError):
        writer.write_batch(np.zeros((1, 4), np.uint8), np.array([5]), 0)
    with pytest.raises(EncodeError):
        writer.write_batch(np.zeros((1, 4), np.uint8), None, 0, interface=1)
    for wrong in ({"timestamps": -1}, {"timestamps": np.array([5, -1])}, {"original_lengths": [4, 1 << 32]}):
        with pytest.raises(EncodeError):
            writer.write_batch(**{"rows": np.zeros((2, 4), np.uint8), "lengths": 4, "timestamps": 0, **wrong})
    for wrong in ({"timestamp_ns": -1}, {"start_ns": -1}, {"received": -1}, {"interface": 1}):
        with pytest.raises(EncodeError):
            writer.write_statistics(**{"timestamp_ns": 0, **wrong})
    with pytest.raises(EncodeError):
        writer.write_secrets(b"", kind=-1)
    with pytest.raises(EncodeError):
        writer.add_interface(Interface(linktype=1 << 16))


def test_a_writer_that_cannot_be_made_leaves_no_file_open(tmp_path):
    # A file left open would be a ResourceWarning, which is an error here.
    with pytest.raises(EncodeError):
        PcapngWriter(tmp_path / "run.pcapng", linktype=1 << 16)


def test_text_that_is_no_unicode_costs_no_packet():
    name = os.fsdecode(b"eth\xff")
    packet = {"data": b"x", "timestamp_ns": 1, "comment": name}
    reader = PcapngReader(capture_of(packet, interfaces=[Interface(name=name, filter=name)], comment=name))
    assert [packet.comments for packet in reader] == [("eth?",)]
    assert (reader.interfaces[0].name, reader.interfaces[0].filter) == ("eth?", "eth?")


def test_a_path_is_created_flushed_and_closed(tmp_path):
    path = tmp_path / "run.pcapng"
    writer = PcapngWriter(path)
    writer.write(b"x", 1)
    writer.flush()
    with PcapngReader(path) as reader:
        assert len(list(reader)) == 1
    writer.add_interface("late")
    writer.write(b"y", 2, interface=1)
    writer.close()
    writer.close()
    with path.open("rb") as file:
        reader = PcapngReader(file)
        assert [packet.interface for packet in reader] == [0, 1]
        reader.close()
        assert not file.closed


def rich_capture(path):
    frame = bytes.fromhex("0200000000020200000000010800") + IPV4_UDP
    with PcapngWriter(
        path, interfaces=(Interface(LinkType.RAW, "ip0"), Interface(LinkType.ETHERNET, "eth0", "wire"))
    ) as writer:
        writer.write(IPV4_UDP, EPOCH, comment="first", drops=2, flags=PacketFlags.INBOUND)
        writer.write(frame, EPOCH + 1_000, interface=1, original_length=1_500)
        writer.write_batch(
            np.frombuffer(IPV4_UDP * 3, np.uint8).reshape(3, -1), None, EPOCH + np.arange(3) * 10
        )
        writer.write_secrets(b"")
        writer.write_statistics(EPOCH, interface=1, received=5, dropped=2)
    return frame


def test_scapy_reads_the_same_packets(tmp_path):
    from scapy.utils import RawPcapNgReader

    path = tmp_path / "run.pcapng"
    frame = rich_capture(path)
    with RawPcapNgReader(str(path)) as reader:
        packets = list(reader)
    assert [data for data, _ in packets] == [IPV4_UDP, frame, *[IPV4_UDP] * 3]
    metadata = packets[0][1]
    assert (metadata.tshigh << 32 | metadata.tslow) == EPOCH
    assert metadata.tsresol == 10**9
    assert metadata.linktype == LinkType.RAW
    assert packets[1][1].wirelen == 1_500
    assert packets[1][1].ifname == b"eth0"


@pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
def test_tshark_reads_the_same_packets(tmp_path):
    path = tmp_path / "run.pcapng"
    rich_capture(path)
    names = (
        "frame.time_epoch",
        "frame.len",
        "frame.cap_len",
        "frame.comment",
        "frame.interface_name",
        "udp.dstport",
    )
    wanted = [word for name in names for word in ("-e", name)]
    run = subprocess.run(
        ["tshark", "-r", str(path), "-T", "json", *wanted],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
    )
    rows = [item["_source"]["layers"] for item in json.loads(run.stdout)]
    assert len(rows) == 5
    assert rows[0]["frame.comment"] == ["first"]
    assert rows[0]["frame.interface_name"] == ["ip0"]
    assert rows[0]["udp.dstport"] == ["2"]
    assert rows[1]["frame.len"] == ["1500"]
    assert rows[1]["frame.cap_len"] == [str(len(IPV4_UDP) + 14)]
    assert rows[1]["frame.interface_name"] == ["eth0"]
    assert "123456789" in rows[0]["frame.time_epoch"][0]
    assert "123456809" in rows[4]["frame.time_epoch"][0]

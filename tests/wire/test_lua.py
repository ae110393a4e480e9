"""Generated Wireshark dissectors, run by tshark: every field with the right value, wrong packets marked."""

import json
import random
import shutil
import subprocess
from typing import Annotated

import echo
import go_back_n
import pytest
import stop_and_wait
from hypothesis import Phase, given, settings

from rawproto import TCP, UDP, Header, IPv4, IPv6, LinkType, OpenEnum, PcapngWriter
from rawproto.errors import DeclarationError
from rawproto.wire.registry import BUILT_IN, HEADERS
from rawproto.wire.tcp_options import MSS, SACK, SACKBlock, TCPTimestamps, WindowScale
from rawproto.wire.types import (
    Constant,
    bits,
    checksum16,
    declare,
    enum8,
    fixed,
    flag,
    flags8,
    ip4,
    ip6,
    length8,
    length16,
    list_of,
    next_protocol8,
    opaque,
    pseudo_checksum16,
    scaled,
    u8,
    u16,
    u16le,
    u24,
    u32,
    u32le,
    u48,
    u64,
)

needs_tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")


@pytest.fixture
def dissect(tmp_path):
    """Packets through tshark with a script: for each, a dictionary of the fields, names to lists of shown values."""

    def run(script, packets, *options, snaplen=0):
        (tmp_path / "made.lua").write_text(script, encoding="utf-8")
        with PcapngWriter(tmp_path / "run.pcapng", linktype=LinkType.RAW, snaplen=snaplen) as writer:
            for number, packet in enumerate(packets):
                writer.write(bytes(packet), number)
        command = ["tshark", "-X", f"lua_script:{tmp_path / 'made.lua'}", "-r", str(tmp_path / "run.pcapng")]
        # A home of its own: the settings of whoever runs the test must not matter.
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        done = subprocess.run(
            [*command, "-T", "json", "--no-duplicate-keys", *options],
            capture_output=True,
            text=True,
            timeout=100,
            env=environment,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert "Lua" not in done.stderr, done.stderr
        return [_flat(item["_source"]["layers"]) for item in json.loads(done.stdout)]

    return run


def _flat(layers):
    """Every leaf below every layer, by its name."""
    found = {}

    def walk(node, name):
        if isinstance(node, dict):
            for key, value in node.items():
                walk(value, key)
        elif isinstance(node, list):
            for value in node:
                walk(value, name)
        else:
            found.setdefault(name, []).append(node)

    walk(layers, "")
    return found


class Colour(OpenEnum):
    RED = 1
    BLUE = 2


class Shown(Header, protocol=252):
    magic: Annotated[int, u16, Constant(0xBEEF)]
    colour: Annotated[Colour, enum8(Colour)]
    marks: Annotated[int, flags8("UP", "DOWN", None, "LEFT")]
    version: Annotated[int, bits(3)] = declare(doc="of the format")
    ready: flag
    nibble: Annotated[int, bits(4)]
    place: Annotated[int, scaled(16, 8)]
    middle: u24
    long: u32
    wide: u48
    widest: u64
    crossing: Annotated[int, bits(29)]
    tail: Annotated[int, bits(11)]
    small: u16le
    turned: u32le
    check: checksum16
    total: Annotated[int, length16("packet")]
    following: next_protocol8
    header_size: Annotated[int, length8("header")]
    tag: Annotated[bytes, fixed(5)]
    four: ip4
    six: ip6
    name_size: Annotated[int, length8("name")]
    count: Annotated[int, length8("numbers", 4)]
    name: opaque = b""
    numbers: Annotated[tuple, list_of(u32)] = ()
    homes: Annotated[tuple, list_of(ip4)] = ()


def shown(**changes):
    values = {
        "colour": Colour.BLUE,
        "marks": "UP|LEFT",
        "version": 5,
        "ready": True,
        "nibble": 9,
        "place": 8 * 4_321,
        "middle": 0x123456,
        "long": 0xFEDCBA98,
        "wide": 0x123456789ABC,
        "widest": 0xFEDCBA9876543210,
        "crossing": 0x15555555,
        "tail": 0x2AA,
        "small": 0x1234,
        "turned": 0x89ABCDEF,
        "tag": b"hello",
        "four": "10.1.2.3",
        "six": "2001:db8::7",
        "name": b"abc",
        "numbers": (1, 0xFFFFFFFF),
        "homes": ("10.9.9.9", "10.8.8.8"),
    }
    return Shown(**{**values, **changes})


OUTER = IPv4(src="10.0.0.1", dst="10.0.0.2")


def number(text):
    return int(text, 0) if text not in ("True", "False") else int(text == "True")


@needs_tshark
def test_every_field_has_the_right_value(dissect):
    packet = OUTER / shown() / UDP(sport=1, dport=2) / b"xyz"
    (seen,) = dissect(Shown.wireshark_lua(), [packet])
    built, _ = Shown.parse(bytes(packet)[20:])
    for info in Shown.fields:
        values = seen[f"shown.{info.name}"]
        ours = getattr(built, info.name)
        if info.kind in ("ip4", "ip6"):
            assert values == [str(ours)]
        elif info.kind == "bytes":
            assert values == [ours.hex(":")]
        elif info.name == "numbers":
            assert [number(value) for value in values] == list(ours)
        elif info.name == "homes":
            assert values == [str(item) for item in ours]
        else:
            assert [number(value) for value in values] == [int(ours)], info.name
    flags = [number(seen[f"shown.marks.{name}"][0]) for name in ("up", "down", "left")]
    assert flags == [1, 0, 1]
    assert "_ws.expert.message" not in seen
    # What follows is handed on by its number.
    assert seen["udp.dstport"] == ["2"]


@needs_tshark
def test_the_tree_reads_well(dissect, tmp_path):
    dissect(Shown.wireshark_lua(), [OUTER / shown(following=99) / b""])
    text = subprocess.run(
        ["tshark", "-X", f"lua_script:{tmp_path / 'made.lua'}", "-r", str(tmp_path / "run.pcapng"), "-V"],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    ).stdout
    for line in (
        "colour: BLUE (2)",
        "101. .... = version: 5",
        ".... ...1 = UP: set",
        "[correct]",
        "place: 34568",
    ):
        assert line in text
    summary = subprocess.run(
        ["tshark", "-X", f"lua_script:{tmp_path / 'made.lua'}", "-r", str(tmp_path / "run.pcapng")],
        capture_output=True,
        text=True,
        timeout=100,
        check=True,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
    ).stdout
    assert "Shown" in summary
    assert "colour=BLUE marks=0x9 version=5" in summary


def changed(packet, offset, value):
    data = bytearray(bytes(packet))
    data[offset] = value
    return bytes(data)


@needs_tshark
def test_what_is_wrong_is_marked(dissect):
    good = OUTER / shown(following=99) / b"data"
    header = len(bytes(shown()))
    packets = {
        "good": good,
        "magic": OUTER / shown(following=99).replace(magic=0xBEE0) / b"data",
        "checksum": changed(good, len(bytes(good)) - 1, 0),
        "total too long": OUTER / shown(following=99, total=2_000) / b"data",
        "total too short": OUTER / shown(following=99, total=5) / b"data",
        "header size": OUTER / shown(following=99, header_size=4) / b"data",
        "name too long": OUTER / shown(following=99, name_size=200) / b"data",
        "cut off": bytes(IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=252) / bytes(shown())[:30]),
        "empty": bytes(IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=252)),
    }
    assert header > 60
    results = dict(zip(packets, dissect(Shown.wireshark_lua(), packets.values()), strict=True))
    messages = {name: " ".join(seen.get("_ws.expert.message", [])) for name, seen in results.items()}
    assert messages["good"] == ""
    for name, words in {
        "magic": "must be 48879",
        "checksum": "checksum does not match",
        "total too long": "means 2000 bytes",
        "total too short": "means 5 bytes",
        "header size": "means 4 bytes",
        "name too long": "name of 200 bytes",
        "cut off": "needs 72 bytes here, 30 are there",
    }.items():
        assert words in messages[name], (name, messages[name])
    groups = [seen.get("_ws.expert.group") for seen in results.values()]
    assert all(groups[1:-1])


@needs_tshark
def test_what_the_capture_cut_off_is_not_called_malformed(dissect):
    (seen,) = dissect(Shown.wireshark_lua(), [OUTER / shown(following=99) / b"data"], snaplen=60)
    assert "shown.truncated" in seen
    assert "shown.malformed" not in seen


class Summed(Header, protocol=251):
    kind: u8
    reserved: u8 = 0
    check: pseudo_checksum16


@needs_tshark
def test_checksums_with_a_pseudo_header_are_verified_over_both_families(dissect):
    packets = [
        IPv4(src="10.0.0.1", dst="10.0.0.2") / Summed(kind=1) / b"odd",
        IPv6(src="fd00::1", dst="fd00::2") / Summed(kind=1) / b"odd",
        IPv4(src="10.0.0.1", dst="10.0.0.2") / Summed(kind=1, check=5) / b"odd",
        IPv6(src="fd00::1", dst="fd00::2") / Summed(kind=1, check=5) / b"odd",
    ]
    results = dissect(Summed.wireshark_lua(), packets)
    assert ["summed.bad_checksum" in seen for seen in results] == [False, False, True, True]
    inside_udp = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(1, 4_000) / bytes(Summed(kind=1, check=5))
    (seen,) = dissect(Summed.wireshark_lua(udp_port=4_000), [inside_udp])
    assert seen["summed.kind"] == ["1"]


@needs_tshark
def test_options_are_taken_apart(dissect):
    """A built-in header under a name of its own, found by "decode as"."""
    tcp = TCP(
        sport=1,
        dport=2,
        seq=5,
        flags="SYN|ACK",
        options=(
            MSS(1_460),
            TCPTimestamps(7, 8),
            WindowScale(3),
            SACK((SACKBlock(10, 20), SACKBlock(30, 40))),
        ),
    )
    packet = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=4_000) / bytes(tcp)
    (seen,) = dissect(TCP.wireshark_lua(name="MyTCP", udp_port=4_000), [packet])
    assert seen["mytcp.sport"] == ["1"]
    assert seen["mytcp.options.mss.mss"] == ["1460"]
    assert seen["mytcp.options.tcptimestamps.kind"] == ["8"]
    assert seen["mytcp.options.windowscale.shift"] == ["3"]
    assert [
        number(value)
        for name, values in seen.items()
        if "sackblock" in name or "blocks" in name
        for value in values
    ] == [10, 30, 20, 40]
    assert number(seen["mytcp.flags.syn"][0]) == 1
    assert number(seen["mytcp.flags.fin"][0]) == 0


@needs_tshark
def test_options_that_lead_nowhere_are_marked(dissect):
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=4_000)
    packets = [
        outer / bytes(TCP(sport=1, dport=2, options=options))
        for options in (b"\x02\x00\x00\x00", b"\x02\x09\x00\x00", b"\x01\x01\x01\x02", b"\x63\x03\x00\x00")
    ]
    results = dissect(TCP.wireshark_lua(name="MyTCP", udp_port=4_000), packets)
    marked = ["mytcp.malformed" in seen for seen in results]
    assert marked == [True, True, True, False]


class Base(Header, protocol=250):
    kind: u8
    number: u16


class First(Base):
    window: u32


class Second(Base):
    window: u16
    more: u16


@needs_tshark
def test_variants_are_told_by_a_field(dissect):
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2")
    script = Base.wireshark_lua(name="Family", by="kind", variants={1: First, 2: Second})
    one, two, three = dissect(
        script, [outer / First(1, 7, 70_000), outer / Second(2, 8, 5, 6), outer / Base(3, 9) / b"rest"]
    )
    assert (one["family.number"], one["family.window"]) == (["7"], ["70000"])
    assert (two["family.number"], two["family.second.window"], two["family.more"]) == (["8"], ["5"], ["6"])
    assert three["family.number"] == ["9"]
    with pytest.raises(DeclarationError, match="does not begin"):
        Base.wireshark_lua(by="kind", variants={1: Summed})
    with pytest.raises(DeclarationError, match="no number"):
        Base.wireshark_lua(by="colour", variants={1: First})


@needs_tshark
@pytest.mark.parametrize("version", [4, 6])
def test_rsp_packets_show_every_field(dissect, version):
    from rawproto.rsp.header import Ack, Common, Data, Hello, Kind, Reset

    hello = {Kind.SYN: Hello, Kind.COOKIE: Hello, Kind.CONFIRM: Hello}
    script = Common.wireshark_lua(
        name="RSP",
        protocol=253,
        by="kind",
        variants={**hello, Kind.DATA: Data, Kind.ACK: Ack, Kind.RESET: Reset},
    )
    samples = [
        Hello(
            kind=Kind.SYN,
            port=7,
            connection=0,
            source_port=9,
            max_datagram=1_400,
            features=3,
            identifier=1 << 60,
            window=1 << 40,
            cookie=bytes(range(16)),
        ),
        Data(kind=Kind.DATA, port=7, connection=1 << 63, number=5, offset=1 << 33, flags="FIN|ACK_NOW"),
        Ack(kind=Kind.ACK, port=7, connection=4, window=1, largest=2, delay=3, marks=4, ranges=5),
        Reset(kind=Kind.RESET, port=7, connection=4, reason=12),
        Common(kind=Kind.PROBE, port=7, connection=4),
    ]
    outer = (
        IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=253)
        if version == 4
        else IPv6(src="fd00::1", dst="fd00::2", next_header=253)
    )
    results = dissect(script, [bytes(outer / bytes(sample)) for sample in samples])
    for sample, seen in zip(samples, results, strict=True):
        assert "_ws.expert.message" not in seen
        for info in type(sample).fields:
            names = (f"rsp.{info.name}", f"rsp.{type(sample).__name__.lower()}.{info.name}")
            (value,) = next(seen[name] for name in names if name in seen)
            ours = getattr(sample, info.name)
            assert value == ours.hex(":") if info.kind == "bytes" else number(value) == int(ours), names


@needs_tshark
@pytest.mark.parametrize(
    "cls", [echo.Echo, stop_and_wait.Letter, go_back_n.Segment], ids=lambda cls: cls.__name__
)
def test_the_headers_of_the_example_protocols_show_every_field_and_their_damage(dissect, cls):
    rng = random.Random(9)
    numbers = [info for info in cls.fields if info.name not in ("kind", "unused", "check")]
    headers = [
        cls(kind=rng.choice((1, 2)), **{info.name: rng.getrandbits(info.width) for info in numbers})
        for _ in range(20)
    ]
    good = [bytes(header / rng.randbytes(size)) for size, header in enumerate(headers)]
    damaged = [data[:-1] + bytes([data[-1] ^ 0x21]) for data in good]
    cut = [good[-1][:size] for size in range(1, len(bytes(headers[0])))]
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=253)
    results = dissect(cls.wireshark_lua(), [outer / data for data in (*good, *damaged, *cut)])
    for data, seen in zip(good, results, strict=False):
        header, _ = cls.parse(data)
        shown_values = {info.name: seen[f"{cls.__name__.lower()}.{info.name}"] for info in cls.fields}
        assert {name: [number(text) for text in texts] for name, texts in shown_values.items()} == {
            info.name: [int(getattr(header, info.name))] for info in cls.fields
        }
        assert "_ws.expert.message" not in seen
    marks = [" ".join(seen.get("_ws.expert.message", ())) for seen in results[len(good) :]]
    assert ["checksum does not match" in mark for mark in marks] == [True] * len(damaged) + [False] * len(cut)
    assert all("bytes here" in mark for mark in marks[len(damaged) :]), marks


@needs_tshark
def test_every_prefix_and_many_changed_bytes_do_not_trouble_the_script(dissect):
    good = bytes(shown()) + b"data"
    packets = [good[:end] for end in range(0, len(good), 3)]
    packets += [
        good[:place] + bytes((value,)) + good[place + 1 :]
        for place in range(len(good))
        for value in (0, 0xFF)
    ]
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2", protocol=252)
    results = dissect(Shown.wireshark_lua(), [bytes(outer / packet) for packet in packets])
    assert len(results) == len(packets)
    assert not any("Lua Error" in str(seen) for seen in results)


@needs_tshark
@pytest.mark.parametrize("number", sorted(BUILT_IN))
def test_every_built_in_header_has_a_dissector_that_runs(dissect, number):
    header = HEADERS[number]
    samples = []

    @given(header.strategy())
    @settings(max_examples=15, phases=(Phase.generate,))
    def collect(sample):
        samples.append(sample)

    collect()
    outer = IPv4(src="10.0.0.1", dst="10.0.0.2") / UDP(sport=1, dport=4_000)
    script = header.wireshark_lua(name="Own", udp_port=4_000)
    results = dissect(script, [outer / bytes(sample) for sample in samples])
    for sample, seen in zip(samples, results, strict=True):
        assert "Lua Error" not in str(seen)
        if type(sample) is not header._other:  # it may bear the number of one it is not
            assert "own.malformed" not in seen, (sample, seen["_ws.expert.message"])
        for info in header.fields:
            if info.kind in ("uint", "enum", "flags", "bool"):
                assert f"own.{info.name}" in seen

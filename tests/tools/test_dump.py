"""``rawproto dump``: captures beside tshark's, filters beside what they say, and ladders of known conversations."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rawproto_tools import main
from rawproto_tools.packetkit.expression import compile_expression
from rawproto_tools.packetkit.files import read_packets
from rawproto_tools.packetkit.vocabulary import Vocabulary

from rawproto import (
    ICMP,
    MSS,
    TCP,
    UDP,
    Datagram,
    Fragment,
    ICMPv6,
    IPAddr,
    IPv4,
    IPv6,
    LinkType,
    PcapngReader,
    PcapngWriter,
    RawSocket,
    WindowScale,
)  # fmt: skip
from rawproto.wire.pcapng import Interface

if TYPE_CHECKING:
    from rawproto import Host, Lab

    from .conftest import CLI

tshark = pytest.mark.skipif(shutil.which("tshark") is None, reason="tshark is not installed")
MINE, YOURS = "10.0.0.1", "10.0.0.2"
SECOND = 1_000_000_000


@pytest.fixture
def pair(lab: Lab) -> list[Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return [a, b]


def segment(back: bool = False, payload: bytes = b"", **fields: Any) -> bytes:
    ends = (YOURS, MINE) if back else (MINE, YOURS)
    ports = {"sport": 80, "dport": 40000} if back else {"sport": 40000, "dport": 80}
    return bytes(IPv4(src=ends[0], dst=ends[1]) / TCP(**ports, **fields) / payload)


def capture_of(path: Path, packets: list[bytes], step: int = 1_000_000) -> Path:
    """A pcapng file of ``packets``, a millisecond apart."""
    with PcapngWriter(path, interfaces=["eth0"]) as writer:
        for number, packet in enumerate(packets):
            writer.write(packet, SECOND + number * step)
    return path


def dump(*words: str) -> str:
    """What the command prints, run in this process."""
    shown = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(io.StringIO()) as told:
        with pytest.raises(SystemExit) as stop:
            main.main(["dump", *words])
        shown.flush()
    assert stop.value.code == 0, told.getvalue()
    return shown.buffer.getvalue().decode()


def documents(text: str) -> list[Any]:
    return [json.loads(line) for line in text.splitlines()]


# -- filters -----------------------------------------------------------------------------------------------------------

SAMPLES = {
    "syn": segment(flags="SYN", seq=7),
    "synack": segment(True, flags="SYN|ACK", seq=9, ack=8),
    "dns": bytes(IPv4(src=MINE, dst="192.0.2.53") / UDP(sport=5000, dport=53) / b"query"),
    "echo": bytes(IPv4(src=MINE, dst=YOURS, ttl=3) / ICMP(type=8, ident=1, seq=2)),
    "echo6": bytes(IPv6(src="fd00::1", dst="fd00::2") / ICMPv6(type=128, ident=1, seq=2)),
    "udp6": bytes(IPv6(src="fd00::1", dst="fd00::2") / UDP(sport=1, dport=53)),
}


@pytest.mark.parametrize(
    ("text", "taken"),
    [
        ("tcp", "syn synack"),
        ("tcp.flags == SYN", "syn"),
        ("tcp.flags & SYN", "syn synack"),
        ("tcp.flags & SYN and not tcp.flags & ACK", "syn"),
        ("tcp.seq > 7", "synack"),
        ("tcp.seq >= 7 and tcp.seq <= 8", "syn"),
        ("tcp.seq < 8", "syn"),
        ("tcp.dport != 80", "synack"),
        ("tcp.dport == 1-100", "syn"),
        ("udp.dport in {53, 80}", "dns udp6"),
        ("udp.dport in 53,80", "dns udp6"),
        ("port 53", "dns udp6"),
        ("host 192.0.2.0/24", "dns"),
        ("host fd00::1", "echo6 udp6"),
        ("ipv4.dst == 10.0.0.2 and ipv4.ttl < 64", "echo"),
        ("icmp.type == echo or icmpv6.type = ECHO_REQUEST", "echo echo6"),
        ("not (ipv4 or icmpv6)", "udp6"),
        ("ipv6 && !udp || tcp.flags == SYN|ACK", "echo6 synack"),
    ],
)
def test_filters_take_what_they_say(text: str, taken: str) -> None:
    program = compile_expression(text, Vocabulary())
    assert {name for name, packet in SAMPLES.items() if program.run(packet)} == set(taken.split())


@pytest.mark.parametrize(
    ("text", "message", "place"),
    [
        ("tcp.dprt == 1", "tcp has no field 'dprt': did you mean 'dport'?", 0),
        ("tcp and ucp", "no header is called 'ucp': did you mean", 8),
        ("tcp.dport == 70000", "70000 does not fit; 0 to 65535 does", 13),
        ("tcp.flags == SIN", "no flag is called 'SIN': did you mean 'SYN'?", 13),
        ("tcp.dport", "tcp.dport is to be compared", 9),
        ("tcp == 3", "tcp is a header: compare one of its fields", 4),
        ("(tcp", "')' is missing", 4),
        ("tcp udp", "'udp' is out of place", 4),
        ("tcp and", "a test is missing", 7),
        ("tcp.dport ==", "a value is missing", 12),
        ("tcp.dport in {1; 2}", "';' means nothing", 15),
        ("host 10.0.0.300", "host:", 5),
        ("port http", "port: 'http' is no number", 5),
        ("ipv4.src > 10.0.0.1", "addresses are compared with == and != only", 11),
        ("tcp.options == mss:3", "has no fixed place", 15),
    ],
)
def test_wrong_filters_are_told_with_the_place(
    capsys: pytest.CaptureFixture[str], text: str, message: str, place: int
) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(["dump", "-r", "/dev/null", text])
    assert stop.value.code == 2
    lines = capsys.readouterr().err.splitlines()
    assert message in lines[0]
    assert lines[2].index("^") - 2 == place


# -- files -------------------------------------------------------------------------------------------------------------


def test_lines_tell_who_what_and_the_numbers(tmp_path: Path) -> None:
    file = capture_of(tmp_path / "x.pcapng", list(SAMPLES.values()))
    lines = dump("-r", str(file), "-t", "relative").splitlines()
    assert lines[0] == f"0.000000 eth0  {MINE}:40000 > {YOURS}:80  TCP SYN seq=7 win=65535 len=0"
    assert lines[1].endswith("TCP SYN|ACK seq=9 ack=8 win=65535 len=0")
    assert lines[2].startswith("0.002000 eth0  10.0.0.1:5000 > 192.0.2.53:53  UDP len=5")
    assert lines[3].endswith("ICMP echo id=1 seq=2 len=0")
    assert lines[4].endswith("fd00::1 > fd00::2  ICMPv6 echo request id=1 seq=2 len=0")
    assert not any("\x1b" in line for line in lines)
    assert "\x1b[" in dump("-r", str(file), "--colour")


def test_the_details_are_told_when_asked(tmp_path: Path) -> None:
    wrong = IPv4(src=MINE, dst=YOURS) / UDP(sport=1, dport=2, checksum=1) / b"hello"
    file = capture_of(tmp_path / "x.pcapng", [bytes(wrong)])
    text = dump("-r", str(file), "-v", "-x")
    assert re.search(r"! UDP\.checksum is 0x0001, should be 0x....", text)
    assert "    UDP: sport=1 dport=2 length=13 checksum=1\n" in text
    assert re.search(r"    0010  0a 00 00 02 .*\|.*hell\|", text)
    (found, summary) = documents(dump("-r", str(file), "--json"))
    assert found["time_ns"] == SECOND
    assert found["headers"][1]["fields"]["dport"] == 2
    assert found["payload"] == b"hello".hex()
    assert found["problems"][0].startswith("UDP.checksum is")
    assert summary == {"summary": {"packets": 1}}


def test_broken_and_cut_packets_are_shown_as_far_as_they_go(tmp_path: Path) -> None:
    file = tmp_path / "x.pcapng"
    whole = segment(payload=bytes(500), flags="ACK", ack=1)
    with PcapngWriter(file, linktype=LinkType.ETHERNET, interfaces=["e0"]) as writer:
        head = bytes(12) + b"\x08\x00"
        writer.write(head + whole[:60], 1, original_length=len(head) + len(whole), comment="why not")
        writer.write(head + whole[:25], 2)
        writer.write(bytes(12) + b"\x08\x06" + bytes(28), 3)
        writer.write(head[:12] + b"\x81\x00\0\5\x08\x00" + SAMPLES["echo"], 4)
    lines = dump("-r", str(file)).splitlines()
    assert re.search(r"TCP ACK seq=0 ack=1 win=65535 len=20 \[60 of 540 bytes\]  # why not$", lines[0])
    assert "! malformed: " in lines[2]
    assert lines[3].endswith("?  not IP length 28")
    assert lines[4].endswith("ICMP echo id=1 seq=2 len=0")


def test_fragments_and_what_nobody_declared_have_a_line(tmp_path: Path) -> None:
    packets = [
        bytes(IPv4(src=MINE, dst=YOURS, ident=5, mf=True, protocol=17) / bytes(16)),
        bytes(IPv4(src=MINE, dst=YOURS, protocol=254) / b"xyz"),
        bytes(IPv6(src="fd00::1", dst="fd00::2") / Fragment(next_header=17, ident=3, mf=True) / bytes(16)),
        bytes(
            IPv4(src=YOURS, dst=MINE) / ICMP(type=3, code=3) / (SAMPLES["dns"])
        ),
    ]  # fmt: skip
    lines = dump("-r", str(capture_of(tmp_path / "x.pcapng", packets))).splitlines()
    assert lines[0].endswith("IPv4 fragment 0+ of 0x0005 UDP len=16")
    assert lines[1].endswith("IPv4 protocol 254 (EXPERIMENT_2) len=3")
    assert "Fragment " in lines[2]
    assert lines[3].endswith(
        "ICMP destination unreachable port unreachable (about UDP 10.0.0.1 > 192.0.2.53)"
    )


def test_own_headers_are_read_where_they_are_said_to_be(tmp_path: Path) -> None:
    own = tmp_path / "mine.py"
    own.write_text("from rawproto import Header\nfrom rawproto.wire import u8, u16\n"
                   "class Probe(Header, protocol=254):\n    kind: u8\n    seq: u16\n"
                   "class Inner(Header):\n    word: u16\n")  # fmt: skip
    packets = [
        bytes(IPv4(src=MINE, dst=YOURS, protocol=254) / b"\x01\x00\x07rest"),
        bytes(IPv4(src=MINE, dst=YOURS) / UDP(sport=9, dport=4433) / b"\x01\x02"),
    ]
    file = str(capture_of(tmp_path / "x.pcapng", packets))
    words = ("-r", file, "--headers", str(own), "--decode", "udp:4433=inner")
    lines = dump(*words).splitlines()
    assert lines[0].endswith("Probe kind=1 seq=7 len=4")
    assert lines[1].endswith("UDP len=0 Inner word=258")
    assert len(dump(*words, "probe.seq == 7").splitlines()) == 1
    (found, _) = documents(dump(*words, "probe", "--json"))
    assert found["headers"][1] == {"header": "Probe", "fields": {"kind": 1, "seq": 7}}


def test_files_are_copied_with_their_interfaces_directions_and_comments(cli: CLI, tmp_path: Path) -> None:
    first, second = tmp_path / "first.pcapng", tmp_path / "second.pcapng"
    with PcapngWriter(first, interfaces=[Interface(name="left"), Interface(name="right")]) as writer:
        writer.write(SAMPLES["syn"], 5, 0, "opening", flags=2)
        writer.write(SAMPLES["dns"], 6, 1)
        writer.write(SAMPLES["synack"], 7, 1, flags=1)
    done = cli.run("dump", "-r", str(first), "-w", str(second), "tcp")
    assert (done.returncode, done.stderr) == (0, b"2 packets written\n")
    reader = PcapngReader(second.read_bytes())
    packets = list(reader)
    assert [packet.data for packet in packets] == [SAMPLES["syn"], SAMPLES["synack"]]
    assert [(packet.timestamp_ns, packet.flags, packet.comments) for packet in packets] == [
        (5, 2, ("opening",)),
        (7, 1, ()),
    ]
    assert [interface.name for interface in reader.interfaces] == ["left", "right"]
    assert len(dump("-r", str(first), "-i", "right").splitlines()) == 2
    piped = cli.run("dump", "-r", "-", "-t", "epoch", given=first.read_bytes())
    assert piped.stdout.startswith(b"0.000000005 left out  ")


@tshark
def test_what_tshark_writes_is_read(tmp_path: Path) -> None:
    first = capture_of(tmp_path / "first.pcapng", list(SAMPLES.values()))
    for form in ("pcap", "nsecpcap", "pcapng"):
        second = tmp_path / f"second.{form}"
        subprocess.run(["tshark", "-r", first, "-F", form, "-w", second], check=True, capture_output=True)
        assert [(packet.data, packet.time) for packet in read_packets(second)] == [
            (packet.data, packet.time) for packet in read_packets(first)
        ]


def test_a_broken_file_gives_its_packets_and_then_the_place(cli: CLI, tmp_path: Path) -> None:
    file = capture_of(tmp_path / "x.pcapng", [SAMPLES["syn"], SAMPLES["dns"]])
    file.write_bytes(file.read_bytes()[:-10])
    done = cli.run("dump", "-r", str(file))
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 1
    assert done.stderr.decode().startswith(f"rawproto: {file}: pcapng.block at byte ")
    for content, message in ((b"", "neither pcap nor pcapng"), (b"not a capture at all, really", "neither")):
        file.write_bytes(content)
        done = cli.run("dump", "-r", str(file))
        assert done.returncode == 1
        assert message in done.stderr.decode()


# -- ladders -----------------------------------------------------------------------------------------------------------


def test_a_tcp_conversation_is_readable_at_a_glance(tmp_path: Path) -> None:
    scale = (MSS(1460), WindowScale(2))
    packets = [
        segment(flags="SYN", seq=1000, window=1000, options=scale),
        segment(True, flags="SYN|ACK", seq=0xFFFFFFFF, ack=1001, window=1000, options=scale),
        segment(flags="ACK", seq=1001, ack=0, window=1000),
        segment(flags="PSH|ACK", seq=1001, ack=0, payload=bytes(100), window=1000),
        segment(flags="PSH|ACK", seq=1201, ack=0, payload=bytes(100), window=1000),
        segment(True, flags="ACK", seq=0, ack=1101, window=250),
        segment(True, flags="ACK", seq=0, ack=1101, window=250),
        segment(flags="PSH|ACK", seq=1001, ack=0, payload=bytes(100), window=1000),
        segment(flags="PSH|ACK", seq=1101, ack=0, payload=bytes(100), window=1000),
        segment(True, flags="ACK", seq=0, ack=1301, window=0),
        segment(flags="RST", seq=1301, window=0),
    ]
    file = capture_of(tmp_path / "x.pcapng", packets, step=2_500_000)
    lines = dump("-r", str(file), "--ladder").splitlines()
    assert lines[0].split() == [MINE, YOURS]
    assert "TCP 10.0.0.1:40000 > 10.0.0.2:80" in lines[1]
    wanted = [
        ("0.000000", "▶", "SYN seq=0 win=1000 mss=1460", ""),
        ("0.002500", "◀", "SYN ACK seq=0 ack=1 win=1000 mss=1460", ""),
        ("0.005000", "▶", "ACK seq=1 ack=1 win=4000", ""),
        ("0.007500", "▶", "PSH ACK seq=1 ack=1 len=100 win=4000", ""),
        ("0.010000", "▶", "PSH ACK seq=201 ack=1 len=100 win=4000", ""),
        ("0.012500", "◀", "ACK seq=1 ack=101 win=1000", ""),
        ("0.015000", "◀", "ACK seq=1 ack=101 win=1000", "duplicate ack 1"),
        ("0.017500", "▶", "PSH ACK seq=1 ack=1 len=100 win=4000", "sent again"),
        ("0.020000", "▶", "PSH ACK seq=101 ack=1 len=100 win=4000", "out of order"),
        ("0.022500", "◀", "ACK seq=1 ack=301 win=0", "window closed"),
        ("0.025000", "▶", "RST seq=301 win=0", ""),
    ]
    for line, (time, head, words, mark) in zip(lines[2:], wanted, strict=True):
        assert line.split()[0] == time
        assert head in line
        assert f" {words} " in line
        assert line.rpartition("│")[2].strip() == mark
    assert "┄" in lines[9]
    assert "┄" not in lines[8]


def test_more_hosts_and_conversations_are_told_apart(tmp_path: Path) -> None:
    other = "10.0.0.3"
    packets = [
        bytes(IPv4(src=MINE, dst=YOURS) / UDP(sport=1, dport=53) / b"a"),
        bytes(IPv4(src=YOURS, dst=other) / UDP(sport=2, dport=53) / b"bb"),
        bytes(IPv4(src=other, dst=MINE) / ICMP(type=8)),
        bytes(IPv4(src=MINE, dst="224.0.0.1") / UDP(sport=1, dport=53)),
        bytes(IPv4(src=MINE, dst=YOURS, protocol=254) / b"same"),
        bytes(IPv4(src=MINE, dst=YOURS, protocol=254) / b"same"),
    ]
    lines = dump("-r", str(capture_of(tmp_path / "x.pcapng", packets)), "--ladder").splitlines()
    assert lines[0].split() == [MINE, YOURS, other]
    assert re.search(r"\[2\] UDP 10\.0\.0\.2:2 > 10\.0\.0\.3:53", lines[3])
    assert re.search(r"│ +│─+ \[2\] UDP len=2 ─+▶│$", lines[4])
    assert re.search(r"│◀─+ \[3\] ICMP echo .*─+│$", lines[5])
    assert "sent again" not in lines[6]
    assert lines[7].endswith("sent again")
    assert lines[8].startswith("1 packets are not in the ladder: to groups")


def test_a_link_seen_from_both_ends_shows_what_was_lost(tmp_path: Path) -> None:
    file = tmp_path / "x.pcapng"
    syn, data = SAMPLES["syn"], segment(flags="ACK", seq=8, ack=10, payload=b"hello")
    with PcapngWriter(file, interfaces=["a", "b"]) as writer:
        writer.write(syn, SECOND, 0)
        writer.write(syn, SECOND + 5_000_000, 1)
        writer.write(data, SECOND + 6_000_000, 0)
        writer.write(data, SECOND + 9_000_000, 0)
        writer.write(data, SECOND + 14_000_000, 1)
    lines = dump("-r", str(file), "--ladder").splitlines()
    assert len(lines) == 5
    assert lines[2].endswith("▶│")
    assert lines[3].endswith("✗│  lost")
    assert lines[4].endswith("▶│  sent again")


@pytest.mark.netns
def test_the_kernels_tcp_across_a_loss_is_drawn(cli: CLI, lab: Lab, tmp_path: Path) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b, delay="5ms")
    file = tmp_path / "link.pcapng"
    link.capture(file)
    link.drop(nth=2, when=lambda packet: len(packet.payload) > 1000, toward=b)
    with b:
        server = socket.create_server(("0.0.0.0", 80))
    with server, a, socket.create_connection((b.address(), 80), timeout=60) as client:
        accepted, _ = server.accept()
        with accepted:
            client.sendall(bytes(6000))
            client.shutdown(socket.SHUT_WR)
            accepted.settimeout(60)
            while accepted.recv(65536):
                pass
    link.capture(None)
    lines = dump("-r", str(file), "--ladder", "tcp").splitlines()
    arrows = [re.sub("[─┄]", "", line.partition("│")[2]) for line in lines[2:]]
    assert re.match(r" SYN seq=0 win=\d+ mss=1460 ▶│$", arrows[0])
    # The kernel sends again what a slow relay keeps too long: there may be more between these three, and one more of
    # what was lost.
    assert any(re.match(r"◀ SYN ACK seq=0 ack=1 win=\d+ mss=1460 │$", arrow) for arrow in arrows)
    assert any(re.match(r" ACK seq=1 ack=1 win=\d+ ▶│$", arrow) for arrow in arrows)
    (lost,) = [arrow for arrow in arrows if "✗" in arrow]
    found = re.match(r" (?:PSH )?ACK seq=(\d+) ack=1 len=1448 win=\d+ ✗│  lost$", lost)
    assert found, lost
    assert [arrow for arrow in arrows if f"seq={found[1]} " in arrow and arrow.endswith("│  sent again")]
    assert any(re.search(rf"◀ ACK seq=1 ack={found[1]} sack=\d+-\d+ ", arrow) for arrow in arrows)
    assert any("FIN" in arrow for arrow in arrows)


def test_a_ladder_is_plain_ascii_where_the_terminal_is(cli: CLI, tmp_path: Path) -> None:
    file = capture_of(tmp_path / "x.pcapng", [SAMPLES["syn"]])
    done = cli.run("dump", "-r", str(file), "--ladder", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert re.search(rb"\|-+ SYN seq=0 win=65535 -+>\|\n$", done.stdout)


# -- the wire ----------------------------------------------------------------------------------------------------------


def start(cli: CLI, host: Host, *words: str) -> subprocess.Popen[bytes]:
    """A dump on ``host`` that has begun."""
    process = cli.start("dump", *words, on=host, at_once=True)
    assert process.stderr is not None
    first = process.stderr.readline()
    assert first.startswith(b"capturing on "), first + process.stderr.read()
    return process


def ping(host: Host, to: str, count: int = 3) -> None:
    """Echo requests, and their answers: who listens below has seen both when it returns."""
    with host, RawSocket(1) as raw:
        raw.set_deadline(60)
        for number in range(count):
            raw.send(bytes(ICMP(type=8, ident=7, seq=number) / b"hello"), IPAddr(to))
            while not raw.receive().payload.startswith(b"\0\0"):
                pass


@pytest.mark.netns
def test_both_directions_are_shown_as_they_pass_and_ctrl_c_ends_cleanly(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    process = start(cli, a, "icmp")
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), "the privilege is dropped"
    ping(a, b.address(), 2)
    lines = [process.stdout.readline().decode() for _ in range(4)]
    process.send_signal(signal.SIGINT)
    assert process.wait(cli.patience) == 0
    assert process.stderr.read() == b"4 packets captured, 0 dropped by the kernel\n"
    assert sum(f" out  {a.address()} > {b.address()}  ICMP echo id=7" in line for line in lines) == 2
    assert sum(f" in  {b.address()} > {a.address()}  ICMP echo reply id=7" in line for line in lines) == 2


@pytest.mark.netns
def test_the_filter_runs_in_the_kernel_for_either_version(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    process = start(cli, a, "-i", "eth0", "-c", "3", "--json", "udp.dport == 9")
    for version, family in ((4, socket.AF_INET), (6, socket.AF_INET6)):
        with a, socket.socket(family, socket.SOCK_DGRAM) as sender:
            for port in (8, 9, 10):
                sender.sendto(b"x" * port, (b.address(version), port))
    with a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(bytes(4000), (b.address(), 9))  # the later fragments have no ports
    assert process.wait(cli.patience) == 0
    *found, summary = documents(process.stdout.read().decode())
    assert [entry["length"] for entry in found] == [37, 57, 1500]
    assert summary["summary"] == {"packets": 3, "dropped": 0}


@pytest.mark.netns
def test_loopback_is_seen_once(cli: CLI, pair: list[Host]) -> None:
    a, _ = pair
    process = start(cli, a, "-c", "3", "udp")
    with a, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        for port in (7, 8, 9):
            sender.sendto(b"once", ("127.0.0.1", port))
    assert process.wait(cli.patience) == 0
    shown = process.stdout.read().decode().splitlines()
    assert [re.search(r"127\.0\.0\.1:(\d+)  UDP", line)[1] for line in shown] == ["7", "8", "9"]


@pytest.mark.netns
def test_a_duration_ends_it(cli: CLI, pair: list[Host]) -> None:
    a, _ = pair
    process = start(cli, a, "-d", "100ms", "udp.dport == 9")
    assert process.wait(cli.patience) == 0
    assert process.stdout.read() == b""
    assert process.stderr.read() == b"0 packets captured, 0 dropped by the kernel\n"


@tshark
@pytest.mark.netns
def test_tshark_reads_what_was_written_and_sees_what_was_sent(
    cli: CLI, pair: list[Host], tmp_path: Path
) -> None:
    a, b = pair
    file = tmp_path / "x.pcapng"
    process = start(cli, b, "-i", "eth0", "-w", str(file), "host", a.address(), "and", "not", "icmp")
    sent = []
    for line in (
        f"ipv4 dst={b.address()} ident=77 ttl=9 / udp sport=7 dport=9 / text abc",
        f"ipv4 dst={b.address()} ident=78 / tcp sport=7 dport=80 flags=SYN options=mss:900",
    ):
        done = cli.run("send", "--json", *line.split(), on=a)
        assert done.returncode == 0, done.stderr
        sent.append(json.loads(done.stdout)["packet"])
    process.send_signal(signal.SIGINT)
    assert process.wait(cli.patience) == 0
    reader = PcapngReader(file.read_bytes())
    kept = [packet.data.hex() for packet in reader]
    assert kept[:2] == sent
    assert [interface.name for interface in reader.interfaces] == ["eth0"]
    (statistics,) = reader.statistics
    assert (statistics.delivered, statistics.received, statistics.os_dropped) == (len(kept), len(kept), 0)
    fields = ("ip.id", "ip.ttl", "udp.dstport", "tcp.flags", "tcp.options.mss_val", "frame.interface_name")
    shown = subprocess.run(
        ["tshark", "-r", file, "-c", "2", "-T", "fields", *(word for name in fields for word in ("-e", name))],
        capture_output=True, text=True, check=True,
    ).stdout.splitlines()  # fmt: skip
    assert shown[0].split("\t") == ["0x004d", "9", "9", "", "", "eth0"]
    assert shown[1].split("\t") == ["0x004e", "64", "", "0x0002", "900", "eth0"]


@pytest.mark.netns
def test_writing_loses_nothing_of_a_burst_and_counts_what_the_ring_lost(
    cli: CLI, pair: list[Host], tmp_path: Path
) -> None:
    a, b = pair
    file = tmp_path / "x.pcapng"
    process = start(cli, b, "-i", "eth0", "-w", str(file), "ipv4.protocol == 254")
    with a, RawSocket(254) as raw:
        payloads = [number.to_bytes(4, "big") + bytes(1396) for number in range(64)]
        sent = 0
        while sent < 6400:  # 9 MB, more than half of the ring
            sent += raw.send_batch(payloads[sent % 64 :], IPAddr(b.address()))
    process.send_signal(signal.SIGINT)
    assert process.wait(cli.patience) == 0
    told = process.stderr.read().decode()
    reader = PcapngReader(file.read_bytes())
    kept = sum(1 for _ in reader)
    found = re.fullmatch(r"(\d+) packets captured, (\d+) dropped by the kernel\n", told)
    assert found is not None
    assert (kept, reader.statistics[0].os_dropped) == (int(found[1]), int(found[2]))
    assert kept + int(found[2]) == sent
    assert kept == sent


@pytest.mark.netns
def test_the_handshake_of_rsp_is_readable_in_the_ladder(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    for network in ("rsp", "rsp+udp"):
        process = start(cli, a, "--ladder", "port 1200" if network == "rsp+udp" else "rsp")
        peer = cli.start("cat", "-v", "-l", "-n", network, ":1200", on=b)
        assert b"listening" in peer.stderr.readline()
        done = cli.run("cat", "-n", network, f"{b.address()}:1200", on=a, given=b"x" * 2000)
        assert done.returncode == 0, done.stderr
        assert peer.stdout.read() == b"x" * 2000
        process.send_signal(signal.SIGINT)
        assert process.wait(cli.patience) == 0
        lines = process.stdout.read().decode().splitlines()
        assert lines[0].split() == [a.address(), b.address()]
        assert re.search(rf"│ RSP {a.address()}:\d+ > {b.address()}:1200 ", lines[1])
        arrows = [re.sub("[─┄]", "", line.partition("│")[2]) for line in lines[2:]]
        assert re.match(r" SYN win=\d+ ▶│", arrows[0])
        assert re.match(r"◀ COOKIE win=\d+ │", arrows[1])
        assert re.match(r" CONFIRM win=\d+ ▶│", arrows[2])
        rest = "\n".join(arrows[3:])
        assert re.search(r" DATA #\d+ off=0 len=\d+ ▶│", rest)
        assert re.search(r"◀ ACK ack=#\d+ ", rest)
        assert "DATA FIN" in rest


@pytest.mark.netns
def test_what_cannot_be_captured_is_told(cli: CLI, pair: list[Host], tmp_path: Path) -> None:
    a, _ = pair
    cases = [
        (("-i", "eth7"), 2, "no interface is called 'eth7': did you mean 'eth0'?"),
        (("-w", str(tmp_path / "no" / "x.pcapng")), 1, "No such file or directory"),
        (("--decode", "sctp:3=udp"), 2, "--decode 'sctp:3=udp': NUMBER=HEADER, udp:PORT=HEADER or"),
        (("--ladder", "--json"), 2, "--ladder goes with neither --json"),
        (("-p",), 2, "--promiscuous needs --interface"),
    ]
    for words, status, message in cases:
        done = cli.run("dump", *words, on=a, text=True)
        assert done.returncode == status, done.stderr
        assert message in done.stderr + done.stdout
    program = "from rawproto import drop_privileges; drop_privileges()\nfrom rawproto_tools.main import main; main()"
    done = cli.run_program([sys.executable, "-c", program, "dump"], on=a, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith(
        "rawproto: cannot open a packet socket: CAP_NET_RAW is missing\nways to get it:"
    )


@pytest.mark.netns
def test_a_full_disk_ends_the_capture_with_a_message(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    process = start(cli, a, "-w", "/dev/full", "icmp")
    ping(a, b.address())
    assert process.wait(cli.patience) == 1
    assert process.stderr.read() == b"rawproto: cannot write /dev/full: No space left on device\n"


@pytest.mark.netns
def test_sigterm_keeps_the_file_whole(cli: CLI, pair: list[Host], tmp_path: Path) -> None:
    a, b = pair
    file = tmp_path / "x.pcapng"
    process = start(cli, a, "-w", str(file), "icmp")
    ping(a, b.address())
    process.send_signal(signal.SIGTERM)
    assert process.wait(cli.patience) == 143
    assert sum(1 for _ in PcapngReader(file.read_bytes())) == 6


def test_a_closed_pipe_ends_quietly(cli: CLI, tmp_path: Path) -> None:
    file = capture_of(tmp_path / "x.pcapng", [SAMPLES["syn"]] * 5000)
    for words in ((), ("-w", "-")):
        process = cli.start("dump", "-r", str(file), *words)
        process.stdout.read(10)
        process.stdout.close()
        assert process.wait(cli.patience) == 141
        assert process.stderr.read() == b""


def test_write_many_writes_what_single_writes_do(tmp_path: Path) -> None:
    one, many = tmp_path / "one.pcapng", tmp_path / "many.pcapng"
    records = [(bytes(size), 5 + size, size + 3, size % 2, size % 3) for size in range(40)]
    names = ["left", Interface(name="right", snaplen=20)]
    with PcapngWriter(one, interfaces=names) as first, PcapngWriter(many, interfaces=names) as second:
        for data, time, length, interface, flags in records:
            first.write(data, time, interface, original_length=length, flags=flags)
        second.write_many(records)
        assert second.packets == first.packets == 40
        with pytest.raises(ValueError, match="interfaces are described"):
            second.write_many([(b"x", 1, 1, 2, 0)])
    assert one.read_bytes() == many.read_bytes()


def test_datagram_is_what_the_samples_say() -> None:
    assert Datagram.parse(SAMPLES["dns"])[UDP].dport == 53


def test_the_ladder_in_the_documentation_is_what_the_program_draws() -> None:
    script = Path(__file__).parents[2] / "docs" / "ladder.py"
    # In a process of its own: headers that other tests declared would be found in the packets here.
    program = "import runpy, sys; page = runpy.run_path(sys.argv[1]); print(page['COMMAND'] + page['screen'](), end='')"
    done = subprocess.run(
        [sys.executable, "-c", program, str(script)], capture_output=True, text=True, check=True
    )
    for page in ("README.md", "docs/tools.md"):
        assert done.stdout in (script.parents[1] / page).read_text(encoding="utf-8")


@pytest.mark.netns
@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_an_interface_that_goes_down_ends_the_capture_and_keeps_the_file(
    cli: CLI, pair: list[Host], tmp_path: Path
) -> None:
    a, b = pair
    file = tmp_path / "x.pcapng"
    process = start(cli, a, "-i", "eth0", "-w", str(file), "--print", "icmp")
    ping(a, b.address(), 1)
    assert b"ICMP echo" in process.stdout.readline()
    a.run(["ip", "link", "set", "eth0", "down"], check=True)
    assert process.wait(cli.patience) == 1
    assert process.stderr.read() == b"rawproto: the capture ended: Network is down\n"
    assert 1 <= sum(1 for _ in PcapngReader(file.read_bytes())) <= 2

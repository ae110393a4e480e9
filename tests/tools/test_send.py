"""``rawproto send``: words to bytes, the messages for what cannot be, and answers of a real kernel."""

from __future__ import annotations

import json
import random
import re
import signal
import socket
import sys
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rawproto_tools import main
from rawproto_tools.packetkit.vocabulary import Vocabulary
from rawproto_tools.sendkit.compose import recipe_of
from rawproto_tools.sendkit.wire import kernel_would_change

from rawproto import ICMP, MSS, TCP, UDP, Datagram, IPv4, LinkType, PcapngWriter, SACKPermitted, WindowScale

if TYPE_CHECKING:
    import subprocess

    from rawproto import Host, Lab

    from .conftest import CLI

ROUTED = ("ipv4", "src=10.0.0.1", "dst=10.0.0.2")
OWN = """\
from typing import Annotated
from rawproto import Header, OpenEnum
from rawproto.wire import enum8, flags8, u8, u32

class Kind(OpenEnum):
    ASK = 1
    TELL = 2

class Probe(Header, protocol=253):
    kind: Annotated[Kind, enum8(Kind)]
    flags: Annotated[int, flags8("FIRST", "LAST")] = 0
    seq: u32 = 0
"""


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "mine.py"
    path.write_text(OWN)
    return path


@pytest.fixture
def pair(lab: Lab) -> list[Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return [a, b]


def made(*words: str, chance: random.Random | None = None) -> Datagram:
    return recipe_of(words, Vocabulary()).make(chance or random.Random(1))


def dry(cli: CLI, *words: str) -> Any:
    done = cli.run("send", "--dry-run", "--json", *words)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def send(cli: CLI, host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    """Where an answer comes, it ends with that: the timeout is long for machines that are slow."""
    return cli.run("send", "-W", "30s", *words, on=host, text=True)


# -- words -----------------------------------------------------------------------------------------------------------


def test_words_give_the_datagram_that_python_gives() -> None:
    built = made(
        *ROUTED, "ttl=3", "df=yes", "/", "tcp", "sport=0x50", "dport=81", "seq=7", "flags=syn|ACK",
        "options=mss:1460,sack_permitted,windowscale:shift=7", "/", "text", "two", "words", "/", "hex", "00 ff",
    )  # fmt: skip
    wanted = (
        IPv4(src="10.0.0.1", dst="10.0.0.2", ttl=3, df=True)
        / TCP(
            sport=80, dport=81, seq=7, flags="SYN|ACK", options=(MSS(1460), SACKPermitted(), WindowScale(7))
        )
        / b"two words\0\xff"
    )
    assert bytes(built) == bytes(wanted)


def test_what_is_wrong_on_purpose_is_wrong_and_nothing_else() -> None:
    built = made(
        *ROUTED, "checksum=wrong", "/", "udp", "dport=9", "length=16", "checksum=wrong", "/", "zeros", "9"
    )
    faults = built.verify()
    assert [fault.split(" is ")[0] for fault in faults] == ["IPv4.checksum", "UDP.length", "UDP.checksum"]
    assert "UDP.length is 16, should be 17" in faults
    nearly = made(*ROUTED, "/", "tcp", "dport=9", "data_offset=wrong")
    assert [fault.split(" is ")[0] for fault in nearly.verify()] == ["TCP.data_offset"]


def test_random_values_differ_from_datagram_to_datagram_and_repeat_with_the_seed() -> None:
    words = (*ROUTED, "ident=random", "/", "udp", "dport=random", "sport=1", "/", "text", "x")
    first, second = random.Random(5), random.Random(5)
    one = [bytes(made(*words, chance=first)) for _ in range(4)]
    assert one == [bytes(made(*words, chance=second)) for _ in range(4)]
    assert len(set(one)) == 4


def test_rsp_packets_bear_their_crc() -> None:
    built = made(
        *ROUTED, "/", "rsp", "kind=SYN", "port=1200", "connection=0", "source_port=3", "max_datagram=1200",
        "features=2", "identifier=5", "window=9",
    )  # fmt: skip
    packet = bytes(built)[20:]
    assert built[IPv4].protocol is None or int(built[IPv4].protocol) == 253
    assert int.from_bytes(packet[:4], "big") == zlib.crc32(packet[4:])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["ipv4", "dst=10.0.0.2", "/", "tpc", "dport=1"], "no header is called 'tpc': did you mean 'tcp'?"),
        (["ipv4", "dst=10.0.0.2", "/", "tcp", "dprt=1"], "tcp has no field 'dprt': did you mean 'dport'?"),
        (["ipv4", "dst=10.0.0.2", "ttl=300"], "ipv4.ttl: 300 does not fit; 0 to 255 does"),
        (["ipv4", "dst=10.0.0.2", "ttl=x"], "ipv4.ttl: 'x' is no number; a number from 0 to 255 is wanted"),
        (["ipv4", "dst=10.0.0.2", "fragment_offset=9"], "ipv4.fragment_offset: 9 is no multiple of 8"),
        (["ipv4", "dst=10.0.0.300"], "ipv4.dst: '10.0.0.300' is no IPv4 address and no name of a host"),
        (["ipv4", "dst=::1"], "ipv4.dst: ::1 is not an IPv4 address"),
        (["ipv4", "dst=10.0.0.2", "df=maybe"], "ipv4.df: 'maybe' is neither yes nor no"),
        ([*ROUTED, "/", "tcp", "dport=1", "flags=SIN"], "tcp.flags: no flag is called 'SIN': did you mean 'SYN'?"),
        ([*ROUTED, "/", "icmp", "type=eco"], "icmp.type: 'eco' is neither a number nor a name: did you mean 'ECHO'?"),
        ([*ROUTED, "/", "tcp", "dport=1", "options=mms:3"], "tcp.options: no option is called 'mms'"),
        ([*ROUTED, "/", "tcp", "dport=1", "options=mss"], "tcp.options: mss needs mss"),
        ([*ROUTED, "/", "tcp", "dport=1", "options=mss:70000"], "tcp.options.mss.mss: 70000 does not fit"),
        ([*ROUTED, "/", "tcp", "dport=1", "seq=wrong"], "tcp.seq: is not computed, so it cannot be wrong"),
        ([*ROUTED, "/", "tcp", "dport=1", "dport=2"], "tcp.dport is given twice"),
        ([*ROUTED, "/", "tcp", "syn"], "tcp: 'syn' is no FIELD=VALUE"),
        ([*ROUTED, "/", "tcp"], "tcp needs dport, as in dport=..."),
        ([*ROUTED, "/", "text", "hello"], "ipv4.protocol: a payload has no protocol number of its own"),
        ([*ROUTED, "protocol=253", "/", "hex", "0g"], "hex: 'g' is no hex digit"),
        ([*ROUTED, "protocol=253", "/", "hex", "012"], "hex: 3 hex digits are no whole number of bytes"),
        ([*ROUTED, "/", "text", "x", "/", "udp"], "nothing but a payload can follow a payload"),
        ([*ROUTED, "/", "/", "udp"], "there is nothing between two '/'"),
        (["udp", "dport=9"], "udp needs an IP header around it"),
        (["ipv4"], "ipv4 needs dst, as in dst=192.0.2.1"),
        (["--hex", "11 22"], "--hex: does not begin with an IPv4 or IPv6 header"),
        (["--read", "/nowhere/x.pcapng"], "cannot read /nowhere/x.pcapng: No such file or directory"),
        (["--headers", "/nowhere/x.py", "ipv4", "dst=10.0.0.2"], "/nowhere/x.py"),
        ([], "say what to send"),
        (["--hex", "45", "--hex-file", "x"], "--hex and --hex-file exclude each other"),
        ([*ROUTED, "--expect", "tcp.flgs == 1"], "tcp has no field 'flgs': did you mean 'flags'?"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_with_layer_field_and_what_is_allowed(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stop:
        main.main(["send", "--dry-run", *words])
    assert stop.value.code == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert message in shown.err


def test_show_draws_the_headers_and_the_bytes(cli: CLI) -> None:
    done = cli.run(
        "send",
        "--dry-run",
        "--show",
        *ROUTED,
        "ident=1",
        "/",
        "udp",
        "sport=5",
        "dport=9",
        "/",
        "text",
        "hello",
    )
    text = done.stdout.decode()
    assert done.returncode == 0
    for header in (IPv4, UDP):
        assert header.diagram().rstrip() in text
    assert "sport=5 dport=9 length=13 checksum=0x" in text
    assert "src=10.0.0.1 dst=10.0.0.2" in text
    assert re.search(r"0010  0a 00 00 02 00 05 00 09  00 0d .. .. 68 65 6c 6c  \|............hell\|", text)


def test_the_document_tells_headers_and_problems(cli: CLI) -> None:
    found = dry(cli, *ROUTED, "ident=1", "/", "udp", "sport=5", "dport=9", "length=7", "/", "text", "hi")
    assert [entry["header"] for entry in found["headers"]] == ["IPv4", "UDP"]
    assert found["headers"][0]["fields"]["protocol"] == "UDP"
    assert found["headers"][1]["fields"]["length"] == 7
    assert found["problems"] == ["UDP.length is 7, should be 10"]
    assert found["length"] == 30
    assert Datagram.parse(bytes.fromhex(found["packet"]), quoted=True)[IPv4].ident == 1


def test_own_headers_go_by_their_names(cli: CLI, own: Path) -> None:
    words = [
        "ipv4",
        "src=10.0.0.1",
        "dst=10.0.0.2",
        "/",
        "probe",
        "kind=tell",
        "flags=FIRST|LAST",
        "/",
        "text",
        "x",
    ]
    found = dry(cli, "--headers", str(own), *words)
    assert bytes.fromhex(found["packet"])[20:] == b"\x02\x03\0\0\0\0x"
    assert found["headers"][1]["fields"] == {"kind": "TELL", "flags": "FIRST|LAST", "seq": 0}
    done = cli.run("send", "-n", "--headers", str(own), *ROUTED, "/", "prob", "kind=1")
    assert done.returncode == 2
    assert b"did you mean 'probe'?" in done.stderr


def test_bytes_come_from_digits_files_and_captures(cli: CLI, tmp_path: Path) -> None:
    packet = bytes(
        IPv4(src="10.0.0.1", dst="10.0.0.2", ident=7) / UDP(sport=1, dport=2) / b"0123456789 |x| text"
    )
    assert dry(cli, "--hex", packet.hex(":"))["packet"] == packet.hex()
    shown = cli.run("send", "-n", "--show", "--hex", packet.hex()).stdout.decode()
    dump = tmp_path / "dump.txt"
    dump.write_text("# of --show\n" + shown.partition("bytes:\n")[2])
    assert dry(cli, "--hex-file", str(dump))["packet"] == packet.hex()
    capture = tmp_path / "some.pcapng"
    with PcapngWriter(capture, linktype=LinkType.ETHERNET) as writer:
        writer.write((bytes(12) + b"\x08\x06").ljust(60, b"\0"), 1)  # ARP is passed over
        writer.write((bytes(12) + b"\x08\x00" + packet).ljust(90, b"\0"), 2)
    assert dry(cli, "--read", str(capture))["packet"] == packet.hex()
    old = tmp_path / "some.pcap"
    head = b"\xa1\xb2\xc3\xd4\0\2\0\4" + bytes(8) + (65535).to_bytes(4, "big") + (101).to_bytes(4, "big")
    size = len(packet).to_bytes(4, "big")
    old.write_bytes(head + bytes(8) + size + size + packet)
    assert dry(cli, "--read", str(old))["packet"] == packet.hex()
    old.write_bytes(head + bytes(8) + size + size + packet[:-1])
    done = cli.run("send", "-n", "--read", str(old))
    assert done.returncode == 1
    assert b"the file ends inside a packet" in done.stderr


def test_only_what_a_raw_socket_would_mend_needs_another_way() -> None:
    good = made(*ROUTED, "ident=1", "/", "udp", "dport=9", "checksum=wrong")
    assert not kernel_would_change(bytes(good))
    for word in ("checksum=wrong", "ident=0", "total_length=wrong", "ihl=4", "ihl=15"):
        assert kernel_would_change(bytes(made(*ROUTED, word, "/", "udp", "dport=9"))), word
    assert kernel_would_change(bytes(made("ipv4", "src=0.0.0.0", "dst=10.0.0.2", "/", "udp", "dport=9")))


# -- the kernel ------------------------------------------------------------------------------------------------------


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_the_kernel_answers_our_echo(cli: CLI, pair: list[Host], version: int) -> None:
    a, b = pair
    icmp = ("icmp", "type=echo") if version == 4 else ("icmpv6", "type=echo_request")
    words = (
        f"ipv{version}",
        f"dst={b.address(version)}",
        "/",
        *icmp,
        "ident=7",
        "seq=9",
        "/",
        "text",
        "hello",
    )
    done = send(cli, a, *words, "--expect", "reply")
    assert done.returncode == 0, done.stderr
    name = "ICMP" if version == 4 else "ICMPv6"
    pattern = rf"reply in [\d.]+ [mu]s: {b.address(version)} > {a.address(version)} {name} echo reply id=7 seq=9 len=5"
    assert re.match(pattern, done.stdout)
    assert done.stdout.splitlines()[-1].endswith(", 1 answered")
    found = json.loads(send(cli, a, *words, "--expect", "reply", "--json", "-c", "3", "--rate", "50").stdout)
    assert found["sent"] == 3
    assert [answer["kind"] for answer in found["answers"]] == ["reply"] * 3
    assert found["answers"][0]["payload"] == b"hello".hex()
    assert 0 < found["answers"][0]["seconds"] < cli.patience


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_a_syn_is_answered_by_the_kernels_tcp(cli: CLI, pair: list[Host], version: int) -> None:
    a, b = pair
    with b:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        server = socket.create_server(("0.0.0.0" if version == 4 else "::", 80), family=family)
    with server:
        words = (
            f"ipv{version}",
            f"dst={b.address(version)}",
            "/",
            "tcp",
            "dport=80",
            "flags=SYN",
            "options=mss:1400",
        )
        for expect in ("reply", "tcp.flags & SYN|ACK and tcp.sport == 80"):
            found = json.loads(send(cli, a, *words, "--expect", expect, "--json").stdout)
            (answer,) = found["answers"]
            assert answer["headers"][1]["fields"]["flags"] == "SYN|ACK"
            assert answer["headers"][1]["fields"]["ack"] == 1
            assert answer["headers"][1]["fields"]["options"][0]["option"] == "MSS"
    closed = send(cli, a, *words, "--expect", "tcp.flags & SYN|ACK", "-W", "300ms")
    assert closed.returncode == 1
    assert closed.stdout == f"sent 1 datagram, {24 + (20 if version == 4 else 40)} bytes, no answer\n"


@pytest.mark.netns
def test_an_error_is_an_answer_and_silence_is_status_1(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    refused = send(cli, a, "--to", b.address(), "udp", "dport=9", "/", "text", "x", "--expect", "reply")
    assert refused.returncode == 0
    assert re.search(
        r"^error in .* ICMP destination unreachable port unreachable \(about UDP ", refused.stdout
    )
    silent = send(
        cli, a, "--to", b.address(), "icmp", "type=echo", "checksum=wrong", "--expect", "reply", "-W", "200ms"
    )
    assert silent.returncode == 1
    assert silent.stdout.endswith("no answer\n")


@pytest.mark.netns
def test_every_byte_arrives_as_it_was_made(cli: CLI, pair: list[Host], own: Path) -> None:
    a, b = pair
    with b:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        tap.settimeout(60)
    cases = [
        ("ipv4", f"dst={b.address()}", "ident=5", "/", "udp", "dport=9", "length=7", "/", "text", "abc"),
        ("ipv4", f"dst={b.address()}", "checksum=wrong", "ident=0", "/", "icmp", "type=echo"),
        ("ipv4", f"dst={b.address()}", "total_length=wrong", "ttl=1", "protocol=254", "/", "zeros", "3"),
        ("ipv4", f"dst={b.address()}", "src=198.51.100.7", "/", "probe", "kind=ASK", "flags=LAST"),
    ]  # fmt: skip
    with tap:
        for words in cases:
            done = send(cli, a, "--headers", str(own), "--json", "--seed", "3", *words)
            assert done.returncode == 0, done.stderr
            found = json.loads(done.stdout)
            assert found["link"] == ("packet" if "wrong" in " ".join(words[:4]) else "raw")
            wanted = bytes.fromhex(found["packet"])
            while (packet := tap.recv(2000))[:20][8:10] != wanted[8:10] or packet[12:20] != wanted[12:20]:
                pass
            assert packet[: len(wanted)] == wanted


@pytest.mark.netns
def test_what_is_shown_is_shown_before_it_is_sent(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    done = send(cli, a, "--to", b.address(), "icmp", "type=echo", "--show", "--expect", "reply")
    assert done.returncode == 0, done.stderr
    drawn, _, rest = done.stdout.partition("\n28 bytes:\n")
    assert ICMP.diagram().rstrip() in drawn
    assert f"src={a.address()} dst={b.address()}" in drawn
    assert re.search(
        r"^reply in .* ICMP echo reply .*\nsent 1 datagram, 28 bytes, 1 answered\n$", rest, re.MULTILINE
    )


@pytest.mark.netns
def test_fragments_are_put_together_by_the_kernel(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    with b:
        receiver = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        receiver.bind(("0.0.0.0", 9))
        receiver.settimeout(60)
    with receiver:
        large = ("--to", b.address(), "udp", "dport=9", "/", "zeros", "4000")
        refused = send(cli, a, *large)
        assert refused.returncode == 1
        assert "4028 bytes are more than the MTU (--fragment cuts them)" in refused.stderr
        assert send(cli, a, *large, "--fragment", "1500").returncode == 0
        assert receiver.recv(5000) == bytes(4000)


@pytest.mark.netns
def test_a_capture_is_sent_again(cli: CLI, pair: list[Host], tmp_path: Path) -> None:
    a, b = pair
    file = tmp_path / "three.pcapng"
    with PcapngWriter(file) as writer:
        for number in range(3):
            echo = IPv4(src=a.address(), dst=b.address()) / ICMP(type=8, ident=3, seq=number)
            writer.write(bytes(echo), number)
    done = send(cli, a, "--read", str(file), "--rate", "0", "--expect", "reply", "--json")
    found = json.loads(done.stdout)
    assert [answer["headers"][1]["fields"]["seq"] for answer in found["answers"]] == [0, 1, 2]


@pytest.mark.netns
def test_no_way_is_told(cli: CLI, lab: Lab) -> None:
    lonely = lab.host("lonely")
    for words, status, message in (
        (("ipv4", "dst=192.0.2.1", "/", "udp", "dport=9"), 1, "no way to 192.0.2.1: Network is unreachable"),
        (("ipv4", "dst=192.0.2.1", "src=10.0.0.1", "/", "udp", "dport=9"), 1, "cannot send to 192.0.2.1: Network"),
        (("ipv4", "dst=192.0.2.1", "src=10.0.0.1", "checksum=0", "/", "udp", "dport=9"), 1, "no way to 192.0.2.1"),
        (("--to", "127.0.0.1", "udp", "dport=9", "-I", "eth7"), 2, "no interface is called 'eth7': there are lo"),
    ):  # fmt: skip
        done = send(cli, lonely, *words)
        assert (done.returncode, done.stderr.startswith(f"rawproto: {message}")) == (status, True), (
            done.stderr
        )


def test_an_unknown_host_is_status_1(cli: CLI) -> None:
    done = cli.run("send", "--dry-run", "ipv4", "dst=nowhere.invalid", "/", "udp", "dport=9")
    assert done.returncode == 1
    assert "nowhere.invalid" in done.stderr.decode()


@pytest.mark.netns
def test_without_the_privilege_it_says_how_to_get_it(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    program = "from rawproto import drop_privileges; drop_privileges()\nfrom rawproto_tools.main import main; main()"
    done = cli.run_program(
        [sys.executable, "-c", program, "send", "--to", b.address(), "icmp", "type=echo"], on=a, text=True
    )
    assert done.returncode == 2
    assert done.stderr.startswith(
        "rawproto: cannot open a raw socket: CAP_NET_RAW is missing\nways to get it:"
    )


@pytest.mark.netns
def test_interrupt_tells_what_was_sent_and_the_privilege_is_gone(cli: CLI, pair: list[Host]) -> None:
    a, b = pair
    words = ["--to", b.address(), "icmp", "type=echo", "-c", "100000", "--expect", "reply"]
    process = cli.start("send", *words, on=a, at_once=True)
    assert process.stdout.readline().startswith(b"reply in ")
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), "the privilege is dropped"
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert re.search(rb"^sent \d+ datagrams?, \d+ bytes, \d+ answered$", rest, re.MULTILINE)
    assert process.wait(cli.patience) == 130
    assert b"Traceback" not in process.stderr.read()

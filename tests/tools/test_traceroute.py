"""``rawproto traceroute`` across the lab's routers, beside the traceroute that people know."""

from __future__ import annotations

import json
import re
import shutil
import signal
import socket
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rawproto_tools.routekit.probes import METHODS, TCPProbes

from rawproto import ICMPExtensions, IPv4, MPLSLabel, MPLSLabelStack, checksum, join_quote
from rawproto.lab.wiring import add_route

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from rawproto import Host, Lab

    from .conftest import CLI

UNPRIVILEGED = (
    "from rawproto import drop_privileges; drop_privileges()\nfrom rawproto_tools.main import main; main()"
)
LINE = re.compile(r"^ *(\d+)  (\S+)((?:  [\d.]+ ms){3})$")
NO_LIMIT = "for f in ipv4/icmp_ratelimit ipv6/icmp/ratelimit; do echo 0 > /proc/sys/net/$f; done"


@pytest.fixture
def way(lab: Lab) -> list[Host]:
    """Two hosts, and two routers between them; nobody limits how many errors are told."""
    a, b = lab.hosts("a", "b")
    first, second = lab.router("r1"), lab.router("r2")
    lab.link(a, first)
    lab.link(first, second, device_mtu=1400)
    lab.link(second, b)
    for host in (first, second, b):
        host.run(["sh", "-c", NO_LIMIT], check=True)
    return [a, first, second, b]


def trace(cli: CLI, host: Host, *words: str, program: str = "") -> subprocess.CompletedProcess[str]:
    """Where all answers come, it ends with the last: the wait is long for machines that are slow."""
    start = [sys.executable, "-c", program] if program else cli.program
    return cli.run_program([*start, "traceroute", "-w", "30s", *words], on=host, text=True)


def document(cli: CLI, host: Host, *words: str, status: int = 0) -> Any:
    done = trace(cli, host, *words, "--json", "-n")
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def addresses(found: Any) -> list[set[str]]:
    """Who answered, hop by hop."""
    return [{shot["address"] for shot in hop["probes"]} for hop in found["hops"]]


def path(way: list[Host], version: int) -> list[str]:
    """What every traceroute has to find."""
    _, first, second, b = way
    seen = [first.ports[0], second.ports[0], b.ports[0]]
    return [
        str(
            next(entry.ip for entry in port.addresses if entry.version == version and not entry.is_link_local)
        )
        for port in seen
    ]


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_kind_of_probe_finds_the_routers(cli: CLI, way: list[Host], method: str, version: int) -> None:
    done = trace(cli, way[0], "-n", "-M", method, way[-1].address(version))
    assert (done.returncode, done.stderr) == (0, "")
    head, *lines = done.stdout.splitlines()
    assert head.startswith(
        f"traceroute to {way[-1].address(version)} ({way[-1].address(version)}), 30 hops max, "
    )
    # The destination speaks no RSP, and says so.
    found = [LINE.match(line.replace(" ms !P", " ms")) for line in lines]
    assert all(found), lines
    assert [(match[1], match[2]) for match in found if match] == [
        (str(number), address) for number, address in enumerate(path(way, version), 1)
    ]
    assert ("!P" in lines[-1]) == (method == "rsp")


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_the_same_way_as_the_traceroute_people_know(cli: CLI, way: list[Host], version: int) -> None:
    theirs = shutil.which("traceroute")
    if theirs is None:
        pytest.skip("traceroute is not installed")
    words = ["-n", "-q", "3", way[-1].address(version)]
    # One time to wait, instead of one that follows from how fast the others answered.
    told = cli.run_program([theirs, f"-{version}", "-w", "30", *words], on=way[0], text=True).stdout
    ours = trace(cli, way[0], *words).stdout
    assert hops_of(ours) == hops_of(told)


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_without_any_privilege(cli: CLI, way: list[Host], version: int) -> None:
    words = ("-n", way[-1].address(version))
    done = trace(cli, way[0], *words, program=UNPRIVILEGED)
    assert done.returncode == 0, done.stderr
    assert [line.split()[1] for line in done.stdout.splitlines()[1:]] == path(way, version)
    for more in (("-M", "rsp"), ("-M", "tcp", "--mtu")):
        refused = trace(cli, way[0], *words, *more, program=UNPRIVILEGED)
        assert refused.returncode == 2
        assert "CAP_NET_RAW" in refused.stderr
        assert "--method udp" in refused.stderr


def hops_of(text: str) -> list[list[str]]:
    """The lines of hops, without the times."""
    return [re.sub(r"[\d.]+ ms", "T ms", line).split() for line in text.splitlines()[1:]]


@pytest.mark.netns
@pytest.mark.parametrize("port", ["80", "81"], ids=["open", "closed"])
@pytest.mark.parametrize("version", [4, 6])
def test_tcp_without_any_privilege(cli: CLI, way: list[Host], version: int, port: str) -> None:
    a, first, b = way[0], way[1], way[-1]
    with b:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        server = socket.create_server(("", 80), family=family)
    words = ("-n", "-M", "tcp", "-p", port, b.address(version))
    with server, tap_on(first) as tap:
        done = trace(cli, a, *words, program=UNPRIVILEGED)
        assert (done.returncode, done.stderr) == (0, "")
        assert [(match[1], match[2]) for match in map(LINE.match, done.stdout.splitlines()[1:]) if match] == [
            (str(number), address) for number, address in enumerate(path(way, version), 1)
        ]
        # What it says of itself is what was sent; with the privilege nothing else is said.
        size = int(re.search(r", (\d+) byte packets$", done.stdout.splitlines()[0])[1])
        if version == 4:
            packet = next(packet for packet in iter(lambda: tap.recv(2000), b"") if packet[9] == 6)
            assert int.from_bytes(packet[2:4], "big") == size
        assert hops_of(done.stdout) == hops_of(trace(cli, a, *words).stdout)
        theirs = shutil.which("traceroute")
        if theirs is not None:
            line = [theirs, f"-{version}", "-w", "30", "-n", "-M", "tcpconn", "-p", port, b.address(version)]
            assert hops_of(done.stdout) == hops_of(cli.run_program(line, on=a, text=True).stdout)


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_tcp_without_any_privilege_tells_what_routers_say(
    cli: CLI, way: list[Host], silence: Callable[[Host, str], None], version: int
) -> None:
    a, first = way[:2]
    net, there = ("203.0.113.0/24", "203.0.113.9") if version == 4 else ("2001:db8::/32", "2001:db8::9")
    add_route(a.namespace, net, first.address(version))
    done = trace(cli, a, "-n", "-M", "tcp", there, program=UNPRIVILEGED)
    assert done.returncode == 1
    assert done.stdout.count("!N") == 3
    assert len(done.stdout.splitlines()) == 2
    nowhere = trace(cli, first, "-n", "-M", "tcp", there, program=UNPRIVILEGED)
    assert (nowhere.returncode, nowhere.stderr) == (1, f"rawproto: {there}: Network is unreachable\n")
    # On the network of the last host, where nobody has it.
    silent = re.sub(r"\w+$", "99", way[-1].address(version))
    silence(way[2], silent)
    done = trace(cli, a, "-n", "-m", "4", "-w", "2s", "-M", "tcp", silent, program=UNPRIVILEGED)
    assert done.returncode == 1
    assert [line.split()[:2] for line in done.stdout.splitlines()[1:]] == [
        *([str(number), address] for number, address in enumerate(path(way, version)[:2], 1)),
        ["3", "*"],
        ["4", "*"],
    ]


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("method", ["udp", "icmp", "rsp"])
def test_the_mtu_of_the_path(cli: CLI, way: list[Host], method: str, version: int) -> None:
    # Twice: what the kernel remembers of the path must not hide the router.
    for _ in range(2):
        found = document(cli, way[0], "--mtu", "-M", method, way[-1].address(version))
        assert (found["size"], found["mtu"]) == (1500, 1400)
        told = path(way, version)[0]
        # The first probe that gets beyond the first router is the first that this one finds too big.
        assert [(hop["mtu"], hop["mtu_from"]) for hop in found["hops"]] == [
            (None, None),
            (1400, told),
            (None, None),
        ]
        assert addresses(found) == [{address} for address in path(way, version)]
    done = trace(cli, way[0], "--mtu", "-n", "-M", method, way[-1].address(version))
    assert done.stdout.splitlines()[2].endswith(f"F=1400 at {told}")
    assert done.stdout.endswith("MTU of the path: 1400\n")


@pytest.mark.netns
def test_an_open_port_and_an_rsp_listener_answer(cli: CLI, way: list[Host]) -> None:
    a, b = way[0], way[-1]
    with b:
        server = socket.create_server(("", 80))
    with server:
        process = cli.start("serve", "--json", ".", ":1200", on=b, at_once=True)
        assert b"listening" in process.stdout.readline()
        for words in (("-T",), ("-M", "rsp"), ("-M", "rsp", "-p", "1199")):
            found = document(cli, a, *words, b.address())
            assert addresses(found) == [{address} for address in path(way, 4)]
            assert found["hops"][-1]["probes"][0]["mark"] is None


def tap_on(host: Host) -> socket.socket:
    """Everything that the first interface of ``host`` sees of IPv4, from now on."""
    with host:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
        tap.bind((host.ports[0].name, 0x0800))
    return tap


@pytest.mark.netns
def test_all_probes_are_one_flow(cli: CLI, way: list[Host]) -> None:
    a, first = way[:2]
    with tap_on(first) as tap:
        for method in ("udp", "icmp"):
            document(cli, a, "-M", method, way[-1].address())
        tap.setblocking(False)
        flows: dict[int, set[bytes]] = {17: set(), 1: set()}
        while True:
            try:
                packet = tap.recv(2000)
            except BlockingIOError:
                break
            if packet[12:16] == a.ip4:
                # Addresses, and the first four bytes: the ports, or type, code and checksum.
                flows[packet[9]].add(packet[12:24])
    assert [len(flow) for flow in flows.values()] == [1, 1]


def mpls_router(tap: socket.socket, count: int) -> None:
    """Answer probes as a router that drops them under the labels 16001 and 16002 (RFC 4950)."""
    labels = (MPLSLabel(16001, 5, False, 1), MPLSLabel(16002, 0, True, 7))
    extensions = ICMPExtensions(objects=(MPLSLabelStack(1, labels),))
    with tap, socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        while count:
            packet = tap.recv(2000)
            if packet[9] != 17 or packet[8] != 1:
                continue
            payload, words = join_quote(packet, extensions, 4)
            message = struct.pack("!BBHBBH", 11, 0, 0, 0, words, 0) + payload
            message = message[:2] + checksum(message).to_bytes(2, "big") + message[4:]
            sock.sendto(message, (str(IPv4.parse(packet)[0].src), 0))
            count -= 1


@pytest.mark.netns
def test_mpls_labels_are_shown(cli: CLI, lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    add_route(a.namespace, "203.0.113.0/24", b.address())
    for words in ((), ("--json",)):
        with tap_on(b) as tap:
            router = b.start(mpls_router, tap, 3)
            done = trace(cli, a, "-n", "-m", "1", *words, "203.0.113.9")
        router.result(60)
        assert done.returncode == 1
        if words:
            (hop,) = json.loads(done.stdout)["hops"]
            assert [entry["label"] for entry in hop["probes"][0]["mpls"]] == [16001, 16002]
        else:
            assert "<MPLS:L=16001,E=5,S=0,T=1/L=16002,E=0,S=1,T=7>" in done.stdout


@pytest.mark.netns
def test_silence_is_stars_and_status_1(cli: CLI, way: list[Host]) -> None:
    a, b = way[0], way[-1]
    b.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all"], check=True)
    found = document(cli, a, "-I", "-m", "4", "-w", "2s", b.address(), status=1)
    assert not found["reached"]
    assert addresses(found)[:2] == [{address} for address in path(way, 4)[:2]]
    assert addresses(found)[2:] == [{None}, {None}]


@pytest.mark.netns
def test_a_router_that_knows_no_way_ends_it(cli: CLI, way: list[Host]) -> None:
    a, first = way[:2]
    add_route(a.namespace, "203.0.113.0/24", first.address())
    done = trace(cli, a, "-n", "203.0.113.9")
    assert done.returncode == 1
    assert done.stdout.count("!N") >= 3
    assert len(done.stdout.splitlines()) == 2


@pytest.mark.netns
def test_names_are_shown(cli: CLI, way: list[Host]) -> None:
    found = trace(cli, way[0], "127.0.0.1")
    assert found.returncode == 0, found.stderr
    assert re.search(r"^ 1  \S*localhost\S* \(127\.0\.0\.1\)  [\d.]+ ms", found.stdout.splitlines()[1])


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("nowhere.invalid",), 1, "nowhere.invalid"),
        (("-f", "5", "-m", "4", "127.0.0.1"), 2, "--first is beyond --max"),
        (("-M", "sctp", "127.0.0.1"), 2, "'sctp' is not one of"),
        (("-q", "0", "127.0.0.1"), 2, "0 is not in the range"),
    ],
)
def test_what_goes_wrong_is_told(cli: CLI, words: tuple[str, ...], status: int, message: str) -> None:
    done = cli.run("traceroute", *words)
    assert done.returncode == status
    assert message in done.stderr.decode()


@pytest.mark.netns
def test_no_route_is_told(cli: CLI, lab: Lab) -> None:
    done = trace(cli, lab.host("lonely"), "192.0.2.1")
    assert done.returncode == 1
    assert done.stderr == "rawproto: 192.0.2.1: Network is unreachable\n"


def test_a_reset_that_acknowledges_data_is_known_again() -> None:
    probes = TCPProbes(4, 80)
    probes.source, probes.destination, probes.source_port = "10.0.0.1", "10.0.0.2", 5000
    for number in (0, 1, 0xFFFF):
        segment = probes.build(number, 1400)
        assert probes.number_quoted(segment[:8]) == number
        sequence = int.from_bytes(segment[4:8], "big")
        ack = (sequence + 1 + 1380) & 0xFFFFFFFF
        reset = struct.pack("!HHIIBBHHH", 80, 5000, 0, ack, 0x50, 0x14, 0, 0, 0)
        assert (
            probes.number_answered(bytes(IPv4(src="10.0.0.2", dst="10.0.0.1", protocol=6) / reset)) == number
        )


@pytest.mark.netns
def test_interrupt_ends_with_130(cli: CLI, lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    b.run(["sh", "-c", "echo 1 > /proc/sys/net/ipv4/icmp_echo_ignore_all"], check=True)
    process = cli.start("traceroute", "-n", "-I", "-w", "10min", b.address(), on=a, at_once=True)
    assert b"30 hops max" in process.stdout.readline()
    status = Path(f"/proc/{process.pid}/status").read_text()
    assert re.search(r"^CapEff:\t0+$", status, re.MULTILINE), "the privilege is dropped"
    process.send_signal(signal.SIGINT)
    assert process.wait(cli.patience) == 130
    assert b"Traceback" not in process.stderr.read()

"""``rawproto ping`` between hosts of the lab, beside iputils' ping."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from rawproto_tools.pingkit.target import Target
from rawproto_tools.pingkit.words import milliseconds, statistics

if TYPE_CHECKING:
    from rawproto import Host, Lab

    from .conftest import CLI

REPLY = re.compile(r"64 bytes from (\S+): icmp_seq=(\d+) ttl=64 time=(\d+(?:\.\d+)?) ms")
SUMMARY = re.compile(
    r"3 packets transmitted, 3 received, 0% packet loss, time \d+ms\n"
    r"rtt min/avg/max/mdev = [\d.]+/[\d.]+/[\d.]+/[\d.]+ ms\n$"
)


def ping(cli: CLI, host: Host, *words: str) -> subprocess.CompletedProcess[str]:
    """Where all answers come, it ends with the last: the timeout is long for machines that are slow."""
    return cli.run("ping", "-W", "30s", *words, on=host, text=True)


@pytest.fixture
def hosts(lab: Lab) -> list[Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return [a, b]


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_one_host_in_the_layout_of_iputils(cli: CLI, hosts: list[Host], version: int) -> None:
    a, b = hosts
    words = ("-c", "3", "-i", "0.01", b.address(version))
    ours = ping(cli, a, *words)
    assert ours.returncode == 0, ours.stderr
    assert [(who, seq) for who, seq, _ in REPLY.findall(ours.stdout)] == [
        (b.address(version), str(seq)) for seq in (1, 2, 3)
    ]
    assert SUMMARY.search(ours.stdout)
    theirs = shutil.which("ping")
    if theirs is None:
        pytest.skip("iputils' ping is not installed: only our own layout was checked")
    said = cli.run_program([theirs, "-W", "30", *words], on=a, text=True).stdout
    shape = re.compile(r"\d+(\.\d+)?")

    def shapes(text: str) -> list[str]:
        return [shape.sub("N", line) for line in text.splitlines()[1:]]

    assert shapes(ours.stdout) == shapes(said)


@pytest.mark.netns
def test_the_round_trip_is_that_of_the_link(cli: CLI, lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, delay="30ms")
    done = ping(cli, a, "--json", "-c", "3", "-i", "0.05", str(b.ip4))
    (host,) = json.loads(done.stdout)["hosts"]
    assert (host["transmitted"], host["received"], host["loss"]) == (3, 3, 0.0)
    assert 60 <= host["min_ms"] <= host["avg_ms"] <= host["max_ms"]


@pytest.mark.netns
def test_loss_duplicates_and_status(cli: CLI, lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b, relay=True)
    link.drop(nth=2, toward=b)
    link.duplicate(nth=1, toward=a)
    done = ping(cli, a, "-c", "3", "-i", "0.02", "-W", "5", str(b.ip4))
    assert done.returncode == 0
    assert "(DUP!)" in done.stdout
    assert "3 packets transmitted, 2 received, +1 duplicates, 33.3333% packet loss" in done.stdout
    link.down()
    done = ping(cli, a, "-c", "2", "-i", "0.02", "-W", "0.1", str(b.ip4))
    assert done.returncode == 1
    assert "2 packets transmitted, 0 received, 100% packet loss" in done.stdout


@pytest.mark.netns
def test_icmp_errors_are_told(cli: CLI, lab: Lab) -> None:
    a, r, b = lab.host("a"), lab.router("r"), lab.host("b")
    lab.link(a, r)
    lab.link(r, b)
    done = ping(cli, a, "-c", "1", "-t", "1", str(b.ip4))
    assert done.returncode == 1
    assert re.search(r"From 10\.0\.0\.2 icmp_seq=1 Time to live exceeded", done.stdout), done.stdout
    assert "+1 errors" in done.stdout


@pytest.mark.netns
def test_no_route_is_told(cli: CLI, hosts: list[Host]) -> None:
    done = ping(cli, hosts[0], "-c", "1", "198.51.100.1")
    assert done.returncode == 1
    assert "Network is unreachable" in done.stderr
    assert "1 packets transmitted, 0 received, +1 errors, 100% packet loss" in done.stdout


@pytest.mark.netns
def test_many_hosts_in_a_table(cli: CLI, hosts: list[Host]) -> None:
    a, b = hosts
    done = ping(cli, a, "-c", "2", "-i", "0.01", str(b.ip4), str(a.ip4))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[-1] == "2 of 2 hosts answered"
    assert re.fullmatch(rf"{b.ip4} +2 +2 +0% +[\d.]+ +[\d.]+ +[\d.]+", lines[1])
    nobody = ping(cli, a, "-c", "1", "-W", "1", str(b.ip4), "10.0.0.99")
    assert nobody.returncode == 1
    assert "1 of 2 hosts answered" in nobody.stdout


@pytest.mark.netns
def test_a_sweep_of_ten_thousand_loses_nothing_of_its_own(cli: CLI, lab: Lab) -> None:
    a = lab.host("a")
    done = ping(cli, a, "--json", "127.0.0.0/18")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["targets"] == 16382
    assert len(document["hosts"]) == 16382


@pytest.mark.netns
def test_without_the_capability_the_kernels_icmp_socket_is_used(cli: CLI, hosts: list[Host]) -> None:
    a, b = hosts
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    without = [setpriv, "--bounding-set=-net_raw", "--inh-caps=-all", *cli.program, "ping", "-W", "30s"]
    # A new network namespace allows it to nobody.
    done = cli.run_program([*without, "-c", "1", str(b.ip4)], on=a, text=True)
    assert done.returncode == 2
    assert "CAP_NET_RAW is missing" in done.stderr
    a.run(["sh", "-c", "echo '0 0' > /proc/sys/net/ipv4/ping_group_range"], check=True)
    for version in (4, 6):
        words = ["--json", "-c", "2", "-i", "0.01", b.address(version)]
        done = cli.run_program([*without, *words], on=a, text=True)
        document = json.loads(done.stdout)
        assert document["raw"] is False, done.stderr
        assert document["hosts"][0]["received"] == 2


@pytest.mark.netns
def test_answers_that_are_there_count_however_late_they_are_looked_at(cli: CLI, hosts: list[Host]) -> None:
    a, b = hosts
    process = cli.start("ping", "-c", "1", "-W", "1ms", str(b.ip4), on=a, at_once=True, text=True)
    assert process.communicate(timeout=cli.patience)[0].endswith(" ms\n")
    assert process.returncode == 0


@pytest.mark.netns
def test_capabilities_are_gone_while_it_runs_and_ctrl_c_ends_with_statistics(
    cli: CLI, hosts: list[Host]
) -> None:
    a, b = hosts
    process = cli.start("ping", "-i", "0.05", str(b.ip4), on=a, at_once=True, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    assert "bytes from" in process.stdout.readline()
    status = Path(f"/proc/{process.pid}/status").read_text()
    fields = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
    process.send_signal(signal.SIGINT)
    rest = process.stdout.read()
    assert process.wait(cli.patience) == 0
    assert int(fields["CapEff"], 16) == int(fields["CapPrm"], 16) == 0
    assert "packet loss" in rest


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-i", "soon", "127.0.0.1"), "'soon' is no time"),
        (("-p", "xyz", "127.0.0.1"), "no pattern of hex digits"),
        (("-s", "70000", "127.0.0.1"), "70000"),
        (("10.0.0.0/8",), "more than 65,536 addresses"),
        (("127.0.0.1", "::1"), "IPv4 and IPv6"),
        (("10.0.0.0/33",), "10.0.0.0/33"),
    ],
)
def test_wrong_usage_is_status_2(cli: CLI, words: tuple[str, ...], message: str) -> None:
    done = cli.run("ping", *words)
    assert done.returncode == 2
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


def test_starting_loads_little() -> None:
    """Under 150 ms to the first request: counted in modules, since a count is the same on every machine."""
    code = (
        "import sys, json\nfrom rawproto_tools.main import main\n"
        "before = set(sys.modules)\n"
        "try: main(['ping', '-q', '-c', '1', '-W', '0.01', '127.0.0.1'])\n"
        "except SystemExit: print(json.dumps([sorted(before), sorted(set(sys.modules) - before)]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300
    )
    before, loaded = json.loads(done.stdout.splitlines()[-1])
    heavy = {"numpy", "rich", "dns", "asyncio", "netaddr", "subprocess", "pyroute2", "ssl"}
    assert heavy & {*before, *loaded} == set()
    # One header's class, the machinery of headers, addresses, and the tool itself.
    assert {"rawproto.wire.icmp", "rawproto.link.privilege"} <= set(loaded)
    assert {"rawproto.wire.icmpv6", "rawproto.wire.ipv4", "rawproto.link.raw"} & {*loaded} == set()
    assert len(loaded) < 70, loaded


def test_statistics_are_those_of_the_round_trips() -> None:
    target = Target("host", "192.0.2.1")
    for millisecond in (10, 20, 30):
        number = target.note_sent(0)
        assert target.note_reply(number & 0xFFFF, millisecond * 1_000_000) == (number, millisecond / 1e3)
    assert target.note_reply(3, 0) == (3, None)
    target.note_sent(0)
    text = statistics(target, 3.0)
    assert text[1] == "4 packets transmitted, 3 received, +1 duplicates, 25% packet loss, time 3000ms"
    assert text[2] == "rtt min/avg/max/mdev = 10.000/20.000/30.000/8.165 ms"


def test_numbers_go_on_past_sixteen_bits() -> None:
    target = Target("host", "192.0.2.1", sent=65_535)
    number = target.note_sent(0)
    assert number == 65_536
    assert target.note_reply(0, 1000)[0] == 65_536


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.0000123, "0.012"), (0.001234, "1.23"), (0.01234, "12.3"), (0.1234, "123")]
)
def test_round_trips_have_the_digits_of_iputils(seconds: float, text: str) -> None:
    assert milliseconds(seconds) == text

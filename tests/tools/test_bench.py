"""``rawproto bench`` on every transport, beside iperf3."""

from __future__ import annotations

import contextlib
import json
import queue
import re
import shutil
import signal
import socket
import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from rawproto_tools.benchkit.datagrams import Tally
from rawproto_tools.benchkit.latency import Prober, percentile, summary
from rawproto_tools.benchkit.plan import Plan
from rawproto_tools.benchkit.report import believed
from rawproto_tools.benchkit.talk import Violation

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable
    from pathlib import Path

    from rawproto import Host, Lab

    from .conftest import CLI

ROW = re.compile(
    r"\[  1\]   +\d+\.\d\d-\d+\.\d\d s +[\d.]+ [kMG]?B +[\d.,]+ [kMG]?bit/s +\d+ +[\d.]+ [kM]?B +[\d.]+ [um]?s"
)
SENT = re.compile(r"\[SUM\]   +0\.00-[\d.]+ s +[\d.]+ [kMG]?B +[\d.]+ [kMG]?bit/s +\d+  sent")
RECEIVED = re.compile(r"\[SUM\]   +0\.00-[\d.]+ s +[\d.]+ [kMG]?B +[\d.]+ [kMG]?bit/s +received")
LATENCY = re.compile(r"Latency  idle p50 [\d.]+ [um]?s, p99 [\d.]+ [um]?s; under load p50 ")


class Served:
    """A ``bench -s`` in a process of its own."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        assert process.stdout is not None
        self.listening = json.loads(process.stdout.readline())
        self.port = self.listening["address"].rpartition(":")[2]
        self.address = f"127.0.0.1:{self.port}"

    def event(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        event: dict[str, Any] = json.loads(self.process.stdout.readline())
        return event


@pytest.fixture
def serve(cli: CLI) -> Callable[..., Served]:
    def start(*words: str) -> Served:
        return Served(cli.start("bench", "-s", "--json", *words, at_once=True))

    return start


@pytest.fixture
def server(serve: Callable[..., Served]) -> Served:
    return serve("127.0.0.1:0", "-w", "60s")


def measure(cli: CLI, *words: str, status: int = 0) -> dict[str, Any]:
    done = cli.run("bench", "--json", "-w", "60s", *words)
    assert done.returncode == status, (done.stdout, done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("network", ["tcp", "rsp+udp"])
@pytest.mark.parametrize(
    ("way", "directions"),
    [((), ["forward"]), (("-R",), ["reverse"]), (("--bidir",), ["forward", "reverse"])],
    ids=["forward", "reverse", "both"],
)
def test_every_byte_arrives(
    cli: CLI, server: Served, network: str, way: tuple[str, ...], directions: list[str]
) -> None:
    told = measure(cli, "-N", network, "-n", "3000001", "-P", "2", *way, server.address)
    assert [total["direction"] for total in told["totals"]] == directions
    for total in told["totals"]:
        assert (total["sent"], total["received"]) == (3_000_001, 3_000_001)
        assert total["bits_per_second"] == pytest.approx(3_000_001 * 8 / total["seconds"])
        assert total["retransmitted"] >= 0
    assert told["client"]["cpu"]["total"] > 0
    assert told["server"]["cpu"]["total"] > 0
    assert told["latency"]["idle"]["count"] >= 1
    assert told["interrupted"] is False
    assert server.event()["plan"]["streams"] == 2
    end = server.event()
    assert end["event"] == "end"
    assert sum(stream["bytes"] for stream in end["here"]["streams"]) == 3_000_001 * len(directions)


def test_lines_and_summary_in_text(cli: CLI, server: Served) -> None:
    done = cli.run("bench", "-N", "tcp", "-t", "0.6", "-i", "0.25", "-w", "60s", server.address)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert re.fullmatch(rf"connected \S+ to {server.address}: tcp, 0\.6 s, 1 stream", lines[0])
    assert lines[1].split() == ["[", "ID]", "Interval", "Transfer", "Bitrate", "Retr", "Window", "RTT"]
    *rows, rule, sent, received, processor, latency = lines[2:]
    # Three intervals, where the processor was there in time for each.
    assert 1 <= len(rows) <= 3
    assert all(map(ROW.fullmatch, rows)), rows
    assert set(rule) == {"-", " "}
    assert SENT.fullmatch(sent), sent
    assert RECEIVED.fullmatch(received), received
    assert re.fullmatch(r"CPU      here \d+% \(user \d+%, system \d+%\); there \d+% \(.*\)", processor)
    assert LATENCY.match(latency)


def test_datagrams_keep_to_the_rate(cli: CLI, server: Served) -> None:
    began = time.monotonic()
    told = measure(cli, "-N", "udp", "-t", "0.5", "-b", "400kbit", "-l", "200", server.address)
    took = time.monotonic() - began
    (total,) = told["totals"]
    assert total["lost"] == 0
    assert total["packets"] * 200 == total["sent"] == total["received"]
    # 250 a second as long as the sender runs, and one leaves before the clock has begun to run.
    assert 2 <= total["packets"] <= 250 * took + 1
    assert 0 <= total["jitter"] < took
    told = measure(cli, "-N", "udp", "-R", "-n", "140000", "-b", "0", server.address)
    assert told["totals"][0]["packets"] == 100


def test_against_tcp_prints_the_ratio(cli: CLI, server: Served) -> None:
    words = ("-N", "rsp+udp", "--against", "tcp", "-n", "2MB", "--no-latency", server.address)
    told = measure(cli, *words)
    assert told["against"]["network"] == "tcp"
    assert told["ratio"] == pytest.approx(told["bits_per_second"] / told["against"]["bits_per_second"])
    assert told["latency"] is None
    done = cli.run("bench", *words)
    assert done.returncode == 0
    last = done.stdout.decode().splitlines()[-1]
    assert re.fullmatch(
        r"rsp\+udp: [\d.,]+ [kMG]?bit/s, tcp: [\d.,]+ [kMG]?bit/s; rsp\+udp is [\d.]+ of tcp", last
    )


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("network", ["tcp", "rsp+udp"])
def test_ctrl_c_ends_with_the_summary(cli: CLI, server: Served, network: str, form: str) -> None:
    words = ("--json",) * (form == "json")
    process = cli.start(
        *("bench", "-N", network, "-t", "10min", "-i", "0.1", "-w", "60s", *words, server.address),
        at_once=True,
    )
    assert server.event()["event"] == "begin"
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=cli.patience)
    assert process.returncode == 130, err
    if form == "text":
        assert RECEIVED.search(out.decode())
        assert "CPU      here" in out.decode()
    else:
        document = json.loads(out)
        assert document["interrupted"] is True
        assert 0 < document["totals"][0]["seconds"] < 600
    assert server.event()["event"] == "end"


@pytest.mark.parametrize("network", ["tcp", "rsp+udp", "udp"])
def test_a_killed_server_is_an_error(cli: CLI, server: Served, network: str) -> None:
    # Of RSP nobody is left to answer: it is missed after the wait.
    process = cli.start(
        *("bench", "-N", network, "-t", "10min", "-i", "0.1", "-w", "8s", server.address), at_once=True
    )
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    server.process.kill()
    _, err = process.communicate(timeout=cli.patience)
    assert process.returncode == 1
    assert err.decode().startswith("rawproto: ")
    assert "Traceback" not in err.decode()


def test_a_killed_client_leaves_the_server_to_the_next(cli: CLI, server: Served) -> None:
    process = cli.start("bench", "-N", "tcp", "-t", "10min", "-i", "0.1", server.address, at_once=True)
    assert process.stdout is not None
    for _ in range(3):
        process.stdout.readline()
    refused = cli.run("bench", "-N", "tcp", server.address)
    assert refused.returncode == 1
    assert refused.stderr.decode() == "rawproto: the peer says: busy with another client: try again later\n"
    process.kill()
    assert [server.event()["event"] for _ in range(2)] == ["begin", "failed"]
    assert measure(cli, "-N", "tcp", "-n", "1000", server.address)["totals"][0]["received"] == 1000


def test_one_off_ends_after_one_client(cli: CLI, serve: Callable[..., Served]) -> None:
    server = serve("-1", "-N", "tcp", "127.0.0.1:0")
    assert server.listening["networks"] == ["tcp"]
    measure(cli, "-N", "tcp", "-n", "1", server.address)
    assert server.process.wait(cli.patience) == 0


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_server_ends_by_a_signal(cli: CLI, server: Served, number: signal.Signals, status: int) -> None:
    server.process.send_signal(number)
    assert server.process.wait(cli.patience) == status


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    trustme = pytest.importorskip("trustme")
    authority = trustme.CA()
    chain, trusted = tmp_path / "chain.pem", tmp_path / "ca.pem"
    authority.issue_cert("bench.example").private_key_and_cert_chain_pem.write_to_path(chain)
    authority.cert_pem.write_to_path(trusted)
    return chain, trusted


@pytest.mark.parametrize("network", ["tcp", "rsp+udp"])
def test_with_tls(
    cli: CLI, serve: Callable[..., Served], certificate: tuple[Path, Path], network: str
) -> None:
    chain, trusted = certificate
    server = serve("127.0.0.1:0", "--cert", str(chain))
    words = ("-N", network, "-n", "500000", server.address, "--tls", "--ca", str(trusted))
    told = measure(cli, *words, "--server-name", "bench.example")
    assert told["totals"][0]["received"] == 500_000
    wrong = measure(cli, *words, "--server-name", "other.example", status=1)
    assert "certificate" in wrong["error"]["message"]


def test_a_peer_that_speaks_something_else(cli: CLI) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(60)

        def answer() -> None:
            conn, _ = listener.accept()
            with conn:
                conn.recv(10_000)
                conn.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        told = measure(cli, "-N", "tcp", f"127.0.0.1:{port}", status=1)
        thread.join()
    assert told["error"]["message"].startswith("the peer does not speak the protocol of rawproto bench")


def test_a_stranger_does_not_disturb_the_server(cli: CLI, server: Served) -> None:
    for data in (
        b"GET / HTTP/1.0\r\n\r\n",
        b"\0\0\0\2{}",
        b"\0\0\0\x20" + b'{"version":1,"role":"stream"}   ',
        b"",
    ):
        with socket.create_connection(("127.0.0.1", int(server.port)), timeout=20) as stranger:
            stranger.sendall(data)
            stranger.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ConnectionResetError):  # it does not read on
                while stranger.recv(10_000):
                    pass
    assert measure(cli, "-N", "tcp", "-n", "1000", server.address)["totals"][0]["received"] == 1000


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "give the address of a server"),
        (("-t", "1", "-n", "1", "h"), "not both"),
        (("-R", "--bidir", "h"), "not both"),
        (("-N", "tcp5", "h"), "unknown network tcp5"),
        (("-N", "udp", "--tls", "h"), "no TLS for datagrams"),
        (("-N", "udp", "-l", "100000", "h"), "no length for udp"),
        (("-N", "tcp", "-C", "cubic", "h"), "--congestion is for rsp"),
        (("-N", "rsp+udp", "-C", "nonsense", "127.0.0.1"), "nonsense"),
        (("-t", "0", "h"), "nothing to send"),
        (("-P", "0", "h"), "-P"),
        (("-1", "h"), "--one-off needs -s"),
        (("-N", "tcp", "[::1"), "missing ']'"),
    ],
)
def test_wrong_usage_is_status_2(cli: CLI, words: tuple[str, ...], message: str) -> None:
    done = cli.run("bench", *words)
    assert done.returncode == 2, done.stderr
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()


# ---- between hosts of the lab


def serve_in_lab(cli: CLI, host: Host) -> None:
    Served(cli.start("bench", "-s", "--json", "-w", "60s", on=host, at_once=True))


def measure_in_lab(cli: CLI, host: Host, *words: str) -> dict[str, Any]:
    done = cli.run("bench", "--json", "-w", "60s", *words, on=host)
    assert done.returncode == 0, (done.stdout, done.stderr)
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_rsp_straight_on_ip(cli: CLI, lab: Lab, version: int) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, rate="20mbit", delay="10ms")
    serve_in_lab(cli, b)
    told = measure_in_lab(cli, a, "-n", "1MB", b.address(version), "--against", "tcp")
    assert told["network"] == "rsp"
    assert told["totals"][0]["received"] == told["against"]["totals"][0]["received"] == 1_000_000
    # No more than the link carries (400 ms for all of it, but for what fits into the bucket that tells the rate), no
    # faster than it is long; a queue adds to that under load.
    for one in (told, told["against"]):
        assert one["client"]["seconds"] > 0.35
        assert one["latency"]["idle"]["min_ms"] >= 20
        assert one["latency"]["load"]["p50_ms"] >= 20


@pytest.mark.netns
def test_what_the_link_lost_is_counted(cli: CLI, lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b, relay=True)
    serve_in_lab(cli, b)
    # The datagrams of the run are the only long ones.
    for nth in (3, 50, 51):
        link.drop(nth=nth, toward=b, when=lambda packet: len(packet) > 1000)
    told = measure_in_lab(cli, a, "-N", "udp", "-n", "140000", "-b", "10mbit", b.address())
    (total,) = told["totals"]
    assert (total["packets"], total["lost"]) == (100, 3)
    assert total["received"] == 97 * 1400


@pytest.mark.netns
def test_tcp_is_as_fast_as_iperf3_says(cli: CLI, lab: Lab) -> None:
    iperf3 = shutil.which("iperf3")
    if iperf3 is None:
        pytest.skip("iperf3 is not installed")
    a, b = lab.hosts("a", "b")
    lab.link(a, b, rate="30mbit", delay="2ms")
    serve_in_lab(cli, b)
    ours = measure_in_lab(cli, a, "-N", "tcp", "-t", "2", b.address())
    server = cli.start_program([iperf3, "-s", "-1", "--forceflush"], on=b)
    assert server.stdout is not None
    while b"listening" not in (line := server.stdout.readline()):
        assert line, server.stderr and server.stderr.read()
    done = cli.run_program([iperf3, "-c", str(b.address()), "-t", "2", "-J"], on=a)
    assert done.returncode == 0, (done.stdout, done.stderr)
    theirs = json.loads(done.stdout)
    rate = theirs["end"]["sum_received"]["bits_per_second"]
    # The link is the limit of both; who was given too little of the processor meanwhile is below it. Bits taken for
    # bytes, or seconds for intervals, would be further away.
    assert 1 / 5 < ours["bits_per_second"] / rate < 5


# ---- the parts


def test_percentiles_are_those_of_the_nearest_rank() -> None:
    ordered = [float(value) for value in range(1, 101)]
    assert [percentile(ordered, share) for share in (0.5, 0.99, 1.0, 0.0)] == [50, 99, 100, 1]
    assert percentile([7.0], 0.99) == 7
    assert summary([]) is None
    assert summary([0.003, 0.001, 0.002]) == pytest.approx(
        {"count": 3, "min_ms": 1, "p50_ms": 2, "p99_ms": 3, "max_ms": 3}
    )


class HeldProbe:
    """Answers at once, until told to hold the answers back."""

    def __init__(self) -> None:
        self.held = threading.Event()
        self.free = threading.Event()
        self.free.set()
        self.sent: queue.SimpleQueue[int | None] = queue.SimpleQueue()

    def send(self, number: int, now: int) -> None:
        self.sent.put(now)
        if not self.free.is_set():
            self.held.set()

    def receive(self) -> int:
        sent = self.sent.get()
        self.free.wait()
        if sent is None:
            raise OSError("stopped")
        return sent

    def stop(self) -> None:
        self.free.set()
        self.sent.put(None)

    def close(self) -> None:
        pass


def test_round_trips_on_their_way_at_the_end_count() -> None:
    probe = HeldProbe()
    prober = Prober(probe)  # type: ignore[arg-type]
    prober.measure_idle()
    prober.mark_load()
    probe.free.clear()
    assert probe.held.wait(60)
    finishing = threading.Thread(target=prober.finish)
    finishing.start()
    probe.free.set()
    finishing.join()
    assert prober.idle
    assert prober.load


def test_a_tally_tells_lost_from_late() -> None:
    tally = Tally()
    for number in (0, 1, 4, 3):
        tally.take(number, sent=0, size=100)
    assert (tally.moved, tally.packets, tally.lost, tally.misplaced) == (400, 4, 1, 1)


@pytest.mark.parametrize("streams", [1, 3, 7])
@pytest.mark.parametrize("direction", ["forward", "reverse", "both"])
def test_the_shares_make_up_the_whole(streams: int, direction: str) -> None:
    plan = Plan("tcp", streams=streams, direction=direction, seconds=None, size=1_000_003)
    for numbers in (plan.sent_by_client, plan.sent_by_server):
        shares = [plan.share(index) or 0 for index in numbers]
        assert sum(shares) in (0, 1_000_003)
        assert not shares or max(shares) - min(shares) <= 1
    assert Plan.parse(json.loads(json.dumps(plan.words()))) == plan


@pytest.mark.parametrize(
    "change",
    [
        {"streams": 0},
        {"streams": 10**9},
        {"streams": True},
        {"length": 1 << 40},
        {"seconds": -1},
        {"seconds": None},
        {"seconds": "10"},
        {"size": 5},
        {"direction": "up"},
        {"network": 4},
        {"rate": 0},
        {"further": 1},
    ],
)
def test_a_plan_of_a_stranger_is_looked_at(change: dict[str, Any]) -> None:
    with pytest.raises(Violation):
        Plan.parse(Plan("tcp").words() | change)


@pytest.mark.parametrize(
    "words",
    [
        None,
        {},
        {"seconds": 1, "cpu": {}, "streams": []},
        {"seconds": 1, "cpu": {"user": 1, "system": 1, "total": 2}, "streams": [{"index": 5, "bytes": 1}]},
        {"seconds": 1, "cpu": {"user": 1, "system": 1, "total": 2}, "streams": [{"index": 0, "bytes": "x"}]},
        {"seconds": 1, "cpu": {"user": 1, "system": 1, "total": 2}, "streams": [{"index": 0}]},
    ],
)
def test_results_of_a_stranger_are_looked_at(words: Any) -> None:
    with pytest.raises(Violation):
        believed(words, Plan("tcp"))

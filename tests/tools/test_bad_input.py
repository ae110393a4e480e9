"""What goes wrong from outside, tool by tool: the message and the status, as text and as JSON.

One table for each misfortune: an unknown host, no route, a closed port, no privilege, a full disk, a peer that is
killed, Ctrl-C. What is special to a tool is in that tool's own tests.
"""

from __future__ import annotations

import io
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from rawproto_tools import catalogue
from rawproto_tools.main import main

from rawproto import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rawproto import Host

    from .conftest import CLI

pytestmark = pytest.mark.netns


class Case(NamedTuple):
    """A command line, its status, and what the message matches (a regular expression)."""

    words: str
    status: int
    message: str

    def __str__(self) -> str:
        return self.words


class Ended(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str


SILENT = "10.0.0.99"
"""An address of the first host's network that never answers, and of which no kernel ever says so."""


@pytest.fixture(scope="module")
def hosts(silence: Callable[[Host, str], None]) -> Iterator[list[Host]]:
    """Two hosts for the whole file: nothing that goes wrong here changes them."""
    with Lab() as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b)
        silence(a, SILENT)
        yield [a, b]


def _run_here(words: list[str], out: Path, err: Path, folder: Path) -> int:
    """In a forked child: the command with streams of its own."""
    os.chdir(folder)
    for number, path, flags in ((0, "/dev/null", os.O_RDONLY), (1, out, os.O_WRONLY), (2, err, os.O_WRONLY)):
        opened = os.open(path, flags)
        os.dup2(opened, number)
        os.close(opened)
    sys.stdin = io.TextIOWrapper(io.FileIO(0))
    sys.stdout = io.TextIOWrapper(io.FileIO(1, "w"), encoding="utf-8")
    sys.stderr = io.TextIOWrapper(io.FileIO(2, "w"), encoding="utf-8", write_through=True)
    try:
        main(words)
    except SystemExit as stop:
        # The interpreter's own end, which flushes what main() could not, is not ours to go through.
        sys.stdout = sys.__stdout__
        return int(stop.code or 0)


def run(host: Host, folder: Path, *words: str, out: str | None = None) -> Ended:
    """The command on ``host``, in a fork of this process: that saves it the start."""
    files = [folder / "stdout", folder / "stderr"]
    for file in files:
        file.write_bytes(b"")
    status = host.call(_run_here, list(words), out or files[0], files[1], folder, timeout=300)
    return Ended(status, *(file.read_text() for file in files))


def check(case: Case, plain: Ended, as_json: Ended | None) -> None:
    assert plain.status == case.status, plain
    assert re.search(case.message, plain.err), plain.err
    assert "Traceback" not in plain.err
    assert plain.err.startswith(("rawproto: ", "Usage: "))
    if as_json is not None:
        assert as_json.status == case.status, as_json
        (line,) = as_json.out.splitlines()
        assert re.search(case.message, _message(json.loads(line))), line


def _message(document: dict[str, Any]) -> str:
    """The message of an error, also where it is that of one of several results."""
    results = document.get("results")
    error = results[0]["error"] if results else document["error"]
    message: str = error["message"]
    return message


# ---- an unknown host

UNKNOWN = [
    Case("ping nowhere.invalid", 1, "nowhere.invalid"),
    Case("traceroute nowhere.invalid", 1, "nowhere.invalid"),
    Case("lookup nowhere.invalid", 1, "nowhere.invalid"),
    Case("cat -n tcp nowhere.invalid:9", 1, "nowhere.invalid"),
    Case("cat -n rsp+udp nowhere.invalid:9", 1, "nowhere.invalid"),
    Case("cat -n udp nowhere.invalid:9", 1, "nowhere.invalid"),
    Case("cat -n ip:253 nowhere.invalid", 1, "nowhere.invalid"),
    Case("get -n tcp nowhere.invalid file", 1, "nowhere.invalid"),
    Case("put nowhere.invalid /dev/null", 1, "nowhere.invalid"),
    Case("bench -N tcp nowhere.invalid", 1, "nowhere.invalid"),
    Case("bench -N udp nowhere.invalid", 1, "nowhere.invalid"),
    Case("serve -n tcp . nowhere.invalid:9", 1, "nowhere.invalid"),
    Case("bench -s -N tcp nowhere.invalid:9", 1, "nowhere.invalid"),
    Case("send --to nowhere.invalid udp dport=9", 1, "nowhere.invalid"),
    Case("doctor nowhere.invalid", 2, "nowhere.invalid"),
]


@pytest.mark.parametrize("case", UNKNOWN, ids=str)
def test_an_unknown_host(hosts: list[Host], tmp_path: Path, case: Case) -> None:
    words = case.words.split()
    check(case, run(hosts[0], tmp_path, *words), run(hosts[0], tmp_path, *words, "--json"))


# ---- no route

FAR = "198.51.100.7"
NO_ROUTE = [
    *(
        Case(f"{command} {network} {FAR}{rest}", 1, "(?i)network is unreachable")
        for command, rest in (("cat -n", ":9"), ("get -n", " file"), ("bench -N", ""))
        for network in ("tcp", "rsp", "rsp+udp")
    ),
    Case(f"put {FAR} /dev/null", 1, "(?i)network is unreachable"),
    Case(f"cat -n udp {FAR}:9", 1, "(?i)network is unreachable"),
    Case(f"cat -n ip:253 {FAR}", 1, "(?i)network is unreachable"),
    Case(f"traceroute {FAR}", 1, "(?i)network is unreachable"),
    Case(f"send --to {FAR} udp dport=9", 1, "(?i)network is unreachable"),
]


@pytest.mark.parametrize("case", NO_ROUTE, ids=str)
def test_no_route(hosts: list[Host], tmp_path: Path, case: Case) -> None:
    words = case.words.split()
    check(case, run(hosts[0], tmp_path, *words), run(hosts[0], tmp_path, *words, "--json"))


# ---- a closed port

CLOSED = [
    Case(f"{command} {network} @{rest}", 1, "(?i)refused|nothing there speaks the protocol")
    for command, rest in (
        ("cat -n", ":9"),
        ("get -n", ":9 file"),
        ("put /dev/null -n", ":9"),
        ("bench -N", ":9"),
    )
    for network in ("tcp", "rsp", "rsp+udp")
] + [Case("bench -N udp @:9", 1, "(?i)refused")]


@pytest.mark.parametrize("case", CLOSED, ids=str)
def test_a_closed_port(hosts: list[Host], tmp_path: Path, case: Case) -> None:
    words = case.words.replace("@", str(hosts[1].ip4)).split()
    if words[0] == "put":
        words = [*words[:1], *words[2:], words[1]]
    check(case, run(hosts[0], tmp_path, *words), run(hosts[0], tmp_path, *words, "--json"))


# ---- no privilege

NO_PRIVILEGE = [
    Case("ping @", 2, "CAP_NET_RAW is missing"),
    Case("traceroute -M icmp @", 2, "CAP_NET_RAW is missing"),
    Case("traceroute -M tcp --mtu @", 2, "CAP_NET_RAW is missing"),
    Case("traceroute -M rsp @", 2, "CAP_NET_RAW is missing"),
    Case("cat @:9", 2, "CAP_NET_RAW is missing"),
    Case("cat -l 9", 2, "CAP_NET_RAW is missing"),
    Case("cat -n ip:253 @", 2, "CAP_NET_RAW is missing"),
    Case("serve .", 2, "CAP_NET_RAW is missing"),
    Case("get @ file", 2, "CAP_NET_RAW is missing"),
    Case("put @ /dev/null", 2, "CAP_NET_RAW is missing"),
    Case("bench @", 2, "CAP_NET_RAW is missing"),
    Case("bench -s -N rsp", 2, "CAP_NET_RAW is missing"),
    Case("send --to @ udp dport=9", 2, "CAP_NET_RAW is missing"),
]


@pytest.mark.parametrize("case", NO_PRIVILEGE, ids=str)
def test_no_privilege(cli: CLI, hosts: list[Host], tmp_path: Path, case: Case) -> None:
    setpriv = shutil.which("setpriv")
    assert setpriv is not None
    without = [setpriv, "--bounding-set=-all", "--inh-caps=-all", *cli.program]
    words = case.words.replace("@", str(hosts[1].ip4)).split()
    done = cli.run_program([*without, *words, "--json"], on=hosts[0], text=True, cwd=tmp_path)
    ended = Ended(done.returncode, done.stdout, done.stderr)
    assert ended.err == ""
    document = json.loads(ended.out)
    assert (ended.status, document["error"]["kind"]) == (2, "PrivilegeError")
    assert case.message in document["error"]["message"]
    # How to get it is part of the message.
    assert "sudo" in document["error"]["message"]


# ---- a full disk

PRINTING = ["lookup localhost", "ping -c 1 @", "traceroute -n @", "doctor", "dissector", "completion bash"]


@pytest.mark.parametrize("words", PRINTING)
@pytest.mark.parametrize("form", ["text", "json"])
def test_nowhere_to_print(hosts: list[Host], tmp_path: Path, words: str, form: str) -> None:
    line = words.replace("@", str(hosts[1].ip4)).split() + ["--json"] * (form == "json")
    ended = run(hosts[0], tmp_path, *line, out="/dev/full")
    assert (ended.status, ended.err) == (1, "rawproto: No space left on device\n")


SMALL_DISK = """
mount -t tmpfs -o size=16k none small || exit 99
exec "$@"
"""


def on_a_small_disk(
    cli: CLI, host: Host, folder: Path, *words: str, **options: Any
) -> subprocess.Popen[bytes]:
    """The command where the folder ``small`` is a disk of 16 kB, which nobody else sees."""
    (folder / "small").mkdir(exist_ok=True)
    unshare = shutil.which("unshare")
    assert unshare is not None
    argv = [unshare, "-m", "sh", "-c", SMALL_DISK, "sh", *cli.program, *words]
    return cli.start_program(argv, on=host, cwd=folder, **options)


@pytest.mark.parametrize(
    "case",
    [
        Case("man small", 1, "No space left on device"),
        Case("trace -o small/picture.png trace.qlog", 1, "No space left on device"),
    ],
    ids=str,
)
def test_a_full_disk(cli: CLI, hosts: list[Host], tmp_path: Path, case: Case) -> None:
    (tmp_path / "trace.qlog").write_text(TRACE)
    for form in ((), ("--json",)):
        process = on_a_small_disk(cli, hosts[0], tmp_path, *case.words.split(), *form)
        out, err = process.communicate(timeout=cli.patience)
        assert process.returncode == case.status, (out, err)
        text = json.loads(out)["error"]["message"] if form else err.decode()
        assert re.search(case.message, text)
        assert b"Traceback" not in err


SAMPLE = {"latest_rtt": 1, "min_rtt": 1, "congestion_window": 1, "bytes_in_flight": 0}
EVENTS = [{"time": time, "name": "recovery:metrics_updated", "data": SAMPLE} for time in (0, 9)]
TRACE = json.dumps({"traces": [{"vantage_point": {"type": "client"}, "events": EVENTS}]})


@pytest.mark.parametrize("network", ["tcp", "rsp"])
def test_a_server_whose_disk_is_full(cli: CLI, hosts: list[Host], tmp_path: Path, network: str) -> None:
    a, b = hosts
    (tmp_path / "large").write_bytes(bytes(1_000_000))
    serving = on_a_small_disk(
        cli, b, tmp_path, "serve", "-n", network, "small", env={**os.environ, "PYTHONUNBUFFERED": "1"}
    )
    assert serving.stdout is not None
    assert b"serving small" in serving.stdout.readline()
    words = ["put", "-n", network, str(b.ip4), str(tmp_path / "large")]
    plain = run(a, tmp_path, *words)
    assert plain.status == 1
    assert plain.err == "rawproto: large: No space left on device\n"
    told = run(a, tmp_path, *words, "--json")
    assert (told.status, told.err) == (1, "")
    (file,) = json.loads(told.out)["files"]
    assert file["error"] == "No space left on device"


def test_a_client_whose_disk_is_full(cli: CLI, hosts: list[Host], tmp_path: Path) -> None:
    a, b = hosts
    served = tmp_path / "served"
    served.mkdir()
    (served / "large").write_bytes(bytes(1_000_000))
    serving = cli.start("serve", "--json", str(served), on=b, at_once=True)
    assert serving.stdout is not None
    assert b"listening" in serving.stdout.readline()
    getting = on_a_small_disk(cli, a, tmp_path, "get", str(b.ip4), "large", "--to", "small")
    out, err = getting.communicate(timeout=cli.patience)
    assert getting.returncode == 1
    assert err.decode() == "rawproto: large: No space left on device\n"
    assert out.startswith(b"0 of 1 files")


# ---- a peer that is killed


@pytest.mark.parametrize("network", ["rsp", "rsp+udp"])
def test_cat_whose_peer_is_killed(cli: CLI, hosts: list[Host], network: str) -> None:
    a, b = hosts
    words = ["cat", "-v", "-n", network]
    peer = cli.start(*words, "-l", ":9", on=b, stdin=subprocess.PIPE)
    assert b"listening" in peer.stderr.readline()
    process = cli.start(*words, "-w", "5s", f"{b.ip4}:9", on=a, stdin=subprocess.PIPE)
    assert b"connected" in process.stderr.readline()
    process.stdin.write(b"something")
    process.stdin.flush()
    assert peer.stdout.read(9) == b"something"
    peer.kill()
    peer.wait()
    # A kernel would end its TCP connections; here nobody is left to answer, and that is missed.
    out, err = process.communicate(b"more", timeout=cli.patience)
    assert process.returncode == 1, (out, err)
    assert err.startswith(b"rawproto: ")
    assert b"Traceback" not in err


# ---- Ctrl-C


class Begun(NamedTuple):
    """What shows that a command is past its start, and waits for the world.

    Attributes:
        stream: it prints its first line there.
        file: it makes that file.
        to: it sends something to that address.
    """

    stream: str = ""
    file: str = ""
    to: str = ""

    def wait(self, process: subprocess.Popen[bytes], folder: Path, tap: socket.socket) -> None:
        if self.stream:
            assert getattr(process, self.stream).readline(), process.communicate()
        while self.file and not (folder / self.file).exists():
            assert process.poll() is None, process.communicate()
            signal.sigtimedwait([], 0.02)
        while self.to and tap.recv(100)[16:20] != socket.inet_aton(self.to):
            pass


@pytest.fixture
def tap(hosts: list[Host]) -> Iterator[socket.socket]:
    """All IP packets that the first host sends."""
    with hosts[0]:
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))
    with tap:
        tap.settimeout(60)
        yield tap


@pytest.mark.parametrize(
    ("words", "begun"),
    [
        ("cat -v -n tcp -l 9", Begun("stderr")),
        ("cat -v -l 9", Begun("stderr")),
        ("cat -v -n udp -l 9", Begun("stderr")),
        ("serve .", Begun("stdout")),
        ("bench -s", Begun("stdout")),
        (f"traceroute -n -w 50s {SILENT}", Begun(to=SILENT)),
        ("soak --seeds 100000 --state begun", Begun(file="begun")),
        ("lab run net.toml -- sh -c 'touch begun; exec sleep 1000'", Begun(file="begun")),
        (f"cat -n tcp {SILENT}:9", Begun(to=SILENT)),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_ctrl_c(
    cli: CLI, hosts: list[Host], tap: socket.socket, tmp_path: Path, words: str, begun: Begun, form: str
) -> None:
    (tmp_path / "net.toml").write_text('[[link]]\nends = ["a", "b"]\n')
    before, dashes, after = words.partition(" -- ")
    line = [*before.split(), *["--json"] * (form == "json"), *shlex.split(dashes + after)]
    process = cli.start(*line, on=hosts[0], at_once=True, cwd=tmp_path)
    begun.wait(process, tmp_path, tap)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=cli.patience)
    assert process.returncode == 130, (out, err)
    assert b"Traceback" not in err
    if form == "json":
        assert json.loads(out.splitlines()[-1])["error"]["message"] == "interrupted"
        assert err == b""


# ---- the table is whole


def test_every_tool_is_in_the_tables() -> None:
    """A tool that is not here has nothing outside itself, or is listed with the reason."""
    tables = [*UNKNOWN, *NO_ROUTE, *CLOSED, *NO_PRIVILEGE]
    here = {case.words.split()[0] for case in tables} | {words.split()[0] for words in PRINTING}
    elsewhere = {
        "demo": "makes its own network: test_demo",
        "trace": "files only: above, and test_trace",
        "man": "files only: above, and test_man",
        "lab": "makes its own network: above, and test_lab",
        "soak": "simulates: above, and test_soak",
        "dump": "listens to all: test_dump",
    }
    assert set(catalogue.TOOLS) <= here | set(elsewhere)

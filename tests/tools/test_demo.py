"""``rawproto demo`` on real namespaces: equal files, honest errors, nothing left behind."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from .conftest import CLI

pytestmark = pytest.mark.netns

MARK = "RAWPROTO_DEMO_TEST"
OUTPUTS = {"wire.pcapng", "connection.qlog", "sequence.png"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(hashlib.shake_256(b"demo").digest(400_000))
    return path


def demo(cli: CLI, tmp_path: Path, *words: str, status: int = 0) -> Any:
    """The JSON of a run."""
    done = cli.run("demo", "--json", "--output", str(tmp_path / "out"), *words)
    assert done.returncode == status, done.stderr.decode()
    return json.loads(done.stdout)


def processes_with(mark: str) -> dict[int, str]:
    """Processes that have ``mark`` in their environment, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if mark.encode() in (entry / "environ").read_bytes():
                    found[int(entry.name)] = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


def capabilities(pid: int) -> str:
    """The effective and permitted sets of a process; "" when it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return ""
    return " ".join(line.split()[1] for line in lines if line.startswith(("CapEff", "CapPrm")))


def wait_until_gone(mark: str, seconds: float = 60) -> None:
    """Wait for the end of every process that has ``mark``; those that were forked meanwhile, too."""
    while left := processes_with(mark):
        for pid, command in left.items():
            try:
                handle = os.pidfd_open(pid)
            except ProcessLookupError:
                continue
            try:
                ready, _, _ = select.select([handle], [], [], seconds)
            finally:
                os.close(handle)
            assert ready, f"left behind: {command}"


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_equal_files_with_every_seed(cli: CLI, tmp_path: Path, file: Path, seed: int) -> None:
    result = demo(cli, tmp_path, "--file", str(file), "--seed", str(seed), "--loss", "3%")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert result["equal"] is True
    assert result["sender"]["sha256"] == result["receiver"]["sha256"] == digest
    assert result["receiver"]["size"] == 400_000
    assert {path.name for path in (tmp_path / "out").iterdir()} == OUTPUTS
    assert (tmp_path / "out" / "wire.pcapng").read_bytes()[:4] == b"\x0a\x0d\x0d\x0a"
    assert (tmp_path / "out" / "sequence.png").read_bytes()[:4] == b"\x89PNG"


def test_equal_seeds_show_the_same_decisions(cli: CLI, tmp_path: Path, file: Path) -> None:
    # The digest is of the first thousand packets: this file has more.
    file.write_bytes(bytes(2_000_000))
    words = ("--file", str(file), "--loss", "5%", "--rate", "100mbit")
    first, again, other = (
        demo(cli, tmp_path, *words, "--seed", seed)["relay"]["decisions"] for seed in ("7", "7", "8")
    )
    assert first == again != other


def test_every_corrupted_packet_is_caught(cli: CLI, tmp_path: Path, file: Path) -> None:
    result = demo(cli, tmp_path, "--file", str(file), "--corrupt", "20%", "--loss", "0", "--duplicate", "10%")
    assert result["equal"] is True
    assert result["relay"]["corrupted"] > 20
    assert result["receiver"]["corrupted"] > 20
    assert result["receiver"]["duplicates"] > 5
    assert result["sender"]["retransmitted"] > 20


def test_people_see_steps_table_and_how_to_open_the_outputs(cli: CLI, tmp_path: Path, file: Path) -> None:
    done = cli.run("demo", "--file", str(file), "--output", str(tmp_path / "out"))
    text = done.stdout.decode()
    assert done.returncode == 0
    assert f"{hashlib.sha256(file.read_bytes()).hexdigest()}  equal" in text
    for line in (
        "goodput",
        "share of the link",
        "RTT",
        "retransmissions",
        "corrupted, caught",
        "kernel drops",
    ):
        assert f"\n{line}" in text
    assert "0 at the sender, 0 at the receiver" in text
    assert "wireshark" in text
    assert "\x1b" not in text, "colours on a pipe"


def test_tshark_reads_the_capture(cli: CLI, tmp_path: Path, file: Path) -> None:
    tshark = shutil.which("tshark")
    if tshark is None:
        pytest.skip("tshark is not installed")
    demo(cli, tmp_path, "--file", str(file))
    done = subprocess.run(
        [
            tshark,
            "-n",
            "-r",
            tmp_path / "out" / "wire.pcapng",
            "-Y",
            "ip.proto == 253 && !icmp",  # late packets are quoted in ICMP errors
            "-T",
            "fields",
            "-e",
            "ip.src",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    sources = done.stdout.split()
    assert set(sources) == {"10.0.0.1", "10.0.0.2"}
    assert len(sources) > 300


def test_killing_the_receiver_gives_the_sender_one_clear_error(cli: CLI, tmp_path: Path, file: Path) -> None:
    # Killed long before the end: whoever is to do it may be late.
    file.write_bytes(bytes(8_000_000))
    words = (
        "--file",
        str(file),
        "--rate",
        "2mbit",
        "--kill-receiver",
        "1%",
        "--output",
        str(tmp_path / "out"),
    )
    done = cli.run("demo", *words)
    assert done.returncode == 1
    assert "killing the receiver; the sender is told within 5 s" in done.stdout.decode()
    (line,) = done.stderr.decode().splitlines()
    assert "the peer was not heard for 5 s" in line


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)],
    ids=["ctrl-c", "terminate", "kill"],
)
def test_an_interrupted_run_leaves_nothing(
    cli: CLI, tmp_path: Path, file: Path, number: signal.Signals, status: int
) -> None:
    mark = f"{MARK}={uuid.uuid4()}"
    process = cli.start(
        *("demo", "--file", str(file), "--rate", "20kbit", "--output", str(tmp_path / "out")),
        env={**os.environ, MARK: mark.partition("=")[2]},
        at_once=True,
        cwd=tmp_path,
    )
    assert process.stdout is not None
    for line in process.stdout:
        if b"joined through the relay" in line:
            break
    else:
        pytest.fail(process.communicate()[1].decode())
    assert len(processes_with(mark)) > 1, "the mark does not show the lab's processes"
    process.send_signal(number)
    assert process.wait(cli.patience) == status
    wait_until_gone(mark)
    assert process.stderr is not None
    assert process.stderr.read().strip() == b""
    assert {path.name for path in (tmp_path / "out").iterdir()} <= {"wire.pcapng"}
    assert {path.name for path in tmp_path.iterdir()} == {"file", "out"}


def test_under_sudo_the_trace_comes_into_a_folder_of_root(cli: CLI, tmp_path: Path, file: Path) -> None:
    users = sum(int(line.split()[2]) for line in Path("/proc/self/uid_map").read_text().splitlines())
    if os.geteuid() != 0 or users < 65535:
        pytest.skip("needs root, and somebody else who called sudo")
    tmp_path.chmod(0o700)
    sudo = {**os.environ, "SUDO_UID": "65534", "SUDO_GID": "65534", "SUDO_USER": "nobody"}
    words = ("--file", str(file), "--output", str(tmp_path / "out"))
    done = cli.run("demo", "--json", *words, env=sudo)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "out").iterdir()} == OUTPUTS


def test_sender_and_receiver_keep_no_privilege(cli: CLI, tmp_path: Path, file: Path) -> None:
    mark = uuid.uuid4().hex
    process = cli.start(
        *("demo", "--file", str(file), "--rate", "20kbit", "--output", str(tmp_path / "out")),
        env={**os.environ, MARK: mark},
    )
    none = f"{0:016x} {0:016x}"
    while [capabilities(pid) for pid in processes_with(mark)].count(none) < 2:
        assert process.poll() is None, process.communicate()
        signal.sigtimedwait([], 0.05)


@pytest.fixture
def nobody() -> int:
    """A user that this process can become, and who can read this tree."""
    if os.geteuid() != 0:
        pytest.skip("the tests run as an ordinary user: all of them show it")
    nobody = 65534
    allowed = False
    with contextlib.suppress(PermissionError):
        allowed = subprocess.run(
            [sys.executable, "-c", "import rawproto_tools"], user=nobody, group=nobody, extra_groups=[], check=False,
            stderr=subprocess.DEVNULL, cwd="/",
        ).returncode == 0  # fmt: skip
    if not allowed:
        pytest.skip("this process cannot become nobody, or nobody cannot read this tree")
    return nobody


def test_an_ordinary_user_runs_it_in_a_user_namespace(
    cli: CLI, tmp_path: Path, file: Path, nobody: int
) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    for folder in (shared, *tmp_path.parents[:2], tmp_path):
        folder.chmod(0o777)
    result = cli.run(
        *("demo", "--json", "--file", str(file), "--output", str(shared / "out")),
        user=nobody, group=nobody, extra_groups=[], cwd=shared,
        env={"PATH": os.environ["PATH"], "HOME": "/nonexistent"},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr.decode()
    document = json.loads(result.stdout)
    assert document["where"] == "user namespace"
    assert document["equal"] is True
    assert {path.name for path in shared.iterdir()} == {"out"}


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("--file", "/no/such/file"), 2, "cannot read /no/such/file: No such file or directory"),
        (("--file", "/"), 2, "cannot read /"),
        (("--output", "/proc/out"), 1, "cannot write to /proc/out"),
        (("--loss", "101%"), 2, "101% is too much for a share"),
        (("--rate", "fast"), 2, "'fast' is no rate"),
        (("--congestion", "magic"), 2, "magic"),
        (("--rate", "0"), 2, "rate"),
    ],
)
def test_wrong_input_is_told_in_one_line(
    cli: CLI, tmp_path: Path, words: tuple[str, ...], status: int, message: str
) -> None:
    done = cli.run("demo", *words, cwd=tmp_path)
    said = done.stderr.decode()
    assert (done.returncode, message in said, "Traceback" in said) == (status, True, False), said

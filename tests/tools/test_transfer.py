"""``rawproto serve``, ``get`` and ``put``: over every transport, after a break, and against peers that mean harm."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import resource
import signal
import stat
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from rawproto_tools.transferkit.channel import Channel, Kind

from rawproto import dial, listen

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

    from rawproto import Host, Lab
    from rawproto.lab import Packet

    from .conftest import CLI

PORT = "127.0.0.1:0"


class Served:
    """A server on loopback over TCP."""

    def __init__(self, cli: CLI, folder: Path, *words: str, **options: Any) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        command = ("serve", "-n", "tcp", "--json", str(folder), PORT, *words)
        self.process = cli.start(*command, at_once=True, **options)
        self.address: str = self.event()["address"]

    def event(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, self.process.stderr and self.process.stderr.read()
        return json.loads(line)

    @contextlib.contextmanager
    def channel(self) -> Iterator[Channel]:
        with dial("tcp", self.address, timeout=60) as conn:
            yield Channel(conn, 60)


@pytest.fixture
def server(cli: CLI, tmp_path: Path) -> Served:
    return Served(cli, tmp_path / "served")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Some files and folders of all kinds."""
    root = tmp_path / "source"
    (root / "sub" / "deep").mkdir(parents=True)
    (root / "empty").mkdir()
    (root / "empty").chmod(0o500)
    for number in range(100):
        (root / "sub" / f"{number}").write_bytes(b"x" * number)
    (root / "large").write_bytes(hashlib.shake_256(b"large").digest(700_001))
    (root / "sub" / "deep" / "näme with spaces\n").write_bytes(b"1")
    (root / os.fsdecode(b"not utf-8 \xff")).write_bytes(b"2")
    (root / "large").chmod(0o640)
    (root / "sub" / "1").chmod(0o444)
    os.utime(root / "large", ns=(0, 1_234_567_890_123_456_789))
    return root


def contents(root: Path) -> dict[str, tuple[int, bytes]]:
    """Every file and folder below ``root`` with its mode."""
    return {
        str(path.relative_to(root)): (
            stat.S_IMODE(path.stat().st_mode),
            path.read_bytes() if path.is_file() else b"",
        )
        for path in sorted(root.rglob("*"))
    }


def run(cli: CLI, *words: str, status: int = 0) -> Any:
    done = cli.run(*words, "-n", "tcp", "--json")
    assert done.returncode == status, (done.stdout, done.stderr)
    return json.loads(done.stdout)


def serve_in_lab(
    cli: CLI, host: Host, folder: Path, network: str, wait: str = "60s"
) -> subprocess.Popen[bytes]:
    folder.mkdir(exist_ok=True)
    process = cli.start("serve", "-n", network, "--wait", wait, str(folder), on=host, at_once=True)
    assert process.stdout is not None
    assert b"serving" in process.stdout.readline()
    return process


@pytest.mark.netns
@pytest.mark.parametrize("network", ["tcp", "rsp", "rsp+udp"])
def test_there_and_back_over_every_transport(
    cli: CLI, lab: Lab, tmp_path: Path, source: Path, network: str
) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, delay="5ms", loss=0.01, seed=1)
    process = serve_in_lab(cli, b, tmp_path / "served", network)
    done = cli.run("put", b.address(), str(source), "--to", "in/box", "-n", network, on=a)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"103 of 103 files; 705 kB in ")
    assert contents(tmp_path / "served" / "in" / "box" / "source") == contents(source)
    back = tmp_path / "back"
    done = cli.run("get", b.address(), "in/box/source", "--to", str(back), "-n", network, "--json", on=a)
    assert done.returncode == 0, done.stderr
    assert contents(back / "source") == contents(source)
    assert (back / "source" / "large").stat().st_mtime_ns == 1_234_567_890_123_456_789
    document = json.loads(done.stdout)
    (large,) = [entry for entry in document["files"] if entry["path"] == "source/large"]
    assert large["sha256"] == hashlib.sha256((source / "large").read_bytes()).hexdigest()
    assert document["bytes"] == sum(entry["size"] for entry in document["files"])
    process.terminate()
    assert process.wait(cli.patience) == 143


class Budget:
    """Lets so many bytes pass, and nothing behind them until there are more."""

    def __init__(self, size: float) -> None:
        self.left = size

    def is_spent(self, packet: Packet) -> bool:
        self.left -= len(packet)
        return self.left < 0


@pytest.mark.netns
@pytest.mark.parametrize("killed", ["client", "server"])
def test_goes_on_after_a_break(cli: CLI, lab: Lab, tmp_path: Path, killed: str) -> None:
    a, b = lab.hosts("a", "b")
    # The transfer cannot be over before it breaks: half of the file is all that gets through.
    budget = Budget(3_000_000)
    lab.link(a, b, relay=True).drop(when=budget.is_spent, toward=b, count=None)
    file = tmp_path / "file"
    file.write_bytes(hashlib.shake_256(b"file").digest(6_000_000))
    served = tmp_path / "served"
    server = serve_in_lab(cli, b, served, "rsp", wait="6s")
    words = ["put", b.address(), str(file), "--json", "--wait", "6s"]
    client = cli.start(*words, on=a)
    wait_for_a_megabyte(served, client)
    (client if killed == "client" else server).kill()
    if killed == "server":
        out, _ = client.communicate(timeout=cli.patience)
        assert client.returncode == 1
        assert json.loads(out)["error"]["message"]
        server.wait()
        server = serve_in_lab(cli, b, served, "rsp", wait="6s")
    else:
        client.wait()
    assert not (served / "file").exists()
    budget.left = math.inf
    # The server may still be waiting for the client that is no more: as long as it was told.
    while b"another transfer" in (done := cli.run(*words, on=a)).stdout:
        assert server.poll() is None
    assert done.returncode == 0, done.stdout
    assert 0 < json.loads(done.stdout)["bytes"] < 5_500_000
    assert [path.name for path in served.iterdir()] == ["file"]
    assert (served / "file").read_bytes() == file.read_bytes()


def wait_for_a_megabyte(folder: Path, process: subprocess.Popen[bytes]) -> None:
    while sum(path.stat().st_size for path in folder.iterdir()) < 1_000_000:
        assert process.poll() is None, process.communicate()
        signal.sigtimedwait([], 0.02)


def part_of(name: str) -> str:
    return f".rawproto-{hashlib.sha256(name.encode()).hexdigest()[:24]}.part"


@pytest.mark.parametrize(("part", "moved"), [(b"0123", 6), (b"01x3", 10), (b"x" * 11, 10)])
def test_what_arrived_before_is_used_only_when_it_is_right(
    cli: CLI, server: Served, tmp_path: Path, part: bytes, moved: int
) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (server.folder / part_of("file")).write_bytes(part)
    assert run(cli, "put", server.address, str(tmp_path / "file"))["bytes"] == moved
    assert (server.folder / "file").read_bytes() == b"0123456789"
    assert [path.name for path in server.folder.iterdir()] == ["file"]


def test_overwrites_only_when_told(cli: CLI, server: Served, tmp_path: Path) -> None:
    file, there = tmp_path / "file", server.folder / "file"
    file.write_bytes(b"new")
    for old in (b"old", b"older"):
        there.write_bytes(old)
        document = run(cli, "put", server.address, str(file), status=1)
        assert document["files"][0]["error"] == "exists"
        assert there.read_bytes() == old
        assert run(cli, "put", "--overwrite", server.address, str(file))["bytes"] == 3
        assert there.read_bytes() == b"new"
    document = run(cli, "put", server.address, str(file))
    assert (document["bytes"], document["files"][0]["state"]) == (0, "unchanged")
    # The same the other way.
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "file").write_bytes(b"mine")
    done = cli.run("get", server.address, "file", "--to", str(tmp_path / "here"), "-n", "tcp")
    assert done.returncode == 1
    assert done.stderr == b"rawproto: file: exists\n"
    assert done.stdout.startswith(b"0 of 1 files")


def test_a_folder_is_not_overwritten_by_a_file(cli: CLI, server: Served, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"new")
    (server.folder / "file").mkdir()
    document = run(cli, "put", "--overwrite", server.address, str(tmp_path / "file"), status=1)
    assert document["files"][0]["error"] == "exists and is no file"


def offer(channel: Channel, path: str, data: bytes, digest: str | None = None, *, to: str = "") -> Any:
    """Put one file by hand; gives the RESULT."""
    channel.tell(Kind.HELLO, version=1, op="put", to=to, overwrite=True)
    channel.expect(Kind.START)
    channel.tell(Kind.FILE, id=1, path=path, folder=False, size=len(data), mode=0o4755, modified=0)
    kind, words = channel.hear()
    if kind is Kind.ASK:
        channel.tell(Kind.FROM, id=1, offset=0)
        channel.tell_data(data)
        channel.tell(Kind.DONE, id=1, sha256=digest or hashlib.sha256(data).hexdigest())
        words = channel.expect(Kind.RESULT)
    channel.tell(Kind.END)
    channel.expect(Kind.END)
    return words


@pytest.mark.parametrize(
    "path",
    [
        "../out",
        "/out",
        "a/../../out",
        "",
        ".",
        "..",
        "a//b",
        "a/./b",
        "link/out",
        "deep/link/out",
        "x\0y",
        "\ud800",
    ],
)
def test_no_path_leaves_the_folder(server: Served, tmp_path: Path, path: str) -> None:
    (tmp_path / "elsewhere").mkdir()
    (server.folder / "deep").mkdir()
    for place in (server.folder, server.folder / "deep"):
        (place / "link").symlink_to(tmp_path / "elsewhere")
    with server.channel() as channel:
        assert offer(channel, path, b"data")["error"]
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["elsewhere", "served"]


@pytest.mark.parametrize("path", ["../secret", "link", "link/secret", "pipe"])
def test_nothing_from_outside_is_given(cli: CLI, server: Served, tmp_path: Path, path: str) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    (server.folder / "link").symlink_to(tmp_path)
    os.mkfifo(server.folder / "pipe")
    done = cli.run("get", server.address, path, "--to", str(tmp_path / "here"), "-n", "tcp")
    assert done.returncode == 1
    assert b"rawproto: " in done.stderr
    assert not (tmp_path / "here").exists() or not any((tmp_path / "here").iterdir())


def test_a_file_in_the_place_of_a_link_replaces_the_link_at_most(server: Served, tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"outside")
    (server.folder / "file").symlink_to(tmp_path / "target")
    with server.channel() as channel:
        assert offer(channel, "file", b"data")["error"] == "exists and is no file"
    assert (tmp_path / "target").read_bytes() == b"outside"


def test_a_wrong_digest_leaves_nothing(server: Served) -> None:
    with server.channel() as channel:
        assert "SHA-256" in offer(channel, "file", b"data", "0" * 64)["error"]
    assert list(server.folder.iterdir()) == []


def test_rights_from_strangers_are_plain(server: Served) -> None:
    with server.channel() as channel:
        assert offer(channel, "file", b"data", to="deep/er") == {"id": 1, "unchanged": False}
    assert stat.S_IMODE((server.folder / "deep" / "er" / "file").stat().st_mode) == 0o755


@pytest.mark.parametrize(
    "frames",
    [
        [(Kind.DATA, b"x")],
        [(Kind.FROM, {"id": 1, "offset": 0})],
        [(Kind.FILE, {"id": -1, "path": "a", "folder": False, "size": 1, "mode": 0, "modified": 0})],
        [(Kind.FILE, {"id": 1, "path": "a", "folder": False, "size": "1", "mode": 0, "modified": 0})],
        [(Kind.RESULT, {"id": 1})],
        [(Kind(77), {})],
    ],
)
def test_a_peer_that_does_not_speak_the_protocol_is_told(server: Served, frames: list[Any]) -> None:
    with server.channel() as channel:
        channel.tell(Kind.HELLO, version=1, op="put", to="", overwrite=False)
        channel.expect(Kind.START)
        for kind, body in frames:
            if isinstance(body, bytes):
                channel.tell_data(body)
            else:
                channel.tell(kind, **body)
        with pytest.raises(Exception, match="does not speak the transfer protocol"):
            channel.hear()
    assert "does not speak" in server.event()["error"]
    # And the next is served.
    with server.channel() as channel:
        assert "error" not in offer(channel, "file", b"data")


def test_a_server_cannot_give_what_was_not_asked_for(cli: CLI, tmp_path: Path) -> None:
    with listen("tcp", PORT) as listener:
        words = ("get", str(listener.addr), "file", "--to", str(tmp_path / "here"), "-n", "tcp", "--json")
        process = cli.start(*words)
        listener.set_deadline(60)
        with listener.accept() as conn:
            channel = Channel(conn, 60)
            assert channel.expect(Kind.HELLO)["paths"] == ["file"]
            channel.tell(Kind.START, files=1, bytes=1)
            for path in (".bashrc", "../file"):
                channel.tell(Kind.FILE, id=1, path=path, folder=False, size=1, mode=0, modified=0)
                assert channel.expect(Kind.RESULT)["error"]
            channel.tell(Kind.END)
            channel.expect(Kind.END)
    out, _ = process.communicate(timeout=cli.patience)
    assert process.returncode == 1
    assert [entry["error"] for entry in json.loads(out)["files"]] == [
        "was not asked for",
        "'../file' is no path inside the folder",
    ]


def limit_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))


def test_a_disk_that_takes_no_more_ends_that_file_only(cli: CLI, tmp_path: Path) -> None:
    server = Served(cli, tmp_path / "served", preexec_fn=limit_files)
    (tmp_path / "large").write_bytes(bytes(3_000_000))
    (tmp_path / "small").write_bytes(b"x")
    files = [str(tmp_path / name) for name in ("large", "small")]
    large, small = run(cli, "put", server.address, *files, status=1)["files"]
    assert large["error"] == "File too large"
    assert large["moved"] <= 3_000_000
    assert small["state"] == "done"
    assert not (server.folder / "large").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--read-only",), "nothing may be put here"),
        (("--no-overwrite",), "nothing may be overwritten here"),
    ],
)
def test_the_rules_of_the_server_hold(cli: CLI, tmp_path: Path, words: tuple[str, ...], message: str) -> None:
    server = Served(cli, tmp_path / "served", *words)
    (tmp_path / "file").write_bytes(b"x")
    done = cli.run("put", "-n", "tcp", "--overwrite", server.address, str(tmp_path / "file"))
    assert done.returncode == 1
    assert message in done.stderr.decode()
    assert list(server.folder.iterdir()) == []


def test_write_only_gives_nothing(cli: CLI, tmp_path: Path) -> None:
    server = Served(cli, tmp_path / "served", "--write-only", "--once")
    (server.folder / "file").write_bytes(b"x")
    done = cli.run("get", "-n", "tcp", server.address, "file", "--to", str(tmp_path))
    assert (done.returncode, done.stderr) == (
        1,
        b"rawproto: the peer says: nothing may be fetched here (--write-only)\n",
    )
    assert server.process.wait(cli.patience) == 0


def test_interrupt_ends_the_client_with_130_and_not_the_server(
    cli: CLI, server: Served, tmp_path: Path
) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(40 << 30)
    process = cli.start("put", "-n", "tcp", server.address, str(tmp_path / "file"))
    wait_for_a_megabyte(server.folder, process)
    process.send_signal(signal.SIGINT)
    assert process.wait(cli.patience) == 130
    assert server.event()["event"] == "failed"
    assert run(cli, "get", server.address, ".", "--to", str(tmp_path / "here"))["files"] == []


TELL_MEMORY = """
import atexit, pathlib, sys
from rawproto_tools.main import main
atexit.register(lambda: print(pathlib.Path("/proc/self/status").read_text(), file=sys.stderr))
main()
"""


def most_memory(status: str) -> int:
    """The largest resident size in kB; not of getrusage, which counts the parent before exec, too."""
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


@pytest.mark.parametrize("size", [300 << 20, pytest.param(2 << 30, marks=pytest.mark.long)])
def test_memory_stays_small_for_a_large_file(cli: CLI, server: Served, tmp_path: Path, size: int) -> None:
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size)
    words = ["put", "-n", "tcp", server.address, str(tmp_path / "file")]
    done = cli.run_program([sys.executable, "-c", TELL_MEMORY, *words], text=True)
    assert done.returncode == 0, done.stderr
    assert most_memory(done.stderr) < 100_000
    assert most_memory(Path(f"/proc/{server.process.pid}/status").read_text()) < 100_000
    assert (server.folder / "file").stat().st_size == size


@pytest.mark.netns
@pytest.mark.parametrize("network", ["rsp", "tcp"])
@pytest.mark.parametrize(
    "size", [160 << 20, pytest.param(2 << 30, marks=[pytest.mark.long, pytest.mark.timeout(600)])]
)
def test_memory_stays_small_between_hosts(
    cli: CLI, lab: Lab, tmp_path: Path, size: int, network: str
) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    with (tmp_path / "file").open("wb") as file:
        file.truncate(size)
    server = serve_in_lab(cli, b, tmp_path / "served", network)
    words = ["put", "-n", network, "-w", "60s", b.address(), str(tmp_path / "file")]
    done = cli.run_program([sys.executable, "-c", TELL_MEMORY, *words], on=a, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert most_memory(done.stderr) < 100_000
    assert most_memory(Path(f"/proc/{server.pid}/status").read_text()) < 100_000
    assert (tmp_path / "served" / "file").stat().st_size == size


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("put", "127.0.0.1:1", "no such file"), 1, "no such file: No such file or directory"),
        (("put", "127.0.0.1:1"), 2, "Missing argument"),
        (("put", "127.0.0.1:1", "/dev/null"), 1, "dial tcp 127.0.0.1:1: Connection refused"),
        (("put", "nowhere.invalid", "/dev/null"), 1, "nowhere.invalid"),
        (("get", "127.0.0.1:1", "a"), 1, "Connection refused"),
        (("serve", "no such folder"), 1, "no such folder: No such file or directory"),
        (("serve", ".", "--read-only", "--write-only"), 2, "leave nothing to do"),
        (("get", "127.0.0.1:1", "a", "--network", "tcp5"), 2, "unknown network tcp5"),
    ],
)
def test_what_goes_wrong_is_told(cli: CLI, words: tuple[str, ...], status: int, message: str) -> None:
    done = cli.run(words[0], "-n", "tcp", *words[1:])
    assert done.returncode == status, done.stderr
    assert message in done.stderr.decode()
    assert "Traceback" not in done.stderr.decode()

"""The tools over RSP keep no capability once their sockets are open, in any thread."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rawproto.lab import Host, Lab

    from .conftest import CLI

pytestmark = pytest.mark.netns


def capabilities(process: subprocess.Popen[bytes]) -> list[int]:
    """The effective and permitted sets of all threads of a process that runs."""
    found = []
    for thread in Path(f"/proc/{process.pid}/task").iterdir():
        try:
            lines = (thread / "status").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue  # it has ended meanwhile
        found += [int(line.split()[1], 16) for line in lines if line.startswith(("CapEff", "CapPrm"))]
    assert len(found) >= 2, "the process has ended"
    return found


@pytest.fixture
def hosts(lab: Lab) -> list[Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return [a, b]


@pytest.mark.parametrize("network", ["rsp", "rsp+udp"])
def test_cat_at_both_ends(cli: CLI, hosts: list[Host], network: str) -> None:
    a, b = hosts
    words = ["cat", "-n", network, "-v"]
    listening = cli.start(*words, "-l", ":1200", on=b, stdin=subprocess.PIPE)
    assert b"listening" in listening.stderr.readline()
    assert not any(capabilities(listening)), "before anybody came"
    calling = cli.start(*words, f"{b.ip4}:1200", on=a, stdin=subprocess.PIPE)
    assert b"connected" in calling.stderr.readline()
    calling.stdin.write(b"hello")
    calling.stdin.flush()
    assert listening.stdout.read(5) == b"hello"
    for process in (listening, calling):
        found = capabilities(process)
        assert len(found) > 2, "the driver has a thread of its own"
        assert not any(found)
    listening.stdin.close()
    calling.stdin.close()
    assert calling.wait(cli.patience) == 0
    assert listening.wait(cli.patience) == 0


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder with a small file, and one that does not end while anybody looks."""
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "note").write_bytes(b"text" * 1000)
    with (folder / "vast").open("wb") as vast:
        vast.truncate(1 << 40)
    return folder


@pytest.mark.parametrize("network", ["rsp", "rsp+udp"])
@pytest.mark.parametrize("way", ["put", "get"])
def test_serve_and_who_asks(cli: CLI, lab: Lab, tmp_path: Path, files: Path, way: str, network: str) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, rate="20mbit")  # however long somebody looks, no disk gets full
    other = tmp_path / "other"
    other.mkdir()
    served = other if way == "put" else files
    serving = cli.start("serve", "--json", "-n", network, str(served), on=b, at_once=True)
    json.loads(serving.stdout.readline())
    assert not any(capabilities(serving)), "before anybody came"
    words = {
        "put": [str(b.ip4), str(files / "note"), str(files / "vast")],
        "get": [str(b.ip4), "note", "vast", "--to", str(other)],
    }[way]
    asking = cli.start(way, "-n", network, "-v", *words, on=a, at_once=True)
    # The first is there, and the second on its way.
    assert asking.stderr.readline() == b"note\n"
    for process in (serving, asking):
        found = capabilities(process)
        assert len(found) > 2, "the driver has a thread of its own"
        assert not any(found)
    assert (other / "note").read_bytes() == b"text" * 1000
    asking.terminate()
    assert asking.wait(cli.patience) == 143
    assert not any(capabilities(serving)), "after somebody was there"


def test_bench_at_both_ends(cli: CLI, hosts: list[Host]) -> None:
    a, b = hosts
    serving = cli.start("bench", "-s", "--json", on=b, at_once=True)
    networks = json.loads(serving.stdout.readline())["networks"]
    assert networks == ["tcp", "rsp", "rsp6", "rsp+udp", "rsp+udp6"]
    assert not any(capabilities(serving)), "before anybody came"
    measuring = cli.start("bench", "-t", "1h", str(b.ip4), on=a, at_once=True)
    assert b": rsp, " in measuring.stdout.readline()
    for process in (serving, measuring):
        assert not any(capabilities(process))


def test_bench_does_first_what_needs_the_privilege(cli: CLI, hosts: list[Host]) -> None:
    a, b = hosts
    serving = cli.start("bench", "-s", "--json", "-w", "60s", on=b, at_once=True)
    assert json.loads(serving.stdout.readline())["event"] == "listening"
    # The run on raw IP comes first, whatever the order asked for: the second has no privilege left.
    words = ["-N", "tcp", "--against", "rsp", "-t", "0.5", "-w", "60s", str(b.ip4)]
    done = cli.run("bench", *words, on=a)
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode().splitlines()
    assert ": rsp, " in lines[0]
    assert lines[-1].startswith("tcp: ")
    assert not any(capabilities(serving)), "after somebody was there"

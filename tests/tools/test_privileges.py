"""The tools over RSP keep no capability once their sockets are open, in any thread."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from rawproto.lab import Host, Lab

    from .conftest import CLI

pytestmark = pytest.mark.netns


def capabilities(process: subprocess.Popen[bytes]) -> list[int]:
    """The effective and permitted sets of all threads of a process."""
    return [
        int(line.split()[1], 16)
        for thread in Path(f"/proc/{process.pid}/task").iterdir()
        for line in (thread / "status").read_text().splitlines()
        if line.startswith(("CapEff", "CapPrm"))
    ]


@pytest.fixture
def hosts(lab: Lab) -> list[Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return [a, b]


def piped(host: Host, *words: str) -> subprocess.Popen[bytes]:
    return host.popen(
        list(words), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )  # fmt: skip


@pytest.mark.parametrize("network", ["rsp", "rsp+udp"])
def test_cat_at_both_ends(cli: CLI, hosts: list[Host], network: str) -> None:
    a, b = hosts
    words = [*cli.program, "cat", "-n", network, "-v"]
    with piped(b, *words, "-l", ":1200") as listening:
        assert b"listening" in listening.stderr.readline()
        assert not any(capabilities(listening)), "before anybody came"
        with piped(a, *words, f"{b.ip4}:1200") as calling:
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
            assert calling.wait(20) == 0
        assert listening.wait(20) == 0


def test_serve_get_and_put(cli: CLI, hosts: list[Host], tmp_path: Path) -> None:
    a, b = hosts
    served, home = tmp_path / "served", tmp_path / "home"
    served.mkdir()
    home.mkdir()
    (home / "note").write_bytes(b"text" * 1000)
    with piped(b, *cli.program, "serve", "--json", str(served)) as serving:
        json.loads(serving.stdout.readline())
        assert not any(capabilities(serving))
        for words in (
            ["put", str(b.ip4), str(home / "note")],
            ["get", str(b.ip4), "note", "--to", str(tmp_path)],
        ):
            done = a.run([*cli.program, *words], capture_output=True, timeout=60)
            assert done.returncode == 0, done.stderr
        assert (tmp_path / "note").read_bytes() == b"text" * 1000
        assert not any(capabilities(serving))
        serving.terminate()
        serving.wait(20)


def test_bench_at_both_ends(cli: CLI, hosts: list[Host]) -> None:
    a, b = hosts
    with piped(b, *cli.program, "bench", "-s", "--json") as serving:
        networks = json.loads(serving.stdout.readline())["networks"]
        assert networks == ["tcp", "rsp", "rsp6", "rsp+udp", "rsp+udp6"]
        assert not any(capabilities(serving)), "before anybody came"
        # The run on raw IP comes first, whatever the order asked for: the second has no privilege left.
        words = ["bench", "-N", "tcp", "--against", "rsp", "-t", "1", "-i", "0.1", str(b.ip4)]
        with piped(a, *cli.program, *words) as measuring:
            assert b": rsp, " in measuring.stdout.readline()
            for process in (serving, measuring):
                assert not any(capabilities(process))
            out, err = measuring.communicate(timeout=60)
        assert (measuring.returncode, err) == (0, b"")
        assert out.decode().splitlines()[-1].startswith("tcp: ")
        assert not any(capabilities(serving))
        serving.terminate()
        serving.wait(20)

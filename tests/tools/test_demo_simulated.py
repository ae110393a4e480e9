"""``rawproto demo`` in virtual time: the same protocol objects without any network."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import CLI


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "file"
    path.write_bytes(hashlib.shake_256(b"simulated").digest(300_000))
    return path


def demo(cli: CLI, tmp_path: Path, file: Path, *words: str) -> Any:
    """The JSON of a simulated run, without the time on the wall."""
    out = str(tmp_path / "out")
    done = cli.run("demo", "--simulate", "--json", "--file", str(file), "--output", out, *words)
    assert done.returncode == 0, done.stderr.decode()
    result = json.loads(done.stdout)
    del result["wall"]
    return result


def test_equal_seeds_give_equal_runs(cli: CLI, tmp_path: Path, file: Path) -> None:
    first = demo(cli, tmp_path, file, "--seed", "3")
    wire = (tmp_path / "out" / "wire.pcapng").read_bytes()
    assert first["where"] == "simulation"
    assert first["equal"] is True
    assert first["sender"]["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert demo(cli, tmp_path, file, "--seed", "3") == first
    assert (tmp_path / "out" / "wire.pcapng").read_bytes() == wire
    assert demo(cli, tmp_path, file, "--seed", "4")["seconds"] != first["seconds"]


def test_it_leaves_the_same_outputs(cli: CLI, tmp_path: Path, file: Path) -> None:
    demo(cli, tmp_path, file)
    outputs = {path.name for path in (tmp_path / "out").iterdir()}
    assert outputs == {"wire.pcapng", "connection.qlog", "sequence.png"}


def test_the_sender_is_told_of_a_killed_receiver(cli: CLI, tmp_path: Path, file: Path) -> None:
    words = ("--simulate", "--file", str(file), "--kill-receiver", "50%", "--output", str(tmp_path / "out"))
    done = cli.run("demo", *words)
    assert done.returncode == 1
    (line,) = done.stderr.decode().splitlines()
    assert "the peer was not heard for 5 s" in line


@pytest.mark.netns
def test_without_any_namespace_it_simulates_and_says_so(cli: CLI, tmp_path: Path, file: Path) -> None:
    unshare = shutil.which("unshare")
    assert unshare is not None
    # No room for a network namespace, whoever asks.
    script = 'echo 0 > /proc/sys/user/max_net_namespaces && exec "$@"'
    words = ("demo", "--file", str(file), "--output", str(tmp_path / "out"))
    done = subprocess.run(
        [unshare, "--user", "--map-root-user", "sh", "-c", script, "sh", *cli.program, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert "the virtual-time simulator, for there can be no namespaces here" in done.stdout
    assert "of virtual time" in done.stdout

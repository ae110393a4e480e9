"""What the fixture lab captures is kept when a test fails, and named in its report."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from rawproto import Lab, PcapngReader

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.netns

TESTS = """
import socket

def send(a, b):
    with b:
        far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with a:
        near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with near, far:
        far.settimeout(60)
        far.bind((b.address(), 0))
        near.sendto(b"the one datagram", far.getsockname())
        far.recv(100)

def test_fails(lab):
    a, b, c = lab.hosts("a", "b", "c")
    lab.link(a, b, seed=1)
    lab.link(b, c)
    send(a, b)
    assert False, "on purpose"

def test_passes(lab):
    a, b = lab.hosts("a", "b")
    lab.link(a, b, seed=1)
    send(a, b)

def test_fails_without_links(lab):
    assert False, "on purpose"
"""


def run_pytest(folder: Path, *words: str) -> str:
    (folder / "test_inner.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", f"--basetemp={folder / 'base'}"]
    done = subprocess.run(
        [*command, "-q", "--rootdir", str(folder), *words, str(folder / "test_inner.py")],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
        timeout=500,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "2 failed, 1 passed" in done.stdout
    return done.stdout


def test_captures_of_failed_tests_stay_and_are_named(tmp_path: Path) -> None:
    out = run_pytest(tmp_path)
    (path,) = re.findall(r"^a - b: (\S+/1-a-b\.pcapng)$", out, re.MULTILINE)
    assert "b - c: a bare cable" in out
    assert "the lab has no links" in out
    with PcapngReader(path) as reader:
        assert sum(b"the one datagram" in packet.data for packet in reader) == 2
    assert [str(kept) for kept in (tmp_path / "base").rglob("*.pcapng")] == [path]


@pytest.mark.parametrize(("choice", "kept"), [("all", 2), ("off", 0)])
def test_which_captures_are_kept_can_be_chosen(tmp_path: Path, choice: str, kept: int) -> None:
    out = run_pytest(tmp_path, f"--lab-capture={choice}")
    assert len(list((tmp_path / "base").rglob("*.pcapng"))) == kept
    assert ("what passed on its links" in out) == (choice == "all")


def test_a_capture_ends_at_its_limit(tmp_path: Path) -> None:
    import socket

    with Lab(captures=tmp_path, capture_limit=2000) as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b, seed=1)
        with b:
            far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with a:
            near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with near, far:
            far.settimeout(60)
            far.bind((b.address(), 0))
            for _ in range(20):
                near.sendto(bytes(400), far.getsockname())
                far.recv(1000)
    with PcapngReader(tmp_path / "1-a-b.pcapng") as reader:
        sizes = [len(packet.data) for packet in reader]
    # Beside the kernel's reports of its multicast groups.
    assert sum(sizes) <= 2000
    assert 1 <= sizes.count(442) <= 4

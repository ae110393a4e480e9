"""Nothing stays behind: after success, an exception, SIGINT, SIGTERM and SIGKILL."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from rawproto import Lab

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.netns

# Makes a lab with a program, a daemon that left its session, and a call; says which namespaces; waits to be ended.
VICTIM = """
import json, os, signal, sys, time
from rawproto.lab import userns
userns.ensure()
from rawproto import Lab
from rawproto.lab.reaper import processes_in
with Lab() as lab:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, delay="1ms", seed=1)
    a.popen(["sleep", "600"])
    b.popen(["sh", "-c", "trap '' TERM INT; setsid sleep 600 & wait"])
    b.start(signal.pause)
    while len(processes_in(frozenset(lab.namespaces))) < 5:
        time.sleep(0.001)
    print(json.dumps(lab.namespaces), flush=True)
    if sys.argv[1] == "raise":
        raise ZeroDivisionError
    while sys.argv[1] != "return":
        time.sleep(0.01)
"""


@pytest.mark.parametrize("end", ["return", "raise", "SIGINT", "SIGTERM", "SIGKILL"])
def test_nothing_is_left_behind(end: str, wait_until_left_by_all: Callable[[list[int]], list[int]]) -> None:
    command = [sys.executable, "-c", VICTIM, end]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as victim:
        assert victim.stdout is not None
        idents = json.loads(victim.stdout.readline())
        try:
            if end.startswith("SIG"):
                victim.send_signal(getattr(signal, end))
            # The processes that hold these pipes open must be gone for this to come back.
            _, errors = victim.communicate(timeout=200)
        finally:
            victim.kill()
    assert wait_until_left_by_all(idents) == []
    if end == "raise":
        assert "ZeroDivisionError" in errors
    elif end == "SIGINT":
        assert "KeyboardInterrupt" in errors
    else:
        assert errors == ""


def test_the_count_of_everything_is_as_before(
    inventory: Callable[[], Any], wait_until_left_by_all: Callable[[list[int]], list[int]]
) -> None:
    def once() -> list[int]:
        with Lab() as lab:
            a, b = lab.hosts("a", "b")
            link = lab.link(a, b, loss=0.5)
            link.drop(nth=1)
            assert a.call(os.getpid) != os.getpid()
            b.popen(["sleep", "600"])
            with a:
                return lab.namespaces

    once()  # what is loaded and opened once and for all is there now
    before = inventory()
    idents = once()
    assert inventory().more_than(before) == {}
    assert wait_until_left_by_all(idents) == []


def test_a_fork_does_not_take_the_lab_apart(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    a.call(lab.close)
    assert b.call(lambda: "alive") == "alive"

"""What the tests of the tools share: running the command as a user does.

No test here says how fast a machine is. What ends by itself is waited for up to :data:`PATIENCE`, which only a hang
reaches; what runs until it is told to end is told so, and is killed, its pipes closed, whatever became of the test.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyroute2
import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rawproto import Host

LIMIT = 400
"""Seconds of a whole test: some of these start ten processes, and a machine may be slow and busy."""
PATIENCE = 300.0
"""Seconds: below the limit, which ends the whole run, so that a hang fails one test with what the process said."""
PROGRAM = [sys.executable, "-c", "from rawproto_tools.main import main; main()"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents and item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(LIMIT))


class CLI:
    """The `rawproto` command in processes of its own; those still running at the end are killed.

    ``on`` is the host of a lab on which to run, else it is this one.
    """

    program = PROGRAM
    patience = PATIENCE

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[Any]] = []

    def run(
        self,
        *words: str,
        on: Host | None = None,
        given: bytes | str | None = None,
        timeout: float = PATIENCE,
        **options: Any,
    ) -> subprocess.CompletedProcess[Any]:
        """The command from its start to its end."""
        return self.run_program([*PROGRAM, *words], on=on, given=given, timeout=timeout, **options)

    def run_program(
        self,
        argv: Sequence[str],
        *,
        on: Host | None = None,
        given: bytes | str | None = None,
        timeout: float = PATIENCE,
        **options: Any,
    ) -> subprocess.CompletedProcess[Any]:
        """Any program from its start to its end."""
        stdin = subprocess.DEVNULL if given is None else subprocess.PIPE
        process = self.start_program(argv, on=on, **{"stdin": stdin} | options)
        out, err = process.communicate(given, timeout=timeout)
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def start(
        self, *words: str, on: Host | None = None, at_once: bool = False, **options: Any
    ) -> subprocess.Popen[Any]:
        """The command, running; with ``at_once`` each line it prints is there when it is printed."""
        if at_once:
            options["env"] = {**options.get("env", os.environ), "PYTHONUNBUFFERED": "1"}
        return self.start_program([*PROGRAM, *words], on=on, **options)

    def start_program(
        self, argv: Sequence[str], *, on: Host | None = None, **options: Any
    ) -> subprocess.Popen[Any]:
        """Any program, running."""
        settings: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        start = subprocess.Popen if on is None else on.popen
        process: subprocess.Popen[Any] = start(list(argv), **(settings | options))
        self._running.append(process)
        return process

    def close(self) -> None:
        """Kill what runs, and close the pipes to all."""
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    # What was not yet flushed has nowhere to go any more.
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()


def _believe_in(address: str) -> None:
    with pyroute2.IPRoute() as ip:
        (way,) = ip.route("get", dst=address)
        ip.neigh("add", dst=address, lladdr="02:00:00:00:00:99", ifindex=way.get("oif"), state="permanent")


@pytest.fixture(scope="session")
def silence() -> Callable[[Host, str], None]:
    """Called with a host and an address next to it that nobody has: what is sent there is lost, without a word.

    Else the host's kernel looks for it, and says after some seconds that it is not there.
    """
    return lambda host, address: host.call(_believe_in, address)


@pytest.fixture
def cli() -> Iterator[CLI]:
    cli = CLI()
    try:
        yield cli
    finally:
        cli.close()

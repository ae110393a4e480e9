"""What the tests of the tools share: running the command as a user does."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

PROGRAM = [sys.executable, "-c", "from rawproto_tools.main import main; main()"]


class CLI:
    """The `rawproto` command in processes of its own; those still running at the end are killed."""

    program = PROGRAM

    def __init__(self) -> None:
        self._running: list[subprocess.Popen[bytes]] = []

    def run(
        self, *words: str, given: bytes = b"", timeout: float = 60, **options: Any
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*PROGRAM, *words], input=given, capture_output=True, timeout=timeout, check=False, **options
        )

    def start(self, *words: str, **options: Any) -> subprocess.Popen[bytes]:
        settings: dict[str, Any] = {
            "stdin": subprocess.DEVNULL,
            "stdout": subprocess.PIPE,
            "stderr": subprocess.PIPE,
        }
        process = subprocess.Popen([*PROGRAM, *words], **(settings | options))
        self._running.append(process)
        return process

    def close(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    # What was not yet flushed has nowhere to go any more.
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()


@pytest.fixture
def cli() -> Iterator[CLI]:
    cli = CLI()
    try:
        yield cli
    finally:
        cli.close()

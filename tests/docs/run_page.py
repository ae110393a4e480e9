"""Run the code blocks of a page, in order: ``python tests/docs/run_page.py PAGE``. The first that fails ends it.

Everything happens on two hosts in network namespaces on a clean cable, a (10.0.0.1) and b (10.0.0.2), in an empty
folder, so that what a page listens on meets nothing else of the machine. Python blocks share their names.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

from blocks import RUN, Block, agrees, blocks_of, commands_of, continued

from rawproto import Lab
from rawproto.lab import userns

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto import Host

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 300
TABLES = ("tcp", "tcp6", "udp", "udp6", "raw", "raw6", "packet")


class PageError(Exception):
    """A block does not do what its page says."""


class Page:
    """One page on its way through the hosts.

    Args:
        path: the Markdown file.
        hosts: by name.
        folder: where files are written and commands run.
    """

    def __init__(self, path: Path, hosts: dict[str, Host], folder: Path) -> None:
        self.path = path
        self.hosts = hosts
        self.folder = folder
        self.names: dict[str, Any] = {"__name__": "page", "EXAMPLES": str(ROOT / "docs" / "examples")}
        self.printed = ""
        self.running: list[subprocess.Popen[bytes]] = []
        self.background = folder / ".background"
        search = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin:/sbin"
        self.environment = {**os.environ, "PATH": search, "COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1"}
        # pytest names its folder in /tmp by the user: inside a user namespace that is root's, and another's.
        self.environment["PYTEST_DEBUG_TEMPROOT"] = str(folder)
        # The environment is the one that runs this, and there is no network to install anything from.
        venv = Path(sys.prefix).name if Path(sys.prefix).parent == ROOT else ".venv"
        self.environment["MAKEFLAGS"] = f" -o {venv}/.installed -- VENV={venv}"
        # Below another make, one says which folder it enters and takes the variables of the outer command line.
        for name in ("MAKELEVEL", "MFLAGS", "MAKEOVERRIDES", "ARGS", "FILE", "PYTHON"):
            self.environment.pop(name, None)

    def run(self, block: Block) -> None:
        """Run one block, whatever it is."""
        needs = block.word("needs", "")
        if needs and shutil.which(needs) is None:
            print(f"{self.path.name}:{block.line}: not run, {needs} is not installed")
            return
        if block.setup:
            self._execute(block.setup, self.names, 1, " (setup)")
        if block.prints:
            self._compare(block, block.text, self.printed)
        elif block.title:
            file = self.folder / block.title
            file.write_text(continued(file.read_text() if file.exists() else "", block.text))
        elif "pytest" in block.words:
            (self.folder / "test_block.py").write_text(self.names.get("PREAMBLE", "") + block.text)
            self._command("pytest -q test_block.py", block)
        elif block.language == "python":
            self._python(block)
        elif block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "console":
            self._console(block)
        elif block.language == "sh":
            for line in block.text.replace("\\\n", "").splitlines():
                self._command(re.sub(r"\s+#.*", "", line), block)
        else:
            raise PageError(f"a block of {block.language} without a title cannot be run")

    def close(self) -> None:
        """End what still runs."""
        for process in self.running:
            process.kill()
            process.wait()

    def _host(self, block: Block) -> Host:
        return self.hosts[block.word("on", "a")]

    def _python(self, block: Block) -> None:
        host = self._host(block)
        names = dict(self.names) if "apart" in block.words else self.names
        if "background" in block.words:
            ready = self._has_more_sockets(host)
            host.start(self._execute, block.text, names, block.line)
            self._wait(ready)
            return
        caught = io.StringIO()
        with host, contextlib.redirect_stdout(caught):
            self._execute(block.text, names, block.line)
        self.printed = caught.getvalue()

    def _execute(self, text: str, names: dict[str, Any], line: int, what: str = "") -> None:
        exec(compile("\n" * (line - 1) + text, f"{self.path.name}{what}", "exec", dont_inherit=True), names)

    def _console(self, block: Block) -> None:
        commands = commands_of(block.text)
        for number, (command, output) in enumerate(commands, start=1):
            status = int(block.word("status", "0")) if number == len(commands) else 0
            printed = self._command(command, block, status)
            if output.strip():
                self._compare_with_background(block, output, printed)

    def _command(self, command: str, block: Block, status: int = 0) -> str:
        """Run one command, which ends with ``status``; what it printed."""
        host, command = self._host(block), command.strip()
        where = ROOT if "root" in block.words else self.folder
        settings: dict[str, Any] = {"cwd": where, "env": self.environment, "stdin": subprocess.DEVNULL}
        settings |= {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        if command.endswith("&"):
            self._start(host, command.rstrip("& "), block, settings)
            return ""
        done = host.run(["sh", "-c", command], timeout=PATIENCE, **settings)
        printed: str = done.stdout.decode()
        if command and done.returncode != status:
            raise PageError(f"exit status {done.returncode} of {shlex.quote(command)}:\n{printed}")
        return printed

    def _start(self, host: Host, command: str, block: Block, settings: dict[str, Any]) -> None:
        with self.background.open("ab") as file:
            words, settings = ["sh", "-c", f"exec {command}"], {**settings, "stdout": file}
            place = block.word("waits", "")
            ready = (self.folder / place).exists if place else self._has_more_sockets(host)
            self.running.append(host.popen(words, **settings))
        self._wait(ready)

    def _compare_with_background(self, block: Block, output: str, printed: str) -> None:
        """What is expected may come from a program in the background, a little later."""
        end = time.monotonic() + PATIENCE
        while True:
            told = self.background.read_text() if self.background.exists() else ""
            if agrees(output, printed + told, figures="figures" in block.words):
                if told:
                    os.truncate(self.background, 0)
                return
            if not self.running or time.monotonic() > end:
                self._compare(block, output, printed + told)
            time.sleep(0.02)

    def _has_more_sockets(self, host: Host) -> Callable[[], bool]:
        """Whether more sockets are open on ``host`` than now."""
        before = host.call(open_sockets)
        return lambda: bool(host.call(open_sockets) > before)

    def _wait(self, ready: Callable[[], bool]) -> None:
        end = time.monotonic() + PATIENCE
        while not ready():
            if time.monotonic() > end:
                raise PageError("what was started in the background does not listen")
            time.sleep(0.02)

    def _compare(self, block: Block, expected: str, printed: str) -> None:
        if not agrees(expected, printed, figures="figures" in block.words):
            raise PageError(f"the page shows\n{expected}\nbut printed was\n{printed}")


def open_sockets() -> int:
    """Sockets bound or listening in this network namespace."""
    return sum(len(Path(f"/proc/thread-self/net/{table}").read_text().splitlines()) for table in TABLES)


def main(path: Path) -> int:
    userns.ensure()
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b)
        page = Page(path, {"a": a, "b": b}, Path(folder))
        os.chdir(folder)
        try:
            for block in blocks_of(path):
                if block.reason or not (block.language in RUN or block.prints):
                    continue
                try:
                    page.run(block)
                except PageError as wrong:
                    print(f"{path.name}:{block.line}: {wrong}", file=sys.stderr)
                    return 1
                except Exception:
                    print(f"{path.name}:{block.line}:", file=sys.stderr)
                    raise
        finally:
            page.close()
            os.chdir("/")
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).resolve()))

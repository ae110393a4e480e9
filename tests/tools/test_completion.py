"""What the shells are given, and what bash makes of it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from rawproto_tools import catalogue

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import CLI


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A search path on which the command is found, as when it is installed."""
    program = tmp_path / "bin" / "rawproto"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom rawproto_tools.main import main\nmain()\n")
    program.chmod(0o755)
    return f"{program.parent}:{os.environ['PATH']}"


def completed_by_bash(path: str, *words: str) -> list[str]:
    """What bash offers for the last of ``words``."""
    bash = shutil.which("bash")
    assert bash is not None
    script = (
        "compopt() { :; }\n"  # needs a completion under way, which a script has not
        'eval "$(rawproto completion bash)"\n'
        'COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))\n'
        "_rawproto_completion rawproto\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        [bash, "-c", script, "bash", "rawproto", *words],
        capture_output=True, text=True, timeout=300, env={**os.environ, "PATH": path}, check=True,
    )  # fmt: skip
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["pi"], ["ping"]),
        (["ping", "--inter"], ["--interval", "--interface"]),
        (["lab", "s"], ["shell"]),
        (["bench", "-N", "rs"], ["rsp", "rsp+udp"]),
        (["cat", "--network", "t"], ["tcp"]),
        (["traceroute", "-M", ""], ["udp", "icmp", "tcp", "rsp"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
    ],
    ids=" ".join,
)
def test_bash_completes(path: str, words: list[str], offered: list[str]) -> None:
    assert completed_by_bash(path, *words) == offered


def test_bash_offers_every_tool(path: str) -> None:
    assert set(completed_by_bash(path, "")) == set(catalogue.TOOLS)


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef rawproto"), ("fish", "complete --no-files")])
def test_scripts_for_other_shells(cli: CLI, tmp_path: Path, shell: str, mark: str) -> None:
    done = cli.run("completion", shell)
    assert (done.returncode, done.stderr) == (0, b"")
    assert mark in done.stdout.decode()
    program = shutil.which(shell)
    if program is not None:
        script = tmp_path / "script"
        script.write_bytes(done.stdout)
        subprocess.run([program, "-n", str(script)], check=True, timeout=300)
    asked = {"_RAWPROTO_COMPLETE": f"{shell}_complete", "COMP_WORDS": "rawproto pin", "COMP_CWORD": "pin"}
    if shell == "zsh":
        asked["COMP_CWORD"] = "1"
    answer = cli.run(env={**os.environ, **asked}).stdout.decode()
    assert "ping" in answer
    assert "kernel's timestamps" in answer
    assert "traceroute" not in answer


def test_the_shell_is_that_of_the_user(cli: CLI) -> None:
    done = cli.run("completion", "--json", env={**os.environ, "SHELL": "/usr/bin/fish"})
    document = json.loads(done.stdout)
    assert document["shell"] == "fish"
    assert "rawproto" in document["script"]
    done = cli.run("completion", env={**os.environ, "SHELL": "/bin/tcsh"})
    assert done.returncode == 2
    assert done.stderr.decode() == "rawproto: say which shell: bash, zsh, fish ($SHELL is tcsh)\n"

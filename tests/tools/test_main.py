"""The command itself: the table of tools, and how it ends."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import pytest
from rawproto_tools import catalogue, failure, main, output

from rawproto import AddrError, ConnectionRefused, DNSError, PrivilegeError

if TYPE_CHECKING:
    from pathlib import Path

RAWPROTO = [sys.executable, "-c", "from rawproto_tools.main import main; main()"]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*RAWPROTO, *words], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("name", sorted(catalogue.TOOLS) or ["none"])
def test_the_table_tells_what_each_tool_says_of_itself(name: str) -> None:
    if name == "none":
        assert catalogue.TOOLS == {}
        return
    command = importlib.import_module(f"rawproto_tools.{name}").command
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str(limit=200) == catalogue.TOOLS[name]


@pytest.mark.parametrize("name", sorted(catalogue.TOOLS))
def test_every_tool_has_json_and_an_example(name: str) -> None:
    command = importlib.import_module(f"rawproto_tools.{name}").command
    text = command.get_help(click.Context(command, info_name=name))
    assert f"rawproto {name}" in text.split("\n", 1)[1], "no example in the help"
    if not isinstance(command, click.Group):
        assert "--json" in {word for parameter in command.params for word in parameter.opts}


def test_help_lists_every_tool() -> None:
    done = run("--help")
    assert done.returncode == 0
    for name, text in catalogue.TOOLS.items():
        assert f"  {name} " in done.stdout
        assert text[:40] in done.stdout


def test_an_unknown_tool_is_a_usage_error() -> None:
    done = run("no-such-tool")
    assert done.returncode == 2
    assert "No such command 'no-such-tool'" in done.stderr
    assert done.stdout == ""


def test_an_error_is_json_when_json_is_asked_for() -> None:
    done = run("no-such-tool", "--json")
    assert done.returncode == 2
    assert json.loads(done.stdout)["error"]["message"] == "No such command 'no-such-tool'."


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (KeyboardInterrupt(), 130),
        (failure.Terminated(), 143),
        (BrokenPipeError(32, "Broken pipe"), 141),
        (ConnectionRefused("refused", op="dial", network="rsp"), 1),
        (DNSError("no such host", "nowhere.example"), 1),
        (OSError(28, "No space left on device", "/full/file"), 1),
        (AddrError("bad address", "1.2.3", 3), 2),
        (PrivilegeError("open a raw IPv4 socket", "CAP_NET_RAW"), 2),
        (failure.Failure("it did not work"), 1),
        (failure.Failure("that is not a port", failure.USAGE), 2),
        (click.UsageError("no such option"), 2),
        (ZeroDivisionError(), None),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_status_of(error: BaseException, status: int | None) -> None:
    assert failure.status_of(error) == status


def test_messages_name_the_file() -> None:
    assert failure.describe(OSError(28, "No space left on device", "/full/file")) == (
        "/full/file: No space left on device"
    )


@pytest.fixture
def throwing_tool(monkeypatch: pytest.MonkeyPatch) -> list[BaseException]:
    """A tool `throw` that raises what the list holds."""
    errors: list[BaseException] = []

    @click.command("throw")
    def command() -> None:
        raise errors[0]

    monkeypatch.setitem(catalogue.TOOLS, "throw", "Raise an error.")
    monkeypatch.setattr(main.command, "get_command", lambda ctx, name: command)
    return errors


def test_library_errors_end_clean(
    throwing_tool: list[BaseException], capsys: pytest.CaptureFixture[str]
) -> None:
    throwing_tool.append(ConnectionRefused("nobody listens", op="dial", network="rsp", remote="10.0.0.2:9"))
    with pytest.raises(SystemExit) as stop:
        main.main(["throw"])
    assert stop.value.code == 1
    assert capsys.readouterr() == ("", "rawproto: dial rsp 10.0.0.2:9: nobody listens\n")


def test_faults_of_our_own_keep_their_traceback(throwing_tool: list[BaseException]) -> None:
    throwing_tool.append(ZeroDivisionError("a fault"))
    with pytest.raises(ZeroDivisionError):
        main.main(["throw"])


def test_sigterm_cleans_up_on_the_way_out(tmp_path: Path) -> None:
    code = (
        "import os, signal, sys\n"
        "from rawproto_tools.failure import Terminated, on_terminate, status_of\n"
        "on_terminate()\n"
        "try:\n"
        "    os.kill(os.getpid(), signal.SIGTERM); signal.pause()\n"
        "except Terminated as error:\n"
        "    print('cleaned'); sys.exit(status_of(error))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "cleaned\n")


def test_a_closed_pipe_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [*RAWPROTO, "--version"], stdout=writer, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_json_holds_no_number_that_json_lacks() -> None:
    value = {"rtt": float("nan"), 3: [float("inf"), 1.5, None, True], "path": {"b"}}
    assert json.loads(json.dumps(output.plain(value), allow_nan=False)) == {
        "rtt": None,
        "3": [None, 1.5, None, True],
        "path": ["b"],
    }


def test_json_is_not_taken_from_behind_the_dashes() -> None:
    assert output.wants_json(["cat", "--json"])
    assert not output.wants_json(["cat", "--", "--json"])

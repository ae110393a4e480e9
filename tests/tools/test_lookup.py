"""``rawproto lookup`` without a server: what the hosts file knows, literals, errors and JSON."""

from __future__ import annotations

import json
import signal
import socket
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .conftest import CLI


def test_a_name_of_the_hosts_file(cli: CLI) -> None:
    done = cli.run("lookup", "--json", "--hosts", "localhost")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert "127.0.0.1" in document["results"][0]["answers"]
    assert document["results"][0]["canonical"] == "localhost."


@pytest.mark.parametrize(
    "words", [(), ("-t", "NOSUCH", "x"), ("-t", "A", "--hosts", "x"), ("-s", "name.test", "x")]
)
def test_usage_errors_end_with_2(cli: CLI, words: tuple[str, ...]) -> None:
    done = cli.run("lookup", *words)
    assert done.returncode == 2
    assert done.stderr


def test_what_is_no_name_ends_with_1_and_the_others_are_printed(cli: CLI) -> None:
    done = cli.run("lookup", "127.1", "localhost")
    assert done.returncode == 1
    assert b"127.0.0.1" in done.stdout.split()
    assert b"no such host" in done.stderr


def test_errors_in_json(cli: CLI) -> None:
    # Nothing listens on the discard port.
    done = cli.run("lookup", "--json", "-s", "127.0.0.1:9", "-t", "mx", "example.test", "127.1")
    assert done.returncode == 1
    first, second = json.loads(done.stdout)["results"]
    assert first["error"]["temporary"]
    assert first["error"]["server"] == "127.0.0.1:9"
    assert second["error"]["not_found"]
    assert first["answers"] == second["answers"] == []


def test_help_shows_an_example(cli: CLI) -> None:
    done = cli.run("lookup", "--help")
    assert done.returncode == 0
    assert b"rawproto lookup -t MX example.org" in done.stdout


@pytest.fixture
def silent() -> Iterator[str]:
    """A server that hears everything and says nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        yield "{}:{}".format(*heard.getsockname())


def test_a_silent_server_is_given_up(cli: CLI, silent: str) -> None:
    done = cli.run("lookup", "-s", silent, "-w", "200ms", "-t", "A", "example.test")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith('rawproto: lookup "example.test"')
    assert done.stderr.decode().endswith(": no answer in time\n")
    document = json.loads(
        cli.run("lookup", "--json", "-s", silent, "-w", "200ms", "-t", "A", "x.test").stdout
    )
    assert document["results"][0]["error"]["timeout"]


def test_interrupt_ends_with_130(cli: CLI) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as heard:
        heard.bind(("127.0.0.1", 0))
        heard.settimeout(60)
        server = "{}:{}".format(*heard.getsockname())
        process = cli.start("lookup", "-s", server, "-w", "1min", "-t", "A", "example.test")
        heard.recv(512)
        process.send_signal(signal.SIGINT)
        assert process.wait(cli.patience) == 130
    assert process.stdout.read() == b""
    assert b"Traceback" not in process.stderr.read()

"""``rawproto lookup`` without a server: what the hosts file knows, literals, errors and JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
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

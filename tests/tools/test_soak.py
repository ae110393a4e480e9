"""``rawproto soak``: a campaign, stopped and resumed, its report and its failures."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import CLI

SCENARIOS = """
def passes(simulation):
    simulation.after("1s", lambda: None)
    simulation.run()

def odd_fails(simulation):
    simulation.run()
    assert simulation.seed % 2 == 0, "an odd seed"
"""


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "mine.py").write_text(SCENARIOS)
    return tmp_path


def report_of(cli: CLI, place: Path, *words: str, status: int = 0) -> dict[str, Any]:
    done = cli.run("soak", "--json", "--jobs", "1", *words, cwd=place)
    assert done.returncode == status, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return document


def test_rsp_holds_by_default(cli: CLI, tmp_path: Path) -> None:
    report = report_of(cli, tmp_path, "--seeds", "4", "--first", "30")
    assert (report["first"], report["seeds"], report["failed"]) == (30, 4, 0)
    assert report["scenario"] == "rawproto.lab.swarm:rsp_transfer"
    assert report["events"] > 100
    assert report["median_seed_seconds"] <= report["slowest_seed_seconds"] <= report["processor_seconds"]


def test_a_campaign_goes_on_where_it_was(cli: CLI, place: Path) -> None:
    words = ("--scenario", "mine:passes", "--state", "state.jsonl")
    assert report_of(cli, place, *words, "--seeds", "3")["virtual_seconds"] == 3
    lines = (place / "state.jsonl").read_text().splitlines()
    # Made recognisable, to see that it is not done again.
    first = json.loads(lines[1])
    lines[1] = json.dumps({**first, "events": 1000})
    (place / "state.jsonl").write_text("\n".join([*lines, '{"seed": 7, "er']))
    report = report_of(cli, place, *words, "--seeds", "5")
    assert (report["seeds"], report["failed"], report["events"]) == (5, 0, 1000)
    done = cli.run("soak", "--seeds", "1", "--state", "state.jsonl", cwd=place)
    assert done.returncode == 1
    assert b"state.jsonl holds outcomes of mine:passes" in done.stderr


def test_failures_are_counted_and_say_how_to_repeat_them(cli: CLI, place: Path) -> None:
    report = report_of(cli, place, "-s", "mine:odd_fails", "--seeds", "4", "--shrink", status=1)
    assert report["kinds"] == {"AssertionError": 2}
    assert [failure["seed"] for failure in report["failures"]] == [1, 3]
    assert report["failures"][0]["repeat"] == "rawproto soak --first 1 --seeds 1 --scenario mine:odd_fails"
    assert "def test_odd_fails_seed_1():" in report["shrunk"]["test"]
    done = cli.run("soak", "-s", "mine:odd_fails", "--seeds", "50", "-j", "1", "--shrink", cwd=place)
    assert done.returncode == 1
    text = done.stdout.decode()
    assert text.startswith("mine:odd_fails: 50 seeds from 0, 25 failed\n")
    assert "seed 1: AssertionError: an odd seed\n  again: rawproto soak --first 1 --seeds 1" in text
    assert "and 5 more\nseed 1 hangs on 0 packets; as a test:\n" in text


@pytest.mark.parametrize(
    "words", [("--seeds", "0"), ("--scenario", "nowhere:missing"), ("--scenario", "mine"), ("--jobs", "0")]
)
def test_usage_errors_end_with_2(cli: CLI, place: Path, words: tuple[str, ...]) -> None:
    done = cli.run("soak", *words, cwd=place)
    assert done.returncode == 2
    assert done.stderr
    assert done.stdout == b""

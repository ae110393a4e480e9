"""The harness: turns, ratios, rivals that are missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks import harness

ROOT = Path(__file__).resolve().parents[2]


def test_everybody_is_taken_in_turns_and_ratios_say_how_much_better() -> None:
    calls: list[str] = []

    def taker(name: str, value: float):
        def take() -> float:
            calls.append(name)
            return value

        return take

    row = harness.Row(
        "rate",
        unit="Mbit/s",
        better="higher",
        ours=taker("ours", 30.0),
        rivals={"slow": taker("slow", 10.0), "fast": taker("fast", 60.0)},
        expect={"slow": 2, "fast": 1},
    )
    result = harness.measure(row, rounds=2)
    assert calls == ["slow", "fast", "ours", "ours", "slow", "fast", "slow", "fast", "ours"]
    ratios = {ratio.rival: (ratio.median, ratio.kept) for ratio in result.ratios()}
    assert ratios == {"slow": (3.0, True), "fast": (0.5, False)}


def test_a_lower_time_is_a_higher_ratio() -> None:
    row = harness.Row("time", "ns", "lower", ours=lambda: 5.0, rivals={"other": lambda: 20.0})
    (ratio,) = harness.measure(row, rounds=1).ratios()
    assert (ratio.median, ratio.kept) == (4.0, True)


def test_a_missing_rival_is_named_with_its_reason() -> None:
    def take() -> float:
        raise harness.Unavailable("not installed")

    result = harness.measure(harness.Row("x", "ns", "lower", ours=lambda: 1.0, rivals={"gone": take}))
    assert (result.missing, result.rivals) == ({"gone": "not installed"}, {})


def test_timed_calls_the_function() -> None:
    calls = []
    assert harness.timed(lambda: calls.append(1), seconds=0.001)() > 0
    assert len(calls) > 1


def test_an_unknown_room_is_refused() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "cellar"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "no benchmark of cellar" in done.stderr

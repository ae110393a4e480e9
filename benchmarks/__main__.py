"""``python -m benchmarks [ROOM ...]``: runs the rows of ``bench_<room>.py``, all rooms when none is named."""

from __future__ import annotations

import argparse
import importlib
import json
import math
import os
import statistics
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks import page
from benchmarks.harness import measure
from benchmarks.page import figure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.harness import Measured

HERE = Path(__file__).resolve().parent
# Transfers between hosts take longer than loops.
SHARES = {"rsp": 6, "link": 2, "net": 3, "lab": 2}
ROOMS = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def run(
    rooms: list[str],
    rounds: int | None,
    match: str,
    minutes: float | None = None,
    left_out: list[str] | None = None,
) -> Iterator[tuple[str, Measured]]:
    """Measure the rows of ``rooms`` whose name contains ``match``, one after the other.

    With ``minutes``, each room gets its share of them: rows that would begin later go into ``left_out``.
    """
    until, shares = time.monotonic(), sum(SHARES.get(room, 1) for room in rooms)
    for room in rooms:
        until += math.inf if minutes is None else minutes * 60 * SHARES.get(room, 1) / shares
        for row in importlib.import_module(f"benchmarks.bench_{room}").rows():
            if match not in row.name:
                continue
            if time.monotonic() > until and left_out is not None:
                left_out.append(f"{room}: {row.name}")
            else:
                yield room, measure(row, rounds)


def spread(values: list[float]) -> str:
    """Median and range."""
    return f"{figure(statistics.median(values))} [{figure(min(values))} - {figure(max(values))}]"


def print_text(room: str, result: Measured) -> None:
    """The ratios first, the figures they come from after them."""
    row = result.row
    print(f"\n{room}: {row.name}")
    for ratio in result.ratios():
        word = "" if ratio.expected is None else f"  (expected {figure(ratio.expected)}"
        if word:
            word += ")" if ratio.kept else ", MISSED)"
        print(
            f"  {figure(ratio.median):>8} x {ratio.rival}  [{figure(ratio.low)} - {figure(ratio.high)}]{word}"
        )
    for rival, reason in result.missing.items():
        print(f"       ---   {rival}: {reason}")
    print(f"           ours {spread(result.ours)} {row.unit}, {row.better} is better")
    for rival, values in result.rivals.items():
        print(f"           {rival} {spread(values)} {row.unit}")
    sys.stdout.flush()


def document(room: str, result: Measured) -> dict[str, Any]:
    """The same for programs."""
    return {
        "room": room,
        "name": result.row.name,
        "unit": result.row.unit,
        "better": result.row.better,
        "ours": result.ours,
        "rivals": result.rivals,
        "missing": result.missing,
        "ratios": [
            {
                "rival": ratio.rival,
                "median": ratio.median,
                "low": ratio.low,
                "high": ratio.high,
                "expected": ratio.expected,
                "kept": ratio.kept,
                "goal": ratio.goal,
            }
            for ratio in result.ratios()
        ],
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="make bench ARGS=...", description="Ratios against rivals, one run."
    )
    parser.add_argument("rooms", nargs="*", metavar="ROOM", help=f"of {', '.join(ROOMS) or 'none yet'}")
    parser.add_argument("--rounds", type=int, help="rounds that count (default: each row's own)")
    parser.add_argument("--match", default="", help="only rows whose name contains this")
    parser.add_argument("--json", action="store_true", help="one JSON object a row")
    parser.add_argument("--full", action="store_true", help="the long rows, too")
    parser.add_argument("--page", action="store_true", help="write docs/benchmarks.md and its plots, too")
    parser.add_argument("--minutes", type=float, help="begin no row after these (default with --page: 10)")
    parser.add_argument("--strict", action="store_true", help="exit with 1 when an expected ratio is missed")
    asked = parser.parse_args()
    if asked.full:
        os.environ["BENCH_FULL"] = "1"
    unknown = set(asked.rooms) - set(ROOMS)
    if unknown:
        parser.error(f"no benchmark of {', '.join(sorted(unknown))}; there are: {', '.join(ROOMS)}")
    if not asked.json:
        print("ratio = how many times better ours is; median [lowest - highest] of rounds taken in turns")
    missed, documents, left_out, begin = 0, [], [], time.monotonic()
    minutes = asked.minutes or (10.0 if asked.page else None)
    for room, result in run(asked.rooms or ROOMS, asked.rounds, asked.match, minutes, left_out):
        documents.append(document(room, result))
        missed += sum(not ratio.kept for ratio in result.ratios())
        if asked.json:
            print(json.dumps(documents[-1]), flush=True)
        else:
            print_text(room, result)
    if asked.page:
        page.write(documents, left_out, time.monotonic() - begin)
    return 1 if missed and asked.strict else 0


if __name__ == "__main__":
    sys.exit(main())

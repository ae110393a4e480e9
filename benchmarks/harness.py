"""The harness: measures ours and its rivals in turns, several rounds, and prints ratios of medians with their spread.

Absolute figures differ up to twofold between machines and between runs on one machine; a ratio of two figures taken
in turns in one run does not. So a benchmark here is a row: one question, our answer, and the answers of rivals.

How to write one: a file ``benchmarks/bench_<room>.py`` with a function ``rows()`` that yields :class:`Row`. A row is
measured before the generator goes on, so what it needs can be held open around the ``yield``:

    def rows() -> Iterator[Row]:
        data = bytes(1500)
        yield Row(
            "checksum of 1500 bytes",
            unit="ns",
            better="lower",
            ours=timed(lambda: checksum(data), scale=1e9),
            rivals={"byte loop": timed(lambda: slow_checksum(data), scale=1e9)},
            expect={"byte loop": 20},
        )

``ours`` and each rival are called once a round, without arguments, and give one figure; a call should take 0.05 to
2 seconds. A rival that cannot run here raises :class:`Unavailable` with the reason, which is printed in its place.
"""

from __future__ import annotations

import dataclasses
import gc
import os
import statistics
import time
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

__all__ = ["Goal", "Measured", "Ratio", "Row", "Unavailable", "is_full", "measure", "timed"]


def is_full() -> bool:
    """Whether the long rows are asked for, too (``--full``)."""
    return os.environ.get("BENCH_FULL") == "1"


class Unavailable(Exception):  # noqa: N818 - a state of the machine, not an error
    """A rival cannot run on this machine; the message says why."""


@dataclasses.dataclass(frozen=True)
class Goal:
    """A figure that was asked for, in a rival's place."""

    figure: float

    def __call__(self) -> float:
        """The figure."""
        return self.figure


@dataclasses.dataclass(frozen=True)
class Row:
    """One question of a benchmark.

    Attributes:
        name: the question, with sizes: "encode an IPv4 header", "one stream over a clean veth".
        unit: unit of the figures: "ns", "Mbit/s", "packets/s", ...
        better: "lower" for times, "higher" for rates.
        ours: takes one figure of ours.
        rivals: takes one figure of each rival, by name.
        expect: by rival, the least ratio we mean to keep (how many times better we are than it).
        rounds: rounds to run unless the command line says otherwise.
    """

    name: str
    unit: str
    better: Literal["lower", "higher"]
    ours: Callable[[], float]
    rivals: Mapping[str, Callable[[], float]] = dataclasses.field(default_factory=dict)
    expect: Mapping[str, float] = dataclasses.field(default_factory=dict)
    rounds: int = 5


@dataclasses.dataclass(frozen=True)
class Ratio:
    """How many times better ours is than a rival, over the rounds; ``goal`` when that is a :class:`Goal`."""

    rival: str
    median: float
    low: float
    high: float
    expected: float | None
    goal: bool = False

    @property
    def kept(self) -> bool:
        """Whether the median is at least what is expected."""
        return self.expected is None or self.median >= self.expected


@dataclasses.dataclass(frozen=True)
class Measured:
    """A row with its figures, round by round."""

    row: Row
    ours: list[float]
    rivals: dict[str, list[float]]
    missing: dict[str, str]

    def ratios(self) -> list[Ratio]:
        """One ratio for each rival that ran; each round is compared with itself."""
        found = []
        for name, theirs in self.rivals.items():
            if self.row.better == "higher":
                each = [mine / other for mine, other in zip(self.ours, theirs, strict=True)]
            else:
                each = [other / mine for mine, other in zip(self.ours, theirs, strict=True)]
            middle = statistics.median(each)
            goal = isinstance(self.row.rivals[name], Goal)
            found.append(Ratio(name, middle, min(each), max(each), self.row.expect.get(name), goal))
        return found


def timed(function: Callable[[], object], *, scale: float = 1.0, seconds: float = 0.1) -> Callable[[], float]:
    """A taker of the time of one call of ``function``, in seconds times ``scale``.

    It calls as often as fits into ``seconds``; how often is found in the first round and kept.
    """
    count = 0

    def take() -> float:
        nonlocal count
        if count == 0:
            begin = time.perf_counter()
            function()
            count = max(int(seconds / max(time.perf_counter() - begin, 1e-9)), 1)
        turns = range(count)
        enabled = gc.isenabled()
        gc.disable()
        try:
            begin = time.perf_counter()
            for _ in turns:
                function()
            return (time.perf_counter() - begin) / count * scale
        finally:
            if enabled:
                gc.enable()

    return take


def measure(row: Row, rounds: int | None = None) -> Measured:
    """Run ``row``: one round to warm up, then the rounds that count, everybody once in each."""
    missing: dict[str, str] = {}
    takers: dict[str, Callable[[], float]] = {}
    for name, take in row.rivals.items():
        try:
            take()
        except Unavailable as reason:
            missing[name] = str(reason)
        else:
            takers[name] = take
    row.ours()
    ours: list[float] = []
    theirs: dict[str, list[float]] = {name: [] for name in takers}
    for turn in range(rounds or row.rounds):
        # Who goes first changes, so that nobody always meets the machine in the same mood.
        order: list[str | None] = [None, *takers]
        turn %= len(order)
        for name in order[turn:] + order[:turn]:
            if name is None:
                ours.append(row.ours())
            else:
                theirs[name].append(takers[name]())
    return Measured(row, ours, theirs, missing)

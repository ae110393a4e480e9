"""Campaigns: a scenario run with many seeds, on any executor, stopped and resumed at will.

Results go to a file of JSON lines as they come: the scenario, then one line a seed. A campaign that finds the file
there does only what is not in it yet. A worker that dies costs its current seeds, which are done again.
"""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import time
from concurrent.futures import FIRST_COMPLETED, Executor, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError
from rawproto.lab.simulation import Simulation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Outcome", "Report", "find_scenario", "run_campaign"]

CHUNK = 20
# A chunk that breaks its worker so often is at fault itself.
MAX_ATTEMPTS = 3


@dataclasses.dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one seed.

    Attributes:
        seed: of the simulation.
        error: what the scenario raised, "" when it passed.
        digest: of the trace; equal for the same seed wherever it ran.
        virtual: simulated time in seconds.
        real: seconds it took.
        events: how many events the trace had.
    """

    seed: int
    error: str
    digest: str
    virtual: float
    real: float
    events: int


@dataclasses.dataclass(frozen=True)
class Report:
    """All outcomes of a campaign, by seed."""

    scenario: str
    outcomes: tuple[Outcome, ...]

    @property
    def failures(self) -> list[Outcome]:
        """The seeds that failed."""
        return [outcome for outcome in self.outcomes if outcome.error]

    def __str__(self) -> str:
        virtual = sum(outcome.virtual for outcome in self.outcomes)
        real = sum(outcome.real for outcome in self.outcomes)
        events = sum(outcome.events for outcome in self.outcomes)
        lines = [
            f"{self.scenario}: {len(self.outcomes)} seeds, {len(self.failures)} failed",
            f"{virtual:.0f} s of virtual time, {events} events, in {real:.0f} s of processor time",
        ]
        lines += [f"seed {outcome.seed}: {outcome.error}" for outcome in self.failures]
        return "\n".join(lines)


def run_seeds(scenario: str, seeds: list[int]) -> list[Outcome]:
    """Run a scenario, "module:function", with each of some seeds; what a worker does."""
    function = find_scenario(scenario)
    return [_run_seed(function, seed) for seed in seeds]


def find_scenario(scenario: str) -> Callable[[Simulation], Any]:
    """The function that "module:function" names.

    Raises:
        LabError: there is none.
    """
    module, _, name = scenario.partition(":")
    try:
        function: Callable[[Simulation], Any] = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise LabError(f"scenario {scenario!r} is not found: {error}; it is named module:function") from error
    return function


def _run_seed(function: Callable[[Simulation], Any], seed: int) -> Outcome:
    simulation = Simulation(seed)
    begin = time.process_time()
    error = ""
    try:
        function(simulation)
    except Exception as problem:  # a failure is a result here
        error = f"{type(problem).__name__}: {problem}"
    return Outcome(
        seed,
        error,
        simulation.record.digest(),
        simulation.now / 1e9,
        time.process_time() - begin,
        simulation.record.count,
    )


def run_campaign(
    scenario: str,
    seeds: Iterable[int],
    *,
    results: str | os.PathLike[str] | None = None,
    make_executor: Callable[[], Executor] = ProcessPoolExecutor,
    chunk: int = CHUNK,
    on_progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Run a scenario with many seeds.

    Args:
        scenario: "module:function"; the function takes a Simulation and raises when something is wrong.
        seeds: all seeds of the campaign, those done already too.
        results: file for the outcomes, one JSON line a seed; what is in it is not done again. None keeps none.
        make_executor: makes the executor; called again when a worker died and took the executor with it.
        chunk: seeds handed to a worker at a time.
        on_progress: called with the number of seeds done and of all.

    Raises:
        LabError: the scenario is not found, the file is of another scenario, or a chunk of seeds kills its worker
            every time.
    """
    find_scenario(scenario)
    wanted = list(dict.fromkeys(seeds))
    path = Path(os.devnull if results is None else results)
    _check_owner(path, scenario)
    done = {outcome.seed: outcome for outcome in _read(path)}
    open_seeds = [seed for seed in wanted if seed not in done]
    chunks = [open_seeds[start : start + chunk] for start in range(0, len(open_seeds), chunk)]
    with path.open("a", encoding="utf-8") as file:
        # Behind a line that was being written when it was stopped.
        file.write("\n" if file.tell() else json.dumps({"scenario": scenario}) + "\n")
        for outcomes in _work(scenario, chunks, make_executor):
            for outcome in outcomes:
                done[outcome.seed] = outcome
                file.write(json.dumps(dataclasses.asdict(outcome)) + "\n")
            file.flush()
            if on_progress is not None:
                on_progress(sum(seed in done for seed in wanted), len(wanted))
    return Report(scenario, tuple(done[seed] for seed in sorted(wanted)))


def _check_owner(path: Path, scenario: str) -> None:
    if not path.exists():
        return
    with path.open(encoding="utf-8") as file:
        try:
            owner = json.loads(file.readline()).get("scenario", scenario)
        except (ValueError, AttributeError):
            return
    if owner != scenario:
        raise LabError(f"{path} holds outcomes of {owner}; give {scenario} a file of its own")


def _read(path: Path) -> Iterator[Outcome]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            yield Outcome(**json.loads(line))
        except (ValueError, TypeError):
            continue  # the line that was being written when the campaign was stopped


def _work(
    scenario: str, chunks: list[list[int]], make_executor: Callable[[], Executor]
) -> Iterator[list[Outcome]]:
    """Outcomes of the chunks as they come; a broken executor is replaced and what it had is done again."""
    left = dict(enumerate(chunks))
    attempts = dict.fromkeys(left, 0)
    while left:
        with make_executor() as executor:
            running: dict[Future[list[Outcome]], int] = {}
            try:
                for number, seeds in left.items():
                    running[executor.submit(run_seeds, scenario, seeds)] = number
                while running:
                    finished, _ = wait(running, return_when=FIRST_COMPLETED)
                    for future in finished:
                        outcomes = future.result()
                        del left[running.pop(future)]
                        yield outcomes
            except LabError:
                raise
            except Exception as error:  # each kind of executor has its own word for a worker that died
                _count_attempts(left, attempts, error)
            finally:
                # When the campaign is stopped, what has not begun never does.
                for future in running:
                    future.cancel()


def _count_attempts(left: dict[int, list[int]], attempts: dict[int, int], error: Exception) -> None:
    first = next(iter(left))
    attempts[first] += 1
    if attempts[first] >= MAX_ATTEMPTS:
        raise LabError(f"seeds {left[first]} kill their worker every time: {error}") from error

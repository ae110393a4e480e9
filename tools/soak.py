"""``rawproto soak``: a campaign of simulations over many seeds."""

from __future__ import annotations

import os
import signal
import statistics
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

from .failure import DONE, FAILED
from .output import emit_json, json_option
from .quantity import show_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from concurrent.futures import Future

    from rawproto.lab import Outcome, Report

__all__ = ["command"]

P = ParamSpec("P")
T = TypeVar("T")

STANDARD = "rawproto.lab.swarm:rsp_transfer"
CHUNK = 20
"""Most seeds handed to a process at a time."""
SHOWN = 20
"""Failures told of in full; the state file has all."""

EXAMPLES = """\b
Examples:
  rawproto soak --seeds 1000                    RSP on a thousand links, each bad in its own way
  rawproto soak --seeds 100000 --state soak.jsonl   stopped and called again, it goes on
  rawproto soak --first 4711 --seeds 1          one seed again
  rawproto soak --seeds 1000000 --dask tcp://10.0.0.1:8786 --state soak.jsonl
  rawproto soak -s mytests.scenarios:transfer --seeds 500 --jobs 2
"""


@click.command("soak", epilog=EXAMPLES)
@click.option("-n", "--seeds", type=click.IntRange(1), default=1000, show_default=True, help="How many.")
@click.option("--first", type=click.IntRange(0), default=0, show_default=True, help="The first of them.")
@click.option("-j", "--jobs", type=click.IntRange(1), help="Processes [default: one for each processor].")
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of outcomes, a JSON line a seed; seeds that are in it are not done again.",
)
@click.option(
    "-s", "--scenario", default=STANDARD, show_default=True, help="What to run, as module:function."
)
@click.option(
    "--dask", metavar="ADDRESS", help="Run on the workers of the dask scheduler there, tcp://HOST:PORT."
)
@click.option("--shrink", is_flag=True, help="Look for the packets that the first failing seed hangs on.")
@json_option
def command(
    seeds: int,
    first: int,
    jobs: int | None,
    state: Path | None,
    scenario: str,
    dask: str | None,
    shrink: bool,
    as_json: bool,
) -> int:
    """Run a scenario with many seeds in the simulator; a stopped campaign goes on.

    A scenario takes a Simulation and raises when something is wrong; the standard one is an RSP transfer over a link
    whose impairments are drawn from the seed. The exit status is 1 when a seed fails.
    """
    from rawproto.errors import LabError
    from rawproto.lab import DaskExecutor, find_scenario, run_campaign

    # A module of the user's is looked for where they are, as python -m does; the workers look there too.
    sys.path.insert(0, str(Path.cwd()))
    try:
        find_scenario(scenario)
    except LabError as error:
        raise click.UsageError(str(error)) from error
    workers = jobs or _processors()
    began = time.monotonic()
    with _progress(seeds, shown=not as_json and sys.stderr.isatty()) as on_progress:
        report = run_campaign(
            scenario,
            range(first, first + seeds),
            results=state,
            make_executor=lambda: _Workers(workers) if dask is None else DaskExecutor(dask),
            chunk=max(1, min(CHUNK, seeds // (4 * workers))),
            on_progress=on_progress,
        )
    document = _summary(report, time.monotonic() - began)
    if shrink and report.failures:
        document["shrunk"] = _shrunk(scenario, report.failures[0].seed)
    if as_json:
        emit_json(document)
    else:
        _show(document)
    return FAILED if report.failures else DONE


class _Workers(ProcessPoolExecutor):
    """Processes that Ctrl-C does not concern, though it reaches every process of the terminal.

    The parent alone decides what becomes of the campaign, and not while it starts a worker: that would lie there
    half begun.
    """

    def __init__(self, count: int) -> None:
        super().__init__(count, mp_context=get_context("spawn"))

    def submit(self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """As any executor; workers are started here."""
        with _interrupts_held_back():
            return super().submit(fn, *args, **kwargs)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Ctrl-C waits until the end of the block; a process that begins in it never hears of one."""
    came: list[int] = []
    # Blocked here and in what is started, the signal may still come by a thread of numpy's: so it is put off, too.
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, before)
    if came:
        signal.raise_signal(signal.SIGINT)


def _processors() -> int:
    return len(os.sched_getaffinity(0))


class _progress:  # noqa: N801 - used as a function is
    """A line on stderr that counts seeds, while it is entered; None where nobody would see it."""

    def __init__(self, seeds: int, *, shown: bool) -> None:
        self._bar = click.progressbar(length=seeds, label="seeds", file=sys.stderr) if shown else None

    def __enter__(self) -> Callable[[int, int], None] | None:
        if self._bar is None:
            return None
        bar = self._bar.__enter__()
        return lambda done, _: bar.update(done - bar.pos)

    def __exit__(self, *problem: Any) -> None:
        if self._bar is not None:
            self._bar.__exit__(*problem)


def _summary(report: Report, seconds: float) -> dict[str, Any]:
    """The report in figures."""
    outcomes = report.outcomes
    each = sorted(outcome.real for outcome in outcomes)
    return {
        "scenario": report.scenario,
        "first": outcomes[0].seed,
        "seeds": len(outcomes),
        "failed": len(report.failures),
        "virtual_seconds": sum(outcome.virtual for outcome in outcomes),
        "events": sum(outcome.events for outcome in outcomes),
        "processor_seconds": sum(each),
        "seconds": seconds,
        "median_seed_seconds": statistics.median(each),
        "slowest_seed_seconds": each[-1],
        "kinds": dict(Counter(outcome.error.partition(":")[0] for outcome in report.failures)),
        "failures": [_failure(outcome, report.scenario) for outcome in report.failures],
    }


def _failure(outcome: Outcome, scenario: str) -> dict[str, Any]:
    repeat = f"rawproto soak --first {outcome.seed} --seeds 1"
    if scenario != STANDARD:
        repeat += f" --scenario {scenario}"
    return {"seed": outcome.seed, "error": outcome.error, "repeat": repeat}


def _shrunk(scenario: str, seed: int) -> dict[str, Any]:
    from rawproto.lab import find_scenario
    from rawproto.lab.shrink import shrink

    found = shrink(find_scenario(scenario), seed)
    return {"seed": seed, "faults": [list(fault) for fault in found.faults], "test": found.as_test(scenario)}


def _show(document: dict[str, Any]) -> None:
    click.echo(
        f"{document['scenario']}: {document['seeds']} seeds from {document['first']}, {document['failed']} failed"
    )
    click.echo(
        f"{show_span(document['virtual_seconds'])} of virtual time and {document['events']:,} events in "
        f"{show_span(document['processor_seconds'])} of processor time; the median seed took "
        f"{show_span(document['median_seed_seconds'])}, the slowest {show_span(document['slowest_seed_seconds'])}"
    )
    for failure in document["failures"][:SHOWN]:
        click.echo(f"seed {failure['seed']}: {failure['error']}\n  again: {failure['repeat']}")
    if document["failed"] > SHOWN:
        click.echo(f"and {document['failed'] - SHOWN} more")
    with suppress(KeyError):
        shrunk = document["shrunk"]
        click.echo(
            f"seed {shrunk['seed']} hangs on {len(shrunk['faults'])} packets; as a test:\n{shrunk['test']}"
        )

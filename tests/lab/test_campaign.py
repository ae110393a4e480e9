"""Campaigns over many seeds, and shrinking a failing one."""

from __future__ import annotations

import multiprocessing
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path

import pytest

from rawproto import LabError, Simulation
from rawproto.lab.campaign import run_campaign
from rawproto.lab.shrink import shrink


@pytest.fixture(autouse=True)
def scenarios_importable(monkeypatch: pytest.MonkeyPatch) -> None:
    # In the workers too, which are new interpreters that get this path from the environment.
    folder = str(Path(__file__).parent)
    monkeypatch.syspath_prepend(folder)
    monkeypatch.setenv("PYTHONPATH", folder)


def processes() -> Executor:
    return ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn"))


def threads() -> Executor:
    return ThreadPoolExecutor(1)


def failing_seed() -> int:
    from scenarios import needs_two

    for seed in range(5000):
        try:
            needs_two(Simulation(seed))
        except AssertionError:
            return seed
    raise AssertionError("no seed fails")


def test_a_failing_seed_shrinks_to_the_packets_that_matter(tmp_path: Path) -> None:
    from scenarios import needs_two

    seed = failing_seed()
    found = shrink(needs_two, seed)
    assert found.faults == ((0, "forward", 20), (0, "forward", 40))
    assert isinstance(found.error, AssertionError)
    text = found.as_test("scenarios:needs_two")
    namespace: dict[str, object] = {}
    exec(compile(text, "regression", "exec"), namespace)
    with pytest.raises(AssertionError, match="20 came twice"):
        namespace[f"test_needs_two_seed_{seed}"]()  # type: ignore[operator]


def test_what_does_not_fail_is_not_shrunk() -> None:
    from scenarios import passes

    with pytest.raises(LabError, match="seed 3"):
        shrink(passes, 3)


def test_what_fails_without_faults_needs_none() -> None:
    def broken(simulation: Simulation) -> None:
        raise ValueError(simulation.seed)

    found = shrink(broken, 3)
    assert found.faults == ()
    assert "faults = []" in found.as_test("somewhere:broken")


def test_a_campaign_is_the_same_on_threads_and_processes(tmp_path: Path) -> None:
    alone = run_campaign(
        "scenarios:passes", range(30), results=tmp_path / "1.jsonl", make_executor=threads, chunk=7
    )
    together = run_campaign(
        "scenarios:passes", range(30), results=tmp_path / "2.jsonl", make_executor=processes, chunk=4
    )
    assert [outcome.seed for outcome in alone.outcomes] == list(range(30))
    assert [outcome.digest for outcome in alone.outcomes] == [outcome.digest for outcome in together.outcomes]
    assert "30 seeds, 0 failed" in str(alone)


def test_a_stopped_campaign_resumes(tmp_path: Path) -> None:
    seed = failing_seed()
    results = tmp_path / "results.jsonl"
    seeds = range(seed - 2, seed + 3)

    class Stop(Exception):  # noqa: N818
        pass

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        run_campaign(
            "scenarios:needs_two", seeds, results=results, make_executor=threads, chunk=1, on_progress=stop
        )
    with results.open("a") as file:
        file.write('{"seed": 1, "err')
    before = results.read_text().splitlines()[:2]
    steps: list[tuple[int, int]] = []
    report = run_campaign(
        "scenarios:needs_two",
        seeds,
        results=results,
        make_executor=threads,
        chunk=1,
        on_progress=lambda done, all_: steps.append((done, all_)),
    )
    assert steps == [(3, 5), (4, 5), (5, 5)]
    assert results.read_text().splitlines()[:2] == before
    assert [outcome.seed for outcome in report.failures] == [seed]
    assert f"seed {seed}: AssertionError: 20 came twice" in str(report)


def test_a_file_of_another_scenario_is_left_alone(tmp_path: Path) -> None:
    results = tmp_path / "r.jsonl"
    run_campaign("scenarios:passes", range(2), results=results, make_executor=threads)
    before = results.read_text()
    with pytest.raises(LabError, match=r"r\.jsonl holds outcomes of scenarios:passes"):
        run_campaign("scenarios:needs_two", range(4), results=results, make_executor=threads)
    assert results.read_text() == before


def test_a_campaign_needs_no_file() -> None:
    assert len(run_campaign("scenarios:passes", range(3), make_executor=threads).outcomes) == 3


def test_a_dead_workers_seeds_are_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAWPROTO_TEST_MARK", str(tmp_path / "mark"))
    report = run_campaign(
        "scenarios:dies_once", range(10), results=tmp_path / "r.jsonl", make_executor=processes, chunk=2
    )
    assert (tmp_path / "mark").exists()
    assert len(report.outcomes) == 10
    assert report.failures == []


def test_a_scenario_must_be_there(tmp_path: Path) -> None:
    for name in ("scenarios:missing", "nowhere:missing", "scenarios", ":x"):
        with pytest.raises(LabError, match="module:function"):
            run_campaign(name, range(1), results=tmp_path / "r.jsonl", make_executor=threads)
    assert "nowhere" not in sys.modules


def test_any_executor_will_do() -> None:
    class Plain(Executor):
        """Knows nothing of what Executor gained over time."""

        def submit(self, fn, /, *args):  # type: ignore[no-untyped-def]
            future: Future[object] = Future()
            future.set_result(fn(*args))
            return future

        def shutdown(self, wait: bool = True) -> None:  # type: ignore[override]
            """Nothing is left."""

    assert len(run_campaign("scenarios:passes", range(5), make_executor=Plain, chunk=2).outcomes) == 5


def test_an_executor_that_always_fails_is_given_up() -> None:
    class Broken(ThreadPoolExecutor):
        def submit(self, fn, /, *args):  # type: ignore[no-untyped-def]
            raise OSError("no route to the cluster")

    with pytest.raises(LabError, match=r"seeds \[0, 1\] .*no route to the cluster"):
        run_campaign("scenarios:passes", range(2), make_executor=Broken, chunk=2)

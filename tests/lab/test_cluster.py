"""Campaigns on dask.distributed: a scheduler and two workers on the loopback, each a process of its own."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rawproto import LabError
from rawproto.lab.campaign import run_campaign
from rawproto.lab.cluster import DaskExecutor

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("distributed", reason="dask.distributed is not installed (the extra rawproto[dask])")
pytestmark = pytest.mark.filterwarnings("ignore")  # of dask's own making
FOLDER = str(Path(__file__).parent)


class Cluster:
    """A scheduler and its workers."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "scheduler.json"
        self._log = (folder / "log").open("w")
        self.scheduler = self._start("dask_scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard")
        self.workers = [
            self._start("dask_worker", "--nthreads", "1", "--no-nanny", "--no-dashboard", "--name", str(name))
            for name in range(2)
        ]

    def address(self) -> str:
        """Of the scheduler, which writes it to a file when it is there."""
        while True:
            assert self.scheduler.poll() is None, "the scheduler has ended"
            # It may be seen half written.
            with contextlib.suppress(FileNotFoundError, ValueError):
                return str(json.loads(self._file.read_text())["address"])
            time.sleep(0.05)

    def _start(self, module: str, *arguments: str) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", f"distributed.cli.{module}", *arguments]
        return subprocess.Popen(
            [*command, "--scheduler-file", str(self._file)], stdout=self._log, stderr=self._log
        )

    def executor(self) -> DaskExecutor:
        executor = DaskExecutor(self.address(), timeout=300)
        # A worker that is dying may still look alive.
        while len(executor._client.scheduler_info()["workers"]) < self.alive():
            time.sleep(0.05)
        return executor

    def alive(self) -> int:
        return sum(worker.poll() is None for worker in self.workers)

    def close(self) -> None:
        for process in (*self.workers, self.scheduler):
            process.kill()
            process.wait()
        self._log.close()


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    monkeypatch.syspath_prepend(FOLDER)
    monkeypatch.setenv("PYTHONPATH", FOLDER)  # for the workers
    monkeypatch.setenv("RAWPROTO_TEST_MARK", str(tmp_path / "mark"))
    found = Cluster(tmp_path)
    try:
        yield found
    finally:
        found.close()


def test_a_campaign_on_two_workers_one_of_which_dies(cluster: Cluster, tmp_path: Path) -> None:
    # The scenario kills its worker in the midst of seed 5, once; the other worker does its seeds again.
    results = tmp_path / "results.jsonl"
    report = run_campaign(
        "scenarios:dies_once", range(20), results=results, make_executor=cluster.executor, chunk=2
    )
    assert (tmp_path / "mark").exists()
    while cluster.alive() > 1:
        time.sleep(0.01)  # its connections are closed before it counts as dead
    assert cluster.alive() == 1
    assert [outcome.seed for outcome in report.outcomes] == list(range(20))
    assert report.failures == []
    # It stops and goes on as any other does, and one process gets the same traces.
    lines = results.read_text().splitlines()
    results.write_text("\n".join(lines[:11]))
    again = run_campaign(
        "scenarios:dies_once", range(20), results=results, make_executor=cluster.executor, chunk=3
    )
    assert {outcome.seed: outcome.digest for outcome in again.outcomes} == {
        outcome.seed: outcome.digest for outcome in report.outcomes
    }


def test_nobody_at_the_address_is_told() -> None:
    with pytest.raises(LabError, match=r"no dask scheduler answers at tcp://127\.0\.0\.1:1"):
        DaskExecutor("tcp://127.0.0.1:1", timeout=0.2)

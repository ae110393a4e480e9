"""``python -m benchmarks.soak_net``: transfers through a bad link for as long as one likes, in real time.

Two hosts of a lab, a link whose faults change every few minutes (delay, jitter, loss in runs, reordering, duplicates,
damage, outages), one process on each. Many connections over all carriers of RSP carry data both ways; SHA-256 of every
transfer is compared. The soak passes when all hashes are equal, no connection failed but those that were aborted on
purpose, memory is flat, and no descriptor or thread is left in either process.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

from benchmarks import soak_work
from rawproto import Lab

PHASES: tuple[dict[str, Any], ...] = (
    {"delay": "10ms", "jitter": "2ms", "loss": 0.01},
    {"delay": "40ms", "loss": 0.02, "reorder": 0.02, "duplicate": 0.01},
    {"delay": "5ms", "loss": 0.0, "corrupt": 0.01},
    {"delay": "20ms", "jitter": "10ms", "loss": 0.05, "reorder": 0.05},
)
CALM = {"jitter": 0, "loss": 0.0, "reorder": 0.0, "duplicate": 0.0, "corrupt": 0.0}
PHASE_SECONDS = 60.0
OUTAGE_EVERY = 5
"""Phases between outages."""
OUTAGE_SECONDS = 5.0
GROWTH = 0.05
"""Most that memory may grow from the second quarter of the run to the last."""


def growth(samples: list[dict[str, float]], what: str = "resident") -> float:
    """By how much the median of ``what`` grew from the second quarter to the last, as a fraction."""
    quarter = len(samples) // 4
    if not quarter:
        return 0.0
    early = statistics.median(sample[what] for sample in samples[quarter : 2 * quarter])
    late = statistics.median(sample[what] for sample in samples[-quarter:])
    return late / early - 1


def unexplained(result: dict[str, Any]) -> list[str]:
    """Connections that ended for the server with an error although the client had not aborted them.

    The server learns of an abort by a RESET. That can be lost, and a client that has nothing else open on its socket
    closes it, so that nobody is there to answer any more: the server then notices by its keepalive and idle timeout.
    """
    left = Counter(result["client"]["aborted"])
    wrong = []
    for peer, error in result["server"]["cut"]:
        if left[peer]:
            left[peer] -= 1
        else:
            wrong.append(f"server: {peer} was not aborted, but ended with {error}")
    return wrong


def verdict(name: str, tally: dict[str, Any]) -> list[str]:
    """What is wrong with one process; nothing when it passed."""
    wrong = [f"{name}: {failure}" for failure in tally["failures"]]
    if not tally["transfers"]:
        wrong.append(f"{name}: no transfer was made")
    if growth(tally["samples"]) > GROWTH:
        wrong.append(f"{name}: memory grew by {growth(tally['samples']):.1%}")
    before, after = tally["before"], tally["after"]
    left = [what for what in ("descriptors", "threads") if after[what] > before[what]]
    return wrong + [f"{name}: {what} {before[what]:.0f} -> {after[what]:.0f}" for what in left]


def misbehave(link: Any, seconds: float) -> None:
    """Change what the link does, phase by phase, for so long."""
    end = time.monotonic() + seconds
    for count in range(1 << 30):
        left = end - time.monotonic()
        if left <= 0:
            break
        link.set(**{**CALM, **PHASES[count % len(PHASES)]})
        if count % OUTAGE_EVERY == OUTAGE_EVERY - 1:
            link.down()
            time.sleep(min(OUTAGE_SECONDS, left))
            link.up()
        time.sleep(max(min(PHASE_SECONDS, end - time.monotonic()), 0))
    link.set(**CALM)


def soak(minutes: float, seed: int, at_once: int, rate: str) -> dict[str, Any]:
    """Run it; gives what both processes did."""
    seconds = minutes * 60
    with Lab("soak") as lab, tempfile.TemporaryDirectory() as folder:
        client, server = lab.hosts("client", "server")
        link = lab.link(client, server, rate=rate, delay="10ms", seed=seed, loss=0.01)
        addresses = {name: server.address(6 if name.endswith("6") else 4) for name in soak_work.CARRIERS}
        ready, stop = Path(folder, "ready"), Path(folder, "stop")
        serving = server.start(soak_work.serve_for_hours, addresses, str(ready), str(stop))
        while not ready.exists():
            if serving.poll() is not None:
                serving.result()
            time.sleep(0.05)
        asking = client.start(soak_work.ask_for_hours, addresses, seconds, seed, at_once)
        misbehave(link, seconds)
        asked = asking.result(timeout=10 * soak_work.PATIENCE)
        stop.touch()
        served = serving.result(timeout=10 * soak_work.PATIENCE)
        return {"minutes": minutes, "seed": seed, "client": asked, "server": served}


def show(result: dict[str, Any], wrong: list[str]) -> None:
    """Figures for people."""
    for name in ("client", "server"):
        tally = result[name]
        samples = tally["samples"]
        print(
            f"{name}: {tally['transfers']:,} transfers, {tally['bytes'] / 1e6:,.0f} MB,"
            f" {len(tally['failures'])} failed; resident {samples[len(samples) // 4]['resident'] / 1e6:.1f}"
            f" -> {samples[-1]['resident'] / 1e6:.1f} MB ({growth(samples):+.1%} from the second quarter to the last),"
            f" Python's blocks {growth(samples, 'blocks'):+.1%};"
            f" descriptors {tally['before']['descriptors']:.0f} -> {tally['after']['descriptors']:.0f},"
            f" threads {tally['before']['threads']:.0f} -> {tally['after']['threads']:.0f}"
        )
    cut = result["server"]["cut"]
    print(
        f"aborted on purpose: {len(result['client']['aborted'])}; the server saw {len(cut)} connections cut,"
        f" {sum('TimedOut' in error for _, error in cut)} of them by silence"
    )
    print("passed" if not wrong else "\n".join(["FAILED", *wrong[:50]]))


def main() -> int:
    """Run from the command line; the exit status is 1 when something is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--at-once", type=int, default=6, help="transfers at a time")
    parser.add_argument("--rate", default="30mbit", help="of the link")
    parser.add_argument("--json", type=Path, help="file for everything, samples too")
    given = parser.parse_args()
    soak_work.limit_heaps()
    result = soak(given.minutes, given.seed, given.at_once, given.rate)
    wrong = verdict("client", result["client"]) + verdict("server", result["server"]) + unexplained(result)
    if given.json:
        given.json.write_text(json.dumps({**result, "wrong": wrong}, indent=1))
    show(result, wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

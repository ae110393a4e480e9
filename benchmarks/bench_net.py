"""Many connections of one process on one socket: what idle ones cost, handshakes a second, and equal shares."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import flood_work, net_work
from benchmarks.bench_link import Bench, pinned, wait_for
from benchmarks.harness import Goal, Row, Unavailable
from rawproto.lab import Lab

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDLE = 10_000
SILENCE = 4.0
"""Seconds after which connections count as idle and have given back what they need when busy."""
ALLOWED = 8 * 1024
HANDSHAKES = 2_000
WANTED = 2_000
CONVERSATIONS = 1_000
MESSAGE = 64
TALK_SECONDS = 3.0
FAIR = 0.95
FLOOD = 50_000.0
"""Forged SYNs a second."""
FLOOD_SECONDS = 5.0
GROWTH = 4 << 20
"""Bytes that resident memory may vary by during the flood."""
ANSWER_WITHIN = 1000.0
"""Milliseconds that all but one in a hundred honest dials have."""


class Crowd(Bench):
    """The hosts of the link's benchmark, and crowds of connections between them."""

    def _serving(self, function: Callable[..., object], network: str, *args: int) -> object:
        self._files += 1
        ready = self.folder / f"crowd{self._files}"
        serving = self.receiver.start(
            pinned, 1, function, network, self.receiver.address(4), str(ready), *args
        )
        wait_for(ready, serving)
        return serving

    def idle(self, network: str) -> float:
        """Resident bytes of an idle connection at the end that costs more."""
        serving = self._serving(net_work.hold, network, IDLE)
        host = self.receiver.address(4)
        dialed = self.sender.call(pinned, 0, net_work.keep_open, network, host, IDLE, SILENCE, timeout=300)
        accepted = serving.result(60)
        serving.wait()
        return float(max(dialed, accepted))

    def handshakes(self, network: str) -> float:
        """Handshakes a second between two processes."""
        serving = self._serving(net_work.greet, network, HANDSHAKES)
        host = self.receiver.address(4)
        rate = self.sender.call(pinned, 0, net_work.shake_hands, network, host, HANDSHAKES, timeout=120)
        serving.result(60)
        serving.wait()
        return float(rate)

    def flooded(self) -> float:
        """99th percentile of the milliseconds an honest dial takes beside a flood; raises when memory grows."""
        self._files += 1
        ready, stop = self.folder / f"flood{self._files}", self.folder / f"over{self._files}"
        host = self.receiver.address(4)
        # Answers to forged sources leave as they would towards the Internet.
        self.receiver.run(["ip", "route", "replace", "default", "via", self.sender.address(4)], check=True)
        standing = self.receiver.start(flood_work.stand, host, str(ready), str(stop))
        wait_for(ready, standing)
        flooding = self.sender.start(flood_work.flood, host, FLOOD, FLOOD_SECONDS)
        honest = self.sender.call(
            flood_work.dial_honestly, host, FLOOD_SECONDS - 1, 0.005, timeout=20 * FLOOD_SECONDS
        )
        sent = flooding.result(60)
        stop.touch()
        stood = standing.result(60)
        if sent < 0.9 * FLOOD:
            raise Unavailable(f"the flood reached {sent:,.0f} SYN a second only: the machine is busy")
        if stood["grown"] > GROWTH:
            raise AssertionError(f"memory grew by {stood['grown']:,.0f} bytes")
        came, failed = sorted(honest["times"]), honest["failures"]
        if len(failed) > len(came) / 999:
            raise AssertionError(f"{len(failed)} of {len(came) + len(failed)} dials failed: {failed[0]}")
        return float(came[len(came) * 99 // 100] * 1e3)

    def conversations(self, network: str) -> tuple[float, float]:
        """Messages a second over many connections at once, and how fair the shares are."""
        serving = self._serving(net_work.echo_all, network, MESSAGE)
        host = self.receiver.address(4)
        words = (net_work.talk_at_once, network, host, CONVERSATIONS, MESSAGE, TALK_SECONDS)
        try:
            rate, fairness = self.sender.call(pinned, 0, *words, timeout=120)
        finally:
            serving.kill()
            serving.wait()
        return float(rate), float(fairness)


def rows() -> Iterator[Row]:
    """The rows, see :mod:`benchmarks.harness`."""
    with tempfile.TemporaryDirectory() as folder, Lab() as lab:
        crowd = Crowd(lab, Path(folder))
        yield Row(
            f"an idle connection of {IDLE:,} on raw IP, resident memory at the costlier end",
            unit="bytes",
            better="lower",
            ours=lambda: crowd.idle("rsp4"),
            rivals={"the 8 KiB allowed": Goal(ALLOWED)},
            expect={"the 8 KiB allowed": 1.0},
            rounds=1,
        )
        for network in ("rsp4", "rsp+udp4"):
            yield Row(
                f"handshakes, one dialing process and one accepting, {network}",
                unit="handshakes/s",
                better="higher",
                ours=lambda network=network: crowd.handshakes(network),
                rivals={
                    "2,000 a second": Goal(WANTED),
                    "kernel TCP, same code": lambda: crowd.handshakes("tcp4"),
                },
                expect={"2,000 a second": 1.0},
                rounds=3,
            )
        yield Row(
            f"echo of {MESSAGE} bytes over {CONVERSATIONS:,} connections at once, raw IP",
            unit="messages/s",
            better="higher",
            ours=lambda: crowd.conversations("rsp4")[0],
            rivals={"kernel TCP, same code": lambda: crowd.conversations("tcp4")[0]},
            rounds=3,
        )
        yield Row(
            f"Jain's index of the shares of {CONVERSATIONS:,} connections that echo at once, raw IP",
            unit="of 1",
            better="higher",
            ours=lambda: crowd.conversations("rsp4")[1],
            rivals={f"fair, {FAIR}": Goal(FAIR)},
            expect={f"fair, {FAIR}": 1.0},
            rounds=3,
        )
        yield Row(
            f"an honest dial beside a flood of {FLOOD:,.0f} forged SYN a second, 99th percentile",
            unit="ms",
            better="lower",
            ours=crowd.flooded,
            rivals={"a second": Goal(ANSWER_WITHIN)},
            expect={"a second": 1.0},
            rounds=1,
        )

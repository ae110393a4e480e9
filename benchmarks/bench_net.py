"""Many connections of one process on one socket: what idle ones cost, handshakes a second, and equal shares."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import net_work
from benchmarks.bench_link import Bench, pinned, wait_for
from benchmarks.harness import Row
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
            rivals={"the 8 KiB allowed": lambda: float(ALLOWED)},
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
                    "2,000 a second": lambda: float(WANTED),
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
            rivals={f"fair, {FAIR}": lambda: FAIR},
            expect={f"fair, {FAIR}": 1.0},
            rounds=3,
        )

"""Round trips of small messages beside the streams: what somebody else on the same path would wait."""

from __future__ import annotations

import math
import struct
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from .datagrams import HEADER, PROBE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["DatagramProbe", "Prober", "StreamProbe", "percentile", "summary"]

EVERY: Final = 0.01
"""Seconds between two probes: they are sent whether the last one has come back or not."""
IDLE: Final = 20
"""Probes before the load."""
PATIENCE: Final = 3.0
"""Seconds to wait for them."""


class StreamProbe:
    """Messages there and back on a connection; each holds the time at which it was sent."""

    _MESSAGE = struct.Struct("!QQ")

    def __init__(self, conn: Any) -> None:
        self._conn = conn
        conn.set_deadline(None)

    def send(self, number: int, now: int) -> None:
        """Send message ``number`` off; ``now`` is the time in nanoseconds."""
        self._conn.write(self._MESSAGE.pack(number, now))

    def receive(self) -> int:
        """Wait for the next answer; gives the time at which the message was sent, in nanoseconds."""
        _, sent = self._MESSAGE.unpack(self._conn.read_exactly(self._MESSAGE.size))
        return int(sent)

    def stop(self) -> None:
        """End a wait."""
        self._conn.set_deadline(0)

    def close(self) -> None:
        """Give the connection up."""
        self._conn.abort()


class DatagramProbe:
    """The same in datagrams, which may be lost."""

    def __init__(self, conn: Any, token: int) -> None:
        self._conn = conn
        self._token = token
        conn.set_deadline(None)

    def send(self, number: int, now: int) -> None:
        """Send message ``number`` off; ``now`` is the time in nanoseconds."""
        self._conn.write(HEADER.pack(PROBE, 0, self._token, number, now))

    def receive(self) -> int:
        """Wait for the next answer; gives the time at which the message was sent, in nanoseconds."""
        while True:
            packet = self._conn.read()
            if len(packet) == HEADER.size:
                kind, _, token, _, sent = HEADER.unpack(packet)
                if (kind, token) == (PROBE, self._token):
                    return int(sent)

    def stop(self) -> None:
        """End a wait."""
        self._conn.set_deadline(0)

    def close(self) -> None:
        """Close the socket."""
        self._conn.close()


class Prober:
    """Probes at a steady beat, first idle, then under load.

    Attributes:
        idle: seconds of each round trip before the load.
        load: the same under load.
    """

    def __init__(self, probe: StreamProbe | DatagramProbe) -> None:
        self.idle: list[float] = []
        self.load: list[float] = []
        self._probe = probe
        self._loaded: int | None = None
        self._last = 0
        self._enough = threading.Event()
        self._back = threading.Event()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=work, name="probes", daemon=True)
            for work in (self._send_all, self._receive_all)
        ]

    def measure_idle(self) -> None:
        """Begin, and wait until there are enough round trips without load."""
        for thread in self._threads:
            thread.start()
        self._enough.wait(PATIENCE)

    def mark_load(self) -> None:
        """From now on there is load."""
        self._loaded = time.monotonic_ns()

    def finish(self) -> None:
        """Make no more, and wait for those on their way: they are the ones that took longest."""
        self._stop.set()
        self._threads[0].join(PATIENCE)
        self._back.wait(PATIENCE)
        self.stop()

    def stop(self) -> None:
        """Make no more, and wait for nothing."""
        self._stop.set()
        self._probe.stop()
        for thread in self._threads:
            if thread.ident is not None:
                thread.join()
        self._probe.close()

    def document(self) -> dict[str, Any]:
        """The results, in milliseconds."""
        return {"idle": summary(self.idle), "load": summary(self.load)}

    def _send_all(self) -> None:
        due = time.monotonic()
        number = 0
        try:
            while not self._stop.wait(max(0.0, due - time.monotonic())):
                self._last = now = time.monotonic_ns()
                self._back.clear()
                self._probe.send(number, now)
                number += 1
                due = max(due + EVERY, time.monotonic())
        except OSError:
            pass  # the streams tell of what is wrong with the path

    def _receive_all(self) -> None:
        try:
            while True:
                sent = self._probe.receive()
                times = self.idle if self._loaded is None or sent < self._loaded else self.load
                times.append((time.monotonic_ns() - sent) / 1e9)
                if len(self.idle) >= IDLE:
                    self._enough.set()
                if sent >= self._last:
                    self._back.set()
        except OSError:
            self._enough.set()
            self._back.set()


def percentile(ordered: Sequence[float], share: float) -> float:
    """The value at ``share`` (from 0 to 1) of a sorted sequence, by nearest rank."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def summary(times: Sequence[float]) -> dict[str, Any] | None:
    """Count, median, 99th percentile and extremes of ``times`` (seconds) in milliseconds; None without any."""
    if not times:
        return None
    ordered = sorted(times)
    return {
        "count": len(ordered),
        "min_ms": ordered[0] * 1e3,
        "p50_ms": percentile(ordered, 0.5) * 1e3,
        "p99_ms": percentile(ordered, 0.99) * 1e3,
        "max_ms": ordered[-1] * 1e3,
    }

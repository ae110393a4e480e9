"""NewReno as RFC 9002 section 7 words it: slow start, additive increase, one reduction a round trip."""

from __future__ import annotations

from rawproto.protocol import SECOND
from rawproto.rsp.congestion.base import Acknowledged, CongestionController, Lost

__all__ = ["NewReno", "initial_window", "minimum_window"]

LOSS_REDUCTION_FACTOR = 0.5
"""RFC 9002 section 7.3.2 (kLossReductionFactor)."""


def initial_window(max_datagram: int) -> int:
    """min(10 * size, max(2 * size, 14720)) bytes (RFC 9002 section 7.2, RFC 6928)."""
    return min(10 * max_datagram, max(2 * max_datagram, 14720))


def minimum_window(max_datagram: int) -> int:
    """Two datagrams (RFC 9002 section 7.2)."""
    return 2 * max_datagram


class NewReno(CongestionController):
    """The plain window that the others are measured against."""

    name = "newreno"

    def __init__(self, max_datagram: int, now: int) -> None:
        super().__init__(max_datagram, now)
        self._window = initial_window(max_datagram)
        self._threshold: float = float("inf")
        self._recovery_start = -1
        self._acknowledged = 0
        self._before: tuple[int, float] | None = None

    @property
    def window(self) -> int:
        """Bytes that may be in flight."""
        return self._window

    @property
    def state(self) -> str:
        """The phase, for traces."""
        return "slow start" if self._window < self._threshold else "congestion avoidance"

    def pacing_rate(self, smoothed_rtt: int) -> float:
        """N * window / smoothed round trip; N is 2 in slow start, else 1.25 (RFC 9002 section 7.7)."""
        gain = 2.0 if self._window < self._threshold else 1.25
        return gain * self._window * SECOND / max(smoothed_rtt, 1)

    def on_acknowledged(self, event: Acknowledged, *, window_limited: bool) -> None:
        """Grow the window, unless it was not used or a recovery period is under way (sections 7.3, 7.8)."""
        if event.sent_at <= self._recovery_start or not window_limited:
            return
        if self._window < self._threshold:
            self._window += event.bytes
            return
        self._acknowledged += event.bytes
        if self._acknowledged >= self._window:
            self._acknowledged -= self._window
            self._window += self.max_datagram

    def on_max_datagram(self, size: int) -> None:
        """The least window grows with the datagrams."""
        super().on_max_datagram(size)
        self._window = max(self._window, minimum_window(size))

    def on_lost(self, event: Lost) -> None:
        """Halve the window once a recovery period (section 7.3.2); collapse it on persistent congestion."""
        self._reduce(event.now, event.sent_at)
        if event.persistent:
            self._window = minimum_window(self.max_datagram)
            self._recovery_start = -1
            self._before = None

    def on_congestion_mark(self, now: int, sent_at: int) -> None:
        """A mark counts as a loss (RFC 9002 section 7.1)."""
        self._reduce(now, sent_at)

    def on_spurious_loss(self, now: int) -> None:
        """Back to what was before the false reduction."""
        if self._before is not None:
            self._window = max(self._window, self._before[0])
            self._threshold = self._before[1]
            self._before = None

    def _reduce(self, now: int, sent_at: int) -> None:
        if sent_at <= self._recovery_start:
            return
        self._recovery_start = now
        self._before = (self._window, self._threshold)
        self._window = max(int(self._window * LOSS_REDUCTION_FACTOR), minimum_window(self.max_datagram))
        self._threshold = self._window
        self._acknowledged = 0

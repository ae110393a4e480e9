"""CUBIC (RFC 9438) with HyStart++ (RFC 9406) for leaving slow start before the queue overflows.

In congestion avoidance the window follows, with t the seconds since the epoch began and sizes in segments,

    W_cubic(t) = C * (t - K)^3 + W_max,   K = cbrt((W_max - cwnd_epoch) / C)        (RFC 9438 sections 4.1, 4.2)

and never less than what Reno would have (section 4.3).
"""

from __future__ import annotations

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.congestion.base import Acknowledged, CongestionController, Lost
from rawproto.rsp.congestion.newreno import initial_window, minimum_window

__all__ = ["Cubic"]

C = 0.4
"""Aggressiveness, segments a second cubed (RFC 9438 section 5)."""
BETA = 0.7
"""Multiplicative decrease (RFC 9438 section 4.6)."""
ALPHA = 3.0 * (1.0 - BETA) / (1.0 + BETA)
"""Additive increase of the Reno-friendly estimate (RFC 9438 section 4.3)."""


class HyStart:
    """RFC 9406: leave slow start when the round trip grows, through a few cautious rounds."""

    MIN_RTT_THRESHOLD = 4 * MILLISECOND
    MAX_RTT_THRESHOLD = 16 * MILLISECOND
    RTT_DIVISOR = 8
    SAMPLES = 8
    CSS_GROWTH_DIVISOR = 4
    CSS_ROUNDS = 5

    __slots__ = ("_baseline", "_current", "_last", "_rounds", "_samples", "in_css")

    def __init__(self) -> None:
        self._last: int | None = None
        self._current: int | None = None
        self._samples = 0
        self._baseline = 0
        self._rounds = 0
        self.in_css = False

    def start_round(self) -> bool:
        """A round trip begins; true when the cautious phase is over and slow start ends (section 4.2)."""
        self._last, self._current, self._samples = self._current, None, 0
        if not self.in_css:
            return False
        self._rounds += 1
        return self._rounds >= self.CSS_ROUNDS

    def sample(self, rtt: int) -> None:
        """Take a round-trip sample of the current round."""
        self._current = rtt if self._current is None else min(self._current, rtt)
        self._samples += 1
        if self._samples < self.SAMPLES or self._last is None:
            return
        if self.in_css:
            if self._current < self._baseline:  # the growth was a passing one: back to plain slow start
                self.in_css = False
            return
        bounded = min(self._last // self.RTT_DIVISOR, self.MAX_RTT_THRESHOLD)
        if self._current >= self._last + max(self.MIN_RTT_THRESHOLD, bounded):
            self.in_css = True
            self._baseline = self._current
            self._rounds = 0


class Cubic(CongestionController):
    """The controller of most of today's Internet."""

    name = "cubic"

    def __init__(self, max_datagram: int, now: int) -> None:
        super().__init__(max_datagram, now)
        self._window: float = float(initial_window(max_datagram))
        self._threshold: float = float("inf")
        self._w_max = 0.0
        self._prior = 0.0
        self._k = 0.0
        self._w_est = 0.0
        self._epoch: int | None = None
        self._recovery_start = -1
        self._hystart = HyStart()
        self._round_end = -1
        self._before: tuple[float, float, float, float, float, int | None] | None = None

    @property
    def window(self) -> int:
        """Bytes that may be in flight."""
        return int(self._window)

    @property
    def state(self) -> str:
        """The phase, for traces."""
        if self._window < self._threshold:
            return "conservative slow start" if self._hystart.in_css else "slow start"
        return "congestion avoidance"

    def pacing_rate(self, smoothed_rtt: int) -> float:
        """N * window / smoothed round trip; N is 2 in slow start, else 1.25 (RFC 9002 section 7.7)."""
        gain = 2.0 if self._window < self._threshold else 1.25
        return gain * self._window * SECOND / max(smoothed_rtt, 1)

    def on_acknowledged(self, event: Acknowledged, *, window_limited: bool) -> None:
        """Grow the window by the phase's rule."""
        if self._window < self._threshold:
            self._search(event)
        if event.sent_at <= self._recovery_start:
            return
        if not window_limited:
            # The clock of the cubic function must not run while the window is not used (RFC 9438 section 5.8).
            self._epoch = None
            return
        if self._window < self._threshold:
            growth = event.bytes / (HyStart.CSS_GROWTH_DIVISOR if self._hystart.in_css else 1)
            self._window += growth
        else:
            self._avoid(event)

    def _search(self, event: Acknowledged) -> None:
        """HyStart++ bookkeeping: rounds end when a packet sent after their start is acknowledged."""
        if event.sent_at > self._round_end:
            self._round_end = event.now
            if self._hystart.start_round():
                self._threshold = self._window
        if event.rtt:
            self._hystart.sample(event.rtt)

    def _avoid(self, event: Acknowledged) -> None:
        size = self.max_datagram
        if self._epoch is None:
            self._start_epoch(event.now)
        assert self._epoch is not None
        elapsed = (event.now - self._epoch + event.smoothed_rtt) / SECOND
        target = (C * (elapsed - self._k) ** 3) * size + self._w_max
        target = min(max(target, self._window), 1.5 * self._window)  # section 4.2, last rule
        # Section 4.3: as fast as Reno once past the window before the reduction.
        alpha = 1.0 if self._w_est >= self._prior else ALPHA
        self._w_est += alpha * size * event.bytes / self._window
        if target > self._window:
            self._window += (target - self._window) * event.bytes / self._window
        self._window = max(self._window, self._w_est)

    def _start_epoch(self, now: int) -> None:
        self._epoch = now
        self._w_est = self._window
        if self._w_max <= self._window:
            self._w_max, self._k = self._window, 0.0
        else:
            self._k = ((self._w_max - self._window) / self.max_datagram / C) ** (1 / 3)

    def on_max_datagram(self, size: int) -> None:
        """The least window grows with the datagrams."""
        super().on_max_datagram(size)
        self._window = max(self._window, float(minimum_window(size)))

    def on_lost(self, event: Lost) -> None:
        """Reduce by beta once a recovery period; collapse on persistent congestion (RFC 9438 section 4.8)."""
        self._reduce(event.now, event.sent_at)
        if event.persistent:
            self._threshold = max(self._window, minimum_window(self.max_datagram))
            self._window = minimum_window(self.max_datagram)
            self._recovery_start = -1
            self._epoch = None
            self._before = None

    def on_congestion_mark(self, now: int, sent_at: int) -> None:
        """A mark counts as a loss (RFC 9002 section 7.1)."""
        self._reduce(now, sent_at)

    def on_spurious_loss(self, now: int) -> None:
        """Restore the state before the false reduction (RFC 9438 section 4.9)."""
        if self._before is None:
            return
        window, self._threshold, self._w_max, self._k, self._w_est, self._epoch = self._before
        self._window = max(window, self._window)
        self._before = None

    def _reduce(self, now: int, sent_at: int) -> None:
        if sent_at <= self._recovery_start:
            return
        self._recovery_start = now
        self._before = (self._window, self._threshold, self._w_max, self._k, self._w_est, self._epoch)
        # Fast convergence gives bandwidth back to newcomers (section 4.7).
        shrinking = self._window < self._w_max
        self._prior = self._window
        self._w_max = self._window * (1.0 + BETA) / 2.0 if shrinking else self._window
        self._window = max(self._window * BETA, float(minimum_window(self.max_datagram)))
        self._threshold = self._window
        self._epoch = None

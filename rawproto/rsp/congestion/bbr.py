"""A model-based controller in the manner of BBR (draft-ietf-ccwg-bbr): pace at the bottleneck's measured rate.

The model is two numbers: the bottleneck bandwidth (the largest delivery rate of the last ten round trips) and the
least round trip (of the last ten seconds). Packets are paced at the first; their product bounds what is in flight.
Loss is not taken for congestion, so random loss costs little; only when a round trip loses more than 3 %
is the ceiling brought down, as a full queue does that and a noisy line seldom.

Phases: *startup* doubles the rate each round trip until it stops growing; *drain* empties the queue that made;
*probe bandwidth* cycles around the estimate; *probe RTT* now and then runs the path empty to see its true length.
"""

from __future__ import annotations

import enum

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.congestion.base import Acknowledged, CongestionController, Lost
from rawproto.rsp.congestion.newreno import initial_window

__all__ = ["BBR"]

STARTUP_GAIN = 2.77
"""4 ln 2: the least gain that doubles the rate in a round trip (ccwg-bbr section 2.4)."""
DRAIN_GAIN = 1 / STARTUP_GAIN
WINDOW_GAIN = 2.0
"""Flight allowed beyond the model, for acknowledgements that come late or together (ccwg-bbr section 2.4)."""
CYCLE = (1.25, 0.75, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)
"""Pacing gains of one bandwidth-probing cycle, one a round trip (BBR, ACM Queue 2016)."""
FULL_GROWTH = 1.25
FULL_ROUNDS = 3
"""The pipe is full when the rate grew by less than a quarter in three rounds (ccwg-bbr section 5.3.1.2)."""
BANDWIDTH_ROUNDS = 10
MIN_RTT_LIFETIME = 10 * SECOND
PROBE_RTT_TIME = 200 * MILLISECOND
PROBE_RTT_DATAGRAMS = 4
MAX_LOSS_RATE = 0.03
"""A round that loses more has a queue overflowing, not a noisy line."""
LOSS_REDUCTION = 0.7
"""As CUBIC (RFC 9438 section 4.6): beside it on a full queue a share of 69 to 72 %, where 0.85 took 77 to 81."""
PACING_MARGIN = 0.99
"""Pace a hundredth below the estimate, so that no queue builds for ever (ccwg-bbr section 2.5)."""
SCHEDULING_TIME = 2 * MILLISECOND
"""Flight allowed for both ends being programs that the kernel must wake: on a path of microseconds their turns, not
the path, are the round trip. The pacer's burst is as long."""


class Phase(enum.Enum):
    """What the controller is doing."""

    STARTUP = "startup"
    DRAIN = "drain"
    PROBE_BANDWIDTH = "probe bandwidth"
    PROBE_RTT = "probe rtt"


_STARTUP, _DRAIN = Phase.STARTUP, Phase.DRAIN  # looked at with every acknowledgement, see rsp/arrivals.py
_PROBE_BANDWIDTH, _PROBE_RTT = Phase.PROBE_BANDWIDTH, Phase.PROBE_RTT


class MaxFilter:
    """Largest sample of the last rounds: samples that fall from front to back."""

    __slots__ = ("_samples", "maximum")

    def __init__(self) -> None:
        self._samples: list[tuple[int, float]] = []
        self.maximum = 0.0
        """The largest sample; 0 before the first."""

    def add(self, sample: float, round_number: int) -> None:
        """Take a sample of round ``round_number`` and forget those too old."""
        while self._samples and self._samples[-1][1] <= sample:
            self._samples.pop()
        self._samples.append((round_number, sample))
        while self._samples[0][0] < round_number - BANDWIDTH_ROUNDS:
            del self._samples[0]
        self.maximum = self._samples[0][1]


class Aggregation:
    """Bytes acknowledged in excess of the bandwidth, because they come together (ccwg-bbr section 5.5.9)."""

    __slots__ = ("_acknowledged", "_filter", "_start", "excess")

    def __init__(self, now: int) -> None:
        self.excess = 0.0
        """Largest excess of the last rounds, bytes."""
        self._start = now
        self._acknowledged = 0
        self._filter = MaxFilter()

    def add(self, size: int, bandwidth: float, now: int, round_number: int) -> None:
        """``size`` bytes were acknowledged at ``now``."""
        expected = bandwidth * (now - self._start) / SECOND
        if self._acknowledged <= expected:
            self._start, self._acknowledged, expected = now, 0, 0.0
        self._acknowledged += size
        self._filter.add(self._acknowledged - expected, round_number)
        self.excess = self._filter.maximum


class BBR(CongestionController):
    """Bandwidth and round trip, nothing else."""

    name = "bbr"
    window = 0
    """Bytes that may be in flight."""

    def __init__(self, max_datagram: int, now: int) -> None:
        super().__init__(max_datagram, now)
        self._phase = _STARTUP
        self._bandwidth = MaxFilter()
        self.window = self._window = initial_window(max_datagram)
        self._min_rtt = 0
        self._min_rtt_at = now
        self._round = 0
        self._round_end = 0
        self._round_delivered = 0
        self._round_lost = 0
        self._full_bandwidth = 0.0
        self._full_count = 0
        self._cycle_index = 0
        self._cycle_start = now
        self._probe_rtt_until: int | None = None
        self._ceiling: float = float("inf")
        self._episode_start = -1
        self._before: tuple[float, int] | None = None  # ceiling and window before the losses of this episode
        self._cut_short: int | None = None  # how full the pipe counted as when they ended startup
        self._aggregation = Aggregation(now)

    @property
    def state(self) -> str:
        """The phase, for traces."""
        return self._phase.value

    def _gain(self) -> float:
        phase = self._phase
        if phase is _PROBE_BANDWIDTH:
            return CYCLE[self._cycle_index]
        if phase is _STARTUP:
            return STARTUP_GAIN
        return DRAIN_GAIN if phase is _DRAIN else 1.0

    def pacing_rate(self, smoothed_rtt: int) -> float:
        """Gain times bandwidth; before the first sample, the initial window a round trip."""
        bandwidth = self._bandwidth.maximum
        if not bandwidth:
            return STARTUP_GAIN * self._window * SECOND / max(smoothed_rtt, MILLISECOND)
        return self._gain() * bandwidth * PACING_MARGIN

    def _product(self) -> float:
        """Bandwidth times least round trip, bytes."""
        return self._bandwidth.maximum * self._min_rtt / SECOND

    def on_acknowledged(self, event: Acknowledged, *, window_limited: bool) -> None:
        """Update the model, then the phase, then the window."""
        new_round = event.prior_delivered >= self._round_end
        if new_round:
            self._start_round(event)
        self._round_delivered += event.bytes
        self._aggregation.add(event.bytes, self._bandwidth.maximum, event.now, self._round)
        if event.delivery_rate and (not event.app_limited or event.delivery_rate > self._bandwidth.maximum):
            self._bandwidth.add(event.delivery_rate, self._round)
        if new_round and not event.app_limited:
            self._check_full()
        self._update_min_rtt(event)
        self._advance(event)
        self._set_window(event)

    def _start_round(self, event: Acknowledged) -> None:
        total = self._round_delivered + self._round_lost
        if total and self._round_lost > MAX_LOSS_RATE * total and self._round_lost > 3 * self.max_datagram:
            # The queue overflows: less than now, but never less than the path itself holds.
            self._ceiling = max(LOSS_REDUCTION * min(self._ceiling, float(self._window)), self._product())
            if self._phase is _STARTUP and self._full_count < FULL_ROUNDS:
                self._cut_short, self._full_count = self._full_count, FULL_ROUNDS
        elif self._ceiling != float("inf"):
            self._ceiling += self.max_datagram * max(1.0, self._ceiling / self.max_datagram / 16)
        self._round += 1
        self._round_end = event.delivered
        self._round_delivered = self._round_lost = 0

    def _check_full(self) -> None:
        if self._full_count >= FULL_ROUNDS:
            return
        if self._bandwidth.maximum >= self._full_bandwidth * FULL_GROWTH:
            self._full_bandwidth = self._bandwidth.maximum
            self._full_count = 0
        else:
            self._full_count += 1

    def _update_min_rtt(self, event: Acknowledged) -> None:
        expired = self._min_rtt and event.now - self._min_rtt_at > MIN_RTT_LIFETIME
        if event.rtt and (not self._min_rtt or event.rtt <= self._min_rtt or expired):
            self._min_rtt = event.rtt
            self._min_rtt_at = event.now
        if expired and self._phase is not _PROBE_RTT and self._full_count >= FULL_ROUNDS:
            self._phase = _PROBE_RTT
            self._probe_rtt_until = None

    def _advance(self, event: Acknowledged) -> None:
        phase = self._phase
        if phase is _PROBE_BANDWIDTH:
            self._cycle(event)
        elif phase is _STARTUP:
            if self._full_count >= FULL_ROUNDS:
                self._phase = _DRAIN
        elif phase is _DRAIN:
            if event.in_flight - event.bytes <= self._product():
                self._enter_probe_bandwidth(event.now)
        else:
            self._probe_rtt(event)

    def _enter_probe_bandwidth(self, now: int) -> None:
        self._phase = _PROBE_BANDWIDTH
        # Begin anywhere but in the draining step, so that flows that started together do not probe together.
        self._cycle_index = (2 + self._round) % len(CYCLE)
        if self._cycle_index == 1:
            self._cycle_index = 2
        self._cycle_start = now

    def _cycle(self, event: Acknowledged) -> None:
        gain = CYCLE[self._cycle_index]
        elapsed = event.now - self._cycle_start > self._min_rtt
        in_flight = event.in_flight - event.bytes
        if gain > 1:
            done = elapsed and (in_flight >= gain * self._product() or self._round_lost > 0)
        elif gain < 1:
            done = elapsed or in_flight <= self._product()
        else:
            done = elapsed
        if done:
            self._cycle_index = (self._cycle_index + 1) % len(CYCLE)
            self._cycle_start = event.now

    def _probe_rtt(self, event: Acknowledged) -> None:
        floor = PROBE_RTT_DATAGRAMS * self.max_datagram
        if self._probe_rtt_until is None:
            if event.in_flight - event.bytes <= floor:
                self._probe_rtt_until = event.now + PROBE_RTT_TIME
        elif event.now >= self._probe_rtt_until:
            self._min_rtt_at = event.now
            self._enter_probe_bandwidth(event.now)

    def _set_window(self, event: Acknowledged) -> None:
        gain = STARTUP_GAIN if self._phase is _STARTUP else WINDOW_GAIN
        bandwidth, window = self._bandwidth.maximum, self._window
        # Acknowledgements that come a batch at a time must not starve the sender in between.
        allowance = max(self._aggregation.excess, bandwidth * SCHEDULING_TIME / SECOND)
        target = gain * bandwidth * self._min_rtt / SECOND + allowance
        if self._full_count >= FULL_ROUNDS:
            window = int(min(window + event.bytes, target))
        elif window < target or event.delivered < initial_window(self.max_datagram):
            window += event.bytes
        if window > self._ceiling:
            window = int(self._ceiling)
        least = PROBE_RTT_DATAGRAMS * self.max_datagram
        self._window = self.window = window if window > least else least
        if self._phase is _PROBE_RTT:
            self._show_window()

    def _show_window(self) -> None:
        """Bring :attr:`window`, which is read far more often than it changes, up to date."""
        is_short = self._phase is _PROBE_RTT
        self.window = PROBE_RTT_DATAGRAMS * self.max_datagram if is_short else self._window

    def on_lost(self, event: Lost) -> None:
        """Count it for the round; collapse on persistent congestion."""
        if event.sent_at > self._episode_start:
            self._episode_start = event.now
            self._before, self._cut_short = (self._ceiling, self._window), None
        self._round_lost += event.bytes
        if event.persistent:
            self._window = PROBE_RTT_DATAGRAMS * self.max_datagram
            self._before = self._cut_short = None
            self._show_window()

    def on_congestion_mark(self, now: int, sent_at: int) -> None:
        """Marks say what loss only hints at: the queue is too long."""
        self._ceiling = max(LOSS_REDUCTION * min(self._ceiling, float(self._window)), self._product())

    def on_spurious_loss(self, now: int) -> None:
        """Back to what was before, startup included if they ended it (ccwg-bbr, BBRHandleSpuriousLossDetection)."""
        self._round_lost = 0
        if self._before is not None:
            ceiling, window = self._before
            self._ceiling, self._window = max(ceiling, self._ceiling), max(window, self._window)
            self._before = None
        if self._cut_short is not None:
            self._full_count, self._full_bandwidth, self._cut_short = self._cut_short, 0.0, None
            self._phase = _STARTUP
        self._show_window()

"""Round-trip time: smoothed mean, variation, minimum, and the probe timeout made of them.

RFC 9002 section 5 (which keeps the constants of RFC 6298): for each sample taken from the largest newly
acknowledged packet,

    rttvar = 3/4 * rttvar + 1/4 * |smoothed - sample|
    smoothed = 7/8 * smoothed + 1/8 * sample

All times are integers in nanoseconds.
"""

from __future__ import annotations

from rawproto.protocol import MILLISECOND, SECOND

__all__ = ["GRANULARITY", "INITIAL_RTT", "RTTEstimator"]

INITIAL_RTT = 333 * MILLISECOND
"""Assumed before the first sample (RFC 9002 section 6.2.2: a first timeout near 1 s, as in RFC 6298 section 2)."""

GRANULARITY = MILLISECOND
"""Least time a timer is set beyond the round trip (RFC 9002 section 6.1.2, kGranularity)."""

MIN_RTT_WINDOW = 300 * SECOND
"""A minimum older than this is forgotten, so that a route that got longer is noticed (Linux tcp_min_rtt_wlen)."""


class RTTEstimator:
    """State of RFC 9002 section 5; times in nanoseconds."""

    __slots__ = ("_minimum_at", "has_sample", "latest", "minimum", "smoothed", "variation")

    def __init__(self) -> None:
        self.has_sample = False
        self.latest = 0
        self.minimum = 0
        self.smoothed = INITIAL_RTT
        self.variation = INITIAL_RTT // 2
        self._minimum_at = 0

    def believed(self, ack_delay: int, limit: int) -> int:
        """How much of the delay that an acknowledgement states is believed.

        No more than the ``limit`` agreed on (RFC 9002 section 5.3), or all of it when it is longer than a probe
        timeout: then the acknowledgement repeats one that was lost, and its age says nothing of the path.
        """
        return ack_delay if ack_delay <= limit or ack_delay > self.probe_timeout(limit) else limit

    def update(self, sample: int, ack_delay: int, now: int) -> None:
        """Take one sample; ``ack_delay`` is by how much the acknowledgement was late, as far as believed."""
        # Comparisons, not min() and max(): with every acknowledgement each would cost a tenth of a microsecond.
        if sample < 1:
            sample = 1
        if ack_delay > self.probe_timeout(0) and sample - ack_delay >= max(self.minimum, 1):
            sample, ack_delay = sample - ack_delay, 0
        self.latest = sample
        if not self.has_sample:
            self.has_sample = True
            self.minimum = self.smoothed = sample
            self.variation = sample // 2
            self._minimum_at = now
            return
        if sample <= self.minimum or now - self._minimum_at > MIN_RTT_WINDOW:
            self.minimum = sample
            self._minimum_at = now
        # The delay is only believed as far as it does not push the sample below the minimum (section 5.3).
        if sample >= self.minimum + ack_delay:
            sample -= ack_delay
        smoothed = self.smoothed
        deviation = smoothed - sample if smoothed > sample else sample - smoothed
        self.variation += (deviation - self.variation) // 4
        self.smoothed += (sample - smoothed) // 8

    def reset(self) -> None:
        """Forget everything: the path has changed (RFC 9002 section 5.2, last paragraph)."""
        self.__init__()  # type: ignore[misc]

    def probe_timeout(self, max_ack_delay: int) -> int:
        """PTO = smoothed + max(4 * rttvar, granularity) + max_ack_delay (RFC 9002 section 6.2.1)."""
        spread = 4 * self.variation
        return self.smoothed + (spread if spread > GRANULARITY else GRANULARITY) + max_ack_delay

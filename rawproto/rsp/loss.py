"""Loss detection by RFC 9002 section 6, with thresholds that learn from losses that were none.

A packet is lost when a later one was acknowledged and it is either so many numbers or so much time behind; a probe
is sent when nothing is heard for the probe timeout. When an acknowledgement names a packet already declared lost,
the network reorders: patience grows up to four round trips and shrinks again slowly (as RFC 8985 section 6.2 does with
its reordering window).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rawproto.protocol import SECOND
from rawproto.rsp.rtt import GRANULARITY, RTTEstimator
from rawproto.rsp.sent import NOTHING, SentPackets, Settled

if TYPE_CHECKING:
    from collections.abc import Collection

__all__ = ["LossDetector"]

PACKET_THRESHOLD = 3
"""Numbers a packet may be behind (RFC 9002 section 6.1.1, kPacketThreshold)."""
MAX_PACKET_THRESHOLD = 1024
TIME_THRESHOLD_EIGHTHS = 9
"""Round trips a packet may be behind, in eighths (RFC 9002 section 6.1.2, kTimeThreshold = 9/8)."""
MAX_TIME_THRESHOLD_EIGHTHS = 32
"""Four round trips: as many as a path may be longer than the one whose round trips are measured (packet spraying)."""
PATIENCE_ROUNDS = 16
"""Loss episodes without a false one after which patience shrinks (RFC 8985 section 6.2, step 4)."""
PERSISTENT_CONGESTION_TIMEOUTS = 3
"""Probe timeouts that make persistent congestion (RFC 9002 section 7.6.1)."""
MAX_BACKOFF = 10
"""Doublings of the probe timeout."""
MAX_PROBE_INTERVAL = 9 * SECOND
"""Doubled no further than to this, ten seconds with the tenth that chance may add, so that a network that comes back is
noticed well before the idle timeout."""


_NONE: frozenset[tuple[int, int]] = frozenset()


@dataclasses.dataclass(slots=True)
class AckOutcome:
    """What one acknowledgement meant: what it covers newly, and what was lost by it."""

    acknowledged: Settled
    lost: Settled
    rtt_sample: int = 0


class LossDetector:
    """Largest acknowledged number, deadlines and patience of one connection."""

    __slots__ = (
        "_clean_episodes",
        "_jitter",
        "_sent",
        "_told",
        "deadline",
        "largest_acknowledged",
        "last_sent_at",
        "packet_threshold",
        "probe_count",
        "rtt",
        "time_threshold_eighths",
    )

    def __init__(self, sent: SentPackets, rtt: RTTEstimator) -> None:
        self._sent = sent
        self.rtt = rtt
        self.largest_acknowledged = -1
        self.packet_threshold = PACKET_THRESHOLD
        self.time_threshold_eighths = TIME_THRESHOLD_EIGHTHS
        self.probe_count = 0
        """Probe timeouts since the last acknowledgement."""
        self.deadline: int | None = None
        """When the oldest candidate becomes lost by time; None when there is none."""
        self._jitter = 0
        self.last_sent_at = 0
        """When packets that want an acknowledgement last went out."""
        self._clean_episodes = 0
        self._told = _NONE

    def on_timeout(self, chance: int) -> None:
        """The probe timeout fired; ``chance``, 0 to 255 at random, makes the next a tenth longer or shorter.

        Nobody who sends bursts at regular times shall hit all probes (the shrew attack, Kuzmanovic and Knightly 2003).
        """
        self.probe_count += 1
        self._jitter = chance - 128

    def on_ack(
        self, ranges: Collection[tuple[int, int]], largest: int, ack_delay: int, now: int
    ) -> AckOutcome:
        """Settle the packets of ``ranges`` and find what is lost by them."""
        settled = Settled()
        if ranges and largest > self.largest_acknowledged:
            self.largest_acknowledged = largest
        told = self._told
        for one in ranges:
            if one not in told:
                self._sent.acknowledge(*one, self.largest_acknowledged, settled)
        # The next acknowledgement repeats most of these, and nothing can be new about them.
        self._told = frozenset(ranges) if len(ranges) > 1 else _NONE
        sample = 0
        # Only the largest acknowledged packet gives a sample, and only the first time (RFC 9002 section 5.1).
        if settled.newest == largest and settled.count:
            sample = now - settled.newest_sent_at
            self.rtt.update(sample, ack_delay, now)
        if settled.count:
            self.probe_count = 0
        if settled.spurious:
            self._widen(settled, now)
        return AckOutcome(settled, self.detect(now), sample)

    def rest(self) -> None:
        """Nothing was heard for a while: remember no ranges."""
        self._told = _NONE

    def detect(self, now: int) -> Settled:
        """Declare lost what is overdue at ``now`` and set the next deadline."""
        if self.largest_acknowledged < 0 or not self._sent.packets_in_flight:
            self.deadline = None
            return NOTHING
        delay = self.patience
        lost, oldest = self._sent.detect_lost(
            self.largest_acknowledged - self.packet_threshold + 1, now - delay, self.largest_acknowledged
        )
        self.deadline = None if oldest is None else oldest + delay
        if lost.count:
            self._clean_episodes += 1
            if self._clean_episodes >= PATIENCE_ROUNDS:
                self._narrow()
        return lost

    @property
    def patience(self) -> int:
        """How long after a later packet's sending an unacknowledged one is still waited for, ns."""
        rtt = self.rtt
        basis = rtt.smoothed if rtt.smoothed > rtt.latest else rtt.latest
        patience = basis * self.time_threshold_eighths // 8
        return patience if patience > GRANULARITY else GRANULARITY

    def timeout(self, max_ack_delay: int) -> int | None:
        """When to call :meth:`detect` or to probe, ns; None when nothing is in flight."""
        if self.deadline is not None:
            return self.deadline
        if not self._sent.packets_in_flight:
            return None
        once = self.rtt.probe_timeout(max_ack_delay)
        if not self.probe_count:
            return self.last_sent_at + once
        wait = min(once << min(self.probe_count, MAX_BACKOFF), max(once, MAX_PROBE_INTERVAL))
        return self.last_sent_at + wait + wait * self._jitter // 1280

    def is_persistent(self, lost: Settled, max_ack_delay: int) -> bool:
        """Whether all packets of a long enough time were lost (RFC 9002 section 7.6)."""
        if not self.rtt.has_sample or lost.count < 2 or lost.newest - lost.oldest + 1 != lost.count:
            return False
        spanned = lost.newest_sent_at - lost.oldest_sent_at
        return spanned > PERSISTENT_CONGESTION_TIMEOUTS * self.rtt.probe_timeout(max_ack_delay)

    def _widen(self, settled: Settled, now: int) -> None:
        self._clean_episodes = 0
        self.packet_threshold = min(
            max(self.packet_threshold, settled.reorder_distance + 1), MAX_PACKET_THRESHOLD
        )
        basis = max(self.rtt.smoothed, self.rtt.latest, 1)
        enough = 8 * (now - settled.spurious_sent_at) // basis + 1
        wanted = max(self.time_threshold_eighths + 1, enough)
        self.time_threshold_eighths = min(wanted, MAX_TIME_THRESHOLD_EIGHTHS)

    def _narrow(self) -> None:
        self._clean_episodes = 0
        self.packet_threshold = max(PACKET_THRESHOLD, self.packet_threshold // 2)
        self.time_threshold_eighths = max(TIME_THRESHOLD_EIGHTHS, self.time_threshold_eighths - 1)

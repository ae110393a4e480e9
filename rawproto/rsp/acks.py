"""What to acknowledge and when: the receiving side's record of packet numbers.

An acknowledgement goes out at once when it tells the sender something it waits for: a packet out of order, a packet
that asks for it, congestion marks. Otherwise after a number of packets that grows with the transfer, or after a
delay, whichever comes first (RFC 9000 section 13.2; the thinning follows draft-ietf-quic-ack-frequency, with the
sender's request bit in the place of its frame).
"""

from __future__ import annotations

from rawproto.protocol import MILLISECOND
from rawproto.rsp.ranges import RangeSet

__all__ = ["MAX_ACK_DELAY", "AckTracker"]

MAX_ACK_DELAY = 25 * MILLISECOND
"""Longest time an acknowledgement is held back (RFC 9000 section 18.2, default of max_ack_delay)."""
FIRST_THRESHOLD = 2
"""Packets to an acknowledgement in the beginning (RFC 9000 section 13.2.2)."""
LAST_THRESHOLD = 32
"""... and when many have arrived: the sender asks for those it needs sooner."""
INTERVAL = MILLISECOND // 2
"""Least time between two acknowledgements that only the last threshold calls for: on a fast path 32 packets are next to
no time, and what an acknowledgement costs at both ends is not. The sender asks for those it needs sooner."""
THINNING = 16
"""The threshold grows by one for every so many packets received."""
MAX_RANGES = 64
"""Ranges kept; the sender has long settled what is older."""
TOLD_OFTEN = 32
"""Acknowledgements in a row with the same holes after which only the highest range is told: the sender has settled the
others, or gave them up (RFC 9000 section 13.2.3 leaves it to the receiver which ranges to tell)."""


class AckTracker:
    """Numbers that arrived, and whether the peer should hear of them now."""

    __slots__ = (
        "_not_before",
        "_received",
        "_told",
        "_total",
        "_waiting",
        "congestion_marks",
        "deadline",
        "due",
        "largest",
        "largest_at",
    )

    def __init__(self) -> None:
        self.largest = -1
        self.largest_at = 0
        self.congestion_marks = 0
        """Packets that arrived with the CE mark (RFC 3168)."""
        self.due = False
        """An acknowledgement should go out now."""
        self.deadline: int | None = None
        """When one should go out at the latest."""
        self._received = RangeSet()
        self._not_before = 0
        self._waiting = 0
        self._total = 0
        self._told = 0

    def duplicates(self, start: int, stop: int) -> bool:
        """Whether all of ``[start, stop)`` has arrived before."""
        return self._received.covers(start, stop)

    def seen(self, start: int, stop: int) -> bool:
        """Whether any of ``[start, stop)`` has arrived before."""
        return self._received.overlaps(start, stop)

    def on_received(self, start: int, stop: int, now: int, *, wanted: bool = False) -> None:
        """Packets ``[start, stop)`` arrived; ``wanted``: one of them asks for an acknowledgement."""
        count = stop - start
        if start == self.largest + 1:
            self._received.extend(start, stop)
            in_order = True
        else:
            self._received.add(start, stop)
            if len(self._received) > MAX_RANGES:
                self._received.drop_first()
            self._told = 0
            in_order = False
        if stop > self.largest + 1:
            self.largest = stop - 1
            self.largest_at = now
        self._waiting += count
        self._total += count
        threshold = self._threshold()
        enough = self._waiting >= threshold
        if wanted or not in_order or (enough and (threshold < LAST_THRESHOLD or now >= self._not_before)):
            self.due = True
        elif enough:
            self.deadline = self._not_before
        elif self.deadline is None:
            self.deadline = now + MAX_ACK_DELAY

    def _threshold(self) -> int:
        """Packets that are acknowledged together."""
        threshold = self._total // THINNING
        if threshold >= LAST_THRESHOLD:
            return LAST_THRESHOLD
        return threshold if threshold > FIRST_THRESHOLD else FIRST_THRESHOLD

    def on_mark(self, count: int) -> None:
        """``count`` packets bore a congestion mark: the sender should hear of it at once."""
        self.congestion_marks += count
        self.due = True

    @property
    def pending(self) -> bool:
        """Something has arrived that no acknowledgement has told yet."""
        return self.due or self.deadline is not None

    def ranges(self, limit: int) -> list[tuple[int, int]]:
        """The highest ``limit`` ranges received, half-open, highest first."""
        return self._received.highest(limit)

    def on_sent(self, now: int) -> None:
        """An acknowledgement with all of this has gone out."""
        self.due = False
        self.deadline = None
        self._not_before = now + INTERVAL
        self._waiting = 0
        self._told += 1
        if self._told > TOLD_OFTEN and len(self._received.starts) > 1:
            self._received.keep_last()

"""Pacing: spread a window over the round trip instead of sending it in one burst.

A token bucket filled at the controller's rate (RFC 9002 section 7.7):

    tokens(t) = min(burst, tokens(t0) + rate * (t - t0))

The bucket holds what the rate yields in two milliseconds, and never less than a batch's worth of datagrams, so
that fast paths are not slowed by the driver's timer and slow ones see no bursts beyond the initial window. What was
missed because the driver woke later than asked is made up for, within limits: on a busy machine the rate would
otherwise never be reached.
"""

from __future__ import annotations

from rawproto.protocol import MILLISECOND, SECOND

__all__ = ["Pacer"]

BURST_TIME = 2 * MILLISECOND
BURST_DATAGRAMS = 10
MAX_LATENESS = 20 * MILLISECOND
"""Most time that is made up for when the driver wakes late."""


class Pacer:
    """Token bucket in bytes."""

    __slots__ = ("_at", "_due", "_rate", "tokens")

    def __init__(self, now: int) -> None:
        self._at = now
        self._due: int | None = None
        self.tokens = float("inf")
        """Bytes that may go now at least, before any that time has brought since they were counted."""
        self._rate = 0.0

    def allowance(self, now: int, rate: float, max_datagram: int) -> int:
        """Bytes that may go now, at ``rate`` bytes a second."""
        burst = max(BURST_DATAGRAMS * max_datagram, rate * BURST_TIME / SECOND)
        if self._due is not None and now > self._due:
            burst += rate * min(now - self._due, MAX_LATENESS) / SECOND
            self._due = None
        self.tokens = min(burst, self.tokens + self._rate * (now - self._at) / SECOND)
        self._at = now
        self._rate = rate
        return int(self.tokens)

    def sent(self, size: int) -> None:
        """``size`` bytes went out; the bucket may go into debt by less than one batch."""
        self.tokens -= size

    def next_time(self, now: int, size: int) -> int:
        """When ``size`` bytes will be allowed, in nanoseconds."""
        missing = size - self.tokens
        if missing <= 0:
            return now
        self._due = now + int(missing * SECOND / max(self._rate, 1.0)) + 1
        return self._due

    def idle(self) -> None:
        """Nothing waits to be sent: time that passes now is not missed."""
        self._due = None

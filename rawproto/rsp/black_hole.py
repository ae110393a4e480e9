"""Whether large packets vanish while small ones pass: a path whose MTU shrank, and no router says so.

A *strike* is a loss in which every packet was larger than the size to fall back to, or a probe timeout of such a
packet. When the strikes are three and what is acknowledged since is small, the path is a black hole for the size
(RFC 8899 section 4.3); a large packet acknowledged clears all. A network that is down altogether acknowledges nothing,
and so is not mistaken for one.
"""

from __future__ import annotations

__all__ = ["BlackHole"]

STRIKES = 3
"""As many as make a size fail in the search (RFC 8899 section 5.1.2, MAX_PROBES)."""


class BlackHole:
    """Strikes against the current size; lengths are payload bytes, ``now`` is nanoseconds."""

    __slots__ = ("_since", "strikes")

    def __init__(self) -> None:
        self.strikes = 0
        self._since = -1

    @property
    def suspected(self) -> bool:
        """It is time to send something small along with what is large, to know which of them passes."""
        return self.strikes >= STRIKES - 1

    def on_timeout(self) -> None:
        """Nothing was heard, and what is owed an answer is large."""
        self.strikes += 1

    def on_lost(self, sent_at: int, now: int) -> None:
        """Only large packets were lost, the newest sent at ``sent_at``; they strike once a round trip."""
        if sent_at > self._since:
            self.strikes += 1
            self._since = now

    def on_hint(self) -> None:
        """A router says that packets are too large: the next loss settles it."""
        self.strikes = max(self.strikes, STRIKES - 1)

    def settle(self, *, large: bool) -> bool:
        """Something was acknowledged, ``large`` or only small; true when that proves the black hole."""
        proved = not large and self.strikes >= STRIKES
        if large or proved:
            self.strikes = 0
        return proved

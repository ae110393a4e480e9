"""Questions that a doubtful RESET gives rise to (3.4): at most 10 in 5 s, and what answers them."""

from __future__ import annotations

from .sending import SECOND, Sent


class Question:
    """A RESET believed only when nothing sent since is acknowledged."""

    def __init__(self) -> None:
        self.reason = 0
        self.since: int | None = None
        self.times: list[int] = []

    def allowed(self, now: int) -> bool:
        self.times = [time for time in self.times if now - time < 5 * SECOND]
        if len(self.times) >= 10:
            return False
        self.times.append(now)
        return True

    def ask(self, reason: int, number: int, now: int) -> bool:
        """Whether to send a PROBE, which takes `number`, and to wait."""
        if self.since is not None or not self.allowed(now):
            return False
        self.reason, self.since = reason, number
        return True

    def on_acked(self, acked: list[Sent]) -> None:
        if self.since is not None and any(packet.number >= self.since for packet in acked):
            self.since = None

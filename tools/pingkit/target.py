"""One host that is pinged: what was sent, what came back, and the statistics of it."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

__all__ = ["Target"]


@dataclasses.dataclass
class Target:
    """A host and its counters.

    Attributes:
        name: as it was given.
        address: its IP address, as text.
        outstanding: when each request without an answer was sent, nanoseconds since the epoch, by number.
        sent: requests sent.
        received: replies, without duplicates.
        duplicates: replies that came again.
        errors: ICMP errors and refusals of this host.
        last: seconds the newest round trip took.
    """

    name: str
    address: str
    outstanding: dict[int, int] = dataclasses.field(default_factory=dict)
    sent: int = 0
    received: int = 0
    duplicates: int = 0
    errors: int = 0
    last: float | None = None
    least: float = math.inf
    most: float = 0.0
    _sum: float = 0.0
    _squares: float = 0.0

    def note_sent(self, at: int) -> int:
        """Request number ``sent + 1`` left at ``at``; gives its number."""
        self.sent += 1
        self.outstanding[self.sent] = at
        return self.sent

    def note_reply(self, seq: int, at: int) -> tuple[int, float | None]:
        """A reply to the 16-bit number ``seq`` arrived: its full number, and seconds; None for a duplicate."""
        number = self._unwrap(seq)
        sent = self.outstanding.pop(number, None)
        if sent is None:
            self.duplicates += 1
            return number, None
        seconds = max(at - sent, 0) / 1e9
        self.received += 1
        self.last = seconds
        self.least = min(self.least, seconds)
        self.most = max(self.most, seconds)
        self._sum += seconds
        self._squares += seconds * seconds
        return number, seconds

    def note_problem(self, seq: int) -> int:
        """Request ``seq`` met an error; gives its full number."""
        number = self._unwrap(seq)
        self.outstanding.pop(number, None)
        self.errors += 1
        return number

    def _unwrap(self, seq: int) -> int:
        """The newest number sent that ends in the 16 bits ``seq``."""
        return self.sent - ((self.sent - seq) & 0xFFFF)

    @property
    def loss(self) -> float:
        """Share of requests without a reply."""
        return 1 - self.received / self.sent if self.sent else 0.0

    @property
    def average(self) -> float:
        """Mean round trip in seconds."""
        return self._sum / self.received if self.received else 0.0

    @property
    def deviation(self) -> float:
        """Standard deviation of the round trip in seconds: what iputils calls mdev."""
        if not self.received:
            return 0.0
        return math.sqrt(max(self._squares / self.received - self.average**2, 0.0))

    def document(self) -> dict[str, Any]:
        """The counters for programs; times in milliseconds."""
        answered = self.received > 0
        return {
            "name": self.name,
            "address": self.address,
            "transmitted": self.sent,
            "received": self.received,
            "duplicates": self.duplicates,
            "errors": self.errors,
            "loss": self.loss,
            "min_ms": self.least * 1e3 if answered else None,
            "avg_ms": self.average * 1e3 if answered else None,
            "max_ms": self.most * 1e3 if answered else None,
            "mdev_ms": self.deviation * 1e3 if answered else None,
        }

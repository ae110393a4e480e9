"""What one run measures: agreed on by both sides before it begins."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, Final

from .talk import Violation

__all__ = ["DIRECTIONS", "MOST_STREAMS", "Plan"]

DIRECTIONS: Final = ("forward", "reverse", "both")
"""As the client sees it: it sends, it receives, or both at once on connections of their own."""
MOST_STREAMS: Final = 128
LONGEST: Final = 1 << 24
"""Bytes of one write at most: what a peer can make us hold."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """One run.

    Attributes:
        network: name of the network that carries the streams.
        streams: streams in each direction.
        direction: one of :data:`DIRECTIONS`.
        seconds: how long to send, or None when ``size`` says how much.
        size: bytes of all streams of a direction together, or None.
        length: bytes of one write, or of one datagram.
        rate: bits a second that each stream keeps to, or None for as fast as it goes.
        probe: the latency is measured, too.
    """

    network: str
    streams: int = 1
    direction: str = "forward"
    seconds: float | None = 10.0
    size: int | None = None
    length: int = 1 << 17
    rate: float | None = None
    probe: bool = True

    @property
    def datagrams(self) -> bool:
        """Whether the streams are datagrams on UDP."""
        return self.network.startswith("udp")

    @property
    def sent_by_client(self) -> range:
        """Numbers of the streams on which the client sends."""
        return range(0 if self.direction == "reverse" else self.streams)

    @property
    def sent_by_server(self) -> range:
        """Numbers of the streams on which the server sends."""
        first = len(self.sent_by_client)
        return range(first, first + (0 if self.direction == "forward" else self.streams))

    def share(self, index: int) -> int | None:
        """The bytes of stream ``index``; together they are ``size``."""
        if self.size is None:
            return None
        return self.size // self.streams + (index % self.streams < self.size % self.streams)

    def words(self) -> dict[str, Any]:
        """The plan as JSON."""
        return dataclasses.asdict(self)

    @classmethod
    def parse(cls, words: Any) -> Plan:
        """The plan in the JSON of a client nobody knows.

        Raises:
            Violation: it is none.
        """
        names = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(words, dict) or set(words) != names:
            raise Violation("a plan with other fields")
        plan = cls(**words)
        amounts = (plan.seconds, plan.size, plan.rate)
        right = (
            isinstance(plan.network, str)
            and plan.direction in DIRECTIONS
            and _is_count(plan.streams, MOST_STREAMS)
            and _is_count(plan.length, LONGEST)
            and (plan.seconds is None) is not (plan.size is None)
            and all(amount is None or _is_positive(amount) for amount in amounts)
            and (plan.size is None or type(plan.size) is int)
        )
        if not right:
            raise Violation("a plan with values that make no sense")
        return plan


def _is_count(value: Any, most: int) -> bool:
    return type(value) is int and 1 <= value <= most


def _is_positive(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and value > 0

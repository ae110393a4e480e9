"""What limited a transfer, told from the connection's own trace."""

from __future__ import annotations

import bisect
import dataclasses
import itertools
from typing import TYPE_CHECKING

from .quantity import show_rate, show_size, show_span

if TYPE_CHECKING:
    from collections.abc import Callable

    from .trace_file import TraceFile

__all__ = ["LIMITS", "Limits", "explain", "find_limits"]

LIMITS = {
    "application": "the application had nothing to send",
    "buffer": "the send buffer was full: the application waited for acknowledgements",
    "receiver": "the receiver's window was closed",
    "window": "the congestion window was full",
    "pacing": "the congestion controller's pacing rate was reached",
    "sender": "the sender itself was slower than it was allowed to be (its processor, or the link's queue)",
}
# A window counts as full when less than this share of it is free: packets are whole, windows are not.
_FULL = 0.85
_PACED = 0.7
_PACKET = 1500
_NOTABLE_LOSS = 0.002


@dataclasses.dataclass
class Limits:
    """The time of a transfer, shared out.

    Attributes:
        shares: for each of :data:`LIMITS`, its share of the time, from 0 to 1.
        seconds: the time from the first to the last acknowledgement.
        delivered: bytes acknowledged.
        lost: bytes declared lost.
        sent: bytes sent, each time they were.
        smallest_rtt: seconds.
        median_rtt: seconds.
    """

    shares: dict[str, float]
    seconds: float = 0.0
    delivered: int = 0
    lost: int = 0
    sent: int = 0
    smallest_rtt: float = 0.0
    median_rtt: float = 0.0

    @property
    def chief(self) -> str | None:
        """The limit that held for the longest time; None without any."""
        name = max(self.shares, key=lambda limit: self.shares[limit])
        return name if self.shares[name] > 0 else None

    @property
    def goodput(self) -> float:
        """Bits acknowledged per second."""
        return self.delivered * 8 / self.seconds if self.seconds else 0.0

    @property
    def loss(self) -> float:
        """Share of the bytes sent that were declared lost."""
        return self.lost / self.sent if self.sent else 0.0


def find_limits(trace: TraceFile) -> Limits:
    """Share the time between samples out among what held the sender back at their beginning."""
    found = Limits(dict.fromkeys(LIMITS, 0.0))
    samples = trace.metrics
    if len(samples) < 2:
        return found
    found.seconds = samples[-1][0] - samples[0][0]
    rate = _sending_rates(trace)
    for (time, data), (following, _) in itertools.pairwise(samples):
        found.shares[_limit_of(data, rate(time, following))] += following - time
    if found.seconds:
        found.shares = {name: spent / found.seconds for name, spent in found.shares.items()}
    found.delivered = trace.acknowledged[-1][1] if trace.acknowledged else 0
    found.sent = sum(length for _, _, length, _ in trace.sent)
    found.lost = sum(stop - start for _, start, stop in trace.lost)
    rtts = sorted(data["latest_rtt"] for _, data in samples)
    found.smallest_rtt = min(data["min_rtt"] for _, data in samples) / 1e3
    found.median_rtt = rtts[len(rtts) // 2] / 1e3
    return found


def _limit_of(data: dict[str, float], rate: float) -> str:
    """What holds the sender back in the state ``data``; ``rate`` is what it sends, in bits a second."""
    if data.get("unsent", 0) <= 0:
        return "buffer" if data.get("buffer_room", 1) <= 0 else "application"
    if data.get("peer_room", _PACKET) < _PACKET:
        return "receiver"
    if data["bytes_in_flight"] >= _FULL * data["congestion_window"]:
        return "window"
    return "pacing" if rate >= _PACED * data.get("pacing_rate", float("inf")) else "sender"


def _sending_rates(trace: TraceFile) -> Callable[[float, float], float]:
    """A function of (from, to) that gives the rate of sending around that time, in bits a second."""
    times = [time for time, _, _, _ in trace.sent]
    totals = [0, *itertools.accumulate(length for _, _, length, _ in trace.sent)]

    def rate(start: float, stop: float) -> float:
        # Packets leave in batches: one round trip or so is the least time over which a rate means something.
        margin = max(0.0, 0.025 - (stop - start)) / 2
        first = bisect.bisect_left(times, start - margin)
        last = bisect.bisect_right(times, stop + margin)
        return (totals[last] - totals[first]) * 8 / (stop - start + 2 * margin)

    return rate


def explain(trace: TraceFile, limits: Limits) -> list[str]:
    """The same in sentences."""
    chief = limits.chief
    if chief is None:
        return ["There is too little in this trace to say what limited the transfer."]
    text = [
        f"{show_size(limits.delivered)} were acknowledged in {show_span(limits.seconds)}: {show_rate(limits.goodput)}.",
        f"For {limits.shares[chief]:.0%} of that time {LIMITS[chief]}.",
    ]
    others = sorted(limits.shares.items(), key=lambda item: -item[1])
    text.extend(
        f"For {share:.0%} {LIMITS[name]}." for name, share in others if name != chief and share >= 0.05
    )
    text.append(
        f"{limits.loss:.2%} of the bytes sent were declared lost."
        if limits.lost
        else "Nothing was declared lost."
    )
    queued = limits.median_rtt > 2 * limits.smallest_rtt > 0
    text.append(
        f"The round trip took {show_span(limits.median_rtt)} (median), {show_span(limits.smallest_rtt)} at least: "
        + ("most of it was waiting in queues." if queued else "there was little waiting in queues.")
    )
    if chief in ("window", "pacing") and limits.loss > _NOTABLE_LOSS and not queued:
        text.append(
            "Losses without queues: loss itself, not a full link, is what held the congestion controller down."
        )
    if trace.closed is not None and trace.closed[1] != "done":
        text.append(f"The connection ended with: {trace.closed[1]}.")
    return text

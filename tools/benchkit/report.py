"""What came out of one measurement: intervals, totals of both sides, and all of it as JSON."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from .talk import Violation

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .plan import Plan
    from .stream import Stream

__all__ = ["Line", "Moment", "Report", "Total", "believed"]


@dataclasses.dataclass(frozen=True)
class Line:
    """One stream in one interval, as the client saw it."""

    index: int
    sending: bool
    size: int
    counters: dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Moment:
    """One interval.

    Attributes:
        begin: seconds since the start.
        end: the same.
        lines: each stream.
        totals: of each stream at the end: bytes, packets sent again.
    """

    begin: float
    end: float
    lines: tuple[Line, ...]
    totals: dict[int, tuple[int, int | None]]

    @property
    def seconds(self) -> float:
        """Its length."""
        return max(self.end - self.begin, 1e-9)


@dataclasses.dataclass(frozen=True)
class Total:
    """All streams of one direction over the whole time.

    Attributes:
        direction: "forward" (from the client) or "reverse".
        sent: bytes given to the transport.
        received: bytes that arrived.
        seconds: the time of the receiver.
        retransmitted: packets sent again, or None where the transport does not tell.
        lost: datagrams that did not arrive, or None.
        packets: datagrams sent, or None.
        jitter: of datagrams, in seconds, or None.
    """

    direction: str
    sent: int
    received: int
    seconds: float
    retransmitted: int | None
    lost: int | None
    packets: int | None
    jitter: float | None

    @property
    def rate(self) -> float:
        """Bits a second that arrived."""
        return self.received * 8 / max(self.seconds, 1e-9)


@dataclasses.dataclass
class Report:
    """One measurement.

    Attributes:
        plan: what was asked for.
        local: our address.
        remote: the server's.
        moments: the intervals.
        here: what this side measured (:meth:`Parts.stop`).
        there: what the server measured.
        latency: round trips (:meth:`Prober.document`), or None.
        interrupted: it was ended early.
    """

    plan: Plan
    local: str
    remote: str
    moments: list[Moment] = dataclasses.field(default_factory=list)
    here: dict[str, Any] = dataclasses.field(default_factory=dict)
    there: dict[str, Any] = dataclasses.field(default_factory=dict)
    latency: dict[str, Any] | None = None
    interrupted: bool = False

    @staticmethod
    def begin(streams: Sequence[Stream]) -> Moment:
        """The moment before the first interval."""
        return Moment(0.0, 0.0, (), {stream.index: (0, 0) for stream in streams})

    def note(self, last: Moment, now: float, streams: Sequence[Stream]) -> Moment:
        """Add the interval from ``last`` until ``now``."""
        lines = []
        totals: dict[int, tuple[int, int | None]] = {}
        for stream in streams:
            counters = stream.counters()
            moved, again = stream.moved, counters.get("retransmitted")
            before, again_before = last.totals[stream.index]
            if again is not None:
                counters["retransmitted"] = again - (again_before or 0)
            totals[stream.index] = (moved, again)
            lines.append(Line(stream.index, stream.sending, moved - before, counters))
        moment = Moment(last.end, now, tuple(lines), totals)
        self.moments.append(moment)
        return moment

    def total(self, direction: str) -> Total:
        """The sum of one direction."""
        plan = self.plan
        forward = direction == "forward"
        numbers = plan.sent_by_client if forward else plan.sent_by_server
        sender, receiver = (self.here, self.there) if forward else (self.there, self.here)
        gone = [stream for stream in sender["streams"] if stream["index"] in numbers]
        come = [stream for stream in receiver["streams"] if stream["index"] in numbers]
        jitters = [stream["jitter"] for stream in come if stream.get("jitter") is not None]
        return Total(
            direction,
            sent=_sum(gone, "bytes") or 0,
            received=_sum(come, "bytes") or 0,
            seconds=receiver["seconds"],
            retransmitted=_sum(gone, "retransmitted"),
            lost=_sum(come, "lost"),
            packets=_sum(gone, "packets"),
            jitter=max(jitters) if jitters else None,
        )

    @property
    def totals(self) -> list[Total]:
        """Each direction that was measured."""
        names = ("forward", "reverse") if self.plan.direction == "both" else (self.plan.direction,)
        return [self.total(name) for name in names]

    @property
    def rate(self) -> float:
        """Bits a second that arrived, of all directions together."""
        return sum(total.rate for total in self.totals)

    def document(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {
            "network": self.plan.network,
            "local": self.local,
            "remote": self.remote,
            "plan": self.plan.words(),
            "intervals": [_interval(moment) for moment in self.moments],
            "totals": [{**dataclasses.asdict(total), "bits_per_second": total.rate} for total in self.totals],
            "bits_per_second": self.rate,
            "client": self.here,
            "server": self.there,
            "latency": self.latency,
            "interrupted": self.interrupted,
        }


def believed(words: Any, plan: Plan) -> dict[str, Any]:
    """The results of the other side, looked at: seconds, cpu, and every stream.

    Raises:
        Violation: they are not what they should be.
    """
    wanted = {*plan.sent_by_client, *plan.sent_by_server}
    try:
        streams = [{name: _number(value) for name, value in stream.items()} for stream in words["streams"]]
        right = {stream["index"] for stream in streams} == wanted and all("bytes" in one for one in streams)
        cpu = {name: float(words["cpu"][name]) for name in ("user", "system", "total")}
        seconds = float(words["seconds"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Violation("results that are none") from error
    if not right:
        raise Violation("results of other streams")
    return {"seconds": seconds, "cpu": cpu, "streams": streams}


def _number(value: Any) -> float | int | None:
    if value is not None and type(value) not in (int, float):
        raise TypeError("no number")
    return value  # type: ignore[no-any-return]


def _sum(streams: Sequence[dict[str, Any]], name: str) -> int | None:
    """The sum of what the streams tell of ``name``; None when none tells it."""
    values = [stream[name] for stream in streams if stream.get(name) is not None]
    return sum(values) if values else None


def _interval(moment: Moment) -> dict[str, Any]:
    return {
        "begin": moment.begin,
        "end": moment.end,
        "streams": [
            {
                "index": line.index,
                "direction": "forward" if line.sending else "reverse",
                "bytes": line.size,
                "bits_per_second": line.size * 8 / moment.seconds,
                **line.counters,
            }
            for line in moment.lines
        ],
    }

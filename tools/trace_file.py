"""A connection trace read back: qlog's main schema into columns to plot and to reason about."""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any

from .failure import USAGE, Failure

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["TraceFile", "read_trace"]


@dataclasses.dataclass
class TraceFile:
    """The events of one side of one connection; times in seconds, sizes in bytes, offsets into the stream.

    Attributes:
        title: the trace's title.
        vantage: whose view it is, "client" or "server".
        sent: (time, first offset, bytes, is a retransmission) of each batch sent.
        acknowledged: (time, offset up to which all is acknowledged).
        lost: (time, first offset, end offset) of each stretch declared lost.
        received: (time, packets) of each batch that arrived.
        metrics: (time, the fields of the event), as sampled by the connection.
        closed: (time, reason), or None when the trace ends before the connection.
        duration: seconds from the first to the last event.
    """

    title: str = ""
    vantage: str = ""
    sent: list[tuple[float, int, int, bool]] = dataclasses.field(default_factory=list)
    acknowledged: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    lost: list[tuple[float, int, int]] = dataclasses.field(default_factory=list)
    received: list[tuple[float, int]] = dataclasses.field(default_factory=list)
    metrics: list[tuple[float, dict[str, float]]] = dataclasses.field(default_factory=list)
    closed: tuple[float, str] | None = None
    duration: float = 0.0

    def take(self, time: float, name: str, data: dict[str, Any]) -> None:
        """Sort one event in; events of other kinds are passed over."""
        self.duration = max(self.duration, time)
        match name:
            case "transport:packets_sent":
                self.sent.append((time, data["offset"], data["length"], bool(data.get("retransmission"))))
            case "transport:packets_acked":
                self.acknowledged.append((time, data["acked_end"]))
            case "transport:packets_received":
                self.received.append((time, data["count"]))
            case "recovery:packets_lost":
                self.lost.extend((time, start, stop) for start, stop in data["ranges"])
            case "recovery:metrics_updated":
                self.metrics.append((time, data))
            case "connectivity:connection_closed":
                self.closed = (time, str(data.get("reason", "")))


def read_trace(path: Path) -> TraceFile:
    """The trace in the qlog file ``path``.

    Raises:
        Failure: it cannot be read, or is no trace of an RSP connection.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        (trace,) = document["traces"]
        found = TraceFile(str(document.get("title", "")), str(trace["vantage_point"]["type"]))
        for event in trace["events"]:
            # qlog's relative times are in milliseconds.
            found.take(event["time"] / 1e3, event["name"], event["data"])
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", USAGE) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{path} is no trace of a connection: {error!r}", USAGE) from error
    return found

"""What happened to a connection, for pictures and post-mortems, in qlog's main schema.

A connection with tracing off has no trace object, so that it costs one comparison a batch. With it on, each batch is
one small record; they become qlog events (draft-ietf-quic-qlog-main-schema) only when the trace is written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.protocol import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawproto.rsp.sender import Sender

__all__ = ["Trace"]


class Trace:
    """An in-memory list of records, from the oldest to the newest."""

    def __init__(self, vantage: str, title: str) -> None:
        self.vantage = vantage
        self.title = title
        self._records: list[tuple[int, str, dict[str, Any]]] = []

    def __len__(self) -> int:
        return len(self._records)

    def record(self, now: int, name: str, **data: Any) -> None:
        """Note event ``name`` (category:event) at ``now``."""
        self._records.append((now, name, data))

    def metrics(self, now: int, sender: Sender) -> None:
        """Note window, round trip and bytes in flight, and what else could hold the sender back.

        Besides qlog's own fields: ``unsent``, bytes written that have not been sent once; ``peer_room``, bytes that
        the peer's window leaves; ``buffer_room``, bytes that the application may write. Rates are in bits a second.
        """
        recovery, stream = sender.recovery, sender.stream
        rtt = recovery.rtt
        self.record(
            now,
            "recovery:metrics_updated",
            congestion_window=recovery.controller.window,
            bytes_in_flight=recovery.sent.bytes_in_flight,
            smoothed_rtt=rtt.smoothed / MILLISECOND,
            min_rtt=rtt.minimum / MILLISECOND,
            latest_rtt=rtt.latest / MILLISECOND,
            rtt_variance=rtt.variation / MILLISECOND,
            pacing_rate=round(8 * recovery.controller.pacing_rate(rtt.smoothed)),
            unsent=stream.end - stream.next,
            peer_room=sender.peer_window - stream.next,
            buffer_room=stream.room,
        )

    def events(self) -> Iterator[dict[str, Any]]:
        """The records as qlog events; times in milliseconds since the first record."""
        start = self._records[0][0] if self._records else 0
        for now, name, data in self._records:
            yield {"time": (now - start) / MILLISECOND, "name": name, "data": data}

    def qlog(self) -> dict[str, Any]:
        """The whole trace as a qlog document, ready for ``json.dump``."""
        return {
            "qlog_version": "0.3",
            "qlog_format": "JSON",
            "title": self.title,
            "traces": [
                {
                    "vantage_point": {"type": self.vantage},
                    "common_fields": {
                        "time_format": "relative",
                        "reference_time": 0,
                        "protocol_type": ["RSP"],
                    },
                    "events": list(self.events()),
                }
            ],
        }

"""What happened to a connection, for pictures and post-mortems, in qlog's main schema.

A connection with tracing off has no trace object, so that it costs one comparison a batch. With it on, each batch is
one small record; they become qlog events (draft-ietf-quic-qlog-main-schema) only when the trace is written.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from rawproto.protocol import MILLISECOND

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawproto.rsp.sender import Sender

__all__ = ["MAX_RECORDS", "Trace"]

MAX_RECORDS = 1 << 18
"""Records kept of one connection, in about 120 MB: a connection may live for months."""


class Trace:
    """The newest records, from the oldest to the newest.

    Args:
        vantage: qlog's vantage point, "client" or "server".
        title: of the document.
        most: records kept; older ones are dropped and counted.
    """

    def __init__(self, vantage: str, title: str, *, most: int = MAX_RECORDS) -> None:
        self.vantage = vantage
        self.title = title
        self.dropped = 0
        """Records that were left out, all of them older than the others."""
        self._records: deque[tuple[int, str, dict[str, Any]]] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._records)

    def record(self, now: int, name: str, **data: Any) -> None:
        """Note event ``name`` (category:event) at ``now``."""
        if len(self._records) == self._records.maxlen:
            self.dropped += 1
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
        """The whole trace as a qlog document, ready for ``json.dump``; its description tells what was left out."""
        described = {"description": f"the first {self.dropped} events were left out"} if self.dropped else {}
        return {
            "qlog_version": "0.3",
            "qlog_format": "JSON",
            "title": self.title,
            "traces": [
                {
                    **described,
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

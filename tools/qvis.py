"""A connection trace for qvis: an event for each packet, where the trace itself has one for each batch.

qvis (github.com/quiclog/qvis) draws what it knows by name: ``transport:packet_sent`` with a packet number and a raw
length, acknowledgements as frames of ``transport:packet_received``, ``recovery:packet_lost`` and
``recovery:metrics_updated`` (draft-ietf-quic-qlog-quic-events-01, which it takes as version 0.3).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rawproto.rsp.header import ACK_HEADER_SIZE, DATA_HEADER_SIZE

from .failure import USAGE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

__all__ = ["convert", "expand"]

_TYPE = "1RTT"
"""qvis' name for packets behind the handshake."""
_STREAM = 0
_RANGE = 8


def convert(source: Path, target: Path) -> int:
    """Write the trace of ``source`` for qvis; gives the number of events.

    Raises:
        Failure: ``source`` is no trace of an RSP connection.
        OSError: ``target`` cannot be written.
    """
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
        (trace,) = document["traces"]
        trace["events"] = list(expand(trace["events"]))
    except OSError as error:
        raise Failure(f"cannot read {source}: {error.strerror}", USAGE) from error
    except (ValueError, KeyError, TypeError) as error:
        raise Failure(f"{source} is no trace of a connection: {error!r}", USAGE) from error
    target.write_text(json.dumps(document), encoding="utf-8")
    return len(trace["events"])


def expand(events: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The events with those of batches replaced by those of their packets; others as they are."""
    flight = _Flight()
    makers = {
        "transport:packets_sent": flight.sent,
        "transport:packets_acked": flight.acknowledged,
        "recovery:packets_lost": flight.lost,
    }
    for event in events:
        maker = makers.get(event["name"])
        if maker is None:
            yield event
            continue
        for name, data in maker(event["data"]):
            yield {"time": event["time"], "name": name, "data": data}


class _Flight:
    """The packets that are on their way, to tell which ones were acknowledged and lost."""

    def __init__(self) -> None:
        self._open: dict[int, tuple[int, int]] = {}
        self._largest = -1
        self._acks = 0

    def sent(self, data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """A batch left: pieces of one size, but for the last one."""
        size = -(-data["length"] // data["count"])
        for index in range(data["count"]):
            number = data["first"] + index
            start = data["offset"] + index * size
            length = max(min(size, data["offset"] + data["length"] - start), 0)
            self._open[number] = (start, start + length)
            yield (
                "transport:packet_sent",
                {
                    "header": {"packet_type": _TYPE, "packet_number": number},
                    "raw": {"length": DATA_HEADER_SIZE + length, "payload_length": length},
                    "frames": [
                        {"frame_type": "stream", "stream_id": _STREAM, "offset": start, "length": length}
                    ],
                },
            )

    def acknowledged(self, data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """An acknowledgement came; told are the packets that it is the first one for."""
        fresh = []
        for start, stop in data.get("ranges", ()):
            self._largest = max(self._largest, stop - 1)
            fresh += [number for number in self._open if start <= number < stop]
        ranges: list[list[int]] = []
        for number in sorted(fresh):
            self._open.pop(number, None)
            if ranges and ranges[-1][1] == number - 1:
                ranges[-1][1] = number
            else:
                ranges.append([number, number])
        self._acks += 1
        yield (
            "transport:packet_received",
            {
                "header": {"packet_type": _TYPE, "packet_number": self._acks},
                "raw": {"length": ACK_HEADER_SIZE + _RANGE * len(data.get("ranges", ()))},
                "frames": [{"frame_type": "ack", "acked_ranges": ranges}],
            },
        )

    def lost(self, data: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
        """Stretches of the stream were declared lost: the packets that carried them, and that others overtook."""
        for start, stop in data["ranges"]:
            numbers = [
                number
                for number, (first, last) in self._open.items()
                if first < stop and last > start and number < max(self._largest, 0)
            ]
            for number in numbers:
                del self._open[number]
                yield ("recovery:packet_lost", {"header": {"packet_type": _TYPE, "packet_number": number}})

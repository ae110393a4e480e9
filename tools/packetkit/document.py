"""A packet for programs: JSON objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .words import endpoints, name_of, summary

if TYPE_CHECKING:
    from rawproto import Header

    from .decode import Decoded

__all__ = ["document_of", "headers_of"]


def headers_of(headers: tuple[Header, ...]) -> list[dict[str, Any]]:
    """One object a header: its name, and its fields as numbers and text."""
    return [
        {
            "header": name_of(header),
            "fields": {info.name: _plain(getattr(header, info.name)) for info in type(header).fields},
        }
        for header in headers
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, bytes) and not hasattr(value, "to4"):
        return value.hex()
    if isinstance(value, tuple):
        return [_option(item) for item in value]
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        # A number that has a name goes by it; the number can be had from the bytes.
        return int(value) if type(value) is int else str(value)
    return str(value)


def _option(item: Any) -> Any:
    if isinstance(item, bytes) or not hasattr(type(item), "fields"):
        return _plain(item)
    fields = {info.name: _plain(getattr(item, info.name)) for info in type(item).fields}
    return {"option": type(item).__name__, "fields": fields}


def document_of(decoded: Decoded) -> dict[str, Any]:
    """A captured packet."""
    packet = decoded.packet
    source, destination = endpoints(decoded)
    protocol, words = summary(decoded)
    return {
        "time": None if packet.time is None else packet.time / 1e9,
        "time_ns": packet.time,
        "interface": packet.interface or None,
        "direction": packet.direction or None,
        "length": packet.length,
        "captured": len(packet.data),
        "source": source,
        "destination": destination,
        "protocol": protocol,
        "summary": words,
        "headers": headers_of(decoded.headers),
        "payload": decoded.payload.hex(),
        "problems": list(decoded.problems),
        "comments": list(packet.comments),
    }

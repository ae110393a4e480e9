"""What is to be sent, drawn: each header as RFCs draw it, its values, and the bytes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto import DecodeError

from ..packetkit.hexdump import hexdump
from ..packetkit.words import name_of, text_of

if TYPE_CHECKING:
    from rawproto import Datagram, Header

__all__ = ["as_sent", "picture"]

_WIDTH = 100


def picture(datagram: Datagram) -> list[str]:
    """Lines for the terminal."""
    whole = bytes(datagram)
    lines: list[str] = []
    start = 0
    for header in as_sent(datagram):
        size = len(bytes(header))
        lines += [f"{name_of(header)}, {size} bytes", *type(header).diagram().rstrip("\n").split("\n")]
        lines += _wrapped([f"{name}={text}" for name, text in _values(header)])
        lines.append("")
        start += size
    if start < len(whole):
        lines.append(f"payload, {len(whole) - start} bytes")
        lines.append("")
    lines.append(f"{len(whole)} bytes:")
    return lines + hexdump(whole, indent="   ")


def as_sent(datagram: Datagram) -> tuple[Header, ...]:
    """The headers with what is computed filled in, as far as what is wrong on purpose lets them be read."""
    whole = bytes(datagram)
    found: list[Header] = []
    start = 0
    for header in datagram.headers:
        try:
            found.append(type(header).parse(whole[start:])[0])
        except DecodeError:
            found.append(header)
        start += len(bytes(header))
    return tuple(found)


def _values(header: Any) -> list[tuple[str, str]]:
    """Every field as it will stand on the wire."""
    found = []
    for info in type(header).fields:
        value = getattr(header, info.name)
        text = (
            f"{int(value):#06x}"
            if info.name in ("checksum", "check") and value is not None
            else text_of(value)
        )
        found.append((info.name, text))
    return found


def _wrapped(words: list[str]) -> list[str]:
    lines = ["  "]
    for word in words:
        if len(lines[-1]) + len(word) > _WIDTH and lines[-1].strip():
            lines.append("  ")
        lines[-1] += f" {word}"
    return lines

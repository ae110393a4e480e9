"""What a writer of pcapng puts into blocks: their frame, texts, times and counters, each checked to fit."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rawproto.errors import EncodeError
from rawproto.wire.pcapng.blocks import COMMENT, PacketOption, pack_options

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "check_range",
    "pack_block",
    "pack_counter",
    "pack_packet_options",
    "pack_text",
    "pack_texts",
    "pack_time",
]


def pack_packet_options(comment: str | None, drops: int | None, flags: int) -> bytes:
    """The options of one packet (section 4.3); None and flags of 0 are left out."""
    options: list[tuple[int, bytes]] = []
    if comment is not None:
        options.append((COMMENT, pack_text(comment)))
    if flags:
        check_range("flags", flags, 32)
        options.append((PacketOption.FLAGS, struct.pack("<I", flags)))
    if drops is not None:
        options.append((PacketOption.DROPS, pack_counter(drops)))
    return pack_options(options)


def pack_texts(pairs: Sequence[tuple[int, str]]) -> list[tuple[int, bytes]]:
    """Options of text; empty ones are left out."""
    return [(code, pack_text(text)) for code, text in pairs if text]


def pack_text(text: str) -> bytes:
    """UTF-8 (section 3.5); a name that was no UTF-8 itself must not cost the capture, and loses those characters."""
    return text.encode("utf-8", "replace")


def pack_time(nanoseconds: int) -> bytes:
    """A timestamp as its two 32-bit halves, the high one first."""
    check_range("timestamp", nanoseconds, 64)
    return struct.pack("<II", nanoseconds >> 32, nanoseconds & 0xFFFFFFFF)


def pack_counter(packets: int) -> bytes:
    """A number of packets, as options of counters have it."""
    check_range("packets", packets, 64)
    return struct.pack("<Q", packets)


def pack_block(kind: int, body: bytes) -> bytes:
    """A block of ``kind``, its length on both sides of the body (section 3.1)."""
    total = len(body) + 12
    return struct.pack("<II", kind, total) + body + struct.pack("<I", total)


def check_range(field: str, value: int, bits: int) -> None:
    """Refuse a number that does not fit.

    Raises:
        EncodeError: with the name of the field.
    """
    if not 0 <= value < 1 << bits:
        raise EncodeError(f"{value} does not fit {bits} bits", "pcapng", field)

"""Where and how a packet is damaged: a bit, a byte, or a run of bits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rawproto.lab.spec import Corruption

__all__ = ["damage_of"]


def damage_of(corruption: Corruption, word: int, first: int, bits: int) -> tuple[int, bytes]:
    """(first byte, mask) for damage within ``bits`` bits from bit ``first`` on, chosen by the 64 random ``word``."""
    place, pattern = word >> 32, word & 0xFFFFFFFF
    if corruption.kind == "byte":
        return first // 8 + place % (bits // 8), bytes([1 + pattern % 255])
    length = min(corruption.bits, bits) if corruption.kind == "burst" else 1
    at = first + place % (bits - length + 1)
    # The first and the last bit of a burst are changed for certain, those between by chance.
    inner = (pattern | pattern << 32) & ((1 << length) - 1)
    mask = inner | 1 | 1 << (length - 1)
    start = at // 8
    size = (at % 8 + length + 7) // 8
    return start, (mask << (size * 8 - at % 8 - length)).to_bytes(size, "big")

"""Bytes as people read them: offset, hex, text."""

from __future__ import annotations

__all__ = ["hexdump"]

_ROW = 16


def hexdump(data: bytes, *, indent: str = "") -> list[str]:
    """Lines of 16 bytes, as of ``hexdump -C``."""
    lines = []
    for start in range(0, len(data), _ROW):
        row = data[start : start + _ROW]
        left, right = row[:8].hex(" "), row[8:].hex(" ")
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in row)
        lines.append(f"{indent}{start:04x}  {left:<23}  {right:<23}  |{text}|")
    return lines

"""IP addresses from text and to text: the one grammar of the room, which is Go's.

ASCII digits only, nothing trimmed, no leading zero in an octet, at most four hexadecimal digits in a group, no zone.
The fast path decides; only a text that it refused is walked again, to say what is wrong and where.
"""

from __future__ import annotations

import re

from rawproto.errors import AddrError

__all__ = ["MAPPED_PREFIX", "format4", "format6", "parse_packed"]

MAPPED_PREFIX = b"\0\0\0\0\0\0\0\0\0\0\xff\xff"
"""The first 12 bytes of an IPv4-mapped IPv6 address (RFC 4291 section 2.5.5.2)."""

# The text of an octet is one of 256; a table of them refuses signs, blanks, leading zeros and foreign digits at once.
_OCTET = {str(value): bytes((value,)) for value in range(256)}
_DECIMAL = tuple(_OCTET)
_ZERO_RUNS = re.compile(r"(?<![0-9a-f])0(?::0)+(?![0-9a-f])")
_HEX = frozenset("0123456789abcdefABCDEF")
_DIGITS = frozenset("0123456789")


def parse_packed(text: str) -> bytes:
    """Give the 4 bytes of a dotted text or the 16 bytes of an IPv6 text.

    Raises:
        AddrError: with the position of the first character that cannot be right.
    """
    if ":" not in text:
        try:
            a, b, c, d = text.split(".")
            return _OCTET[a] + _OCTET[b] + _OCTET[c] + _OCTET[d]
        except (ValueError, KeyError):
            raise _fault(text) from None
    packed = _packed6(text)
    if packed is None:
        raise _fault(text)
    return packed


def _packed6(text: str) -> bytes | None:
    """The 16 bytes of an IPv6 text, or None when it is none (RFC 4291 section 2.2)."""
    wanted = 8
    last = b""
    if "." in text:
        text, _, dotted = text.rpartition(":")
        try:
            a, b, c, d = dotted.split(".")
            last = _OCTET[a] + _OCTET[b] + _OCTET[c] + _OCTET[d]
        except (ValueError, KeyError):
            return None
        wanted = 6
        if text.endswith(":"):
            text += ":"  # "::1.2.3.4": the second colon was the separator of the dotted part
    head, gap, tail = text.partition("::")
    groups = head.split(":") if head else []
    if gap:
        rest = tail.split(":") if tail else []
        missing = wanted - len(groups) - len(rest)
        if missing < 1:  # "::" stands for one group at least
            return None
        groups += ["0"] * missing + rest
    if len(groups) != wanted or "" in groups:
        return None
    digits = "".join([group.zfill(4) for group in groups])
    if len(digits) != 4 * wanted:
        return None
    try:
        packed = bytes.fromhex(digits) + last
    except ValueError:
        return None
    # fromhex skips blanks; every blank skipped leaves the result short.
    return packed if len(packed) == 16 else None


def format4(packed: bytes) -> str:
    """Dotted text of 4 bytes."""
    a, b, c, d = packed
    return f"{_DECIMAL[a]}.{_DECIMAL[b]}.{_DECIMAL[c]}.{_DECIMAL[d]}"


def format6(packed: bytes) -> str:
    """Text of 16 bytes as in RFC 5952 section 4: the first longest run of two or more zero groups becomes "::"."""
    digits = packed.hex()
    groups = [digits[i : i + 4].lstrip("0") or "0" for i in range(0, 32, 4)]
    text = ":".join(groups)
    if "0:0" not in text:
        return text
    # Only a whole zero group is "0", and every other group begins with another digit.
    runs = _ZERO_RUNS.findall(text)
    if not runs:
        return text
    head, _, tail = f":{text}:".partition(f":{max(runs, key=len)}:")
    return f"{head[1:]}::{tail[:-1]}"


def _fault(text: str) -> AddrError:
    """Say why ``text`` is no address, and where."""
    if not text:
        return AddrError("an empty text is no IP address", text)
    reason, position = _fault6(text) if ":" in text else _fault4(text, 0)
    return AddrError(reason, text, position)


def _fault4(text: str, start: int) -> tuple[str, int]:
    """Reason and place of the first fault in a dotted text that begins at ``start``."""
    octets = text[start:].split(".")
    if octets[0] and octets[0][0] not in _DIGITS:
        return "neither an IPv4 nor an IPv6 address", start
    position = start
    for index, octet in enumerate(octets):
        if index == 4:
            return "an IPv4 address has four octets, here is a fifth", position - 1
        reason, offset = _octet_fault(octet)
        if reason:
            return reason, position + offset
        position += len(octet) + 1
    return f"an IPv4 address has four octets, here are {len(octets)}", len(text)


def _octet_fault(octet: str) -> tuple[str, int]:
    if not octet:
        return "an octet without a digit", 0
    for offset, character in enumerate(octet):
        if character not in _DIGITS:
            return (
                ("a zone has no place here", offset) if character == "%" else ("not a decimal digit", offset)
            )
    if len(octet) > 1 and octet[0] == "0":
        return "an octet with a leading zero", 0
    if len(octet) > 3 or int(octet) > 255:
        return "an octet above 255", 0
    return "", 0


def _fault6(text: str) -> tuple[str, int]:
    """Reason and place of the first fault in a text with a colon."""
    position, count, gap = 0, 0, -1
    if text.startswith(":") and not text.startswith("::"):
        return "a single colon at the start", 0
    while position < len(text):
        if text.startswith("::", position):
            if gap >= 0:
                return "a second '::'", position
            gap = count
            position += 2
            if text.startswith(":", position):
                return "three colons in a row", position
            continue
        if position and text[position] == ":":
            position += 1
            if position == len(text) or text[position] == ":":
                return (
                    ("a single colon at the end", position - 1)
                    if position == len(text)
                    else ("too many colons", position)
                )
        end = position
        while end < len(text) and text[end] in _HEX:
            end += 1
        if end < len(text) and text[end] == ".":
            return _dotted_tail_fault(text, position, count)
        fault = _group_fault(text, position, end)
        if fault is not None:
            return fault
        count += 1
        if count > 8 or (count == 8 and gap >= 0):
            return "too many groups", position
        position = end
    return f"an IPv6 address has eight groups, here are {count}", len(text)


def _group_fault(text: str, position: int, end: int) -> tuple[str, int] | None:
    if end < len(text) and text[end] != ":":
        return ("a zone has no place here", end) if text[end] == "%" else ("not a hexadecimal digit", end)
    if end - position > 4:
        return "more than four digits in a group", position
    return None


def _dotted_tail_fault(text: str, position: int, count: int) -> tuple[str, int]:
    reason, place = _fault4(text, position)
    if place == len(text) and text[position:].count(".") == 3:
        return f"a dotted end takes two of the eight groups, {count} stand before it", position
    return reason, place

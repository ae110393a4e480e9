"""The Internet checksum (RFC 1071): sums that can be combined, folded and updated.

A buffer is read as one big-endian integer. Because 2**16 leaves the remainder 1 when divided by 65535, that integer
modulo 65535 is the ones-complement sum of its 16-bit words, whatever their number: one conversion and one division,
both in C, in place of a loop over the words.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

__all__ = ["checksum", "checksum_update", "ones_complement_sum", "pseudo_header"]

_from_bytes = int.from_bytes

# Longer data is read in pieces of this size (even, so that words stay whole): converting and adding pieces costs no
# more than converting the whole, and leaves a much shorter number to divide.
_PIECE = 384


def ones_complement_sum(data: Buffer, initial: int = 0) -> int:
    """The 16-bit ones-complement sum of ``data`` (RFC 1071 section 1), not complemented.

    Args:
        data: any bytes; an odd last byte counts as the high half of a word.
        initial: a sum to start from, such as that of a pseudo header.

    Returns:
        0 to 0xffff; 0 only when everything is zero.
    """
    view = data if type(data) is bytes else bytes(data)
    size = len(view)
    if size <= _PIECE:
        total = _from_bytes(view, "big")
        if size & 1:
            total <<= 8
    else:
        total = 0
        whole = size - size % _PIECE
        for place in range(0, whole, _PIECE):
            total += _from_bytes(view[place : place + _PIECE], "big")
        if size & 1:
            total += _from_bytes(view[whole:], "big") << 8
        elif whole != size:
            total += _from_bytes(view[whole:], "big")
    total += initial
    # Every multiple of 65535 but zero itself is 0xffff, the other zero of ones-complement arithmetic.
    return total % 65535 or (65535 if total else 0)


def checksum(data: Buffer, initial: int = 0) -> int:
    """The Internet checksum of ``data``: the complement of :func:`ones_complement_sum` (RFC 1071).

    Over data that holds its own right checksum the result is 0.
    """
    return 65535 - ones_complement_sum(data, initial)


def checksum_update(old: int, before: Buffer | int, after: Buffer | int) -> int:
    """The checksum after a part of the data changed, by RFC 1624 equation 3: HC' = ~(~HC + ~m + m').

    Args:
        old: the checksum so far, as it stands in the header.
        before: the 16-bit-aligned bytes as they were (or one 16-bit word as an int).
        after: the bytes as they are now; as many.

    Raises:
        ValueError: ``before`` and ``after`` differ in length, or a number is no 16-bit word.
    """
    was = _word_sum(before)
    now = _word_sum(after)
    if not isinstance(before, int) and not isinstance(after, int) and len(bytes(before)) != len(bytes(after)):
        raise ValueError(
            f"{len(bytes(before))} bytes cannot become {len(bytes(after))}: lengths must be equal"
        )
    if not 0 <= old <= 0xFFFF:
        raise ValueError(f"a checksum is 0 to 65535, not {old}")
    total = (old ^ 0xFFFF) + (was ^ 0xFFFF) + now
    total = (total & 0xFFFF) + (total >> 16)
    total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _word_sum(part: Buffer | int) -> int:
    """The ones-complement sum of a part given as bytes or as one word."""
    if isinstance(part, int):
        if not 0 <= part <= 0xFFFF:
            raise ValueError(f"a word is 0 to 65535, not {part}")
        return part
    return ones_complement_sum(part)


def pseudo_header(src: Buffer, dst: Buffer, protocol: int, length: int) -> bytes:
    """The pseudo header that transports add to their checksum.

    Args:
        src: source address, 4 or 16 bytes (:class:`rawproto.IP` is such).
        dst: final destination address, as many bytes.
        protocol: number of the upper-layer protocol.
        length: bytes of the upper-layer header and its data.

    Returns:
        12 bytes for IPv4 (RFC 9293 section 3.1, RFC 768), 40 for IPv6 (RFC 8200 section 8.1).

    Raises:
        ValueError: the addresses are not both of 4 or both of 16 bytes.
    """
    source, destination = bytes(src), bytes(dst)
    if len(source) == len(destination) == 4:
        return source + destination + bytes((0, protocol)) + length.to_bytes(2, "big")
    if len(source) == len(destination) == 16:
        return source + destination + length.to_bytes(4, "big") + protocol.to_bytes(4, "big")
    raise ValueError(f"addresses of {len(source)} and {len(destination)} bytes; both must have 4 or both 16")

"""Where the parts of an IP datagram lie: just enough of IPv4 and IPv6 for fragmentation, on plain bytes.

Full decoding of headers belongs to their declarations; here every step is bounded and nothing is allocated.
"""

from __future__ import annotations

from typing import NamedTuple

from rawproto.errors import DecodeError

__all__ = [
    "DONT_FRAGMENT",
    "FRAGMENT",
    "FRAGMENT_HEADER",
    "HOP_BY_HOP",
    "IPV4_HEADER",
    "IPV6_HEADER",
    "IS_FRAGMENT",
    "MORE_FRAGMENTS",
    "OFFSET",
    "ROUTING",
    "Chain",
    "ipv4_header_length",
    "least_upper_layer",
    "option_spans",
    "upper_layer_size",
    "walk_ipv6",
]

IPV4_HEADER = 20
IPV6_HEADER = 40
FRAGMENT_HEADER = 8

DONT_FRAGMENT = 0x4000
MORE_FRAGMENTS = 0x2000
OFFSET = 0x1FFF
"""The word at byte 6 of an IPv4 header: two of its flags, and the place of a fragment's data in units of 8 bytes
(RFC 791 section 3.1)."""
IS_FRAGMENT = MORE_FRAGMENTS | OFFSET
"""What is set in that word of a fragment, and in no other datagram."""

HOP_BY_HOP, TCP, UDP, ROUTING, FRAGMENT, ESP, AUTHENTICATION, NO_NEXT, DESTINATION = (
    0,
    6,
    17,
    43,
    44,
    50,
    51,
    59,
    60,
)

_EIGHT_BYTE_UNITS = frozenset((HOP_BY_HOP, ROUTING, DESTINATION, 135, 139, 140))
"""Extension headers whose second byte counts the 8-byte units behind the first (RFC 6564; mobility, HIP, shim6)."""

_UPPER_LAYER = {1: 8, TCP: 20, UDP: 8, 33: 12, 58: 4, 132: 12, 136: 8}
"""Smallest header of ICMP, TCP, UDP, DCCP, ICMPv6, SCTP and UDP-Lite in bytes."""

MAX_CHAIN = 1280
"""A header chain must fit the smallest IPv6 MTU (RFC 8504 section 5.3 lets a host discard longer ones)."""

_MAX_OPTIONS = 8
_MAX_PAD = 7
"""Limits of RFC 8504 section 5.3: options in one header, and bytes of padding in a row."""

_PAD1, _PADN = 0, 1


class Chain(NamedTuple):
    """The extension headers from one place on.

    Attributes:
        headers: (number, offset) of each, in order.
        upper: number of what follows them: a transport, 44 when stopped at a fragment header, 59 for nothing.
        end: offset behind the last one.
        next_field: offset of the byte that holds ``upper``.
        whole: whether the chain ends within the bytes at hand.
    """

    headers: tuple[tuple[int, int], ...]
    upper: int
    end: int
    next_field: int
    whole: bool


def ipv4_header_length(datagram: bytes) -> tuple[int, int]:
    """Header length and total length of the IPv4 datagram at the start of ``datagram``, both checked.

    Raises:
        DecodeError: the lengths contradict each other or the buffer (RFC 1122 section 3.2.1).
    """
    if len(datagram) < IPV4_HEADER:
        raise DecodeError(f"{len(datagram)} bytes, a header has {IPV4_HEADER}", "IPv4", "version", 0)
    if datagram[0] >> 4 != 4:
        raise DecodeError(f"version {datagram[0] >> 4}", "IPv4", "version", 0)
    header = (datagram[0] & 0xF) * 4
    total = int.from_bytes(datagram[2:4], "big")
    if header < IPV4_HEADER:
        raise DecodeError(f"header length {header}", "IPv4", "ihl", 0)
    if not header <= total <= len(datagram):
        raise DecodeError(
            f"total length {total} in a buffer of {len(datagram)} with a header of {header}",
            "IPv4",
            "total_length",
            2,
        )
    return header, total


def option_spans(header: bytes) -> list[tuple[int, int, int]]:
    """(type, start, end) of each option in an IPv4 header, ending before the end-of-list option (RFC 791).

    Raises:
        DecodeError: an option's length leads nowhere.
    """
    spans = []
    place = IPV4_HEADER
    while place < len(header) and header[place] != 0:
        kind = header[place]
        end = place + 1
        if kind != 1:
            length = header[place + 1] if place + 1 < len(header) else 0
            end = place + length
            if length < 2 or end > len(header):
                raise DecodeError(f"option {kind} of length {length}", "IPv4", "options", place)
        spans.append((kind, place, end))
        place = end
    return spans


def walk_ipv6(data: bytes, number: int, start: int, next_field: int, *, past_fragment: bool = False) -> Chain:
    """Walk extension headers from the one of ``number`` at ``start``.

    Args:
        data: the datagram.
        number: the header that begins at ``start``.
        start: its offset.
        next_field: offset of the byte that named it.
        past_fragment: go on behind a fragment header instead of stopping at it.

    Raises:
        DecodeError: hop-by-hop options that are not first, a chain or an option list beyond the limits of RFC 8504
            section 5.3, or an unknown option that asks for the packet to be discarded (RFC 8200 section 4.2).
    """
    headers: list[tuple[int, int]] = []
    place = start
    while True:
        if number == HOP_BY_HOP and place != IPV6_HEADER:
            raise DecodeError(
                "hop-by-hop options are not the first header", "IPv6", "next_header", next_field
            )
        if number in _EIGHT_BYTE_UNITS:
            size = _size(data, place, 8, 1)
        elif number == AUTHENTICATION:
            size = _size(data, place, 4, 2)
        elif number == FRAGMENT and past_fragment:
            size = FRAGMENT_HEADER
        else:
            return Chain(tuple(headers), number, place, next_field, whole=True)
        if size == 0 or place + size > len(data):
            return Chain(tuple(headers), number, place, next_field, whole=False)
        if place + size - start + IPV6_HEADER >= MAX_CHAIN:
            raise DecodeError(f"header chain of {MAX_CHAIN} bytes or more", "IPv6", "next_header", place)
        if number in (HOP_BY_HOP, DESTINATION):
            _check_options(data, place, place + size)
        headers.append((number, place))
        number, next_field, place = data[place], place, place + size


def _size(data: bytes, place: int, unit: int, first: int) -> int:
    """Bytes of the extension header at ``place``, 0 when its length byte is not there."""
    return (data[place + 1] + first) * unit if place + 2 <= len(data) else 0


def _check_options(data: bytes, start: int, end: int) -> None:
    """Refuse an option list that a host need not bear."""
    place, count, padding = start + 2, 0, 0
    while place < end:
        kind = data[place]
        length = 1 if kind == _PAD1 else 2 + data[place + 1] if place + 1 < end else 0
        if not length or place + length > end:
            raise DecodeError(f"option {kind} ends beyond its header", "IPv6", "options", place)
        if kind in (_PAD1, _PADN):
            padding += length
        else:
            padding = 0
            count += 1
            _check_unknown(kind, place)
        if padding > _MAX_PAD or count > _MAX_OPTIONS:
            raise DecodeError("too many options or too much padding", "IPv6", "options", place)
        place += length


_KNOWN_OPTIONS = frozenset((0x63, 0x6D, 0x8A, 0x8B, 0x8C, 0xC2, 0xC9, 0xEE))
"""Registered options (IANA, IPv6 parameters) whose type would ask unknowing hosts to discard the packet."""


def _check_unknown(kind: int, place: int) -> None:
    """The two highest bits of an unknown option tell what to do: 00 skips it, all else discards the packet."""
    if kind >> 6 and kind not in _KNOWN_OPTIONS:
        raise DecodeError(
            f"unknown option {kind:#x} asks for the packet to be discarded", "IPv6", "options", place
        )


def upper_layer_size(number: int, data: bytes, start: int) -> int:
    """Bytes that the upper-layer header at ``start`` takes, as far as its number and its own length tell."""
    least = _UPPER_LAYER.get(number, 0)
    if number == TCP and len(data) >= start + 13:
        return max(least, (data[start + 12] >> 4) * 4)
    return least


def least_upper_layer(number: int) -> int:
    """Smallest size of the upper-layer header of ``number``; 0 where it is not known."""
    return _UPPER_LAYER.get(number, 0)

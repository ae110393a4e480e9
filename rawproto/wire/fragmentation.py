"""Cutting IP datagrams into fragments: IPv4 by RFC 791, IPv6 by RFC 8200 section 4.5."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from rawproto.errors import DecodeError, EncodeError
from rawproto.wire.identification import content_identification
from rawproto.wire.ip_chain import (
    DONT_FRAGMENT,
    FRAGMENT,
    FRAGMENT_HEADER,
    HOP_BY_HOP,
    IPV4_HEADER,
    IPV6_HEADER,
    MORE_FRAGMENTS,
    OFFSET,
    ROUTING,
    ipv4_header_length,
    option_spans,
    upper_layer_size,
    walk_ipv6,
)
from rawproto.wire.sums import checksum

if TYPE_CHECKING:
    from rawproto.wire.piece import Parsable

D = TypeVar("D", bound="Parsable")

__all__ = ["fragment"]

_COPIED = 0x80
"""Copy bit of an option's type: the option goes into every fragment (RFC 791 section 3.1)."""


@overload
def fragment(
    datagram: bytes | bytearray | memoryview, mtu: int, *, identification: int | None = None
) -> list[bytes]: ...
@overload
def fragment(datagram: D, mtu: int, *, identification: int | None = None) -> list[D]: ...
def fragment(datagram: Any, mtu: int, *, identification: int | None = None) -> list[Any]:
    """The fragments of an IPv4 or IPv6 datagram, the first one first; the datagram alone when it fits.

    Options of IPv4 go into later fragments when their copy bit says so; extension headers of IPv6 up to a routing
    header (or else the hop-by-hop options) go into all. An IPv4 fragment can be cut again.

    Args:
        datagram: bytes, or a Datagram; the fragments are of the same kind.
        mtu: largest fragment in bytes, IP header included.
        identification: 16 bits for IPv4, 32 for IPv6, such as
            :class:`~rawproto.wire.identification.IdentificationSequence` gives. None keeps the one of an IPv4 header
            that is not 0, and else takes one out of the datagram's content, so that it is never constant.

    Raises:
        DecodeError: the bytes are no IP datagram.
        EncodeError: don't-fragment is set, the MTU leaves no room, the datagram has a fragment header already, or
            the identification does not fit.
    """
    if isinstance(datagram, (bytes, bytearray, memoryview)):
        return _fragment(bytes(datagram), mtu, identification)
    whole = bytes(datagram)
    parts = _fragment(whole, mtu, identification)
    return [datagram] if parts == [whole] else [type(datagram).parse(part) for part in parts]


def _fragment(datagram: bytes, mtu: int, identification: int | None) -> list[bytes]:
    version = datagram[0] >> 4 if datagram else 0
    if version == 4:
        return _fragment_ipv4(datagram, mtu, identification)
    if version == 6:
        return _fragment_ipv6(datagram, mtu, identification)
    raise DecodeError(f"version {version} is neither 4 nor 6", "IP", "version", 0)


def _room(mtu: int, front: int) -> int:
    """Bytes of data in a fragment that is not the last: what is left of the MTU, in whole units of eight."""
    room = (mtu - front) // 8 * 8
    if room < 8:
        raise EncodeError(
            f"an MTU of {mtu} leaves no room for data behind {front} bytes of headers", "IP", "mtu"
        )
    return room


def _chosen(identification: int | None, bits: int, fallback: int) -> int:
    if identification is None:
        return fallback
    if not 0 <= identification < 1 << bits:
        raise EncodeError(f"{identification} does not fit {bits} bits", "IP", "identification")
    return identification


def _fragment_ipv4(datagram: bytes, mtu: int, identification: int | None) -> list[bytes]:
    length, total = ipv4_header_length(datagram)
    datagram = datagram[:total]
    if total <= mtu:
        return [datagram]
    word = int.from_bytes(datagram[6:8], "big")
    if word & DONT_FRAGMENT:
        raise EncodeError(
            f"{total} bytes do not fit the MTU of {mtu} and don't-fragment is set", "IPv4", "df"
        )
    ident = _chosen(
        identification, 16, int.from_bytes(datagram[4:6], "big") or content_identification(datagram, 16)
    )
    first = datagram[:length]
    later = first[:IPV4_HEADER] + _copied_options(first)
    header, place, parts = first, length, []
    while place < total:
        room = _room(mtu, len(header))
        end = min(place + room, total)
        # The units counted so far are those of this datagram plus its own offset, should it be a fragment itself.
        offset = (word & OFFSET) + (place - length) // 8
        more = word & MORE_FRAGMENTS if end == total else MORE_FRAGMENTS
        flags = word & 0x8000 | more | offset
        parts.append(_ipv4_header(header, end - place, ident, flags) + datagram[place:end])
        header, place = later, end
    return parts


def _copied_options(header: bytes) -> bytes:
    """The options that go into every fragment, padded to words with end-of-list."""
    kept = b"".join(header[start:end] for kind, start, end in option_spans(header) if kind & _COPIED)
    return kept + bytes(-len(kept) % 4)


def _ipv4_header(header: bytes, data: int, ident: int, flags: int) -> bytes:
    """``header`` with its lengths, identification, flags and offset set, and its checksum computed."""
    built = bytearray(header)
    built[0] = 0x40 | len(header) // 4
    built[2:4] = (len(header) + data).to_bytes(2, "big")
    built[4:6] = ident.to_bytes(2, "big")
    built[6:8] = flags.to_bytes(2, "big")
    built[10:12] = b"\0\0"
    built[10:12] = checksum(bytes(built)).to_bytes(2, "big")
    return bytes(built)


def _fragment_ipv6(datagram: bytes, mtu: int, identification: int | None) -> list[bytes]:
    if len(datagram) < IPV6_HEADER:
        raise DecodeError(f"{len(datagram)} bytes, a header has {IPV6_HEADER}", "IPv6", "version", 0)
    total = IPV6_HEADER + int.from_bytes(datagram[4:6], "big")
    if total > len(datagram):
        raise DecodeError(
            f"payload ends at {total}, the buffer at {len(datagram)}", "IPv6", "payload_length", 4
        )
    datagram = datagram[:total]
    if total <= mtu:
        return [datagram]
    chain = walk_ipv6(datagram, datagram[6], IPV6_HEADER, 6)
    if chain.upper == FRAGMENT:
        raise EncodeError(
            "the datagram is a fragment; only its source may cut it (RFC 8200)", "IPv6", "next_header"
        )
    split, next_field = _unfragmentable(chain.headers, chain.end)
    front = bytearray(datagram[:split])
    following, front[next_field] = front[next_field], FRAGMENT
    room = _room(mtu, split + FRAGMENT_HEADER)
    # RFC 7112: the first fragment holds all headers, the upper layer's included.
    headers = chain.end + upper_layer_size(chain.upper, datagram, chain.end) - split
    if not chain.whole or headers > room:
        raise EncodeError(f"an MTU of {mtu} cannot hold all headers in the first fragment", "IPv6", "mtu")
    ident = _chosen(identification, 32, content_identification(datagram, 32))
    parts = []
    for place in range(split, total, room):
        end = min(place + room, total)
        word = place - split | (end < total)
        front[4:6] = (split - IPV6_HEADER + FRAGMENT_HEADER + end - place).to_bytes(2, "big")
        piece = bytes((following, 0)) + word.to_bytes(2, "big") + ident.to_bytes(4, "big")
        parts.append(bytes(front) + piece + datagram[place:end])
    return parts


def _unfragmentable(headers: tuple[tuple[int, int], ...], end: int) -> tuple[int, int]:
    """End of the part that goes into every fragment, and the offset of its last next-header byte."""
    split, next_field = IPV6_HEADER, 6
    for index, (number, place) in enumerate(headers):
        if number == ROUTING or (number == HOP_BY_HOP and split == IPV6_HEADER):
            split = headers[index + 1][1] if index + 1 < len(headers) else end
            next_field = place
    return split, next_field

"""One fragment, taken apart and judged by itself: what is wrong with it without looking at any other."""

from __future__ import annotations

import enum
from typing import Any, NamedTuple, Protocol

from rawproto.errors import DecodeError
from rawproto.wire.ip_chain import (
    FRAGMENT,
    FRAGMENT_HEADER,
    IPV6_HEADER,
    IS_FRAGMENT,
    MORE_FRAGMENTS,
    OFFSET,
    ipv4_header_length,
    least_upper_layer,
    upper_layer_size,
    walk_ipv6,
)
from rawproto.wire.sums import checksum

__all__ = ["FragmentDrop", "Parsable", "Piece", "Refused", "Whole", "take_apart"]

MAX_DATAGRAM = 65_535
"""No IP datagram is longer (total length of IPv4); IPv6's 40 bytes of header come on top."""


class Parsable(Protocol):
    """What fragmentation takes and gives besides bytes: a Datagram."""

    def __bytes__(self) -> bytes: ...

    @classmethod
    def parse(cls, buffer: bytes, /) -> Any:
        """The same kind of thing out of bytes."""


class FragmentDrop(enum.StrEnum):
    """Why a fragment was refused."""

    MALFORMED = "malformed"
    """Not an IP datagram, or headers that contradict themselves."""
    BAD_CHECKSUM = "bad_checksum"
    """IPv4 header checksum."""
    EMPTY = "empty"
    """A fragment without data."""
    UNALIGNED = "unaligned"
    """More fragments follow, but its length is no multiple of 8."""
    TOO_LONG = "too_long"
    """It would end beyond 65,535 bytes: ping of death."""
    TINY = "tiny"
    """The first fragment lacks part of the transport header, or the second begins inside it (RFC 1858, RFC 3128)."""
    HEADER_CHAIN = "header_chain"
    """IPv6: not all headers in the first fragment (RFC 7112), a second fragment header, or more headers and options
    than a host need bear (RFC 8504)."""
    OVERLAP = "overlap"
    """Overlaps another one: the whole datagram is dropped (RFC 5722)."""
    CHANGED_DUPLICATE = "changed_duplicate"
    """The place of another one with other data: likewise."""
    CONTRADICTORY_END = "contradictory_end"
    """Two last fragments, or data behind the last one: likewise."""
    ECN = "ecn"
    """Fragments with and without ECN mixed: likewise (RFC 3168 section 5.3)."""
    REFUSED_DATAGRAM = "refused_datagram"
    """Of a datagram that was dropped before, and is remembered until its timer ends."""
    TOO_MANY_PIECES = "too_many_pieces"
    SOURCE_MEMORY = "source_memory"
    """Pushed out by newer fragments of the same source."""
    MEMORY = "memory"
    """Pushed out by newer fragments of any source."""
    TOO_MANY_DATAGRAMS = "too_many_datagrams"
    TIMEOUT = "timeout"
    """The rest did not come in time."""


class Refused(Exception):  # noqa: N818 - how judging a fragment ends, never leaves this package
    """A fragment is refused, alone or with its whole datagram."""

    def __init__(self, reason: FragmentDrop) -> None:
        super().__init__(reason)
        self.reason = reason


class Piece(NamedTuple):
    """A fragment.

    Attributes:
        key: what its datagram is known by: addresses, identification and, with IPv4, protocol.
        source: the sender's address, 4 or 16 bytes.
        start: offset of its data in the datagram.
        data: its data.
        more: whether more follow.
        ecn: ECN codepoint.
        front: what goes before the data of the whole datagram; of use in the first fragment.
        next_field: IPv6: offset in ``front`` of the byte that named the fragment header; 0 with IPv4.
    """

    key: bytes
    source: bytes
    start: int
    data: bytes
    more: bool
    ecn: int
    front: bytes
    next_field: int

    @property
    def end(self) -> int:
        """Offset behind its data."""
        return self.start + len(self.data)


class Whole(NamedTuple):
    """A datagram that needs no reassembly: no fragment, or the only one (RFC 6946)."""

    datagram: bytes


def take_apart(datagram: bytes) -> Piece | Whole:
    """The fragment in ``datagram``.

    Raises:
        Refused: with what is wrong with it.
    """
    try:
        version = datagram[0] >> 4 if datagram else 0
        if version == 4:
            return _ipv4(datagram)
        if version == 6:
            return _ipv6(datagram)
    except DecodeError as error:
        unbearable = error.field in ("options", "next_header")
        raise Refused(FragmentDrop.HEADER_CHAIN if unbearable else FragmentDrop.MALFORMED) from None
    raise Refused(FragmentDrop.MALFORMED)


def _ipv4(datagram: bytes) -> Piece | Whole:
    header, total = ipv4_header_length(datagram)
    if checksum(datagram[:header]):
        raise Refused(FragmentDrop.BAD_CHECKSUM)
    word = int.from_bytes(datagram[6:8], "big")
    if not word & IS_FRAGMENT:
        return Whole(datagram[:total])
    piece = Piece(
        key=datagram[12:20] + datagram[9:10] + datagram[4:6],
        source=datagram[12:16],
        start=(word & OFFSET) * 8,
        data=datagram[header:total],
        more=bool(word & MORE_FRAGMENTS),
        ecn=datagram[1] & 3,
        front=datagram[:header],
        next_field=0,
    )
    _judge(piece, MAX_DATAGRAM - header)
    protocol = datagram[9]
    if piece.start == 0:
        short = len(piece.data) < upper_layer_size(protocol, datagram[:total], header)
    else:
        short = piece.start < least_upper_layer(protocol)
    if short:
        raise Refused(FragmentDrop.TINY)
    return piece


def _ipv6(datagram: bytes) -> Piece | Whole:
    if len(datagram) < IPV6_HEADER:
        raise Refused(FragmentDrop.MALFORMED)
    total = IPV6_HEADER + int.from_bytes(datagram[4:6], "big")
    if total > len(datagram):
        raise Refused(FragmentDrop.MALFORMED)
    datagram = datagram[:total]
    chain = walk_ipv6(datagram, datagram[6], IPV6_HEADER, 6)
    if chain.upper != FRAGMENT:
        return Whole(datagram)
    split, begin = chain.end, chain.end + FRAGMENT_HEADER
    if not chain.whole or begin > total:
        raise Refused(FragmentDrop.MALFORMED)
    word = int.from_bytes(datagram[split + 2 : split + 4], "big")
    front = bytearray(datagram[:split])
    front[chain.next_field] = datagram[split]
    piece = Piece(
        key=datagram[8:40] + datagram[split + 4 : split + 8],
        source=datagram[8:24],
        start=word & 0xFFF8,
        data=datagram[begin:total],
        more=bool(word & 1),
        ecn=datagram[1] >> 4 & 3,
        front=bytes(front),
        next_field=chain.next_field,
    )
    if piece.start == 0 and not piece.more:
        front[4:6] = (total - FRAGMENT_HEADER - IPV6_HEADER).to_bytes(2, "big")
        return Whole(bytes(front) + piece.data)
    _judge(piece, MAX_DATAGRAM - (split - IPV6_HEADER))
    if piece.start == 0:
        _judge_ipv6_first(datagram, begin, split)
    return piece


def _judge(piece: Piece, longest: int) -> None:
    if not piece.data:
        raise Refused(FragmentDrop.EMPTY)
    if piece.end > longest:
        raise Refused(FragmentDrop.TOO_LONG)
    if piece.more and len(piece.data) % 8:
        raise Refused(FragmentDrop.UNALIGNED)


def _judge_ipv6_first(datagram: bytes, begin: int, split: int) -> None:
    """The first fragment holds every header, the upper layer's included (RFC 7112), and no second fragment header."""
    chain = walk_ipv6(datagram, datagram[split], begin, split)
    if not chain.whole or chain.upper == FRAGMENT:
        raise Refused(FragmentDrop.HEADER_CHAIN)
    if chain.end + upper_layer_size(chain.upper, datagram, chain.end) > len(datagram):
        raise Refused(FragmentDrop.HEADER_CHAIN)

"""The extension headers of IPv6 (RFC 8200 section 4; segment routing: RFC 8754)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from rawproto.wire.enums import OpenEnum
from rawproto.wire.field import Computed, NextProtocol
from rawproto.wire.header import Header
from rawproto.wire.ipv6_options import IPV6_OPTIONS, HomeAddress
from rawproto.wire.protocols import IPProtocol
from rawproto.wire.registry import HEADERS
from rawproto.wire.tlv import OptionFormat
from rawproto.wire.types import (
    bits,
    declare,
    enum8,
    flag,
    ip6,
    length8,
    list_of,
    opaque,
    scaled,
    u8,
    u16,
    u32,
)
from rawproto.wire.types import options as options_in

if TYPE_CHECKING:
    from rawproto.wire.address import IP

__all__ = [
    "SRHHMAC",
    "SRHTLV",
    "DestinationOptions",
    "Fragment",
    "HopByHop",
    "MobileRouting",
    "RawRouting",
    "Routing",
    "RoutingType",
    "SegmentRouting",
    "SourceRouting",
]


class RoutingType(OpenEnum):
    """Routing types; names follow IANA's descriptions."""

    SOURCE_ROUTE = 0
    NIMROD = 1
    TYPE_2 = 2
    RPL_SOURCE_ROUTE = 3
    SEGMENT_ROUTING = 4
    CRH_16 = 5
    CRH_32 = 6
    EXPERIMENT_1 = 253
    EXPERIMENT_2 = 254


class ExtensionHeader(Header):
    """Base of the headers that count their length in 8 bytes, the first 8 not counted."""

    next_header: Annotated[int | None, enum8(IPProtocol), NextProtocol()] = declare(
        default=None, kw_only=True
    )
    hdr_ext_len: Annotated[int | None, length8("header", unit=8, bias=-1)] = declare(
        default=None, kw_only=True
    )


class HopByHop(ExtensionHeader, protocol=0):
    """Options that every node on the path may look at (RFC 8200 section 4.3, RFC 9673)."""

    options: Annotated[tuple[Any, ...], options_in(IPV6_OPTIONS)] = ()


class DestinationOptions(ExtensionHeader, protocol=60):
    """Options for the destination (RFC 8200 section 4.6)."""

    options: Annotated[tuple[Any, ...], options_in(IPV6_OPTIONS)] = ()

    @staticmethod
    def _addresses(header: Any, outer: bytes | None) -> bytes | None:
        """A home address takes the place of the source in pseudo headers (RFC 6275 section 11.3.1)."""
        for option in header.options:
            if type(option) is HomeAddress and outer is not None and len(outer) == 32:
                return bytes(option.home) + outer[16:]
        return outer


class Routing(ExtensionHeader, protocol=43):
    """Base of the routing headers; parsing gives the class of the routing type, else :class:`RawRouting`."""

    routing_type: Annotated[int, enum8(RoutingType)]
    segments_left: Annotated[int | None, u8, Computed(lambda header, _: header.hops, initial=True)] = declare(
        default=None, kw_only=True
    )

    @staticmethod
    def _choose(buffer: bytes, start: int, end: int) -> Any:
        return _ROUTING.get(buffer[start + 2]) if end - start >= 8 else None

    @property
    def hops(self) -> int:
        """Addresses of the route that a fresh packet has still to visit, the IPv6 destination not counted."""
        return 0

    @property
    def final(self) -> IP | None:
        """The last address of the route, while it is not reached; None when the IPv6 header holds it."""
        return None

    @staticmethod
    def _addresses(header: Any, outer: bytes | None) -> bytes | None:
        """The pseudo header's destination is the final one (RFC 8200 section 8.1)."""
        final = header.final
        if final is None or outer is None or len(outer) != 32:
            return outer
        return outer[:16] + bytes(final)


class RawRouting(Routing):
    """A routing header of a type without a class of its own."""

    data: opaque = b"\0\0\0\0"


class SourceRouting(Routing, routing_type=0):
    """Type 0, deprecated by RFC 5095: refused or ignored by today's routers."""

    reserved: u32 = declare(default=0, kw_only=True)
    addresses: Annotated[tuple[Any, ...], list_of(ip6)] = ()

    @property
    def hops(self) -> int:
        """All addresses."""
        return len(self.addresses)

    @property
    def final(self) -> IP | None:
        """The last address."""
        return self.addresses[-1] if self.segments_left != 0 and self.addresses else None


class MobileRouting(Routing, routing_type=2):
    """Type 2 of Mobile IPv6: the home address as the last hop (RFC 6275 section 6.4)."""

    reserved: u32 = declare(default=0, kw_only=True)
    home: ip6

    @property
    def hops(self) -> int:
        """The home address alone."""
        return 1

    @property
    def final(self) -> IP | None:
        """The home address."""
        return self.home if self.segments_left != 0 else None


class SRHTLV(Header):
    """Base of the segment routing header's TLVs."""

    type: u8


class LongSRHTLV(SRHTLV):
    """Base of the TLVs that have a length: it counts the bytes behind itself."""

    length: Annotated[int | None, length8("header", bias=-2)] = declare(default=None, kw_only=True)


class RawSRHTLV(LongSRHTLV):
    """A TLV without a class of its own."""

    data: opaque = b""


class SRHPad1(SRHTLV, type=0):
    """One byte of padding (RFC 8754 section 2.1.1.1)."""


class SRHPadN(LongSRHTLV, type=4):
    """Two or more bytes of padding (RFC 8754 section 2.1.1.2)."""

    data: opaque = b""


class SRHHMAC(LongSRHTLV, type=5):
    """Keyed hash over the header (RFC 8754 section 2.1.2)."""

    skip_address: flag = declare(default=False, kw_only=True, doc="destination address verification disabled")
    reserved: Annotated[int, bits(15)] = declare(default=0, kw_only=True)
    key_id: u32
    hmac: opaque


def _srh_padding(size: int) -> bytes:
    return b"\0" * size if size < 2 else bytes((4, size - 2)).ljust(size, b"\0")


SRH_TLVS = OptionFormat(
    "SRH", RawSRHTLV, single=frozenset((0,)), bias=-2, pad=8, filler=_srh_padding, padding=frozenset((0, 4))
)
SRH_TLVS.add(SRHPad1, SRHPadN, SRHHMAC)


class SegmentRouting(Routing, routing_type=4):
    """The segment routing header (RFC 8754): ``segments`` from the last of the path to the first."""

    last_entry: Annotated[int | None, length8("segments", unit=16, bias=-1)] = declare(
        default=None, kw_only=True
    )
    flags: u8 = declare(default=0, kw_only=True)
    tag: u16 = declare(default=0, kw_only=True)
    segments: Annotated[tuple[Any, ...], list_of(ip6)]
    tlvs: Annotated[tuple[Any, ...], options_in(SRH_TLVS)] = ()

    @property
    def hops(self) -> int:
        """The first segment to visit is the last of the list, and already the destination (RFC 8754 section 4.1)."""
        return max(len(self.segments) - 1, 0)

    @property
    def final(self) -> IP | None:
        """The first of the list is the last to visit."""
        return self.segments[0] if self.segments_left != 0 and self.segments else None


Routing._other = RawRouting
_ROUTING = {0: SourceRouting, 2: MobileRouting, 4: SegmentRouting}


class Fragment(Header, protocol=44):
    """The fragment header (RFC 8200 section 4.5); ``fragment_offset`` is in bytes, a multiple of 8."""

    next_header: Annotated[int | None, enum8(IPProtocol), NextProtocol()] = declare(
        default=None, kw_only=True
    )
    reserved: u8 = declare(default=0, kw_only=True)
    fragment_offset: Annotated[int, scaled(13, 8)] = 0
    reserved2: Annotated[int, bits(2)] = declare(default=0, kw_only=True)
    mf: flag = False
    ident: u32 = 0

    @property
    def is_atomic(self) -> bool:
        """Whether the datagram is whole in this one fragment (RFC 6946)."""
        return not self.mf and self.fragment_offset == 0

    def _following(self) -> Any:
        """The header behind this one; none in a piece, whose payload is not a whole one."""
        return HEADERS[self.next_header] if self.is_atomic else None  # type: ignore[index]

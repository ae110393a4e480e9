"""The IPv4 header (RFC 791)."""

from __future__ import annotations

import zlib
from typing import Annotated, Any

from rawproto.wire.field import Computed, NextProtocol
from rawproto.wire.header import Header
from rawproto.wire.ipv4_options import IPV4_OPTIONS, LooseSourceRoute, StrictSourceRoute
from rawproto.wire.protocols import IPProtocol
from rawproto.wire.registry import BUILT_IN, HEADERS
from rawproto.wire.types import (
    Constant,
    bits,
    declare,
    enum8,
    flag,
    header_checksum16,
    ip4,
    length16,
    length_bits,
    scaled,
    u8,
    u16,
)
from rawproto.wire.types import options as options_in

__all__ = ["IPv4"]

# Headers that mean something behind IPv6 only; under IPv4 their numbers announce a payload.
_IPV6_ONLY = frozenset((0, 43, 44, 58, 60))


class _Behind(dict[Any, Any]):
    """Protocol number to the header behind IPv4, or None; what was asked once costs one look-up."""

    __slots__ = ()

    def __missing__(self, number: int) -> Any:
        found = None if number in _IPV6_ONLY else HEADERS[number]
        if number in BUILT_IN:
            self[number] = found  # never a declared one: it can be replaced, and forgotten
        return found


_BEHIND = _Behind()


# The identification of a datagram that was given none: a hash of what it carries, so that it differs for different
# payloads (fragments of two of them must not be mixed up, RFC 6864 section 4.2), is the same each time one datagram is
# built, and needs neither a counter nor randomness. Fragments of equal datagrams may be mixed without harm. Programs
# that send faster than 65,536 datagrams a maximum segment lifetime to one host should set DF or count themselves.
# The upper half of Adler-32 weighs each byte by its place, and costs a third of a CRC.
_IDENTIFICATION = Computed(zlib.adler32, payload_only=True, shift=16, initial=True, counts=True)


class IPv4(Header, protocol=4, empty_next=0):
    """The IPv4 header with its options; RFC 791 section 3.1, DSCP of RFC 2474, ECN of RFC 3168.

    ``fragment_offset`` is in bytes, a multiple of 8. ``ident`` None takes a hash of the payload.
    """

    version: Annotated[int, bits(4), Constant(4)] = declare(default=4, kw_only=True)
    ihl: Annotated[int | None, length_bits(4, "header", unit=4)] = declare(default=None, kw_only=True)
    dscp: Annotated[int, bits(6)] = declare(default=0, kw_only=True)
    ecn: Annotated[int, bits(2)] = declare(default=0, kw_only=True)
    total_length: Annotated[int | None, length16("packet")] = declare(default=None, kw_only=True)
    ident: Annotated[int | None, u16, _IDENTIFICATION] = declare(default=None, kw_only=True)
    reserved: flag = declare(default=False, kw_only=True, doc="must be zero")
    df: flag = declare(default=False, kw_only=True, doc="do not fragment")
    mf: flag = declare(default=False, kw_only=True, doc="more fragments follow")
    fragment_offset: Annotated[int, scaled(13, 8)] = declare(default=0, kw_only=True, doc="in bytes")
    ttl: u8 = declare(default=64, kw_only=True)
    protocol: Annotated[int | None, enum8(IPProtocol), NextProtocol()] = declare(default=None, kw_only=True)
    checksum: header_checksum16 = declare(default=None, kw_only=True)
    src: ip4
    dst: ip4
    options: Annotated[tuple[Any, ...], options_in(IPV4_OPTIONS)] = declare(default=(), kw_only=True)

    _own_pair = True

    @staticmethod
    def _addresses(header: Any, _outer: bytes | None) -> bytes:
        addresses: bytes = header.src + header.dst
        if header.options:
            for option in header.options:
                if isinstance(option, (LooseSourceRoute, StrictSourceRoute)) and option.final is not None:
                    return addresses[:4] + option.final
        return addresses

    @property
    def is_fragment(self) -> bool:
        """Whether the datagram is a piece of a larger one."""
        return self.mf or self.fragment_offset != 0

    def _following(self) -> Any:
        """The header behind this one; none in a fragment, whose payload is not a whole one."""
        if self.mf or self.fragment_offset:
            return None
        return _BEHIND[self.protocol]

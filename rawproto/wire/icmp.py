"""ICMP: the header of every message, and the bodies of those with fields of their own (RFC 792, 950, 1256)."""

from __future__ import annotations

from typing import Annotated, Any

from rawproto.wire.header import Header
from rawproto.wire.icmp_codes import (
    ExtendedEchoCode,
    ICMPType,
    ParameterProblemCode,
    RedirectCode,
    TimeExceededCode,
    UnreachableCode,
)
from rawproto.wire.types import Overlay, bits, checksum16, declare, enum8, flag, ip4, list_of, u8, u16, u32

__all__ = [
    "ICMP",
    "ICMPAddressMask",
    "ICMPRouterAdvertisement",
    "ICMPTimestamp",
    "ICMPTraceroute",
    "RouterEntry",
]

# Messages that quote the datagram they are about (RFC 1122 section 3.2.2).
ERROR_TYPES = frozenset((3, 4, 5, 11, 12))

_CODES: dict[int, Any] = {
    3: UnreachableCode,
    5: RedirectCode,
    11: TimeExceededCode,
    12: ParameterProblemCode,
    43: ExtendedEchoCode,
}


class ICMP(Header, protocol=1):
    """Any ICMP message: type, code, checksum and the second word.

    The second word is ``ident`` and ``seq``; the other names are views of it that depend on the type: ``pointer``
    (parameter problem), ``gateway`` (redirect), ``mtu`` (fragmentation needed, RFC 1191), ``length`` (of the quoted
    datagram in 32-bit words, RFC 4884), ``num_addrs``, ``entry_size`` and ``lifetime`` (router advertisement,
    RFC 1256), ``probe_seq``, ``local``, ``state``, ``active``, ``ipv4`` and ``ipv6`` (extended echo, RFC 8335), and
    ``unused`` for the whole word.
    """

    type: Annotated[int, enum8(ICMPType)]
    code: u8 = 0
    checksum: checksum16 = None
    ident: u16 = 0
    seq: u16 = 0
    unused: Annotated[int, u32, Overlay(32)] = declare(default=None)
    pointer: Annotated[int, u8, Overlay(32)] = declare(default=None)
    length: Annotated[int, u8, Overlay(40)] = declare(default=None)
    gateway: Annotated[Any, ip4, Overlay(32)] = declare(default=None)
    mtu: Annotated[int, u16, Overlay(48)] = declare(default=None)
    num_addrs: Annotated[int, u8, Overlay(32)] = declare(default=None)
    entry_size: Annotated[int, u8, Overlay(40)] = declare(default=None)
    lifetime: Annotated[int, u16, Overlay(48)] = declare(default=None)
    probe_seq: Annotated[int, u8, Overlay(48)] = declare(default=None)
    local: Annotated[bool, flag, Overlay(63)] = declare(default=None)
    state: Annotated[int, bits(3), Overlay(56)] = declare(default=None)
    active: Annotated[bool, flag, Overlay(61)] = declare(default=None)
    ipv4: Annotated[bool, flag, Overlay(62)] = declare(default=None)
    ipv6: Annotated[bool, flag, Overlay(63)] = declare(default=None)

    @property
    def is_error(self) -> bool:
        """Whether the message quotes the datagram it is about."""
        return self.type in ERROR_TYPES

    @property
    def code_name(self) -> str:
        """The code as its type names it."""
        names = _CODES.get(self.type)
        return str(self.code) if names is None else str(names(self.code))

    def _following(self) -> Any:
        return _BODIES.get(self.type)


class ICMPTimestamp(Header):
    """Body of timestamp messages: milliseconds since midnight UT (RFC 792)."""

    originate: u32 = 0
    receive: u32 = 0
    transmit: u32 = 0


class ICMPAddressMask(Header):
    """Body of address mask messages (RFC 950)."""

    mask: ip4


class RouterEntry(Header):
    """One router of an advertisement; the higher the preference (signed, RFC 1256), the better."""

    address: ip4
    preference: u32 = 0


class ICMPRouterAdvertisement(Header):
    """Body of router advertisements (RFC 1256): ``num_addrs`` and ``entry_size`` of ICMP tell how many."""

    routers: Annotated[tuple[RouterEntry, ...], list_of(RouterEntry)] = ()


class ICMPTraceroute(Header):
    """Body of traceroute messages (RFC 1393): hops, link speed in bytes a second, link MTU."""

    outbound_hops: u16 = 0
    return_hops: u16 = 0
    speed: u32 = 0
    link_mtu: u32 = 0


_BODIES: dict[int, Any] = {
    9: ICMPRouterAdvertisement,
    13: ICMPTimestamp,
    14: ICMPTimestamp,
    17: ICMPAddressMask,
    18: ICMPAddressMask,
    30: ICMPTraceroute,
}

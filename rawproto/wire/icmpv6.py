"""ICMPv6: the header of every message, and the bodies of MLD and neighbour discovery (RFC 4443, 2710, 3810, 4861)."""

from __future__ import annotations

from typing import Annotated, Any

from rawproto.wire.header import Header
from rawproto.wire.icmp_codes import ExtendedEchoCode
from rawproto.wire.icmpv6_codes import (
    ICMPv6ParameterProblemCode,
    ICMPv6TimeExceededCode,
    ICMPv6Type,
    ICMPv6UnreachableCode,
    MLDRecordType,
)
from rawproto.wire.ndp_options import NDP_OPTIONS
from rawproto.wire.types import (
    Overlay,
    bits,
    declare,
    enum8,
    flag,
    ip6,
    length8,
    length16,
    list_of,
    opaque,
    pseudo_checksum16,
    u8,
    u16,
    u32,
)
from rawproto.wire.types import options as options_in

__all__ = [
    "ICMPv6",
    "MLDMessage",
    "MLDQuery",
    "MLDRecord",
    "MLDReport",
    "NeighborAdvertisement",
    "NeighborSolicitation",
    "NodeInformation",
    "Redirect",
    "RouterAdvertisement",
    "RouterSolicitation",
]

_CODES: dict[int, Any] = {
    1: ICMPv6UnreachableCode,
    3: ICMPv6TimeExceededCode,
    4: ICMPv6ParameterProblemCode,
    161: ExtendedEchoCode,
}


class ICMPv6(Header, protocol=58):
    """Any ICMPv6 message: type, code, checksum (with the pseudo header) and the second word.

    The second word is ``ident`` and ``seq``; the other names are views of it that depend on the type: ``pointer``,
    ``mtu`` and ``unused`` (errors), ``length`` (of the quoted datagram in 64-bit words, RFC 4884), ``hop_limit``,
    ``managed``, ``other``, ``home_agent``, ``preference`` and ``lifetime`` (router advertisement, RFC 4861, 4191),
    ``router``, ``solicited`` and ``override`` (neighbor advertisement), ``max_response`` (MLD), ``num_records``
    (MLDv2 report), ``probe_seq``, ``local``, ``state``, ``active``, ``ipv4`` and ``ipv6`` (extended echo, RFC 8335).
    """

    type: Annotated[int, enum8(ICMPv6Type)]
    code: u8 = 0
    checksum: pseudo_checksum16 = None
    ident: u16 = 0
    seq: u16 = 0
    unused: Annotated[int, u32, Overlay(32)] = declare(default=None)
    pointer: Annotated[int, u32, Overlay(32)] = declare(default=None)
    mtu: Annotated[int, u32, Overlay(32)] = declare(default=None)
    length: Annotated[int, u8, Overlay(32)] = declare(default=None)
    hop_limit: Annotated[int, u8, Overlay(32)] = declare(default=None)
    managed: Annotated[bool, flag, Overlay(40)] = declare(default=None)
    other: Annotated[bool, flag, Overlay(41)] = declare(default=None)
    home_agent: Annotated[bool, flag, Overlay(42)] = declare(default=None)
    preference: Annotated[int, bits(2), Overlay(43)] = declare(default=None)
    lifetime: Annotated[int, u16, Overlay(48)] = declare(default=None)
    router: Annotated[bool, flag, Overlay(32)] = declare(default=None)
    solicited: Annotated[bool, flag, Overlay(33)] = declare(default=None)
    override: Annotated[bool, flag, Overlay(34)] = declare(default=None)
    max_response: Annotated[int, u16, Overlay(32)] = declare(default=None)
    num_records: Annotated[int, u16, Overlay(48)] = declare(default=None)
    probe_seq: Annotated[int, u8, Overlay(48)] = declare(default=None)
    local: Annotated[bool, flag, Overlay(63)] = declare(default=None)
    state: Annotated[int, bits(3), Overlay(56)] = declare(default=None)
    active: Annotated[bool, flag, Overlay(61)] = declare(default=None)
    ipv4: Annotated[bool, flag, Overlay(62)] = declare(default=None)
    ipv6: Annotated[bool, flag, Overlay(63)] = declare(default=None)

    @property
    def is_error(self) -> bool:
        """Whether the message is an error, which quotes a datagram (RFC 4443 section 2.1)."""
        return self.type < 128

    @property
    def code_name(self) -> str:
        """The code as its type names it."""
        names = _CODES.get(self.type)
        return str(self.code) if names is None else str(names(self.code))

    def _following(self) -> Any:
        if self.type == 130 and self._origin is not None:
            # RFC 3810 section 8.1: a query of 24 bytes is MLDv1, a longer one MLDv2.
            _, _, finish, stop, _ = self._origin
            return MLDQuery if stop - finish >= MLDQuery.size else MLDMessage
        return _BODIES.get(self.type)


class RouterSolicitation(Header):
    """Body of router solicitations (RFC 4861 section 4.1)."""

    options: Annotated[tuple[Any, ...], options_in(NDP_OPTIONS)] = ()


class RouterAdvertisement(Header):
    """Body of router advertisements, times in milliseconds (RFC 4861 section 4.2)."""

    reachable_time: u32 = 0
    retransmit_timer: u32 = 0
    options: Annotated[tuple[Any, ...], options_in(NDP_OPTIONS)] = ()


class NeighborSolicitation(Header):
    """Body of neighbor solicitations (RFC 4861 section 4.3)."""

    target: ip6
    options: Annotated[tuple[Any, ...], options_in(NDP_OPTIONS)] = ()


class NeighborAdvertisement(Header):
    """Body of neighbor advertisements (RFC 4861 section 4.4)."""

    target: ip6
    options: Annotated[tuple[Any, ...], options_in(NDP_OPTIONS)] = ()


class Redirect(Header):
    """Body of redirects (RFC 4861 section 4.5)."""

    target: ip6
    destination: ip6
    options: Annotated[tuple[Any, ...], options_in(NDP_OPTIONS)] = ()


class MLDMessage(Header):
    """Body of MLDv1 queries, reports and dones (RFC 2710)."""

    group: ip6


class MLDQuery(Header):
    """Body of MLDv2 queries (RFC 3810 section 5.1)."""

    group: ip6
    reserved: Annotated[int, bits(4)] = declare(default=0, kw_only=True)
    suppress: flag = declare(default=False, kw_only=True)
    robustness: Annotated[int, bits(3)] = declare(default=0, kw_only=True)
    interval: u8 = declare(default=0, kw_only=True, doc="querier's query interval code")
    num_sources: Annotated[int | None, length16("sources", unit=16)] = declare(default=None, kw_only=True)
    sources: Annotated[tuple[Any, ...], list_of(ip6)] = ()


class MLDRecord(Header):
    """One multicast address record of a report (RFC 3810 section 5.2)."""

    type: Annotated[int, enum8(MLDRecordType)]
    aux_length: Annotated[int | None, length8("aux", unit=4)] = declare(default=None, kw_only=True)
    num_sources: Annotated[int | None, length16("sources", unit=16)] = declare(default=None, kw_only=True)
    group: ip6
    sources: Annotated[tuple[Any, ...], list_of(ip6)] = ()
    aux: opaque = b""


class MLDReport(Header):
    """Body of MLDv2 reports: as many records as ``num_records`` of ICMPv6 says."""

    records: Annotated[tuple[MLDRecord, ...], list_of(MLDRecord)] = ()


class NodeInformation(Header):
    """Body of node information queries and replies (RFC 4620): question type and flags are the second word."""

    nonce: u32 = 0
    nonce_low: u32 = 0
    data: opaque = b""


_BODIES: dict[int, Any] = {
    131: MLDMessage,
    132: MLDMessage,
    133: RouterSolicitation,
    134: RouterAdvertisement,
    135: NeighborSolicitation,
    136: NeighborAdvertisement,
    137: Redirect,
    139: NodeInformation,
    140: NodeInformation,
    143: MLDReport,
}

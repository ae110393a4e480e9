"""The options of neighbour discovery (RFC 4861 section 4.6; IANA "IPv6 Neighbor Discovery Option Formats")."""

from __future__ import annotations

from typing import Annotated, Any

from rawproto.wire.enums import OpenEnum
from rawproto.wire.header import Header
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

__all__ = [
    "NDP_OPTIONS",
    "DNSSearchList",
    "LinkMTU",
    "NAT64Prefix",
    "NDPOption",
    "NDPOptionType",
    "Nonce",
    "PrefixInformation",
    "RawNDPOption",
    "RecursiveDNSServer",
    "RedirectedHeader",
    "RouteInformation",
    "SourceLinkLayerAddress",
    "TargetLinkLayerAddress",
]


class NDPOptionType(OpenEnum):
    """Option types in use."""

    SOURCE_LINK_LAYER_ADDRESS = 1
    TARGET_LINK_LAYER_ADDRESS = 2
    PREFIX_INFORMATION = 3
    REDIRECTED_HEADER = 4
    MTU = 5
    NBMA_SHORTCUT_LIMIT = 6
    ADVERTISEMENT_INTERVAL = 7
    HOME_AGENT_INFORMATION = 8
    SOURCE_ADDRESS_LIST = 9
    TARGET_ADDRESS_LIST = 10
    CGA = 11
    RSA_SIGNATURE = 12
    TIMESTAMP = 13
    NONCE = 14
    TRUST_ANCHOR = 15
    CERTIFICATE = 16
    IP_ADDRESS_PREFIX = 17
    ROUTE_INFORMATION = 24
    RECURSIVE_DNS_SERVER = 25
    RA_FLAGS_EXTENSION = 26
    DNS_SEARCH_LIST = 31
    ADDRESS_REGISTRATION = 33
    SIX_LOWPAN_CONTEXT = 34
    CAPTIVE_PORTAL = 37
    PREF64 = 38


class NDPOption(Header):
    """Base of the options: type, and the length of the whole option in 8 bytes."""

    type: Annotated[int, enum8(NDPOptionType)]
    length: Annotated[int | None, length8("header", unit=8)] = declare(default=None, kw_only=True)


class RawNDPOption(NDPOption):
    """An option without a class of its own, or one that does not fit its class."""

    data: opaque = b"\0" * 6


class SourceLinkLayerAddress(NDPOption, type=1):
    """Link-layer address of the sender."""

    address: opaque


class TargetLinkLayerAddress(NDPOption, type=2):
    """Link-layer address of the target."""

    address: opaque


class PrefixInformation(NDPOption, type=3):
    """A prefix that is on-link or for autoconfiguration; lifetimes in seconds."""

    prefix_length: u8
    on_link: flag = True
    autonomous: flag = True
    router_address: flag = False
    reserved: Annotated[int, bits(5)] = declare(default=0, kw_only=True)
    valid_lifetime: u32 = 0xFFFFFFFF
    preferred_lifetime: u32 = 0xFFFFFFFF
    reserved2: u32 = declare(default=0, kw_only=True)
    prefix: ip6 = declare(default="::")


class RedirectedHeader(NDPOption, type=4):
    """The start of the datagram that caused a redirect."""

    reserved: u16 = declare(default=0, kw_only=True)
    reserved2: u32 = declare(default=0, kw_only=True)
    datagram: opaque = b""


class LinkMTU(NDPOption, type=5):
    """MTU that all nodes of the link shall use."""

    reserved: u16 = declare(default=0, kw_only=True)
    mtu: u32


class Nonce(NDPOption, type=14):
    """Random value that ties an answer to its question (RFC 3971)."""

    nonce: opaque


class RouteInformation(NDPOption, type=24):
    """A more specific route (RFC 4191): ``prefix`` has 0, 8 or 16 bytes."""

    prefix_length: u8
    reserved: Annotated[int, bits(3)] = declare(default=0, kw_only=True)
    preference: Annotated[int, bits(2)] = 0
    reserved2: Annotated[int, bits(3)] = declare(default=0, kw_only=True)
    lifetime: u32 = 0xFFFFFFFF
    prefix: opaque = b""


class RecursiveDNSServer(NDPOption, type=25):
    """DNS servers (RFC 8106 section 5.1)."""

    reserved: u16 = declare(default=0, kw_only=True)
    lifetime: u32 = 0xFFFFFFFF
    servers: Annotated[tuple[Any, ...], list_of(ip6)] = ()


class DNSSearchList(NDPOption, type=31):
    """DNS search list, names in wire format padded to 8 bytes (RFC 8106 section 5.2)."""

    reserved: u16 = declare(default=0, kw_only=True)
    lifetime: u32 = 0xFFFFFFFF
    names: opaque = b""


class NAT64Prefix(NDPOption, type=38):
    """NAT64 prefix: its first 96 bits, a code for its length, lifetime in seconds (RFC 8781)."""

    lifetime: Annotated[int, scaled(13, 8)]
    length_code: Annotated[int, bits(3)]
    prefix: opaque


NDP_OPTIONS = OptionFormat("NDP", RawNDPOption, unit=8, pad=1)
NDP_OPTIONS.add(
    SourceLinkLayerAddress,
    TargetLinkLayerAddress,
    PrefixInformation,
    RedirectedHeader,
    LinkMTU,
    Nonce,
    RouteInformation,
    RecursiveDNSServer,
    DNSSearchList,
    NAT64Prefix,
)

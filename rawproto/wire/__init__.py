"""Packets as bytes: headers, checksums, fragments, filters and capture files. No sockets, clocks or randomness here."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.wire.batch import Batch as Batch
    from rawproto.wire.batch import ReceivedBatch as ReceivedBatch
    from rawproto.wire.batch import Transmit as Transmit
    from rawproto.wire.batch_build import build_batch as build_batch
    from rawproto.wire.batch_parse import field_column as field_column
    from rawproto.wire.batch_parse import parse_batch as parse_batch
    from rawproto.wire.batch_parse import verify_batch as verify_batch
    from rawproto.wire.batch_sums import checksums as checksums
    from rawproto.wire.bpf.assembler import assemble as assemble
    from rawproto.wire.bpf.program import BPFProgram as BPFProgram
    from rawproto.wire.datagram import Datagram as Datagram
    from rawproto.wire.enums import OpenEnum as OpenEnum
    from rawproto.wire.field import FieldInfo as FieldInfo
    from rawproto.wire.flags import Flag as Flag
    from rawproto.wire.flags import Flags as Flags
    from rawproto.wire.fragmentation import fragment as fragment
    from rawproto.wire.header import Header as Header
    from rawproto.wire.icmp import ICMP as ICMP
    from rawproto.wire.icmp import ICMPAddressMask as ICMPAddressMask
    from rawproto.wire.icmp import ICMPRouterAdvertisement as ICMPRouterAdvertisement
    from rawproto.wire.icmp import ICMPTimestamp as ICMPTimestamp
    from rawproto.wire.icmp import ICMPTraceroute as ICMPTraceroute
    from rawproto.wire.icmp import RouterEntry as RouterEntry
    from rawproto.wire.icmp_codes import ExtendedEchoCode as ExtendedEchoCode
    from rawproto.wire.icmp_codes import ICMPType as ICMPType
    from rawproto.wire.icmp_codes import ParameterProblemCode as ParameterProblemCode
    from rawproto.wire.icmp_codes import RedirectCode as RedirectCode
    from rawproto.wire.icmp_codes import TimeExceededCode as TimeExceededCode
    from rawproto.wire.icmp_codes import UnreachableCode as UnreachableCode
    from rawproto.wire.icmp_error import ICMPError as ICMPError
    from rawproto.wire.icmp_error import ICMPErrorKind as ICMPErrorKind
    from rawproto.wire.icmp_extensions import ExtensionClass as ExtensionClass
    from rawproto.wire.icmp_extensions import ExtensionObject as ExtensionObject
    from rawproto.wire.icmp_extensions import ICMPExtensions as ICMPExtensions
    from rawproto.wire.icmp_extensions import InterfaceIdentification as InterfaceIdentification
    from rawproto.wire.icmp_extensions import InterfaceInformation as InterfaceInformation
    from rawproto.wire.icmp_extensions import MPLSLabel as MPLSLabel
    from rawproto.wire.icmp_extensions import MPLSLabelStack as MPLSLabelStack
    from rawproto.wire.icmp_extensions import RawExtension as RawExtension
    from rawproto.wire.icmp_extensions import join_quote as join_quote
    from rawproto.wire.icmp_extensions import split_quote as split_quote
    from rawproto.wire.icmpv6 import ICMPv6 as ICMPv6
    from rawproto.wire.icmpv6 import MLDMessage as MLDMessage
    from rawproto.wire.icmpv6 import MLDQuery as MLDQuery
    from rawproto.wire.icmpv6 import MLDRecord as MLDRecord
    from rawproto.wire.icmpv6 import MLDReport as MLDReport
    from rawproto.wire.icmpv6 import NeighborAdvertisement as NeighborAdvertisement
    from rawproto.wire.icmpv6 import NeighborSolicitation as NeighborSolicitation
    from rawproto.wire.icmpv6 import NodeInformation as NodeInformation
    from rawproto.wire.icmpv6 import Redirect as Redirect
    from rawproto.wire.icmpv6 import RouterAdvertisement as RouterAdvertisement
    from rawproto.wire.icmpv6 import RouterSolicitation as RouterSolicitation
    from rawproto.wire.icmpv6_codes import ICMPv6ParameterProblemCode as ICMPv6ParameterProblemCode
    from rawproto.wire.icmpv6_codes import ICMPv6TimeExceededCode as ICMPv6TimeExceededCode
    from rawproto.wire.icmpv6_codes import ICMPv6Type as ICMPv6Type
    from rawproto.wire.icmpv6_codes import ICMPv6UnreachableCode as ICMPv6UnreachableCode
    from rawproto.wire.icmpv6_codes import MLDRecordType as MLDRecordType
    from rawproto.wire.identification import IdentificationSequence as IdentificationSequence
    from rawproto.wire.ipv4 import IPv4 as IPv4
    from rawproto.wire.ipv4_options import CommercialSecurity as CommercialSecurity
    from rawproto.wire.ipv4_options import IPTimestamp as IPTimestamp
    from rawproto.wire.ipv4_options import IPTraceroute as IPTraceroute
    from rawproto.wire.ipv4_options import IPv4EOL as IPv4EOL
    from rawproto.wire.ipv4_options import IPv4NOP as IPv4NOP
    from rawproto.wire.ipv4_options import IPv4Option as IPv4Option
    from rawproto.wire.ipv4_options import IPv4OptionType as IPv4OptionType
    from rawproto.wire.ipv4_options import LooseSourceRoute as LooseSourceRoute
    from rawproto.wire.ipv4_options import MTUProbe as MTUProbe
    from rawproto.wire.ipv4_options import MTUReply as MTUReply
    from rawproto.wire.ipv4_options import QuickStart as QuickStart
    from rawproto.wire.ipv4_options import RawIPv4Option as RawIPv4Option
    from rawproto.wire.ipv4_options import RecordRoute as RecordRoute
    from rawproto.wire.ipv4_options import RouterAlert as RouterAlert
    from rawproto.wire.ipv4_options import Security as Security
    from rawproto.wire.ipv4_options import StreamID as StreamID
    from rawproto.wire.ipv4_options import StrictSourceRoute as StrictSourceRoute
    from rawproto.wire.ipv6 import IPv6 as IPv6
    from rawproto.wire.ipv6_ext import SRHHMAC as SRHHMAC
    from rawproto.wire.ipv6_ext import SRHTLV as SRHTLV
    from rawproto.wire.ipv6_ext import DestinationOptions as DestinationOptions
    from rawproto.wire.ipv6_ext import Fragment as Fragment
    from rawproto.wire.ipv6_ext import HopByHop as HopByHop
    from rawproto.wire.ipv6_ext import MobileRouting as MobileRouting
    from rawproto.wire.ipv6_ext import RawRouting as RawRouting
    from rawproto.wire.ipv6_ext import Routing as Routing
    from rawproto.wire.ipv6_ext import RoutingType as RoutingType
    from rawproto.wire.ipv6_ext import SegmentRouting as SegmentRouting
    from rawproto.wire.ipv6_ext import SourceRouting as SourceRouting
    from rawproto.wire.ipv6_options import HomeAddress as HomeAddress
    from rawproto.wire.ipv6_options import IPv6Option as IPv6Option
    from rawproto.wire.ipv6_options import IPv6OptionType as IPv6OptionType
    from rawproto.wire.ipv6_options import IPv6QuickStart as IPv6QuickStart
    from rawproto.wire.ipv6_options import IPv6RouterAlert as IPv6RouterAlert
    from rawproto.wire.ipv6_options import JumboPayload as JumboPayload
    from rawproto.wire.ipv6_options import MinimumPathMTU as MinimumPathMTU
    from rawproto.wire.ipv6_options import Pad1 as Pad1
    from rawproto.wire.ipv6_options import PadN as PadN
    from rawproto.wire.ipv6_options import RawIPv6Option as RawIPv6Option
    from rawproto.wire.ipv6_options import RPLOption as RPLOption
    from rawproto.wire.ipv6_options import TunnelEncapsulationLimit as TunnelEncapsulationLimit
    from rawproto.wire.ndp_options import DNSSearchList as DNSSearchList
    from rawproto.wire.ndp_options import LinkMTU as LinkMTU
    from rawproto.wire.ndp_options import NAT64Prefix as NAT64Prefix
    from rawproto.wire.ndp_options import NDPOption as NDPOption
    from rawproto.wire.ndp_options import NDPOptionType as NDPOptionType
    from rawproto.wire.ndp_options import Nonce as Nonce
    from rawproto.wire.ndp_options import PrefixInformation as PrefixInformation
    from rawproto.wire.ndp_options import RawNDPOption as RawNDPOption
    from rawproto.wire.ndp_options import RecursiveDNSServer as RecursiveDNSServer
    from rawproto.wire.ndp_options import RedirectedHeader as RedirectedHeader
    from rawproto.wire.ndp_options import RouteInformation as RouteInformation
    from rawproto.wire.ndp_options import SourceLinkLayerAddress as SourceLinkLayerAddress
    from rawproto.wire.ndp_options import TargetLinkLayerAddress as TargetLinkLayerAddress
    from rawproto.wire.pcapng.blocks import LinkType as LinkType
    from rawproto.wire.pcapng.reader import PcapngReader as PcapngReader
    from rawproto.wire.pcapng.writer import PcapngWriter as PcapngWriter
    from rawproto.wire.protocols import IPProtocol as IPProtocol
    from rawproto.wire.reassembly import FragmentDrop as FragmentDrop
    from rawproto.wire.reassembly import Reassembler as Reassembler
    from rawproto.wire.sums import checksum as checksum
    from rawproto.wire.sums import checksum_update as checksum_update
    from rawproto.wire.sums import pseudo_header as pseudo_header
    from rawproto.wire.tcp import TCP as TCP
    from rawproto.wire.tcp import TCPFlags as TCPFlags
    from rawproto.wire.tcp_options import MPTCP as MPTCP
    from rawproto.wire.tcp_options import MSS as MSS
    from rawproto.wire.tcp_options import SACK as SACK
    from rawproto.wire.tcp_options import TCPEOL as TCPEOL
    from rawproto.wire.tcp_options import TCPMD5 as TCPMD5
    from rawproto.wire.tcp_options import TCPNOP as TCPNOP
    from rawproto.wire.tcp_options import ExperimentalTCPOption as ExperimentalTCPOption
    from rawproto.wire.tcp_options import FastOpen as FastOpen
    from rawproto.wire.tcp_options import MPTCPSubtype as MPTCPSubtype
    from rawproto.wire.tcp_options import QuickStartResponse as QuickStartResponse
    from rawproto.wire.tcp_options import RawTCPOption as RawTCPOption
    from rawproto.wire.tcp_options import SACKBlock as SACKBlock
    from rawproto.wire.tcp_options import SACKPermitted as SACKPermitted
    from rawproto.wire.tcp_options import TCPAuthentication as TCPAuthentication
    from rawproto.wire.tcp_options import TCPOption as TCPOption
    from rawproto.wire.tcp_options import TCPOptionKind as TCPOptionKind
    from rawproto.wire.tcp_options import TCPTimestamps as TCPTimestamps
    from rawproto.wire.tcp_options import UserTimeout as UserTimeout
    from rawproto.wire.tcp_options import WindowScale as WindowScale
    from rawproto.wire.tlv import OptionFormat as OptionFormat
    from rawproto.wire.types import Constant as Constant
    from rawproto.wire.types import Overlay as Overlay
    from rawproto.wire.types import bits as bits
    from rawproto.wire.types import checksum16 as checksum16
    from rawproto.wire.types import declare as declare
    from rawproto.wire.types import enum8 as enum8
    from rawproto.wire.types import enum16 as enum16
    from rawproto.wire.types import enum32 as enum32
    from rawproto.wire.types import enum_bits as enum_bits
    from rawproto.wire.types import fixed as fixed
    from rawproto.wire.types import flag as flag
    from rawproto.wire.types import flag_bits as flag_bits
    from rawproto.wire.types import flags8 as flags8
    from rawproto.wire.types import flags16 as flags16
    from rawproto.wire.types import flags32 as flags32
    from rawproto.wire.types import header_checksum16 as header_checksum16
    from rawproto.wire.types import ip4 as ip4
    from rawproto.wire.types import ip6 as ip6
    from rawproto.wire.types import length8 as length8
    from rawproto.wire.types import length16 as length16
    from rawproto.wire.types import length_bits as length_bits
    from rawproto.wire.types import list_of as list_of
    from rawproto.wire.types import next_protocol8 as next_protocol8
    from rawproto.wire.types import opaque as opaque
    from rawproto.wire.types import options as options
    from rawproto.wire.types import pseudo_checksum16 as pseudo_checksum16
    from rawproto.wire.types import scaled as scaled
    from rawproto.wire.types import u8 as u8
    from rawproto.wire.types import u16 as u16
    from rawproto.wire.types import u16le as u16le
    from rawproto.wire.types import u24 as u24
    from rawproto.wire.types import u32 as u32
    from rawproto.wire.types import u32le as u32le
    from rawproto.wire.types import u40 as u40
    from rawproto.wire.types import u48 as u48
    from rawproto.wire.types import u64 as u64
    from rawproto.wire.types import u64le as u64le
    from rawproto.wire.udp import UDP as UDP

# One line a module, kept equal to the imports above by a test.
_NAMES: dict[str, tuple[str, ...]] = {
    "batch": ("Batch", "ReceivedBatch", "Transmit"),
    "batch_build": ("build_batch",),
    "batch_parse": ("field_column", "parse_batch", "verify_batch"),
    "batch_sums": ("checksums",),
    "bpf.assembler": ("assemble",),
    "bpf.program": ("BPFProgram",),
    "datagram": ("Datagram",),
    "enums": ("OpenEnum",),
    "field": ("FieldInfo",),
    "flags": ("Flag", "Flags"),
    "fragmentation": ("fragment",),
    "header": ("Header",),
    "icmp": (
        "ICMP",
        "ICMPAddressMask",
        "ICMPRouterAdvertisement",
        "ICMPTimestamp",
        "ICMPTraceroute",
        "RouterEntry",
    ),
    "icmp_codes": (
        "ExtendedEchoCode",
        "ICMPType",
        "ParameterProblemCode",
        "RedirectCode",
        "TimeExceededCode",
        "UnreachableCode",
    ),
    "icmp_error": ("ICMPError", "ICMPErrorKind"),
    "icmp_extensions": (
        "ExtensionClass",
        "ExtensionObject",
        "ICMPExtensions",
        "InterfaceIdentification",
        "InterfaceInformation",
        "MPLSLabel",
        "MPLSLabelStack",
        "RawExtension",
        "join_quote",
        "split_quote",
    ),
    "icmpv6": (
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
    ),
    "icmpv6_codes": (
        "ICMPv6ParameterProblemCode",
        "ICMPv6TimeExceededCode",
        "ICMPv6Type",
        "ICMPv6UnreachableCode",
        "MLDRecordType",
    ),
    "identification": ("IdentificationSequence",),
    "ipv4": ("IPv4",),
    "ipv4_options": (
        "CommercialSecurity",
        "IPTimestamp",
        "IPTraceroute",
        "IPv4EOL",
        "IPv4NOP",
        "IPv4Option",
        "IPv4OptionType",
        "LooseSourceRoute",
        "MTUProbe",
        "MTUReply",
        "QuickStart",
        "RawIPv4Option",
        "RecordRoute",
        "RouterAlert",
        "Security",
        "StreamID",
        "StrictSourceRoute",
    ),
    "ipv6": ("IPv6",),
    "ipv6_ext": (
        "DestinationOptions",
        "Fragment",
        "HopByHop",
        "MobileRouting",
        "RawRouting",
        "Routing",
        "RoutingType",
        "SRHHMAC",
        "SRHTLV",
        "SegmentRouting",
        "SourceRouting",
    ),
    "ipv6_options": (
        "HomeAddress",
        "IPv6Option",
        "IPv6OptionType",
        "IPv6QuickStart",
        "IPv6RouterAlert",
        "JumboPayload",
        "MinimumPathMTU",
        "Pad1",
        "PadN",
        "RPLOption",
        "RawIPv6Option",
        "TunnelEncapsulationLimit",
    ),
    "ndp_options": (
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
    ),
    "pcapng.blocks": ("LinkType",),
    "pcapng.reader": ("PcapngReader",),
    "pcapng.writer": ("PcapngWriter",),
    "protocols": ("IPProtocol",),
    "reassembly": ("FragmentDrop", "Reassembler"),
    "sums": ("checksum", "checksum_update", "pseudo_header"),
    "tcp": ("TCP", "TCPFlags"),
    "tcp_options": (
        "ExperimentalTCPOption",
        "FastOpen",
        "MPTCP",
        "MPTCPSubtype",
        "MSS",
        "QuickStartResponse",
        "RawTCPOption",
        "SACK",
        "SACKBlock",
        "SACKPermitted",
        "TCPAuthentication",
        "TCPEOL",
        "TCPMD5",
        "TCPNOP",
        "TCPOption",
        "TCPOptionKind",
        "TCPTimestamps",
        "UserTimeout",
        "WindowScale",
    ),
    "tlv": ("OptionFormat",),
    "types": (
        "Constant",
        "Overlay",
        "bits",
        "checksum16",
        "declare",
        "enum16",
        "enum32",
        "enum8",
        "enum_bits",
        "fixed",
        "flag",
        "flag_bits",
        "flags16",
        "flags32",
        "flags8",
        "header_checksum16",
        "ip4",
        "ip6",
        "length16",
        "length8",
        "length_bits",
        "list_of",
        "next_protocol8",
        "opaque",
        "options",
        "pseudo_checksum16",
        "scaled",
        "u16",
        "u16le",
        "u24",
        "u32",
        "u32le",
        "u40",
        "u48",
        "u64",
        "u64le",
        "u8",
    ),
    "udp": ("UDP",),
}

_MODULE_OF = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})

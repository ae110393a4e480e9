"""rawproto: protocols of one's own above IP.

Every public name is importable from here; each is loaded when it is first used, so that ``import rawproto``
costs next to nothing and brings in neither numpy nor a network interface.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.addr import ACL as ACL
    from rawproto.addr import IP as IP
    from rawproto.addr import IPAddr as IPAddr
    from rawproto.addr import IPMask as IPMask
    from rawproto.addr import IPNet as IPNet
    from rawproto.addr import RSPAddr as RSPAddr
    from rawproto.addr import TCPAddr as TCPAddr
    from rawproto.addr import UDPAddr as UDPAddr
    from rawproto.addr import cidr_mask as cidr_mask
    from rawproto.addr import format_ips as format_ips
    from rawproto.addr import ips_of as ips_of
    from rawproto.addr import ipv4 as ipv4
    from rawproto.addr import ipv4_mask as ipv4_mask
    from rawproto.addr import join_host_port as join_host_port
    from rawproto.addr import parse_cidr as parse_cidr
    from rawproto.addr import parse_ip as parse_ip
    from rawproto.addr import parse_ips as parse_ips
    from rawproto.addr import split_host_port as split_host_port
    from rawproto.errors import AddrError as AddrError
    from rawproto.errors import ClosedError as ClosedError
    from rawproto.errors import ConfigError as ConfigError
    from rawproto.errors import ConnectionAborted as ConnectionAborted
    from rawproto.errors import ConnectionRefused as ConnectionRefused
    from rawproto.errors import ConnectionReset as ConnectionReset
    from rawproto.errors import DeadlineExceeded as DeadlineExceeded
    from rawproto.errors import DeclarationError as DeclarationError
    from rawproto.errors import DecodeError as DecodeError
    from rawproto.errors import DNSError as DNSError
    from rawproto.errors import DNSTimeoutError as DNSTimeoutError
    from rawproto.errors import EncodeError as EncodeError
    from rawproto.errors import ExpectationError as ExpectationError
    from rawproto.errors import FilterError as FilterError
    from rawproto.errors import InvariantError as InvariantError
    from rawproto.errors import LabError as LabError
    from rawproto.errors import OpError as OpError
    from rawproto.errors import PrivilegeError as PrivilegeError
    from rawproto.errors import RawprotoError as RawprotoError
    from rawproto.errors import TLSError as TLSError
    from rawproto.errors import UnexpectedEOF as UnexpectedEOF
    from rawproto.errors import UnknownNetworkError as UnknownNetworkError
    from rawproto.lab import Blackhole as Blackhole
    from rawproto.lab import Corruption as Corruption
    from rawproto.lab import GilbertElliott as GilbertElliott
    from rawproto.lab import Host as Host
    from rawproto.lab import Lab as Lab
    from rawproto.lab import Simulation as Simulation
    from rawproto.link import Allow as Allow
    from rawproto.link import AsyncRawSocket as AsyncRawSocket
    from rawproto.link import Broker as Broker
    from rawproto.link import ChecksumState as ChecksumState
    from rawproto.link import DatagramError as DatagramError
    from rawproto.link import IPConn as IPConn
    from rawproto.link import Link as Link
    from rawproto.link import LinkStats as LinkStats
    from rawproto.link import MemoryLink as MemoryLink
    from rawproto.link import MemoryNetwork as MemoryNetwork
    from rawproto.link import PacketLink as PacketLink
    from rawproto.link import RawLink as RawLink
    from rawproto.link import RawSocket as RawSocket
    from rawproto.link import Received as Received
    from rawproto.link import UDPLink as UDPLink
    from rawproto.link import ask_broker as ask_broker
    from rawproto.link import dial_ip as dial_ip
    from rawproto.link import drop_privileges as drop_privileges
    from rawproto.link import has_capability as has_capability
    from rawproto.link import listen_ip as listen_ip
    from rawproto.net import Conn as Conn
    from rawproto.net import ConnectionPool as ConnectionPool
    from rawproto.net import ConnStats as ConnStats
    from rawproto.net import Listener as Listener
    from rawproto.net import UDPConn as UDPConn
    from rawproto.net import dial as dial
    from rawproto.net import dial_tcp as dial_tcp
    from rawproto.net import dial_udp as dial_udp
    from rawproto.net import listen as listen
    from rawproto.net import listen_tcp as listen_tcp
    from rawproto.net import listen_udp as listen_udp
    from rawproto.net import run as run
    from rawproto.protocol import DatagramProtocol as DatagramProtocol
    from rawproto.protocol import Protocol as Protocol
    from rawproto.resolve import MX as MX
    from rawproto.resolve import NS as NS
    from rawproto.resolve import SRV as SRV
    from rawproto.resolve import AsyncResolver as AsyncResolver
    from rawproto.resolve import Resolver as Resolver
    from rawproto.resolve import lookup_addr as lookup_addr
    from rawproto.resolve import lookup_cname as lookup_cname
    from rawproto.resolve import lookup_host as lookup_host
    from rawproto.resolve import lookup_ip as lookup_ip
    from rawproto.resolve import lookup_mx as lookup_mx
    from rawproto.resolve import lookup_ns as lookup_ns
    from rawproto.resolve import lookup_port as lookup_port
    from rawproto.resolve import lookup_protocol as lookup_protocol
    from rawproto.resolve import lookup_srv as lookup_srv
    from rawproto.resolve import lookup_txt as lookup_txt
    from rawproto.resolve import resolve_addrs as resolve_addrs
    from rawproto.resolve import resolve_ip_addr as resolve_ip_addr
    from rawproto.resolve import resolve_rsp_addr as resolve_rsp_addr
    from rawproto.resolve import resolve_tcp_addr as resolve_tcp_addr
    from rawproto.resolve import resolve_udp_addr as resolve_udp_addr
    from rawproto.rsp import RSPConfig as RSPConfig
    from rawproto.wire import ICMP as ICMP
    from rawproto.wire import MPTCP as MPTCP
    from rawproto.wire import MSS as MSS
    from rawproto.wire import SACK as SACK
    from rawproto.wire import SRHHMAC as SRHHMAC
    from rawproto.wire import SRHTLV as SRHTLV
    from rawproto.wire import TCP as TCP
    from rawproto.wire import TCPEOL as TCPEOL
    from rawproto.wire import TCPMD5 as TCPMD5
    from rawproto.wire import TCPNOP as TCPNOP
    from rawproto.wire import UDP as UDP
    from rawproto.wire import Batch as Batch
    from rawproto.wire import BPFProgram as BPFProgram
    from rawproto.wire import CommercialSecurity as CommercialSecurity
    from rawproto.wire import Constant as Constant
    from rawproto.wire import Datagram as Datagram
    from rawproto.wire import DestinationOptions as DestinationOptions
    from rawproto.wire import DNSSearchList as DNSSearchList
    from rawproto.wire import ExperimentalTCPOption as ExperimentalTCPOption
    from rawproto.wire import ExtendedEchoCode as ExtendedEchoCode
    from rawproto.wire import ExtensionClass as ExtensionClass
    from rawproto.wire import ExtensionObject as ExtensionObject
    from rawproto.wire import FastOpen as FastOpen
    from rawproto.wire import FieldInfo as FieldInfo
    from rawproto.wire import Flag as Flag
    from rawproto.wire import Flags as Flags
    from rawproto.wire import Fragment as Fragment
    from rawproto.wire import FragmentDrop as FragmentDrop
    from rawproto.wire import Header as Header
    from rawproto.wire import HomeAddress as HomeAddress
    from rawproto.wire import HopByHop as HopByHop
    from rawproto.wire import ICMPAddressMask as ICMPAddressMask
    from rawproto.wire import ICMPError as ICMPError
    from rawproto.wire import ICMPErrorKind as ICMPErrorKind
    from rawproto.wire import ICMPExtensions as ICMPExtensions
    from rawproto.wire import ICMPRouterAdvertisement as ICMPRouterAdvertisement
    from rawproto.wire import ICMPTimestamp as ICMPTimestamp
    from rawproto.wire import ICMPTraceroute as ICMPTraceroute
    from rawproto.wire import ICMPType as ICMPType
    from rawproto.wire import ICMPv6 as ICMPv6
    from rawproto.wire import ICMPv6ParameterProblemCode as ICMPv6ParameterProblemCode
    from rawproto.wire import ICMPv6TimeExceededCode as ICMPv6TimeExceededCode
    from rawproto.wire import ICMPv6Type as ICMPv6Type
    from rawproto.wire import ICMPv6UnreachableCode as ICMPv6UnreachableCode
    from rawproto.wire import IdentificationSequence as IdentificationSequence
    from rawproto.wire import InterfaceIdentification as InterfaceIdentification
    from rawproto.wire import InterfaceInformation as InterfaceInformation
    from rawproto.wire import IPProtocol as IPProtocol
    from rawproto.wire import IPTimestamp as IPTimestamp
    from rawproto.wire import IPTraceroute as IPTraceroute
    from rawproto.wire import IPv4 as IPv4
    from rawproto.wire import IPv4EOL as IPv4EOL
    from rawproto.wire import IPv4NOP as IPv4NOP
    from rawproto.wire import IPv4Option as IPv4Option
    from rawproto.wire import IPv4OptionType as IPv4OptionType
    from rawproto.wire import IPv6 as IPv6
    from rawproto.wire import IPv6Option as IPv6Option
    from rawproto.wire import IPv6OptionType as IPv6OptionType
    from rawproto.wire import IPv6QuickStart as IPv6QuickStart
    from rawproto.wire import IPv6RouterAlert as IPv6RouterAlert
    from rawproto.wire import JumboPayload as JumboPayload
    from rawproto.wire import LinkMTU as LinkMTU
    from rawproto.wire import LinkType as LinkType
    from rawproto.wire import LooseSourceRoute as LooseSourceRoute
    from rawproto.wire import MinimumPathMTU as MinimumPathMTU
    from rawproto.wire import MLDMessage as MLDMessage
    from rawproto.wire import MLDQuery as MLDQuery
    from rawproto.wire import MLDRecord as MLDRecord
    from rawproto.wire import MLDRecordType as MLDRecordType
    from rawproto.wire import MLDReport as MLDReport
    from rawproto.wire import MobileRouting as MobileRouting
    from rawproto.wire import MPLSLabel as MPLSLabel
    from rawproto.wire import MPLSLabelStack as MPLSLabelStack
    from rawproto.wire import MPTCPSubtype as MPTCPSubtype
    from rawproto.wire import MTUProbe as MTUProbe
    from rawproto.wire import MTUReply as MTUReply
    from rawproto.wire import NAT64Prefix as NAT64Prefix
    from rawproto.wire import NDPOption as NDPOption
    from rawproto.wire import NDPOptionType as NDPOptionType
    from rawproto.wire import NeighborAdvertisement as NeighborAdvertisement
    from rawproto.wire import NeighborSolicitation as NeighborSolicitation
    from rawproto.wire import NodeInformation as NodeInformation
    from rawproto.wire import Nonce as Nonce
    from rawproto.wire import OpenEnum as OpenEnum
    from rawproto.wire import OptionFormat as OptionFormat
    from rawproto.wire import Overlay as Overlay
    from rawproto.wire import Pad1 as Pad1
    from rawproto.wire import PadN as PadN
    from rawproto.wire import ParameterProblemCode as ParameterProblemCode
    from rawproto.wire import PcapngReader as PcapngReader
    from rawproto.wire import PcapngWriter as PcapngWriter
    from rawproto.wire import PrefixInformation as PrefixInformation
    from rawproto.wire import QuickStart as QuickStart
    from rawproto.wire import QuickStartResponse as QuickStartResponse
    from rawproto.wire import RawExtension as RawExtension
    from rawproto.wire import RawIPv4Option as RawIPv4Option
    from rawproto.wire import RawIPv6Option as RawIPv6Option
    from rawproto.wire import RawNDPOption as RawNDPOption
    from rawproto.wire import RawRouting as RawRouting
    from rawproto.wire import RawTCPOption as RawTCPOption
    from rawproto.wire import Reassembler as Reassembler
    from rawproto.wire import ReceivedBatch as ReceivedBatch
    from rawproto.wire import RecordRoute as RecordRoute
    from rawproto.wire import RecursiveDNSServer as RecursiveDNSServer
    from rawproto.wire import Redirect as Redirect
    from rawproto.wire import RedirectCode as RedirectCode
    from rawproto.wire import RedirectedHeader as RedirectedHeader
    from rawproto.wire import RouteInformation as RouteInformation
    from rawproto.wire import RouterAdvertisement as RouterAdvertisement
    from rawproto.wire import RouterAlert as RouterAlert
    from rawproto.wire import RouterEntry as RouterEntry
    from rawproto.wire import RouterSolicitation as RouterSolicitation
    from rawproto.wire import Routing as Routing
    from rawproto.wire import RoutingType as RoutingType
    from rawproto.wire import RPLOption as RPLOption
    from rawproto.wire import SACKBlock as SACKBlock
    from rawproto.wire import SACKPermitted as SACKPermitted
    from rawproto.wire import Security as Security
    from rawproto.wire import SegmentRouting as SegmentRouting
    from rawproto.wire import SourceLinkLayerAddress as SourceLinkLayerAddress
    from rawproto.wire import SourceRouting as SourceRouting
    from rawproto.wire import StreamID as StreamID
    from rawproto.wire import StrictSourceRoute as StrictSourceRoute
    from rawproto.wire import TargetLinkLayerAddress as TargetLinkLayerAddress
    from rawproto.wire import TCPAuthentication as TCPAuthentication
    from rawproto.wire import TCPFlags as TCPFlags
    from rawproto.wire import TCPOption as TCPOption
    from rawproto.wire import TCPOptionKind as TCPOptionKind
    from rawproto.wire import TCPTimestamps as TCPTimestamps
    from rawproto.wire import TimeExceededCode as TimeExceededCode
    from rawproto.wire import Transmit as Transmit
    from rawproto.wire import TunnelEncapsulationLimit as TunnelEncapsulationLimit
    from rawproto.wire import UnreachableCode as UnreachableCode
    from rawproto.wire import UserTimeout as UserTimeout
    from rawproto.wire import WindowScale as WindowScale
    from rawproto.wire import assemble as assemble
    from rawproto.wire import bits as bits
    from rawproto.wire import build_batch as build_batch
    from rawproto.wire import checksum as checksum
    from rawproto.wire import checksum16 as checksum16
    from rawproto.wire import checksum_update as checksum_update
    from rawproto.wire import checksums as checksums
    from rawproto.wire import declare as declare
    from rawproto.wire import enum8 as enum8
    from rawproto.wire import enum16 as enum16
    from rawproto.wire import enum32 as enum32
    from rawproto.wire import enum_bits as enum_bits
    from rawproto.wire import field_column as field_column
    from rawproto.wire import fixed as fixed
    from rawproto.wire import flag as flag
    from rawproto.wire import flag_bits as flag_bits
    from rawproto.wire import flags8 as flags8
    from rawproto.wire import flags16 as flags16
    from rawproto.wire import flags32 as flags32
    from rawproto.wire import fragment as fragment
    from rawproto.wire import header_checksum16 as header_checksum16
    from rawproto.wire import ip4 as ip4
    from rawproto.wire import ip6 as ip6
    from rawproto.wire import join_quote as join_quote
    from rawproto.wire import length8 as length8
    from rawproto.wire import length16 as length16
    from rawproto.wire import length_bits as length_bits
    from rawproto.wire import list_of as list_of
    from rawproto.wire import next_protocol8 as next_protocol8
    from rawproto.wire import opaque as opaque
    from rawproto.wire import options as options
    from rawproto.wire import parse_batch as parse_batch
    from rawproto.wire import pseudo_checksum16 as pseudo_checksum16
    from rawproto.wire import pseudo_header as pseudo_header
    from rawproto.wire import scaled as scaled
    from rawproto.wire import split_quote as split_quote
    from rawproto.wire import u8 as u8
    from rawproto.wire import u16 as u16
    from rawproto.wire import u16le as u16le
    from rawproto.wire import u24 as u24
    from rawproto.wire import u32 as u32
    from rawproto.wire import u32le as u32le
    from rawproto.wire import u40 as u40
    from rawproto.wire import u48 as u48
    from rawproto.wire import u64 as u64
    from rawproto.wire import u64le as u64le
    from rawproto.wire import verify_batch as verify_batch

__version__ = "0.1.0"

# One line a room; a test holds this table equal to the imports above and to each room's __all__.
_ROOMS: dict[str, tuple[str, ...]] = {
    "rawproto.addr": (
        "ACL",
        "IP",
        "IPAddr",
        "IPMask",
        "IPNet",
        "RSPAddr",
        "TCPAddr",
        "UDPAddr",
        "cidr_mask",
        "format_ips",
        "ips_of",
        "ipv4",
        "ipv4_mask",
        "join_host_port",
        "parse_cidr",
        "parse_ip",
        "parse_ips",
        "split_host_port",
    ),
    "rawproto.errors": (
        "AddrError",
        "ClosedError",
        "ConfigError",
        "ConnectionAborted",
        "ConnectionRefused",
        "ConnectionReset",
        "DNSError",
        "DNSTimeoutError",
        "DeadlineExceeded",
        "DeclarationError",
        "DecodeError",
        "EncodeError",
        "ExpectationError",
        "FilterError",
        "InvariantError",
        "LabError",
        "OpError",
        "PrivilegeError",
        "RawprotoError",
        "TLSError",
        "UnexpectedEOF",
        "UnknownNetworkError",
    ),
    "rawproto.lab": ("Blackhole", "Corruption", "GilbertElliott", "Host", "Lab", "Simulation"),
    "rawproto.link": (
        "Allow",
        "AsyncRawSocket",
        "Broker",
        "ChecksumState",
        "DatagramError",
        "IPConn",
        "Link",
        "LinkStats",
        "MemoryLink",
        "MemoryNetwork",
        "PacketLink",
        "RawLink",
        "RawSocket",
        "Received",
        "UDPLink",
        "ask_broker",
        "dial_ip",
        "drop_privileges",
        "has_capability",
        "listen_ip",
    ),
    "rawproto.net": (
        "Conn",
        "ConnStats",
        "ConnectionPool",
        "Listener",
        "UDPConn",
        "dial",
        "dial_tcp",
        "dial_udp",
        "listen",
        "listen_tcp",
        "listen_udp",
        "run",
    ),
    "rawproto.protocol": ("DatagramProtocol", "Protocol"),
    "rawproto.resolve": (
        "AsyncResolver",
        "MX",
        "NS",
        "Resolver",
        "SRV",
        "lookup_addr",
        "lookup_cname",
        "lookup_host",
        "lookup_ip",
        "lookup_mx",
        "lookup_ns",
        "lookup_port",
        "lookup_protocol",
        "lookup_srv",
        "lookup_txt",
        "resolve_addrs",
        "resolve_ip_addr",
        "resolve_rsp_addr",
        "resolve_tcp_addr",
        "resolve_udp_addr",
    ),
    "rawproto.rsp": ("RSPConfig",),
    "rawproto.wire": (
        "BPFProgram",
        "Batch",
        "CommercialSecurity",
        "Constant",
        "DNSSearchList",
        "Datagram",
        "DestinationOptions",
        "ExperimentalTCPOption",
        "ExtendedEchoCode",
        "ExtensionClass",
        "ExtensionObject",
        "FastOpen",
        "FieldInfo",
        "Flag",
        "Flags",
        "Fragment",
        "FragmentDrop",
        "Header",
        "HomeAddress",
        "HopByHop",
        "ICMP",
        "ICMPAddressMask",
        "ICMPError",
        "ICMPErrorKind",
        "ICMPExtensions",
        "ICMPRouterAdvertisement",
        "ICMPTimestamp",
        "ICMPTraceroute",
        "ICMPType",
        "ICMPv6",
        "ICMPv6ParameterProblemCode",
        "ICMPv6TimeExceededCode",
        "ICMPv6Type",
        "ICMPv6UnreachableCode",
        "IPProtocol",
        "IPTimestamp",
        "IPTraceroute",
        "IPv4",
        "IPv4EOL",
        "IPv4NOP",
        "IPv4Option",
        "IPv4OptionType",
        "IPv6",
        "IPv6Option",
        "IPv6OptionType",
        "IPv6QuickStart",
        "IPv6RouterAlert",
        "IdentificationSequence",
        "InterfaceIdentification",
        "InterfaceInformation",
        "JumboPayload",
        "LinkMTU",
        "LinkType",
        "LooseSourceRoute",
        "MLDMessage",
        "MLDQuery",
        "MLDRecord",
        "MLDRecordType",
        "MLDReport",
        "MPLSLabel",
        "MPLSLabelStack",
        "MPTCP",
        "MPTCPSubtype",
        "MSS",
        "MTUProbe",
        "MTUReply",
        "MinimumPathMTU",
        "MobileRouting",
        "NAT64Prefix",
        "NDPOption",
        "NDPOptionType",
        "NeighborAdvertisement",
        "NeighborSolicitation",
        "NodeInformation",
        "Nonce",
        "OpenEnum",
        "OptionFormat",
        "Overlay",
        "Pad1",
        "PadN",
        "ParameterProblemCode",
        "PcapngReader",
        "PcapngWriter",
        "PrefixInformation",
        "QuickStart",
        "QuickStartResponse",
        "RPLOption",
        "RawExtension",
        "RawIPv4Option",
        "RawIPv6Option",
        "RawNDPOption",
        "RawRouting",
        "RawTCPOption",
        "Reassembler",
        "ReceivedBatch",
        "RecordRoute",
        "RecursiveDNSServer",
        "Redirect",
        "RedirectCode",
        "RedirectedHeader",
        "RouteInformation",
        "RouterAdvertisement",
        "RouterAlert",
        "RouterEntry",
        "RouterSolicitation",
        "Routing",
        "RoutingType",
        "SACK",
        "SACKBlock",
        "SACKPermitted",
        "SRHHMAC",
        "SRHTLV",
        "Security",
        "SegmentRouting",
        "SourceLinkLayerAddress",
        "SourceRouting",
        "StreamID",
        "StrictSourceRoute",
        "TCP",
        "TCPAuthentication",
        "TCPEOL",
        "TCPFlags",
        "TCPMD5",
        "TCPNOP",
        "TCPOption",
        "TCPOptionKind",
        "TCPTimestamps",
        "TargetLinkLayerAddress",
        "TimeExceededCode",
        "Transmit",
        "TunnelEncapsulationLimit",
        "UDP",
        "UnreachableCode",
        "UserTimeout",
        "WindowScale",
        "assemble",
        "bits",
        "build_batch",
        "checksum",
        "checksum16",
        "checksum_update",
        "checksums",
        "declare",
        "enum16",
        "enum32",
        "enum8",
        "enum_bits",
        "field_column",
        "fixed",
        "flag",
        "flag_bits",
        "flags16",
        "flags32",
        "flags8",
        "fragment",
        "header_checksum16",
        "ip4",
        "ip6",
        "join_quote",
        "length16",
        "length8",
        "length_bits",
        "list_of",
        "next_protocol8",
        "opaque",
        "options",
        "parse_batch",
        "pseudo_checksum16",
        "pseudo_header",
        "scaled",
        "split_quote",
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
        "verify_batch",
    ),
}

_MODULE_OF = {name: module for module, names in _ROOMS.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    if name == "aio":
        return importlib.import_module("rawproto.aio")
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rawproto' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})

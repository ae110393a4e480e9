"""rawproto: protocols of one's own above IP.

Every public name is importable from here; each is loaded when it is first used, so that ``import rawproto``
costs next to nothing and brings in neither numpy nor a network interface.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.addr import IP as IP
    from rawproto.addr import IPAddr as IPAddr
    from rawproto.addr import IPMask as IPMask
    from rawproto.addr import IPNet as IPNet
    from rawproto.addr import RSPAddr as RSPAddr
    from rawproto.addr import TCPAddr as TCPAddr
    from rawproto.addr import UDPAddr as UDPAddr
    from rawproto.addr import cidr_mask as cidr_mask
    from rawproto.addr import ipv4 as ipv4
    from rawproto.addr import ipv4_mask as ipv4_mask
    from rawproto.addr import join_host_port as join_host_port
    from rawproto.addr import parse_cidr as parse_cidr
    from rawproto.addr import parse_ip as parse_ip
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
    from rawproto.errors import FilterError as FilterError
    from rawproto.errors import LabError as LabError
    from rawproto.errors import OpError as OpError
    from rawproto.errors import PrivilegeError as PrivilegeError
    from rawproto.errors import RawprotoError as RawprotoError
    from rawproto.errors import TLSError as TLSError
    from rawproto.errors import UnexpectedEOF as UnexpectedEOF
    from rawproto.errors import UnknownNetworkError as UnknownNetworkError
    from rawproto.lab import Host as Host
    from rawproto.lab import Lab as Lab
    from rawproto.link import Link as Link
    from rawproto.link import LinkStats as LinkStats
    from rawproto.link import MemoryLink as MemoryLink
    from rawproto.link import MemoryNetwork as MemoryNetwork
    from rawproto.link import RawLink as RawLink
    from rawproto.link import UDPLink as UDPLink
    from rawproto.net import Conn as Conn
    from rawproto.net import ConnStats as ConnStats
    from rawproto.net import Listener as Listener
    from rawproto.net import UDPConn as UDPConn
    from rawproto.net import dial as dial
    from rawproto.net import dial_tcp as dial_tcp
    from rawproto.net import dial_udp as dial_udp
    from rawproto.net import listen as listen
    from rawproto.net import listen_tcp as listen_tcp
    from rawproto.net import listen_udp as listen_udp
    from rawproto.protocol import DatagramProtocol as DatagramProtocol
    from rawproto.protocol import Protocol as Protocol
    from rawproto.wire import Batch as Batch
    from rawproto.wire import BPFProgram as BPFProgram
    from rawproto.wire import ICMPError as ICMPError
    from rawproto.wire import ICMPErrorKind as ICMPErrorKind
    from rawproto.wire import LinkType as LinkType
    from rawproto.wire import PcapngReader as PcapngReader
    from rawproto.wire import PcapngWriter as PcapngWriter
    from rawproto.wire import ReceivedBatch as ReceivedBatch
    from rawproto.wire import Transmit as Transmit
    from rawproto.wire import assemble as assemble

__version__ = "0.1.0"

# One line a room; a test holds this table equal to the imports above and to each room's __all__.
_ROOMS: dict[str, tuple[str, ...]] = {
    "rawproto.addr": (
        "IP",
        "IPAddr",
        "IPMask",
        "IPNet",
        "RSPAddr",
        "TCPAddr",
        "UDPAddr",
        "cidr_mask",
        "ipv4",
        "ipv4_mask",
        "join_host_port",
        "parse_cidr",
        "parse_ip",
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
        "FilterError",
        "LabError",
        "OpError",
        "PrivilegeError",
        "RawprotoError",
        "TLSError",
        "UnexpectedEOF",
        "UnknownNetworkError",
    ),
    "rawproto.lab": ("Host", "Lab"),
    "rawproto.link": (
        "Link",
        "LinkStats",
        "MemoryLink",
        "MemoryNetwork",
        "RawLink",
        "UDPLink",
    ),
    "rawproto.net": (
        "Conn",
        "ConnStats",
        "Listener",
        "UDPConn",
        "dial",
        "dial_tcp",
        "dial_udp",
        "listen",
        "listen_tcp",
        "listen_udp",
    ),
    "rawproto.protocol": ("DatagramProtocol", "Protocol"),
    "rawproto.wire": (
        "BPFProgram",
        "Batch",
        "ICMPError",
        "ICMPErrorKind",
        "LinkType",
        "PcapngReader",
        "PcapngWriter",
        "ReceivedBatch",
        "Transmit",
        "assemble",
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

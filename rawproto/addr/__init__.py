"""Addresses as values: Go's ``net`` address types in Python.

Everything here is immutable, hashable, ordered and picklable, and touches neither sockets nor clocks. The one
exception is a zone that is an interface name, which the kernel is asked for when a socket's tuple is made or read.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.addr.acl import ACL as ACL
    from rawproto.addr.endpoints import IPAddr as IPAddr
    from rawproto.addr.endpoints import RSPAddr as RSPAddr
    from rawproto.addr.endpoints import TCPAddr as TCPAddr
    from rawproto.addr.endpoints import UDPAddr as UDPAddr
    from rawproto.addr.hostport import join_host_port as join_host_port
    from rawproto.addr.hostport import split_host_port as split_host_port
    from rawproto.addr.ip import IP as IP
    from rawproto.addr.ip import ipv4 as ipv4
    from rawproto.addr.ip import parse_ip as parse_ip
    from rawproto.addr.mask import IPMask as IPMask
    from rawproto.addr.mask import cidr_mask as cidr_mask
    from rawproto.addr.mask import ipv4_mask as ipv4_mask
    from rawproto.addr.net import IPNet as IPNet
    from rawproto.addr.net import parse_cidr as parse_cidr
    from rawproto.addr.vector import format_ips as format_ips
    from rawproto.addr.vector import ips_of as ips_of
    from rawproto.addr.vector import parse_ips as parse_ips

_EXPORTS: dict[str, tuple[str, ...]] = {
    "rawproto.addr.acl": ("ACL",),
    "rawproto.addr.endpoints": ("IPAddr", "RSPAddr", "TCPAddr", "UDPAddr"),
    "rawproto.addr.hostport": ("join_host_port", "split_host_port"),
    "rawproto.addr.ip": ("IP", "ipv4", "parse_ip"),
    "rawproto.addr.mask": ("IPMask", "cidr_mask", "ipv4_mask"),
    "rawproto.addr.net": ("IPNet", "parse_cidr"),
    "rawproto.addr.vector": ("format_ips", "ips_of", "parse_ips"),
}

_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rawproto.addr' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})

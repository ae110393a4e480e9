"""Addresses as values: Go's ``net`` address types in Python.

Everything here is immutable, hashable, ordered and picklable, and touches neither sockets nor clocks. The one
exception is a zone that is an interface name, which the kernel is asked for when a socket's tuple is made or read.
"""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".acl": "ACL",
    ".endpoints": "IPAddr RSPAddr TCPAddr UDPAddr",
    ".hostport": "join_host_port split_host_port",
    ".ip": "IP ipv4 parse_ip",
    ".mask": "IPMask cidr_mask ipv4_mask",
    ".net": "IPNet parse_cidr",
    ".vector": "format_ips ips_of parse_ips",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)

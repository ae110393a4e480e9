"""Which dialers count as one: those that one party can easily pose as."""

from __future__ import annotations

from typing import Any

__all__ = ["source_key"]

_IPV6_PREFIX = 8
"""Bytes of an IPv6 address that one party usually has to itself: a /64 (RFC 6177)."""


def source_key(address: Any) -> Any:
    """What all addresses of one source have in common: the IPv4 address, the /64 of an IPv6 one."""
    ip = getattr(address, "ip", None)
    if ip is None:
        return address
    return bytes(ip[:_IPV6_PREFIX]) if len(ip) == 16 else bytes(ip)

"""The module-level lookups, by one resolver that follows the system's files."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from rawproto.resolve.resolver import Resolver

if TYPE_CHECKING:
    from rawproto.addr.endpoints import IPAddr, RSPAddr, TCPAddr, UDPAddr
    from rawproto.addr.ip import IP
    from rawproto.resolve.async_resolver import AsyncResolver
    from rawproto.resolve.records import MX, NS, SRV

__all__ = [
    "default_async_resolver",
    "default_resolver",
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
]


@functools.cache
def default_resolver() -> Resolver:
    """The resolver behind the functions of this module."""
    return Resolver()


@functools.cache
def default_async_resolver() -> AsyncResolver:
    """The resolver behind ``rawproto.aio``: one for all event loops of the process."""
    from rawproto.resolve.async_resolver import AsyncResolver

    return AsyncResolver()


def lookup_port(network: str, service: str) -> int:
    """As :meth:`Resolver.lookup_port`."""
    return default_resolver().lookup_port(network, service)


def lookup_protocol(name: str) -> int:
    """As :meth:`Resolver.lookup_protocol`."""
    return default_resolver().lookup_protocol(name)


def lookup_host(name: str, *, timeout: float | None = None) -> list[str]:
    """As :meth:`Resolver.lookup_host`."""
    return default_resolver().lookup_host(name, timeout=timeout)


def lookup_ip(name: str, network: str = "ip", *, timeout: float | None = None) -> list[IP]:
    """As :meth:`Resolver.lookup_ip`."""
    return default_resolver().lookup_ip(name, network, timeout=timeout)


def lookup_cname(name: str, *, timeout: float | None = None) -> str:
    """As :meth:`Resolver.lookup_cname`."""
    return default_resolver().lookup_cname(name, timeout=timeout)


def lookup_addr(ip: IP | str, *, timeout: float | None = None) -> list[str]:
    """As :meth:`Resolver.lookup_addr`."""
    return default_resolver().lookup_addr(ip, timeout=timeout)


def lookup_mx(name: str, *, timeout: float | None = None) -> list[MX]:
    """As :meth:`Resolver.lookup_mx`."""
    return default_resolver().lookup_mx(name, timeout=timeout)


def lookup_ns(name: str, *, timeout: float | None = None) -> list[NS]:
    """As :meth:`Resolver.lookup_ns`."""
    return default_resolver().lookup_ns(name, timeout=timeout)


def lookup_txt(name: str, *, timeout: float | None = None) -> list[str]:
    """As :meth:`Resolver.lookup_txt`."""
    return default_resolver().lookup_txt(name, timeout=timeout)


def lookup_srv(service: str, proto: str, name: str, *, timeout: float | None = None) -> tuple[str, list[SRV]]:
    """As :meth:`Resolver.lookup_srv`."""
    return default_resolver().lookup_srv(service, proto, name, timeout=timeout)


def resolve_ip_addr(network: str, address: str, *, timeout: float | None = None) -> IPAddr:
    """As :meth:`Resolver.resolve_ip_addr`."""
    return default_resolver().resolve_ip_addr(network, address, timeout=timeout)


def resolve_tcp_addr(network: str, address: str, *, timeout: float | None = None) -> TCPAddr:
    """As :meth:`Resolver.resolve_tcp_addr`."""
    return default_resolver().resolve_tcp_addr(network, address, timeout=timeout)


def resolve_udp_addr(network: str, address: str, *, timeout: float | None = None) -> UDPAddr:
    """As :meth:`Resolver.resolve_udp_addr`."""
    return default_resolver().resolve_udp_addr(network, address, timeout=timeout)


def resolve_rsp_addr(network: str, address: str, *, timeout: float | None = None) -> RSPAddr:
    """As :meth:`Resolver.resolve_rsp_addr`."""
    return default_resolver().resolve_rsp_addr(network, address, timeout=timeout)


def resolve_addrs(
    network: str, address: str, *, timeout: float | None = None
) -> list[TCPAddr] | list[UDPAddr] | list[RSPAddr]:
    """As :meth:`Resolver.resolve_addrs`."""
    return default_resolver().resolve_addrs(network, address, timeout=timeout)

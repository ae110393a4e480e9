"""Names to addresses and back, services to ports: Go's lookups on dnspython, blocking and asyncio.

A lookup is a sans-IO plan (:mod:`rawproto.resolve.plans`) of questions; each question is a sans-IO exchange with the
servers (:mod:`rawproto.resolve.exchange`). Two thin drivers run both: one in the caller's thread, one on an event loop.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.resolve.async_resolver import AsyncResolver as AsyncResolver
    from rawproto.resolve.cache import Cache as Cache
    from rawproto.resolve.functions import default_resolver as default_resolver
    from rawproto.resolve.functions import lookup_addr as lookup_addr
    from rawproto.resolve.functions import lookup_cname as lookup_cname
    from rawproto.resolve.functions import lookup_host as lookup_host
    from rawproto.resolve.functions import lookup_ip as lookup_ip
    from rawproto.resolve.functions import lookup_mx as lookup_mx
    from rawproto.resolve.functions import lookup_ns as lookup_ns
    from rawproto.resolve.functions import lookup_port as lookup_port
    from rawproto.resolve.functions import lookup_protocol as lookup_protocol
    from rawproto.resolve.functions import lookup_srv as lookup_srv
    from rawproto.resolve.functions import lookup_txt as lookup_txt
    from rawproto.resolve.functions import resolve_addrs as resolve_addrs
    from rawproto.resolve.functions import resolve_ip_addr as resolve_ip_addr
    from rawproto.resolve.functions import resolve_rsp_addr as resolve_rsp_addr
    from rawproto.resolve.functions import resolve_tcp_addr as resolve_tcp_addr
    from rawproto.resolve.functions import resolve_udp_addr as resolve_udp_addr
    from rawproto.resolve.records import MX as MX
    from rawproto.resolve.records import NS as NS
    from rawproto.resolve.records import SRV as SRV
    from rawproto.resolve.resolver import Resolver as Resolver

_EXPORTS: dict[str, tuple[str, ...]] = {
    "rawproto.resolve.async_resolver": ("AsyncResolver",),
    "rawproto.resolve.cache": ("Cache",),
    "rawproto.resolve.functions": (
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
    ),
    "rawproto.resolve.records": ("MX", "NS", "SRV"),
    "rawproto.resolve.resolver": ("Resolver",),
}

_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rawproto.resolve' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})

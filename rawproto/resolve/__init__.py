"""Names to addresses and back, services to ports: Go's lookups on dnspython, blocking and asyncio.

A lookup is a sans-IO plan (:mod:`rawproto.resolve.plans`) of questions; each question is a sans-IO exchange with the
servers (:mod:`rawproto.resolve.exchange`). Two thin drivers run both: one in the caller's thread, one on an event loop.
"""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".async_resolver": "AsyncResolver",
    ".cache": "Cache",
    ".functions": """
        default_resolver lookup_addr lookup_cname lookup_host lookup_ip lookup_mx lookup_ns lookup_port
        lookup_protocol lookup_srv lookup_txt resolve_addrs resolve_ip_addr resolve_rsp_addr resolve_tcp_addr
        resolve_udp_addr
    """,
    ".records": "MX NS SRV",
    ".resolver": "Resolver",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)

"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

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

__all__: list[str]

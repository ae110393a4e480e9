"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""

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

__all__: list[str]

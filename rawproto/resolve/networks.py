"""Network names such as "tcp4" and "ip6:ipv6-icmp", taken apart."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rawproto.errors import UnknownNetworkError
from rawproto.resolve.services import parse_decimal

if TYPE_CHECKING:
    from rawproto.resolve.services import Protocols

__all__ = ["IP_NETWORKS", "RSP_NETWORKS", "TCP_NETWORKS", "UDP_NETWORKS", "IPNetwork", "parse_ip_network"]

IP_NETWORKS = ("ip", "ip4", "ip6")
TCP_NETWORKS = ("tcp", "tcp4", "tcp6")
UDP_NETWORKS = ("udp", "udp4", "udp6")
RSP_NETWORKS = ("rsp", "rsp4", "rsp6", "rsp+udp", "rsp+udp4", "rsp+udp6")


@dataclasses.dataclass(frozen=True, slots=True)
class IPNetwork:
    """A parsed network of IP itself.

    Attributes:
        family: "ip", "ip4" or "ip6".
        protocol: the protocol number behind the colon, or None without one.
    """

    family: str
    protocol: int | None = None


def parse_ip_network(network: str, protocols: Protocols) -> IPNetwork:
    """Parse "ip", "ip4" or "ip6", alone or with ":" and a protocol's name or number; "" is "ip".

    As in Go, the number's range is not looked at.

    Raises:
        UnknownNetworkError: another network.
        AddrError: an unknown protocol name.
    """
    family, colon, protocol = network.rpartition(":")
    if not colon:
        family = network or "ip"
    if family not in IP_NETWORKS:
        raise UnknownNetworkError(network, IP_NETWORKS)
    if not colon:
        return IPNetwork(family)
    number = parse_decimal(protocol)
    return IPNetwork(family, protocols.number(protocol) if number is None else number)

"""A datagram on its way through the simulator."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rawproto.addr import IP, UDPAddr

if TYPE_CHECKING:
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["IP_HEADER", "Datagram", "ip_of", "overhead"]

IP_HEADER = {4: 20, 6: 40}
"""Bytes of an IP header without options, by version."""
UDP_HEADER = 8


@dataclasses.dataclass(frozen=True, slots=True)
class Datagram:
    """A datagram on its way.

    Attributes:
        data: what the protocol sent.
        source: address it was sent from.
        destination: address it is going to.
        channel: the IP protocol number (or whatever the nodes agreed on).
        ecn: ECN codepoint.
        error: the ICMP error that it is, or None.
    """

    data: bytes
    source: Any
    destination: Any
    channel: Any
    ecn: int = 0
    error: ICMPError | None = None


def ip_of(address: Any) -> IP:
    """The IP of an address of any kind."""
    ip = getattr(address, "ip", address)
    return ip if isinstance(ip, IP) else IP(ip)


def overhead(datagram: Datagram) -> int:
    """Bytes of the IP (and UDP) headers that the datagram would have on a wire."""
    header = IP_HEADER[ip_of(datagram.destination).version]
    return header + UDP_HEADER if isinstance(datagram.destination, UDPAddr) else header

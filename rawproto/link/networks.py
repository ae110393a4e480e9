"""Names of IP networks, as Go has them: "ip4:icmp", "ip6:58", "ip:253"."""

from __future__ import annotations

import socket
from typing import Final

from rawproto.errors import AddrError, UnknownNetworkError

__all__ = ["parse_network"]

_VERSIONS: Final = {"ip": None, "ip4": 4, "ip6": 6}
# For systems without /etc/protocols; the names Go knows without it (IANA protocol numbers).
_PROTOCOLS: Final = {"icmp": 1, "igmp": 2, "tcp": 6, "udp": 17, "ipv6-icmp": 58}


def parse_network(network: str) -> tuple[int | None, int]:
    """IP version (None where the name leaves it open) and protocol number.

    Raises:
        UnknownNetworkError: it is not ip, ip4 or ip6 with a protocol behind a colon.
        AddrError: the protocol is neither a number from 1 to 255 nor a known name.
    """
    family, colon, protocol = network.partition(":")
    if family not in _VERSIONS or not colon:
        raise UnknownNetworkError(network, ("ip:protocol", "ip4:protocol", "ip6:protocol"))
    number = _protocol(protocol)
    if number is None or not 0 < number < 256:
        raise AddrError("no such IP protocol", network, len(family) + 1)
    return _VERSIONS[family], number


def _protocol(text: str) -> int | None:
    if text.isascii() and text.isdecimal():
        return int(text) if len(text) < 4 else None
    number = _PROTOCOLS.get(text.lower())
    if number is None:
        try:
            number = socket.getprotobyname(text)
        except OSError:
            return None
    return number

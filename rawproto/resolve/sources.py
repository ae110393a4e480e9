"""Which address this host would send from: the kernel's answer, without sending anything."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

from rawproto.addr.ip import IP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.addr.endpoints import IPAddr

__all__ = ["sources_of"]

_DISCARD_PORT = 9  # any port does: connecting a UDP socket sends nothing, it only asks for the route


def sources_of(addresses: Sequence[IPAddr]) -> list[IP | None]:
    """For each destination the source address of the route to it, or None where there is no route."""
    return [_source_of(address) for address in addresses]


def _source_of(address: IPAddr) -> IP | None:
    ip = address.ip
    if ip is None:
        return None
    host = f"{ip}%{address.zone}" if address.zone else str(ip)
    try:
        with socket.socket(socket.AF_INET if len(ip) == 4 else socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.setblocking(False)
            probe.connect((host, _DISCARD_PORT))
            return IP(probe.getsockname()[0].partition("%")[0])
    except OSError:
        return None

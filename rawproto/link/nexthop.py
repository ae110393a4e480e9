"""Where to send a packet on the link: the sockaddr of the next hop, from the kernel's routes and neighbours.

The kernel resolves addresses only for packets that go through it, and only for those does it notice that a neighbour
has gone or moved. So a destination is first sent to the ordinary way, until its neighbour is known, and once in a
while again.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from rawproto.link import linux
from rawproto.link.rtnetlink import RoutingSocket

if TYPE_CHECKING:
    from rawproto.addr import IPAddr

__all__ = ["NextHops"]

_LINK_ADDRESS: Final = struct.Struct("=H2siHBB8s")  # struct sockaddr_ll (packet(7))
_REFRESH: Final = 2_000_000_000
_REMEMBERED: Final = 4096


class NextHops:
    """Next hops of destinations behind one interface.

    Args:
        version: 4 or 6.
        interface: index of the interface that packets are to leave by.
        has_addresses: the interface's link has hardware addresses (it is Ethernet, say, and not loopback).
    """

    def __init__(self, version: int, interface: int, *, has_addresses: bool) -> None:
        self._protocol = linux.ETH_P_IP if version == 4 else linux.ETH_P_IPV6
        self._interface = interface
        self._has_addresses = has_addresses
        self._routing = RoutingSocket()
        # Until when an answer holds, and the sockaddr (None: the ordinary way).
        self._known: dict[IPAddr, tuple[int, bytes | None]] = {}

    def of(self, destination: IPAddr) -> bytes | None:
        """The sockaddr_ll to send to, or None when the datagram has to go the ordinary way."""
        now = time.monotonic_ns()
        known = self._known.get(destination)
        if known is not None and now < known[0]:
            return known[1]
        if known is not None and known[1] is not None:
            # It has been in use for a while: let one batch go through the kernel, which then sees to the neighbour.
            del self._known[destination]
            return None
        hop = self._look_up(destination)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        if hop is not None:
            self._known[destination] = (now + _REFRESH, hop)
        return hop

    def _look_up(self, destination: IPAddr) -> bytes | None:
        assert destination.ip is not None
        if not self._has_addresses:
            return self._pack(b"")
        route = self._routing.route(bytes(destination.ip))
        if route is None or route.interface != self._interface or not route.is_unicast:
            return None
        neighbour = self._routing.neighbour(route.interface, route.gateway or bytes(destination.ip))
        if neighbour is None or not neighbour.is_usable:
            return None
        return self._pack(neighbour.hardware_address)

    def _pack(self, hardware_address: bytes) -> bytes:
        return _LINK_ADDRESS.pack(
            socket.AF_PACKET,
            self._protocol.to_bytes(2, "big"),
            self._interface,
            0,
            0,
            len(hardware_address) or 6,
            hardware_address,
        )

    def close(self) -> None:
        """Give the netlink socket back."""
        self._routing.close()

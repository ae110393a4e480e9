"""Where to send a packet on the link: to the next hop, from the kernel's routes and neighbours.

The kernel resolves addresses only for packets that go through it, and only for those does it notice that a neighbour
has gone or moved. So a destination is first sent to the ordinary way, until its neighbour is known, and once in a
while again.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from rawproto.link import linux
from rawproto.link.rtnetlink import RoutingSocket

if TYPE_CHECKING:
    from rawproto.addr import IPAddr
    from rawproto.link.interfaces import Interfaces

__all__ = ["NextHop", "NextHops"]

_LINK_ADDRESS: Final = struct.Struct("=H2siHBB8s")  # struct sockaddr_ll (packet(7))
_ADDRESS_SIZE: Final = 6
_REFRESH: Final = 2_000_000_000
_REMEMBERED: Final = 4096


class NextHop(NamedTuple):
    """How a packet socket gets packets to a destination.

    Attributes:
        frame_header: what to put in front of each packet: an Ethernet header, or nothing.
        sockaddr: what to send to, a ``sockaddr_ll``; nothing where the frame header says it.
        mtu: bytes of the longest packet that the interface takes.
    """

    frame_header: bytes
    sockaddr: bytes
    mtu: int


class NextHops:
    """Next hops of destinations behind one interface.

    Args:
        version: 4 or 6.
        interface: name of the interface that packets are to leave by.
        interfaces: questions about the interfaces of the namespace.
        is_ethernet: the interface has hardware addresses, and frames begin with an Ethernet header.
    """

    def __init__(self, version: int, interface: str, interfaces: Interfaces, *, is_ethernet: bool) -> None:
        self._protocol = (linux.ETH_P_IP if version == 4 else linux.ETH_P_IPV6).to_bytes(2, "big")
        self._longest = (
            65_535 if version == 4 else 65_575
        )  # IPv6's length field leaves out the header of 40 bytes
        self._name = interface
        self._interfaces = interfaces
        self._interface = interfaces.index(interface)
        self._is_ethernet = is_ethernet
        self._routing = RoutingSocket()
        # Until when an answer holds, and the next hop.
        self._known: dict[IPAddr, tuple[int, NextHop]] = {}

    def of(self, destination: IPAddr) -> NextHop | None:
        """The next hop, or None when the datagram has to go the ordinary way."""
        now = time.monotonic_ns()
        known = self._known.get(destination)
        if known is not None:
            if now < known[0]:
                return known[1]
            # It has been in use for a while: let one batch go through the kernel, which then sees to the neighbour.
            del self._known[destination]
            return None
        hop = self._look_up(destination)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        if hop is not None:
            self._known[destination] = (now + _REFRESH, hop)
        return hop

    def _look_up(self, destination: IPAddr) -> NextHop | None:
        assert destination.ip is not None
        try:
            mtu = min(self._interfaces.mtu(self._name), self._longest)
            if not self._is_ethernet:
                return NextHop(b"", self._link_address(), mtu)
            _, own = self._interfaces.hardware_address(self._name)
        except OSError:  # the interface has gone
            return None
        route = self._routing.route(bytes(destination.ip))
        if route is None or route.interface != self._interface or not route.is_unicast:
            return None
        neighbour = self._routing.neighbour(route.interface, route.gateway or bytes(destination.ip))
        if neighbour is None or not neighbour.is_usable or len(neighbour.hardware_address) != _ADDRESS_SIZE:
            return None
        return NextHop(neighbour.hardware_address + own + self._protocol, b"", mtu)

    def _link_address(self) -> bytes:
        return _LINK_ADDRESS.pack(socket.AF_PACKET, self._protocol, self._interface, 0, 0, _ADDRESS_SIZE, b"")

    def close(self) -> None:
        """Give the netlink socket back."""
        self._routing.close()

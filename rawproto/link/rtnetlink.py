"""Two questions to the kernel's routing over netlink: by which way, and to which hardware address (rtnetlink(7))."""

from __future__ import annotations

import socket
import struct
import threading
from typing import Final, NamedTuple

from rawproto.link.netlink import HEADER, REQUEST, attribute, attributes, message

__all__ = ["Neighbour", "Route", "RoutingSocket"]

_ROUTE: Final = struct.Struct("=8BI")  # struct rtmsg
_NEIGHBOUR: Final = struct.Struct("=BxHiHBB")  # struct ndmsg: family, pad, interface, state, flags, type
_INT: Final = struct.Struct("=i")

_NEW_ROUTE, _GET_ROUTE, _NEW_NEIGHBOUR, _GET_NEIGHBOUR = 24, 26, 28, 30  # linux/rtnetlink.h
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_NDA_DST, _NDA_LLADDR = 1, 2  # linux/neighbour.h
_UNICAST: Final = 1  # RTN_UNICAST
# NUD_REACHABLE, STALE, DELAY, PROBE, NOARP, PERMANENT: states in which the hardware address can be used
_USABLE: Final = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80


class Route(NamedTuple):
    """How packets to a destination go.

    Attributes:
        interface: index of the interface they leave by.
        gateway: packed address of the next router, or b"" when the destination is on the link.
        is_unicast: they leave the host for one host: neither local nor broadcast nor multicast.
    """

    interface: int
    gateway: bytes
    is_unicast: bool


class Neighbour(NamedTuple):
    """What the kernel knows of a host on the link.

    Attributes:
        hardware_address: its link-layer address, b"" where links of that kind have none.
        is_usable: the address is known and not found dead.
    """

    hardware_address: bytes
    is_usable: bool


class RoutingSocket:
    """Asks in the network namespace in which it was made."""

    def __init__(self) -> None:
        self._sock = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        )
        self._sock.settimeout(1.0)
        self._lock = threading.Lock()
        self._sequence = 0

    def route(self, destination: bytes) -> Route | None:
        """The way to ``destination`` (4 or 16 bytes), or None when there is none."""
        family = _family(destination)
        body = _ROUTE.pack(family, 8 * len(destination), 0, 0, 0, 0, 0, 0, 0) + attribute(
            _RTA_DST, destination
        )
        answer = self._ask(_GET_ROUTE, _NEW_ROUTE, body)
        if answer is None:
            return None
        fields = _ROUTE.unpack_from(answer)
        told = attributes(answer[_ROUTE.size :])
        if _RTA_OIF not in told:
            return None
        interface = _INT.unpack(told[_RTA_OIF])[0]
        return Route(interface, told.get(_RTA_GATEWAY, b""), fields[7] == _UNICAST)

    def neighbour(self, interface: int, address: bytes) -> Neighbour | None:
        """What is known of ``address`` on the link of ``interface``, or None when nothing is."""
        body = _NEIGHBOUR.pack(_family(address), 0, interface, 0, 0, 0) + attribute(_NDA_DST, address)
        answer = self._ask(_GET_NEIGHBOUR, _NEW_NEIGHBOUR, body)
        if answer is None:
            return None
        state = _NEIGHBOUR.unpack_from(answer)[3]
        told = attributes(answer[_NEIGHBOUR.size :])
        return Neighbour(told.get(_NDA_LLADDR, b""), bool(state & _USABLE))

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def _ask(self, request: int, answer: int, body: bytes) -> bytes | None:
        """The body of the answer to a request; None when the kernel answers with an error, or not in time."""
        with self._lock:
            self._sequence += 1
            try:
                self._sock.send(message(request, REQUEST, self._sequence, body))
                while True:
                    data = self._sock.recv(8192)
                    length, kind, _, sequence, _ = HEADER.unpack_from(data)
                    if sequence == self._sequence:
                        return data[HEADER.size : length] if kind == answer else None
            except OSError:
                return None


def _family(address: bytes) -> int:
    return socket.AF_INET if len(address) == 4 else socket.AF_INET6

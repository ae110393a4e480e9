"""The ways out for datagrams with IP headers of their own: a raw socket, or a packet socket past the IP stack.

A raw IPv4 socket fills in total length and checksum itself, and a source or identification that is zero (raw(7)). What
is wrong on purpose there can only leave by a packet socket, for which the next hop must be found out.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from rawproto import IP, PrivilegeError, checksum
from rawproto.link.privilege import ways_to
from rawproto.link.rtnetlink import RoutingSocket

from ..failure import FAILED, USAGE, Failure
from ..packetkit.vocabulary import near

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

__all__ = ["Sender", "kernel_would_change", "source_toward"]

_ARP_REQUEST: Final = struct.Struct("!HHBBH6s4s6s4s")  # RFC 826, for Ethernet and IPv4
_ETHERNET, _IPV4, _REQUEST = 1, 0x0800, 1
_ARP: Final = 0x0806
_IP_TYPE: Final = {4: 0x0800, 6: 0x86DD}
_BROADCAST: Final = b"\xff" * 6
_TRIES, _PATIENCE = 3, 0.5
_RETRY: Final = 0.0005


def source_toward(destination: IP, zone: str = "") -> IP:
    """The address that this host sends from to ``destination``.

    Raises:
        Failure: there is no route.
    """
    family = socket.AF_INET if destination.version == 4 else socket.AF_INET6
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        try:
            probe.connect((str(destination) + (f"%{zone}" if zone else ""), 9))
        except OSError as error:
            raise Failure(f"no way to {destination}: {error.strerror}", FAILED) from error
        return IP(probe.getsockname()[0].partition("%")[0])


def kernel_would_change(packet: bytes) -> bool:
    """Whether a raw socket would not send ``packet`` as it is."""
    if not packet or packet[0] >> 4 != 4:
        return False
    size = (packet[0] & 15) * 4
    if size < 20 or size > len(packet):
        return True
    right = int.from_bytes(packet[2:4], "big") == len(packet) and checksum(packet[:size]) == 0
    return not right or packet[4:6] == b"\0\0" or packet[12:16] == b"\0\0\0\0"


class Sender:
    """Sends whole IP datagrams.

    Args:
        packets: some of what will be sent; decides about versions and ways.
        interface: leave by this one only.
        link: "raw", "packet", or "auto" for what sends every one unchanged.

    Raises:
        PrivilegeError: without CAP_NET_RAW.
        Failure: no interface of that name, or no way to a destination by a packet socket.
    """

    def __init__(self, packets: Sequence[bytes], interface: str | None, link: str = "auto") -> None:
        self._interface = interface
        self._sockets: dict[int, socket.socket] = {}
        self._hops: dict[bytes, tuple[object, ...]] = {}
        if link == "auto":
            link = "packet" if any(map(kernel_would_change, packets)) else "raw"
        self.link = link
        if interface is not None and interface not in [name for _, name in socket.if_nameindex()]:
            known = [name for _, name in socket.if_nameindex()]
            raise Failure(f"no interface is called {interface!r}{near(interface, known)}", USAGE)
        try:
            if link == "raw":
                for version in sorted({packet[0] >> 4 for packet in packets}):
                    self._sockets[version] = self._raw(version)
            else:
                self._sockets[0] = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
                for packet in packets:
                    self._hop(packet)
        except PermissionError as error:
            self.close()
            what = f"open a {link} socket"
            raise PrivilegeError(what, "CAP_NET_RAW", ways_to("CAP_NET_RAW")) from error
        except BaseException:
            self.close()
            raise

    def _raw(self, version: int) -> socket.socket:
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        # This protocol number says that headers come along, on both versions.
        made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if self._interface is not None:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, self._interface.encode() + b"\0")
        return made

    def send(self, packet: bytes) -> None:
        """Send one datagram.

        Raises:
            Failure: the kernel does not take it.
        """
        destination = _destination(packet)
        while True:
            try:
                if self.link == "packet":
                    self._sockets[0].sendto(packet, self._hop(packet))
                else:
                    version = packet[0] >> 4
                    if version not in self._sockets:
                        raise Failure(f"a datagram of IP version {version} among others", USAGE)
                    self._sockets[version].sendto(packet, self._name(destination))
            except OSError as error:
                if error.errno == errno.ENOBUFS:
                    time.sleep(_RETRY)  # the queue of the interface is full: it drains
                    continue
                raise Failure(f"cannot send to {destination}: {_reason(error, packet)}", FAILED) from error
            return

    def _name(self, destination: IP) -> tuple[object, ...]:
        if destination.version == 4:
            return (str(destination), 0)
        zone = self._interface if destination.is_link_local_unicast or destination.is_multicast else None
        return (str(destination), 0, 0, 0 if zone is None else socket.if_nametoindex(zone))

    def _hop(self, packet: bytes) -> tuple[object, ...]:
        """The link-layer destination of a datagram, asked for once."""
        destination = _destination(packet)
        if destination not in self._hops:
            self._hops[destination] = self._find_hop(destination)
        return self._hops[destination]

    def _find_hop(self, destination: IP) -> tuple[object, ...]:
        routing = RoutingSocket()
        try:
            route = routing.route(bytes(destination))
            if route is None and self._interface is None:
                raise Failure(f"no way to {destination}: Network is unreachable", FAILED)
            name = self._interface or socket.if_indextoname(route.interface if route else 0)
            index = socket.if_nametoindex(name)
            gateway = (
                IP(route.gateway) if route and route.gateway and route.interface == index else destination
            )
            address = self._hardware(routing, name, index, gateway)
        finally:
            routing.close()
        return (name, _IP_TYPE[destination.version], 0, 0, address)

    def _hardware(self, routing: RoutingSocket, name: str, index: int, gateway: IP) -> bytes:
        """The hardware address of ``gateway``, from the kernel or by asking."""
        if name == "lo":
            return bytes(6)
        if gateway.is_multicast and gateway.version == 4:
            low = int.from_bytes(gateway[1:], "big") & 0x7FFFFF  # RFC 1112 section 6.4
            return b"\x01\x00\x5e" + low.to_bytes(3, "big")
        if gateway.is_multicast:
            return b"\x33\x33" + gateway[12:]  # RFC 2464 section 7
        if gateway == IP("255.255.255.255"):
            return _BROADCAST
        known = routing.neighbour(index, bytes(gateway))
        if known is not None and known.is_usable:
            return known.hardware_address or bytes(6)
        found = _ask_neighbour(name, gateway) if gateway.version == 4 else None
        if found is None:
            raise Failure(f"{gateway} does not answer on {name}: its hardware address is not known", FAILED)
        return found

    def close(self) -> None:
        """Give the sockets back."""
        for made in self._sockets.values():
            made.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _destination(packet: bytes) -> IP:
    return IP(packet[16:20] if packet[0] >> 4 != 6 else packet[24:40])


def _reason(error: OSError, packet: bytes) -> str:
    if error.errno == errno.EMSGSIZE:
        return f"{len(packet)} bytes are more than the MTU (--fragment cuts them)"
    if error.errno == errno.EPERM:
        return "refused by a firewall rule"
    return os.strerror(error.errno or 0)


def _ask_neighbour(name: str, address: IP) -> bytes | None:
    """Ask who has ``address`` (RFC 826); None when nobody says."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ARP)) as arp:
        arp.bind((name, _ARP))
        mine = arp.getsockname()[4]
        source = source_toward(address)
        question = _ARP_REQUEST.pack(
            _ETHERNET, _IPV4, 6, 4, _REQUEST, mine, bytes(source), bytes(6), bytes(address)
        )
        for _ in range(_TRIES):
            arp.sendto(question, (name, _ARP, 0, 0, _BROADCAST))
            end = time.monotonic() + _PATIENCE
            while (left := end - time.monotonic()) > 0:
                arp.settimeout(left)
                try:
                    answer = arp.recv(64)
                except TimeoutError:
                    break
                if len(answer) >= _ARP_REQUEST.size and answer[14:18] == bytes(address) and answer[7] == 2:
                    return answer[8:14]
    return None

"""Addresses to and from the kernel's sockaddr structures, each computed once.

Layouts (netinet/in.h), numbers of ports and flow labels big-endian:

- ``sockaddr_in``, 16 bytes: family u16, port u16, address 4, zero 8;
- ``sockaddr_in6``, 28 bytes: family u16, port u16, flow label u32, address 16, scope id u32 (native).
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import TYPE_CHECKING, Any, Final

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.errors import AddrError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from rawproto.link.interfaces import Interfaces

__all__ = ["SOCKADDR_SIZE", "AddressCodec"]

_IN: Final = struct.Struct("=H2s4s8x")
_IN6: Final = struct.Struct("=H2s4x16sI")
SOCKADDR_SIZE: Final = {4: _IN.size, 6: _IN6.size}
_IP_AT: Final = {4: slice(4, 8), 6: slice(8, 24)}
_NO_PORT: Final = bytes(2)
# A flood from forged sources must not grow the caches without end.
_CACHE_LIMIT: Final = 4096


class AddressCodec:
    """Encodes destinations and decodes sources of one socket, IPv4 or IPv6.

    Args:
        version: 4 or 6.
        interfaces: names and indexes of the interfaces of the socket's namespace, for IPv6 zones.
        ports: addresses are ``UDPAddr`` instead of ``IPAddr``.
    """

    def __init__(self, version: int, interfaces: Interfaces, *, ports: bool) -> None:
        self.version = version
        self.size = SOCKADDR_SIZE[version]
        self._interfaces = interfaces
        self._ports = ports
        self._encoded: dict[Any, bytes] = {}
        self._decoded: dict[bytes, Any] = {}
        self._named: dict[tuple[Any, ...], Any] = {}
        self._hosts: dict[bytes, IPAddr] = {}
        self._names: dict[int, str] = {}

    def encode(self, address: Any) -> bytes:
        """The sockaddr of ``address``; raises AddrError when it is of the other family or has no IP."""
        packed = self._encoded.get(address)
        if packed is None:
            packed = self._pack(address)
            if len(self._encoded) >= _CACHE_LIMIT:
                self._encoded.clear()
            self._encoded[address] = packed
        return packed

    def to_tuple(self, packed: bytes) -> tuple[Any, ...]:
        """The sockaddr ``packed`` as the socket module wants it: (text, port) or (text, port, flow, scope)."""
        ip = packed[_IP_AT[self.version]]
        port = int.from_bytes(packed[2:4], "big")
        if self.version == 4:
            return socket.inet_ntop(socket.AF_INET, ip), port
        return socket.inet_ntop(socket.AF_INET6, ip), port, 0, int.from_bytes(packed[24:28], sys.byteorder)

    def decode(self, packed: bytes) -> Any:
        """The address in the sockaddr ``packed``; equal bytes give the same object."""
        address = self._decoded.get(packed)
        if address is None:
            address = self._unpack(packed)
            if len(self._decoded) >= _CACHE_LIMIT:
                self._decoded.clear()
            self._decoded[packed] = address
        return address

    def keys(self, names: NDArray[np.uint8]) -> list[bytes]:
        """What tells each of the sockaddrs ``names``, uint8 (n, size), from others: IP, port (2 bytes) and zone."""
        raw = names.tobytes()
        size, ip = self.size, _IP_AT[self.version]
        starts = range(0, len(raw), size)
        if not self._ports:
            found = [raw[at + ip.start : at + ip.stop] + _NO_PORT for at in starts]
        else:
            found = [raw[at + ip.start : at + ip.stop] + raw[at + 2 : at + 4] for at in starts]
        if self.version == 6 and names[:, 24:28].any():
            zones = [int.from_bytes(raw[at + 24 : at + 28], sys.byteorder) for at in starts]
            found = [
                key + self.interface(zone).encode() if zone else key
                for key, zone in zip(found, zones, strict=True)
            ]
        return found

    def from_tuple(self, name: tuple[Any, ...]) -> Any:
        """The address in a tuple as the socket module gives it: (text, port) or (text, port, flow, scope)."""
        address = self._named.get(name)
        if address is None:
            address = self.decode(self._pack_tuple(name))
            if len(self._named) >= _CACHE_LIMIT:
                self._named.clear()
            self._named[name] = address
        return address

    def _pack_tuple(self, name: tuple[Any, ...]) -> bytes:
        if self.version == 4:
            return _IN.pack(
                socket.AF_INET, name[1].to_bytes(2, "big"), socket.inet_pton(socket.AF_INET, name[0])
            )
        ip = socket.inet_pton(socket.AF_INET6, name[0].partition("%")[0])
        return _IN6.pack(socket.AF_INET6, name[1].to_bytes(2, "big"), ip, name[3])

    def address_of_ip(self, ip: bytes, scope: int = 0) -> IPAddr:
        """The IPAddr of a packed IP address; the scope is told only where the address needs one."""
        key = ip + scope.to_bytes(4, "big") if scope else ip
        address = self._hosts.get(key)
        if address is None:
            parsed = IP(ip)
            zone = self.interface(scope) if scope and parsed.is_link_local_unicast else ""
            address = IPAddr(parsed, zone)
            if len(self._hosts) >= _CACHE_LIMIT:
                self._hosts.clear()
            self._hosts[key] = address
        return address

    def reporter(self, packed: bytes) -> IPAddr | None:
        """The IP address in a sockaddr of either family and any length, without its port; None for none."""
        family = int.from_bytes(packed[:2], sys.byteorder)
        if family == socket.AF_INET and len(packed) >= _IN.size:
            return IPAddr(IP(packed[4:8]))
        if family == socket.AF_INET6 and len(packed) >= _IN6.size:
            _, _, ip, scope = _IN6.unpack_from(packed)
            return IPAddr(IP(ip), self.interface(scope) if scope else "")
        return None

    def knows(self, address: Any) -> bool:
        """Whether ``address`` was encoded lately, that is, whether something was sent there."""
        return address in self._encoded

    def wildcard(self) -> bytes:
        """The sockaddr of every local address and port 0."""
        return self._pack_ip(bytes(4 if self.version == 4 else 16), 0, "")

    def _pack(self, address: Any) -> bytes:
        if address.ip is None:
            raise AddrError("an address without an IP cannot be a destination", str(address))
        return self._pack_ip(address.ip, address.port if self._ports else 0, address.zone)

    def _pack_ip(self, ip: bytes, port: int, zone: str) -> bytes:
        if self.version == 4:
            short = IP(ip).to4()
            if short is None:
                raise AddrError("an IPv6 address on an IPv4 link", str(IP(ip)))
            return _IN.pack(socket.AF_INET, port.to_bytes(2, "big"), bytes(short))
        if len(ip) == 4:
            raise AddrError("an IPv4 address on an IPv6 link", str(IP(ip)))
        return _IN6.pack(socket.AF_INET6, port.to_bytes(2, "big"), bytes(ip), self._scope(zone))

    def _scope(self, zone: str) -> int:
        if not zone:
            return 0
        if zone.isdecimal():
            return int(zone)
        try:
            return self._interfaces.index(zone)
        except OSError as error:
            raise AddrError("the zone is no interface here", zone) from error

    def _unpack(self, packed: bytes) -> Any:
        zone = ""
        if self.version == 4:
            _, port, ip = _IN.unpack(packed)
        else:
            _, port, ip, scope = _IN6.unpack(packed)
            if scope:
                zone = self.interface(scope)
        if self._ports:
            return UDPAddr(IP(ip), int.from_bytes(port, "big"), zone)
        return IPAddr(IP(ip), zone)

    def interface(self, index: int) -> str:
        """Name of interface ``index``, looked up once; its number when it has gone meanwhile."""
        name = self._names.get(index)
        if name is None:
            try:
                name = self._interfaces.name(index)
            except OSError:
                return str(index)
            self._names[index] = name
        return name

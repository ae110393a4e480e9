"""What the kernel knows of network interfaces: names, indexes, MTUs, addresses (netdevice(7))."""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import pathlib
import socket
import struct
import sys
from typing import Final

__all__ = ["Interfaces", "PathMTU"]

# linux/sockios.h
_SIOCGIFNAME: Final = 0x8910
_SIOCGIFCONF: Final = 0x8912
_SIOCGIFMTU: Final = 0x8921
_SIOCGIFHWADDR: Final = 0x8927
_SIOCGIFINDEX: Final = 0x8933

_IFCONF: Final = struct.Struct("@iP")  # struct ifconf (linux/if.h)
_ETHERNET_MTU: Final = 1500


class Interfaces:
    """Questions about interfaces asked on a socket's own descriptor.

    An interface index means something only in a network namespace; asking on the socket itself gives the answer of
    the namespace in which the socket was made, whatever namespace the calling thread is in now.
    """

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def _ask(self, request: int, record: bytes) -> bytes:
        return fcntl.ioctl(self._fd, request, record.ljust(40, b"\0"))

    def index(self, name: str) -> int:
        """Index of interface ``name``; raises OSError (ENODEV) when there is none."""
        record = self._ask(_SIOCGIFINDEX, _interface_name(name))
        return int.from_bytes(record[16:20], sys.byteorder)

    def name(self, index: int) -> str:
        """Name of interface ``index``; raises OSError (ENODEV) when there is none."""
        record = self._ask(_SIOCGIFNAME, bytes(16) + index.to_bytes(4, sys.byteorder))
        return os.fsdecode(record[:16].split(b"\0", 1)[0])

    def mtu(self, name: str) -> int:
        """MTU in bytes of interface ``name``."""
        return int.from_bytes(self._ask(_SIOCGIFMTU, _interface_name(name))[16:20], sys.byteorder)

    def hardware_address(self, name: str) -> tuple[int, bytes]:
        """ARPHRD_ type and hardware address (6 bytes) of interface ``name``."""
        record = self._ask(_SIOCGIFHWADDR, _interface_name(name))
        return int.from_bytes(record[16:18], sys.byteorder), record[18:24]

    def of_address(self, ip: bytes) -> str | None:
        """The interface that has ``ip`` (4 or 16 bytes), or None."""
        if len(ip) == 4:
            return self._of_ipv4(ip)
        # The thread's own view: it may be in another namespace than the process.
        with pathlib.Path("/proc/thread-self/net/if_inet6").open() as lines:
            for line in lines:
                fields = line.split()
                if bytes.fromhex(fields[0]) == ip:
                    return fields[5]
        return None

    def _of_ipv4(self, ip: bytes) -> str | None:
        size = 40  # struct ifreq: name 16, sockaddr_in at 16, its address at 20
        room = 64 * size
        while True:
            buffer = ctypes.create_string_buffer(room)
            used = fcntl.ioctl(self._fd, _SIOCGIFCONF, _IFCONF.pack(room, ctypes.addressof(buffer)))
            length = _IFCONF.unpack(used)[0]
            if length < room:
                break
            room *= 4
        for start in range(0, length, size):
            record = buffer.raw[start : start + size]
            if record[20:24] == ip:
                # An alias is listed as eth0:1.
                return os.fsdecode(record[:16].split(b"\0", 1)[0]).partition(":")[0]
        return None

    def path(self, ip: bytes | None, interface: str | None) -> PathMTU:
        """The interfaces that a socket bound like this can send through."""
        if interface is None and ip is not None:
            interface = self.of_address(ip)
        if interface is not None:
            return PathMTU(self, (interface,))
        names = [name for _, name in socket.if_nameindex()]
        others = [name for name in names if name != "lo"]
        return PathMTU(self, tuple(others or names))


class PathMTU:
    """The MTU of the narrowest of some interfaces, as it is at the moment of asking."""

    __slots__ = ("_interfaces", "_names")

    def __init__(self, interfaces: Interfaces, names: tuple[str, ...]) -> None:
        self._interfaces = interfaces
        self._names = names

    def mtu(self) -> int:
        """MTU in bytes; 1500 when none of the interfaces exists any more."""
        sizes = []
        for name in self._names:
            try:
                sizes.append(self._interfaces.mtu(name))
            except OSError:
                pass
        return min(sizes, default=_ETHERNET_MTU)


def _interface_name(name: str) -> bytes:
    encoded = os.fsencode(name)
    if len(encoded) > 15:  # IFNAMSIZ is 16 with the final zero
        raise OSError(errno.ENODEV, f"no interface {name!r}: the name is longer than 15 bytes")
    return encoded.ljust(16, b"\0")

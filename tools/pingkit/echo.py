"""A socket for echo requests: raw where that is allowed, else the kernel's unprivileged ICMP socket (icmp(7))."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

from rawproto import DecodeError, PrivilegeError
from rawproto.link.extendederror import ExtendedError
from rawproto.link.linux import (
    IP_RECVERR,
    IP_RECVTTL,
    IPV6_HOPLIMIT,
    IPV6_RECVERR,
    IPV6_RECVHOPLIMIT,
    SO_RCVBUFFORCE,
    SO_TIMESTAMPNS,
)

if TYPE_CHECKING:
    from rawproto import ICMP, ICMPv6

__all__ = ["EchoSocket", "Problem", "Reply"]

# linux/icmp.h, linux/icmpv6.h
ICMP_FILTER: Final = 1
ICMP6_FILTER: Final = 1
_ECHO_REPLY: Final = {4: 0, 6: 129}
_ECHO_REQUEST: Final = {4: 8, 6: 128}

_BUFFER: Final = 4 << 20
_TIMESPEC: Final = struct.Struct("@ll")
_INT: Final = struct.Struct("@i")


class Reply(NamedTuple):
    """An echo reply; ``at`` is the kernel's arrival time, nanoseconds since the epoch."""

    source: str
    seq: int
    size: int
    ttl: int | None
    at: int


class Problem(NamedTuple):
    """An ICMP error, or one of this host: what became of request ``seq`` to ``destination``."""

    destination: str
    seq: int
    reporter: str
    errno: int
    type: int
    code: int


class EchoSocket:
    """Sends echo requests of one IP version and takes what comes back.

    Args:
        version: 4 or 6.
        ttl: TTL or hop limit to send with; None leaves it to the system.
        interface: use this interface only.

    Raises:
        PrivilegeError: neither kind of socket is allowed.
    """

    def __init__(self, version: int, *, ttl: int | None = None, interface: str | None = None) -> None:
        self.version = version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
        self._sock, self.raw = _open(family, protocol)
        self._ident = int.from_bytes(os.urandom(2), "big")
        self._header = _header(version)
        self._sock.setblocking(False)
        self._set_options(ttl, interface)

    def _set_options(self, ttl: int | None, interface: str | None) -> None:
        sock, level = self._sock, socket.IPPROTO_IP if self.version == 4 else socket.IPPROTO_IPV6
        sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        with contextlib.suppress(PermissionError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, _BUFFER)
        sock.setsockopt(level, IP_RECVERR if self.version == 4 else IPV6_RECVERR, 1)
        sock.setsockopt(level, IP_RECVTTL if self.version == 4 else IPV6_RECVHOPLIMIT, 1)
        if ttl is not None:
            sock.setsockopt(level, socket.IP_TTL if self.version == 4 else socket.IPV6_UNICAST_HOPS, ttl)
        if interface is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        if self.raw and self.version == 4:
            # Errors come by the error queue; of the rest only echo replies are wanted.
            sock.setsockopt(socket.SOL_RAW if hasattr(socket, "SOL_RAW") else 255, ICMP_FILTER, _INT.pack(~1))
        elif self.raw:
            words = [0xFFFFFFFF] * 8
            words[_ECHO_REPLY[6] >> 5] &= ~(1 << (_ECHO_REPLY[6] & 31))
            sock.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("=8I", *words))

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._sock.fileno()

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

    def send(self, destination: str, seq: int, payload: bytes) -> int:
        """Send request ``seq``; gives the time, nanoseconds since the epoch.

        Raises:
            BlockingIOError: the kernel's queue is full.
            OSError: the kernel refused it.
        """
        message = bytes(
            self._header(type=_ECHO_REQUEST[self.version], ident=self._ident, seq=seq & 0xFFFF) / payload
        )
        address = (destination, 0) if self.version == 4 else _scoped(destination)
        for last_try in (False, True):
            now = time.time_ns()
            try:
                self._sock.sendto(message, address)
            except BlockingIOError:
                raise
            except OSError as error:
                # It may be the error of an earlier request, which the queue tells of as well.
                if last_try or error.errno not in (errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.EPROTO):
                    raise
            else:
                return now
        raise AssertionError("not reached")

    def replies(self) -> list[Reply]:
        """The replies that are here."""
        found: list[Reply] = []
        while True:
            try:
                data, control, _, source = self._sock.recvmsg(1 << 16, 512)
            except BlockingIOError:
                return found
            except OSError:
                continue  # an error that the queue tells of as well
            reply = self._reply(data, control, source[0])
            if reply is not None:
                found.append(reply)

    def _reply(self, data: bytes, control: list[tuple[int, int, bytes]], source: str) -> Reply | None:
        at, ttl = time.time_ns(), None
        for level, kind, value in control:
            if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
                seconds, rest = _TIMESPEC.unpack(value)
                at = seconds * 1_000_000_000 + rest
            elif (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, IPV6_HOPLIMIT)):
                ttl = int(_INT.unpack(value)[0])
        if self.raw and self.version == 4:
            # The kernel has checked the IP header; to load its class for the length takes a tenth of the time to start.
            data = data[4 * (data[0] & 0x0F) :]
        try:
            message, payload = self._header.parse(data)
        except DecodeError:
            return None
        # The unprivileged socket has an identifier of the kernel's choice, and hears only what bears it.
        if message.type != _ECHO_REPLY[self.version] or (self.raw and message.ident != self._ident):
            return None
        return Reply(source, message.seq, 8 + len(payload), ttl, at)

    def problems(self) -> list[Problem]:
        """The ICMP errors about requests of ours that are here."""
        found: list[Problem] = []
        while True:
            try:
                data, control, _, destination = self._sock.recvmsg(1 << 16, 512, socket.MSG_ERRQUEUE)
            except OSError:
                return found
            for level, kind, value in control:
                if (level, kind) in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
                    problem = self._problem(data, value, destination[0])
                    if problem is not None:
                        found.append(problem)

    def _problem(self, data: bytes, value: bytes, destination: str) -> Problem | None:
        error = ExtendedError.parse(value)
        try:
            message, _ = self._header.parse(data)
        except DecodeError:
            return None
        if error is None or (self.raw and message.ident != self._ident):
            return None
        return Problem(destination, message.seq, error.address, error.errno, error.type, error.code)


def _header(version: int) -> type[ICMP] | type[ICMPv6]:
    """The one header that is needed: each costs some milliseconds, a tenth of the time to start."""
    if version == 4:
        from rawproto import ICMP

        return ICMP
    from rawproto import ICMPv6

    return ICMPv6


def _open(family: int, protocol: int) -> tuple[socket.socket, bool]:
    try:
        return socket.socket(family, socket.SOCK_RAW, protocol), True
    except PermissionError:
        pass
    try:
        return socket.socket(family, socket.SOCK_DGRAM, protocol), False
    except PermissionError as error:
        raise PrivilegeError(
            "open an ICMP socket",
            "CAP_NET_RAW",
            (
                "run it as root, or with sudo: the privilege is dropped as soon as the socket is open",
                "let this group use unprivileged ICMP sockets: sysctl net.ipv4.ping_group_range='0 2147483647'",
            ),
        ) from error


def _scoped(destination: str) -> tuple[str, int, int, int]:
    host, _, zone = destination.partition("%")
    scope = 0
    if zone:
        scope = int(zone) if zone.isdigit() else socket.if_nametoindex(zone)
    return host, 0, 0, scope

"""The socket that all probes of a trace go through, and what it hears."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import time
from typing import TYPE_CHECKING, Final

from rawproto import PrivilegeError
from rawproto.link.linux import (
    IP_MTU,
    IP_MTU_DISCOVER,
    IP_PMTUDISC_DONT,
    IP_PMTUDISC_PROBE,
    IP_TTL,
    IPV6_HOPLIMIT,
    IPV6_MTU,
    IPV6_MTU_DISCOVER,
)

from ..failure import Failure
from .answers import Answer, ask_for_errors, error_of, local_mtus, time_of

if TYPE_CHECKING:
    from .probes import Probes

__all__ = ["Sounder"]

_INT: Final = struct.Struct("@i")


class Sounder:
    """Sends probes to one destination.

    Args:
        probes: what they look like.
        destination: address, as text.
        whole: send probes whole or not at all, whatever the path's MTU is thought to be.

    Raises:
        PrivilegeError: these probes need a raw socket.
        Failure: there is no route.
    """

    def __init__(self, probes: Probes, destination: str, *, whole: bool) -> None:
        self.probes = probes
        self._version = probes.version
        self._level = socket.IPPROTO_IP if self._version == 4 else socket.IPPROTO_IPV6
        self._ports: socket.socket | None = None
        self._sock = self._open()
        try:
            self._prepare(destination, whole=whole)
        except BaseException:
            self.close()
            raise

    def _open(self) -> socket.socket:
        family = socket.AF_INET if self._version == 4 else socket.AF_INET6
        kind, protocol = self.probes.open()
        try:
            return socket.socket(family, kind, protocol)
        except PermissionError as error:
            with contextlib.suppress(PermissionError):
                if not self.probes.raw_needed:
                    return socket.socket(family, socket.SOCK_RAW, protocol)
            raise PrivilegeError("open a raw socket for these probes", "CAP_NET_RAW", _WAYS) from error

    def _prepare(self, destination: str, *, whole: bool) -> None:
        sock, level, four = self._sock, self._level, self._version == 4
        sock.setblocking(False)
        ask_for_errors(sock, self._version)
        discovery = IP_PMTUDISC_PROBE if whole else IP_PMTUDISC_DONT
        sock.setsockopt(level, IP_MTU_DISCOVER if four else IPV6_MTU_DISCOVER, discovery)
        try:
            sock.connect((destination, self.probes.port if sock.type == socket.SOCK_DGRAM else 0))
        except OSError as error:
            raise Failure(f"{destination}: {error.strerror}") from error
        self.probes.source, self.probes.destination = sock.getsockname()[0].partition("%")[0], destination
        if self.probes.raw_needed:
            # A port that nobody else has while this goes on: answers to it are ours.
            self._ports = socket.socket(sock.family, socket.SOCK_STREAM)
            self._ports.bind(("", 0))
            self.probes.source_port = self._ports.getsockname()[1]
        else:
            self.probes.source_port = sock.getsockname()[1]

    def size_for(self, wanted: int) -> int:
        """Bytes of a probe, its IP header included, where ``wanted`` were asked for."""
        return max(wanted, (20 if self._version == 4 else 40) + self.probes.header + self.probes.least)

    def mtu(self) -> int:
        """MTU of the first link, in bytes of the IP datagram, whatever is remembered of the path."""
        known = self._sock.getsockopt(self._level, IP_MTU if self._version == 4 else IPV6_MTU)
        # Too much for any link but loopback: the kernel's refusal says what the link takes.
        with contextlib.suppress(OSError):
            self._sock.send(bytes(_LARGEST))
        with contextlib.suppress(OSError):
            while True:
                _, control, _, _ = self._sock.recvmsg(64, 1024, socket.MSG_ERRQUEUE)
                known = max([known, *local_mtus(control)])
        return known

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._sock.fileno()

    def send(self, number: int, ttl: int, size: int) -> int:
        """Send a probe; gives the time, nanoseconds since the epoch.

        Args:
            number: of the probe, 16 bits.
            ttl: TTL or hop limit.
            size: bytes of the whole datagram, IP header included.

        Raises:
            BlockingIOError: the kernel's queue is full.
            Failure: the probe cannot be sent.
        """
        data = self.probes.build(number, size - (20 if self._version == 4 else 40))
        field = (self._level, IP_TTL if self._version == 4 else IPV6_HOPLIMIT, _INT.pack(ttl))
        for _ in range(_MAX_OLD_ERRORS):
            now = time.time_ns()
            try:
                self._sock.sendmsg([data], [field])
            except BlockingIOError:
                raise
            except OSError as error:
                # The error of an earlier probe, which the queue tells of as well, comes out of the next call.
                if error.errno in (errno.EHOSTUNREACH, errno.ECONNREFUSED, errno.EPROTO, errno.EMSGSIZE,
                                   errno.ENETUNREACH, errno.ENOPROTOOPT, errno.EOPNOTSUPP, errno.EACCES):  # fmt: skip
                    last = error
                    continue
                raise Failure(f"cannot send probes: {error.strerror}") from error
            else:
                return now
        raise Failure(f"cannot send probes: {os.strerror(last.errno or 0)}")

    def answers(self) -> list[tuple[int, Answer]]:
        """What is here, each with the number of its probe."""
        found: list[tuple[int, Answer]] = []
        while True:
            try:
                data, control, _, _ = self._sock.recvmsg(1 << 16, 1024, socket.MSG_ERRQUEUE)
            except OSError:
                break
            answer = error_of(self._version, data, control, time.time_ns())
            number = None if answer is None else self.probes.number_quoted(answer.quoted)
            if answer is not None and number is not None:
                found.append((number, answer))
        for _ in range(_MAX_AT_ONCE):
            try:
                data, control, _, source = self._sock.recvmsg(1 << 16, 512)
            except BlockingIOError:
                break
            except OSError:
                continue  # an error that the queue tells of as well
            number = self.probes.number_answered(data)
            if number is not None:
                at = time_of(control, time.time_ns())
                found.append((number, Answer(b"", source[0].partition("%")[0], at)))
        return found

    def forget(self, number: int) -> None:
        """Nobody waits for the answer to that probe any more."""

    def close(self) -> None:
        """Give the sockets back."""
        self._sock.close()
        if self._ports is not None:
            self._ports.close()


_LARGEST = 65_400
_MAX_OLD_ERRORS = 64
_MAX_AT_ONCE = 1024
_WAYS = (
    "run it as root, or with sudo: the privilege is dropped as soon as the socket is open",
    "trace with --method udp, icmp or tcp, which ordinary users may: to find the MTU, with udp or icmp",
)

"""The sending half of a raw socket: one datagram at a time, with what went wrong raised at once."""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, Protocol

from rawproto.errors import ClosedError, OpError
from rawproto.link import linux
from rawproto.link.sender import is_writable

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable  # type: ignore[attr-defined,unused-ignore]

    from rawproto.addr import IPAddr
    from rawproto.link.causes import SentLog
    from rawproto.link.raw import RawLink

__all__ = ["SingleSender"]

_REMEMBERED: Final = 1024
_INT: Final = struct.Struct("@i")


class Describe(Protocol):
    """Makes an error of a class, with the socket's own operation and addresses."""

    def __call__(
        self, kind: type[OpError], reason: str, remote: IPAddr | None = None, number: int | None = None
    ) -> OpError: ...


class SingleSender:
    """Sends datagrams one by one; never blocks. For one thread at a time.

    Args:
        link: the raw link whose socket to use.
        log: told of every datagram before it is sent.
        fragments: what is larger than the MTU, and has its own header, is sent in pieces.
        collect: called to take the errors of earlier datagrams off the socket.
        describe: makes the errors to raise.
    """

    def __init__(
        self,
        link: RawLink,
        log: SentLog,
        *,
        fragments: bool,
        collect: Callable[[], None],
        describe: Describe,
    ) -> None:
        self._link = link
        self._sock = link.socket
        self._version = link.codec.version
        self._log = log
        self._fragments = fragments
        self._collect = collect
        self._describe = describe
        self._names: dict[IPAddr, tuple[Any, ...]] = {}

    def try_send(self, payload: Buffer, destination: IPAddr, ttl: int | None, tos: int | None) -> bool:
        """False while the kernel's queue is full; raises as :meth:`RawSocket.send`."""
        name = self._names.get(destination) or self._name(destination)
        data = payload if type(payload) is bytes else bytes(payload)
        control = [] if ttl is None and tos is None else self._header_fields(ttl, tos)
        self._log.remember(destination, data)
        for last_try in (False, True):
            try:
                if control:
                    self._sock.sendmsg([data], control, socket.MSG_DONTWAIT, name)
                else:
                    self._sock.sendto(data, socket.MSG_DONTWAIT, name)
            except BlockingIOError:
                return False
            except OSError as error:
                if error.errno == errno.ENOBUFS and not is_writable(self._link.fileno()):
                    return False
                if error.errno == errno.EMSGSIZE and self._fragments:
                    self._send_fragments(data, destination, name)
                    return True
                if last_try or self._link.fileno() < 0:
                    self._link.counters.send_refused += 1
                    raise self._refused(error, destination) from error
                # It may be the error of an earlier datagram, left on the socket.
                self._collect()
            else:
                break
        self._link.counters.sent += 1
        self._link.counters.sent_bytes += len(data)
        return True

    def _name(self, destination: IPAddr) -> tuple[Any, ...]:
        """The tuple for the socket module, kept; encoding it also tells the link that we send there."""
        self._link.codec.encode(destination)
        name = destination.sockaddr(self._version)
        if len(self._names) >= _REMEMBERED:
            self._names.clear()
        self._names[destination] = name
        return name

    def _header_fields(self, ttl: int | None, tos: int | None) -> list[tuple[int, int, bytes]]:
        """The control messages for header fields of one datagram."""
        if self._version == 4:
            level, ttl_type, tos_type = socket.IPPROTO_IP, linux.IP_TTL, socket.IP_TOS
        else:
            level, ttl_type, tos_type = socket.IPPROTO_IPV6, linux.IPV6_HOPLIMIT, linux.IPV6_TCLASS
        given = ((ttl_type, ttl), (tos_type, tos))
        return [(level, kind, _INT.pack(value)) for kind, value in given if value is not None]

    def _send_fragments(self, data: bytes, destination: IPAddr, name: tuple[Any, ...]) -> None:
        """Send a datagram with its own header in pieces that the path takes."""
        from rawproto.wire import Datagram, fragment

        mtu = self._link.path_mtu(destination)
        for piece in fragment(Datagram.parse(data), mtu):
            try:
                self._sock.sendto(bytes(piece), name)
            except OSError as error:
                self._link.counters.send_refused += 1
                raise self._refused(error, destination) from error
        self._link.counters.sent += 1
        self._link.counters.sent_bytes += len(data)

    def _refused(self, error: OSError, destination: IPAddr) -> OpError:
        if self._link.fileno() < 0:
            return self._describe(ClosedError, "use of a closed socket")
        number = error.errno or 0
        reason = "refused by a firewall rule" if number == errno.EPERM else os.strerror(number)
        return self._describe(OpError, reason, destination, number)

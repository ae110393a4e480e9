"""Opening and binding sockets, with errors that say what was refused and what to do."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any

from rawproto.errors import ConfigError, OpError, PrivilegeError
from rawproto.link.privilege import ways_to

__all__ = ["adopt", "bind", "connect", "drain", "open_raw", "open_udp"]


def open_raw(protocol: int, version: int, network: str) -> socket.socket:
    """A non-blocking raw socket; raises PrivilegeError without CAP_NET_RAW."""
    if not 0 < protocol < 256:
        raise ConfigError(f"an IP protocol number is 1 to 255, not {protocol}")
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        sock = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, protocol)
    except PermissionError as error:
        raise PrivilegeError(
            f"open a raw IPv{version} socket", "CAP_NET_RAW", ways_to("CAP_NET_RAW")
        ) from error
    except OSError as error:
        raise _refused("open", network, None, error) from error
    return sock


def open_udp(version: int, network: str) -> socket.socket:
    """A non-blocking UDP socket; one for IPv6 takes no IPv4."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    try:
        sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    except OSError as error:
        raise _refused("open", network, None, error) from error
    return sock


def adopt(sock: socket.socket, protocol: int, version: int) -> socket.socket:
    """An open raw socket, checked to be what it is said to be and made non-blocking."""
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    is_raw = sock.type == socket.SOCK_RAW and sock.family == family
    if not is_raw or sock.getsockopt(socket.SOL_SOCKET, socket.SO_PROTOCOL) != protocol:
        raise ConfigError(f"the socket given is no raw IPv{version} socket of protocol {protocol}: {sock}")
    sock.setblocking(False)
    return sock


def bind(sock: socket.socket, version: int, network: str, local: Any, interface: str | None) -> None:
    """Bind to an interface, then to a local address; None leaves either open."""
    if interface is not None:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, os.fsencode(interface))
        except OSError as error:
            raise _refused("bind", network, interface, error) from error
    if local is None:
        return
    try:
        sock.bind(local.sockaddr(version))
    except OSError as error:
        raise _refused("bind", network, local, error) from error


def connect(sock: socket.socket, version: int, network: str, remote: Any) -> None:
    """Receive from ``remote`` only; raises OpError when there is no route to it."""
    try:
        sock.connect(remote.sockaddr(version))
    except OSError as error:
        raise _refused("dial", network, remote, error) from error


def drain(sock: socket.socket) -> None:
    """Throw away what a raw socket got between its creation and its binding, when nothing told it what is wanted."""
    scratch = bytearray(1)
    while True:
        try:
            sock.recv_into(scratch, 1, socket.MSG_DONTWAIT | socket.MSG_TRUNC)
        except OSError as error:
            if error.errno in (errno.EAGAIN, errno.EBADF):
                return


def _refused(operation: str, network: str, local: Any, error: OSError) -> OpError:
    reason = os.strerror(error.errno) if error.errno else str(error)
    return OpError(reason, op=operation, network=network, local=local, errno=error.errno)

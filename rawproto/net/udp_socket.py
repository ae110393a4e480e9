"""One non-blocking UDP socket: opened, and its datagrams with endpoints of ours. The faces wait for it."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING

from rawproto.addr.endpoints import UDPAddr
from rawproto.errors import OpError
from rawproto.net.candidates import folded, version_of

if TYPE_CHECKING:
    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.networks import Network

__all__ = ["MAX_DATAGRAM", "UDPSocket", "udp_socket"]

MAX_DATAGRAM = 65535
"""The largest length that a UDP header can state (RFC 768)."""


class UDPSocket:
    """A UDP socket, connected when ``remote`` is given; every call raises BlockingIOError instead of waiting."""

    def __init__(self, sock: socket.socket, network: str, remote: PortAddr | None) -> None:
        sock.setblocking(False)
        self.network = network
        self.local_addr: UDPAddr = folded(UDPAddr.from_sockaddr(sock.getsockname()))
        self.remote_addr = remote
        self._sock = sock
        self._version = 4 if sock.family == socket.AF_INET else 6

    def receive(self, n: int) -> tuple[bytes, UDPAddr]:
        """The next datagram, cut to ``n`` bytes (n < 0: all of it), and where it came from."""
        data, address = self._sock.recvfrom(MAX_DATAGRAM if n < 0 else n)
        return data, folded(UDPAddr.from_sockaddr(address))

    def send(self, data: bytes | bytearray | memoryview) -> int:
        """Send to the connected peer."""
        return self._sock.send(data)

    def send_to(self, data: bytes | bytearray | memoryview, address: UDPAddr) -> int:
        """Send to ``address``; OpError (EISCONN) on a connected socket."""
        if self.remote_addr is not None:
            raise OpError(
                "the socket is connected: use write()",
                op="write",
                network=self.network,
                local=self.local_addr,
                remote=address,
                errno=errno.EISCONN,
            )
        return self._sock.sendto(data, address.sockaddr(self._version))

    def fileno(self) -> int:
        """The descriptor, -1 when closed."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close the descriptor."""
        self._sock.close()


def udp_socket(network: Network, local: PortAddr | None, remote: PortAddr | None) -> socket.socket:
    """A UDP socket bound to ``local`` and connected to ``remote``, each where given.

    Unbound and without a version it takes IPv4 and IPv6 where there is IPv6.
    """
    ip = (remote or local).ip if remote or local else None  # type: ignore[union-attr]
    if ip is None and not network.version:
        return _dual_stack(local)
    version = network.version or version_of(ip)
    sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        _prepare(sock, v6only=True)
        if local is not None:
            sock.bind(local.sockaddr(version))
        if remote is not None:
            sock.connect(remote.sockaddr(version))
    except BaseException:
        sock.close()
        raise
    return sock


def _dual_stack(local: PortAddr | None) -> socket.socket:
    address = UDPAddr(None, local.port if local is not None else 0)
    try:
        sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    except OSError:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    version = 6 if sock.family == socket.AF_INET6 else 4
    try:
        _prepare(sock, v6only=False)
        sock.bind(address.sockaddr(version))
    except BaseException:
        sock.close()
        raise
    return sock


def _prepare(sock: socket.socket, *, v6only: bool) -> None:
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
    # As in Go: the kernel would refuse broadcast addresses as if a privilege were missing.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)

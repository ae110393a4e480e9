"""UDPConn: datagrams over kernel UDP, as in Go."""

from __future__ import annotations

import errno
import socket
from typing import TYPE_CHECKING, TypeVar

from rawproto.addr.endpoints import UDPAddr
from rawproto.errors import OpError
from rawproto.net.closing import Closable
from rawproto.net.failures import closed, deadline_exceeded, raise_op_error
from rawproto.net.networks import Network, folded, version_of
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.side import FdSide, Side, deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.addr.endpoints import PortAddr

__all__ = ["UDPConn", "udp_socket"]

MAX_DATAGRAM = 65535

T = TypeVar("T")


class UDPConn(Closable):
    """A UDP socket, connected (:func:`rawproto.dial_udp`) or not (:func:`rawproto.listen_udp`).

    One thread may receive while another sends.
    """

    def __init__(self, sock: socket.socket, network: str, remote: PortAddr | None = None) -> None:
        sock.setblocking(False)
        self._reader = FdSide(sock.fileno(), POLLIN)
        self._writer = FdSide(sock.fileno(), POLLOUT)
        super().__init__(self._reader, self._writer)
        self.network = network
        self.local_addr = folded(UDPAddr.from_sockaddr(sock.getsockname()))
        self.remote_addr = remote
        self._sock = sock
        self._version = 4 if sock.family == socket.AF_INET else 6

    def read(self, n: int = MAX_DATAGRAM) -> bytes:
        """The next datagram, cut to ``n`` bytes. May be empty: UDP has no end of the stream."""
        return self.read_from(n)[0]

    def read_from(self, n: int = MAX_DATAGRAM) -> tuple[bytes, UDPAddr]:
        """The next datagram, cut to ``n`` bytes, and where it came from.

        Raises:
            DeadlineExceeded: the read deadline passed.
            ClosedError: this side is closed, perhaps during the call.
            ConnectionRefused: connected, and the peer answered that nothing listens there (ICMP).
        """
        size = MAX_DATAGRAM if n < 0 else n
        data, address = self._run(self._reader, "read", lambda: self._sock.recvfrom(size))
        return data, folded(UDPAddr.from_sockaddr(address))

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send one datagram to the connected peer; returns its length. Errors as of :meth:`read_from`."""
        return self._run(self._writer, "write", lambda: self._sock.send(data))

    def write_to(self, data: bytes | bytearray | memoryview, address: UDPAddr) -> int:
        """Send one datagram to ``address``; returns its length.

        Raises:
            OpError: the socket is connected, or the datagram is too large.
        """
        if self.remote_addr is not None:
            reason = "the socket is connected: use write()"
            raise OpError(
                reason,
                op="write",
                network=self.network,
                local=self.local_addr,
                remote=address,
                errno=errno.EISCONN,
            )
        target = address.sockaddr(self._version)
        return self._run(self._writer, "write", lambda: self._sock.sendto(data, target))

    def set_deadline(self, seconds: float | None) -> None:
        """Set both deadlines, ``seconds`` from now, or None. Also of calls that wait now."""
        self.set_read_deadline(seconds)
        self.set_write_deadline(seconds)

    def set_read_deadline(self, seconds: float | None) -> None:
        """Set the deadline of reads, ``seconds`` from now, or None."""
        self._reader.set_deadline(deadline_after(seconds))

    def set_write_deadline(self, seconds: float | None) -> None:
        """Set the deadline of writes, ``seconds`` from now, or None."""
        self._writer.set_deadline(deadline_after(seconds))

    def fileno(self) -> int:
        """The socket's descriptor, -1 when closed."""
        return self._sock.fileno()

    def __repr__(self) -> str:
        state = "closed " if self._closed else ""
        return f"<{state}UDPConn {self.network} {self.local_addr}->{self.remote_addr}>"

    def _run(self, side: Side, op: str, attempt: Callable[[], T]) -> T:
        """The result of ``attempt``, waiting for ``side`` as long as it would block."""
        if not side.enter():
            raise deadline_exceeded(op, self.network, self.local_addr, self.remote_addr)
        try:
            while True:
                if self._closed:
                    raise closed(op, self.network, "the connection", self.local_addr, self.remote_addr)
                if side.expired:
                    raise deadline_exceeded(op, self.network, self.local_addr, self.remote_addr)
                try:
                    return attempt()
                except BlockingIOError:
                    side.wait()
        except OSError as error:
            raise_op_error(error, op, self.network, self.local_addr, self.remote_addr)
        finally:
            self._leave(side)

    def _close_below(self) -> None:
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
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
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
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind(address.sockaddr(version))
    except BaseException:
        sock.close()
        raise
    return sock

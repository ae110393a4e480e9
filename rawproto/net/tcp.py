"""Kernel TCP as a transport: the same interface as RSP, to compare with and to reach the rest of the world."""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
from typing import TYPE_CHECKING, Any

from rawproto.addr.endpoints import TCPAddr
from rawproto.net.candidates import folded, version_of
from rawproto.net.stats import ConnStats
from rawproto.net.stream import Acceptor, Stream

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.networks import Network

__all__ = ["TCPAcceptor", "TCPStream", "connecting", "listening_socket"]

KEEPALIVE_IDLE = 15
"""Seconds of silence before the first keepalive, between keepalives; Go's figures (net.KeepAliveConfig)."""
KEEPALIVE_COUNT = 9
"""Keepalives without an answer before the connection is given up."""

# struct tcp_info of linux/tcp.h: 8 bytes of flags, 24 words, and the counters behind them that every kernel since
# 4.6 has. Names are those of the header.
_TCP_INFO = struct.Struct("=8x24I4Q6I")
_LOST, _RTT, _CWND, _SND_MSS, _TOTAL_RETRANS = 6, 15, 18, 2, 23
_SEGS_OUT, _SEGS_IN, _MIN_RTT = 28, 29, 31


class TCPStream(Stream):
    """A connected, non-blocking socket."""

    def __init__(self, sock: socket.socket, network: str, remote: PortAddr) -> None:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_IDLE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEPALIVE_COUNT)
        self.network = network
        self.local_addr = folded(TCPAddr.from_sockaddr(sock.getsockname()))
        self.remote_addr = remote
        self._sock = sock
        self._sent = 0
        self._received = 0
        self._last_stats: ConnStats | None = None

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def try_read(self, n: int) -> bytes | None:
        """See :meth:`Stream.try_read`."""
        try:
            data = self._sock.recv(n)
        except BlockingIOError:
            return None
        self._received += len(data)
        return data

    def try_readinto(self, view: memoryview) -> int | None:
        """See :meth:`Stream.try_readinto`."""
        try:
            count = self._sock.recv_into(view)
        except BlockingIOError:
            return None
        self._received += count
        return count

    def try_write(self, data: bytes | memoryview) -> int:
        """See :meth:`Stream.try_write`."""
        try:
            count = self._sock.send(data)
        except BlockingIOError:
            return 0
        self._sent += count
        return count

    def close_write(self) -> None:
        """Send a FIN."""
        self._sock.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        """Close the socket: the kernel delivers what was written, or resets if there is unread data."""
        self._keep_stats()
        self._sock.close()

    def abort(self) -> None:
        """Close the socket with a reset (SO_LINGER with time 0, RFC 9293 section 3.10.5)."""
        self._keep_stats()
        with contextlib.suppress(OSError):
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._sock.close()

    def _keep_stats(self) -> None:
        with contextlib.suppress(OSError):
            self._last_stats = self.stats()

    def stats(self) -> ConnStats:
        """The kernel's counters (TCP_INFO), those of the moment of closing once it is closed."""
        if self._sock.fileno() < 0:
            return self._last_stats or ConnStats(bytes_written=self._sent, bytes_read=self._received)
        info = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        fields = _TCP_INFO.unpack(info.ljust(_TCP_INFO.size, b"\0"))
        mss = fields[_SND_MSS]
        return ConnStats(
            bytes_written=self._sent,
            bytes_read=self._received,
            packets_sent=fields[_SEGS_OUT],
            packets_received=fields[_SEGS_IN],
            packets_lost=fields[_LOST],
            packets_retransmitted=fields[_TOTAL_RETRANS],
            rtt_smoothed=fields[_RTT] / 1e6,
            rtt_minimum=fields[_MIN_RTT] / 1e6,
            congestion_window=fields[_CWND] * mss,
            congestion=self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            .rstrip(b"\0")
            .decode(),
        )


class TCPAcceptor(Acceptor):
    """A listening, non-blocking socket; peers that ``permits`` refuses are reset before anybody hears of them."""

    def __init__(self, sock: socket.socket, network: str, permits: Callable[[TCPAddr], bool] | None) -> None:
        sock.setblocking(False)
        self.network = network
        self.addr = TCPAddr.from_sockaddr(sock.getsockname())
        self._sock = sock
        self._permits = permits

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._sock.fileno()

    def try_accept(self) -> TCPStream | None:
        """See :meth:`Acceptor.try_accept`."""
        while True:
            try:
                sock, address = self._sock.accept()
            except BlockingIOError:
                return None
            except ConnectionAbortedError:
                continue  # it came and went while it waited to be accepted
            remote = folded(TCPAddr.from_sockaddr(address))
            if self._permits is not None and not self._permits(remote):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                sock.close()
                continue
            try:
                return TCPStream(sock, self.network, remote)
            except OSError:
                sock.close()  # reset by the peer before it could be looked at

    def close(self) -> None:
        """See :meth:`Acceptor.close`."""
        self._sock.close()


@contextlib.contextmanager
def connecting(local: PortAddr | None, remote: PortAddr) -> Iterator[tuple[socket.socket, Any]]:
    """A TCP socket, bound to ``local`` where that is given, and the address to connect it to; closed on failure."""
    version = version_of(remote.ip)
    sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        if local is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(local.sockaddr(version))
        yield sock, remote.sockaddr(version)
    except BaseException:
        sock.close()
        raise


def listening_socket(network: Network, local: PortAddr, backlog: int) -> socket.socket:
    """A listening socket. Without an address and a version it takes IPv4 and IPv6, where there is IPv6."""
    if local.ip is not None:
        return _listen(version_of(local.ip), local, backlog, v6only=True)
    if network.version:
        return _listen(network.version, local, backlog, v6only=True)
    try:
        return _listen(6, local, backlog, v6only=False)
    except OSError as error:
        if error.errno not in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
            raise
        return _listen(4, local, backlog, v6only=True)


def _listen(version: int, local: PortAddr, backlog: int, *, v6only: bool) -> socket.socket:
    sock = socket.socket(socket.AF_INET if version == 4 else socket.AF_INET6, socket.SOCK_STREAM)
    try:
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, v6only)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(local.sockaddr(version))
        sock.listen(backlog)
    except BaseException:
        sock.close()
        raise
    return sock

"""UDPConn: datagrams over kernel UDP, as in Go."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rawproto.net.closing import Closable
from rawproto.net.failures import closed, deadline_exceeded, raise_op_error
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.side import FdSide, Side, deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.addr.endpoints import PortAddr, UDPAddr
    from rawproto.net.udp_socket import UDPSocket

__all__ = ["UDPConn"]

T = TypeVar("T")


class UDPConn(Closable):
    """A UDP socket, connected (:func:`rawproto.dial_udp`) or not (:func:`rawproto.listen_udp`).

    One thread may receive while another sends.
    """

    def __init__(self, sock: UDPSocket) -> None:
        self._reader = FdSide(sock.fileno(), POLLIN)
        self._writer = FdSide(sock.fileno(), POLLOUT)
        super().__init__(self._reader, self._writer)
        self._sock = sock

    @property
    def network(self) -> str:
        """The network's name, as given."""
        return self._sock.network

    @property
    def local_addr(self) -> UDPAddr:
        """Own endpoint."""
        return self._sock.local_addr

    @property
    def remote_addr(self) -> PortAddr | None:
        """The peer of a connected socket, else None."""
        return self._sock.remote_addr

    def read(self, n: int = -1) -> bytes:
        """The next datagram, cut to ``n`` bytes unless negative. May be empty: UDP has no end of the stream."""
        return self.read_from(n)[0]

    def read_from(self, n: int = -1) -> tuple[bytes, UDPAddr]:
        """The next datagram, cut to ``n`` bytes unless negative, and where it came from.

        Raises:
            DeadlineExceeded: the read deadline passed.
            ClosedError: this side is closed, perhaps during the call.
            ConnectionRefused: connected, and the peer answered that nothing listens there (ICMP).
        """
        return self._run(self._reader, "read", lambda: self._sock.receive(n))

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send one datagram to the connected peer; returns its length. Errors as of :meth:`read_from`."""
        return self._run(self._writer, "write", lambda: self._sock.send(data))

    def write_to(self, data: bytes | bytearray | memoryview, address: UDPAddr) -> int:
        """Send one datagram to ``address``; returns its length.

        Raises:
            OpError: the socket is connected, or the datagram is too large.
        """
        return self._run(self._writer, "write", lambda: self._sock.send_to(data, address))

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

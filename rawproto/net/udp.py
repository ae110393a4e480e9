"""UDPConn: datagrams over kernel UDP, as in Go."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rawproto.net.closing import Closable
from rawproto.net.packet_front import PacketFront
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.side import FdSide, Side

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.addr.endpoints import PortAddr, UDPAddr
    from rawproto.net.udp_socket import UDPSocket

__all__ = ["UDPConn"]

T = TypeVar("T")


class UDPConn(PacketFront[Side], Closable):
    """A UDP socket, connected (:func:`rawproto.dial_udp`) or not (:func:`rawproto.listen_udp`).

    One thread may receive while another sends.
    """

    if TYPE_CHECKING:

        @property
        def local_addr(self) -> UDPAddr:
            """Own endpoint."""

        @property
        def remote_addr(self) -> PortAddr | None:
            """The peer of a connected socket, else None."""

    def __init__(self, sock: UDPSocket) -> None:
        reader, writer = FdSide(sock.fileno(), POLLIN), FdSide(sock.fileno(), POLLOUT)
        PacketFront.__init__(self, sock, reader, writer)
        Closable.__init__(self, reader, writer)

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
        return self._run(self._reader, "read", lambda: self._below.receive(n))

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send one datagram to the connected peer; returns its length. Errors as of :meth:`read_from`."""
        return self._run(self._writer, "write", lambda: self._below.send(data))

    def write_to(self, data: bytes | bytearray | memoryview, address: UDPAddr) -> int:
        """Send one datagram to ``address``; returns its length.

        Raises:
            OpError: the socket is connected, or the datagram is too large.
        """
        return self._run(self._writer, "write", lambda: self._below.send_to(data, address))

    def _run(self, side: Side, op: str, attempt: Callable[[], T]) -> T:
        """The result of ``attempt``, waiting for ``side`` as long as it would block."""
        if not side.enter():
            raise self._late(op)
        try:
            while (result := self._try(side, op, attempt)) is None:
                side.wait()
            return result
        except OSError as error:
            self._fail(error, op)
        finally:
            self._leave(side)

    def _close_below(self) -> None:
        self._below.close()

"""AsyncPacketConn: datagrams over UDP, or above IP itself, under asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.net.aio_closing import AsyncClosable
from rawproto.net.aio_side import AsyncFdSide, AsyncSide
from rawproto.net.ip_socket import IPSocket
from rawproto.net.packet_front import PacketFront
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.udp_socket import UDPSocket

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable  # type: ignore[attr-defined,unused-ignore]

    from rawproto.link.ipconn import IPConn
    from rawproto.net.packet_socket import PacketSocket

__all__ = ["AsyncPacketConn", "packet_conn"]

T = TypeVar("T")


def packet_conn(sock: UDPSocket | IPConn) -> AsyncPacketConn:
    """The asyncio face of ``sock``."""
    return AsyncPacketConn(sock if isinstance(sock, UDPSocket) else IPSocket(sock))


class AsyncPacketConn(PacketFront[AsyncSide], AsyncClosable):
    """A UDP or IP socket of an event loop: :class:`rawproto.UDPConn` and :class:`rawproto.IPConn` with coroutines.

    One task may receive while another sends. A cancelled call has taken, or sent, nothing.
    """

    def __init__(self, sock: PacketSocket) -> None:
        super().__init__(sock, AsyncFdSide(sock.fileno(), POLLIN), AsyncFdSide(sock.fileno(), POLLOUT))

    async def read(self, n: int = -1) -> bytes:
        """As :meth:`rawproto.UDPConn.read`."""
        return (await self.read_from(n))[0]

    async def read_from(self, n: int = -1) -> tuple[bytes, Any]:
        """As :meth:`rawproto.UDPConn.read_from`."""
        return await self._run(self._reader, "read", lambda: self._below.receive(n))

    async def write(self, data: Buffer) -> int:
        """As :meth:`rawproto.UDPConn.write`."""
        return await self._run(self._writer, "write", lambda: self._below.send(data))

    async def write_to(self, data: Buffer, address: Any) -> int:
        """As :meth:`rawproto.UDPConn.write_to`."""
        return await self._run(self._writer, "write", lambda: self._below.send_to(data, address))

    async def close(self) -> None:
        """Close; waiting calls end with ClosedError. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        for side in (self._reader, self._writer):
            side.release()
            side.wake()
        self._below.close()

    async def _run(self, side: AsyncSide, op: str, attempt: Callable[[], T]) -> T:
        """The result of ``attempt``, waiting for ``side`` as long as it would block."""
        try:
            while (result := self._try(side, op, attempt)) is None:
                await side.wait()
            return result
        except OSError as error:
            self._fail(error, op)

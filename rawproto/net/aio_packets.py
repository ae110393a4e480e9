"""AsyncPacketConn: datagrams over UDP, or above IP itself, under asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from rawproto.net.aio_side import AsyncFdSide, AsyncSide
from rawproto.net.failures import closed, deadline_exceeded, raise_op_error
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable  # type: ignore[attr-defined,unused-ignore]
    from types import TracebackType
    from typing import Self

    from rawproto.link.ipconn import IPConn

__all__ = ["AsyncPacketConn", "IPSocket"]

T = TypeVar("T")


class PacketSocket(Protocol):
    """What is waited for: calls raise BlockingIOError instead of waiting."""

    @property
    def network(self) -> str: ...
    @property
    def local_addr(self) -> Any: ...
    @property
    def remote_addr(self) -> Any: ...
    def receive(self, n: int) -> tuple[bytes, Any]: ...
    def send(self, data: Any) -> int: ...
    def send_to(self, data: Any, address: Any) -> int: ...
    def fileno(self) -> int: ...
    def close(self) -> None: ...


class IPSocket:
    """An :class:`IPConn` for those who wait themselves."""

    def __init__(self, conn: IPConn) -> None:
        self._conn = conn
        self.network = conn.network
        self.local_addr = conn.local_addr
        self.remote_addr = conn.remote_addr
        self.fileno = conn.fileno
        self.close = conn.close

    def receive(self, n: int) -> tuple[bytes, Any]:
        """The payload of the next datagram, cut to ``n`` bytes unless negative, and its source."""
        arrived = self._conn.raw.receive_nowait()
        if arrived is None:
            raise BlockingIOError
        return arrived.payload if n < 0 else arrived.payload[:n], arrived.source

    def send(self, data: Buffer) -> int:
        """Send to the dialled peer."""
        return self._send(data, None)

    def send_to(self, data: Buffer, address: Any) -> int:
        """Send to ``address``; OpError (EISCONN) where a peer was dialled."""
        self._conn.check_write_to(address)
        return self._send(data, address)

    def _send(self, data: Buffer, to: Any) -> int:
        payload = bytes(data)
        if not self._conn.raw.try_send(payload, to):
            raise BlockingIOError
        return len(payload)


class AsyncPacketConn:
    """A UDP or IP socket of an event loop: :class:`rawproto.UDPConn` and :class:`rawproto.IPConn` with coroutines.

    One task may receive while another sends. A cancelled call has taken, or sent, nothing.
    """

    def __init__(self, sock: PacketSocket) -> None:
        self._sock = sock
        self._reader = AsyncFdSide(sock.fileno(), POLLIN)
        self._writer = AsyncFdSide(sock.fileno(), POLLOUT)
        self._closed = False

    @property
    def network(self) -> str:
        """The network's name, as given."""
        return self._sock.network

    @property
    def local_addr(self) -> Any:
        """Own endpoint."""
        return self._sock.local_addr

    @property
    def remote_addr(self) -> Any:
        """The peer of a connected socket, else None."""
        return self._sock.remote_addr

    async def read(self, n: int = -1) -> bytes:
        """As :meth:`rawproto.UDPConn.read`."""
        return (await self.read_from(n))[0]

    async def read_from(self, n: int = -1) -> tuple[bytes, Any]:
        """As :meth:`rawproto.UDPConn.read_from`."""
        return await self._run(self._reader, "read", lambda: self._sock.receive(n))

    async def write(self, data: Buffer) -> int:
        """As :meth:`rawproto.UDPConn.write`."""
        return await self._run(self._writer, "write", lambda: self._sock.send(data))

    async def write_to(self, data: Buffer, address: Any) -> int:
        """As :meth:`rawproto.UDPConn.write_to`."""
        return await self._run(self._writer, "write", lambda: self._sock.send_to(data, address))

    def set_deadline(self, seconds: float | None) -> None:
        """As :meth:`rawproto.UDPConn.set_deadline`."""
        self.set_read_deadline(seconds)
        self.set_write_deadline(seconds)

    def set_read_deadline(self, seconds: float | None) -> None:
        """As :meth:`rawproto.UDPConn.set_read_deadline`."""
        self._reader.set_deadline(deadline_after(seconds))

    def set_write_deadline(self, seconds: float | None) -> None:
        """As :meth:`rawproto.UDPConn.set_write_deadline`."""
        self._writer.set_deadline(deadline_after(seconds))

    def fileno(self) -> int:
        """The socket's descriptor, -1 when closed."""
        return self._sock.fileno()

    @property
    def closed(self) -> bool:
        """Whether this side was closed."""
        return self._closed

    async def close(self) -> None:
        """Close; waiting calls end with ClosedError. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        for side in (self._reader, self._writer):
            side.release()
            side.wake()
        self._sock.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        state = "closed " if self._closed else ""
        return f"<{state}AsyncPacketConn {self.network} {self.local_addr}->{self.remote_addr}>"

    async def _run(self, side: AsyncSide, op: str, attempt: Callable[[], T]) -> T:
        """The result of ``attempt``, waiting for ``side`` as long as it would block."""
        try:
            while True:
                if self._closed:
                    raise closed(op, self.network, "the connection", self.local_addr, self.remote_addr)
                if side.expired:
                    raise deadline_exceeded(op, self.network, self.local_addr, self.remote_addr)
                try:
                    return attempt()
                except BlockingIOError:
                    await side.wait()
        except OSError as error:
            raise_op_error(error, op, self.network, self.local_addr, self.remote_addr)

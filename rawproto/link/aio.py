"""Raw sockets under asyncio: the same socket, waited for by the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError
from rawproto.link.rawsocket import RawSocket

if TYPE_CHECKING:
    from collections.abc import Buffer, Callable  # type: ignore[attr-defined,unused-ignore]
    from types import TracebackType
    from typing import Self

    from rawproto.addr import IPAddr
    from rawproto.link.received import Received

__all__ = ["AsyncRawSocket"]


class AsyncRawSocket:
    """A :class:`RawSocket` whose ``send`` and ``receive`` are coroutines.

    Cancelling either (``asyncio.timeout``) loses nothing: a datagram is taken from the kernel only when it is
    returned. One task may send while another receives.

    Args:
        protocol: IP protocol number, or an open RawSocket, which this object then owns.
        options: arguments of RawSocket.
    """

    def __init__(self, protocol: int | RawSocket, **options: Any) -> None:
        self.raw = protocol if isinstance(protocol, RawSocket) else RawSocket(protocol, **options)
        self._waiting: set[asyncio.Future[None]] = set()

    async def receive(self) -> Received:
        """The next datagram; raises as :meth:`RawSocket.receive`, but has no deadline."""
        while True:
            arrived = self.raw.receive_nowait()
            if arrived is not None:
                return arrived
            loop = asyncio.get_running_loop()
            await self._wait(loop.add_reader, loop.remove_reader)

    async def send(
        self, payload: Buffer, to: IPAddr | None = None, *, ttl: int | None = None, tos: int | None = None
    ) -> None:
        """Send one datagram; waits while the kernel's queue is full. Raises as :meth:`RawSocket.send`."""
        while not self.raw.try_send(payload, to, ttl=ttl, tos=tos):
            loop = asyncio.get_running_loop()
            await self._wait(loop.add_writer, loop.remove_writer)

    async def _wait(self, add: Callable[..., object], remove: Callable[[int], object]) -> None:
        """Until the descriptor is ready or the socket is closed."""
        descriptor = self.raw.fileno()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        add(descriptor, _finish, future)
        self._waiting.add(future)
        try:
            await future
        finally:
            self._waiting.discard(future)
            # After close() the number may be another file's already; closing took it from the loop.
            if self.raw.fileno() >= 0:
                remove(descriptor)

    def close(self) -> None:
        """Close; whoever waits gets ClosedError. Calling it again does nothing. To be called in the loop's thread."""
        descriptor = self.raw.fileno()
        if descriptor < 0:
            return
        for future in self._waiting:
            loop = future.get_loop()
            loop.remove_reader(descriptor)
            loop.remove_writer(descriptor)
            if not future.done():
                future.set_exception(ClosedError("use of a closed socket", network=self.raw.network))
        self.raw.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _finish(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)

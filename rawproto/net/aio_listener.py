"""AsyncListener: the asyncio face of every transport that takes connections in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import ClosedError
from rawproto.net.aio_closing import AsyncClosable
from rawproto.net.aio_conn import AsyncConn
from rawproto.net.aio_side import AsyncSide
from rawproto.net.failures import raise_op_error
from rawproto.net.listener_front import ListenerFront

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["AsyncListener"]


class AsyncListener(ListenerFront[AsyncConn, AsyncSide], AsyncClosable):
    """Takes connections in: :class:`rawproto.Listener` with coroutine methods."""

    async def accept(self) -> AsyncConn:
        """As :meth:`rawproto.Listener.accept`."""
        try:
            while (conn := self._try_accept()) is None:
                await self._side.wait()
            return conn
        except OSError as error:
            raise_op_error(error, "accept", self.network, self.addr)

    async def close(self) -> None:
        """As :meth:`rawproto.Listener.close`."""
        self.shut()

    def shut(self) -> None:
        """Close, where nothing can be awaited."""
        if not self._closed:
            self._closed = True
            self._side.wake()
            self._side.release()
            self._acceptor.close()

    async def __aiter__(self) -> AsyncIterator[AsyncConn]:
        while True:
            try:
                conn = await self.accept()
            except ClosedError:
                return
            yield conn

"""open_connection and start_server: connections for code written for asyncio's streams."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

from rawproto.net.aio_dialing import dial, listen
from rawproto.net.aio_transport import ConnTransport
from rawproto.net.log import logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from types import TracebackType
    from typing import Self, Unpack

    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.aio_conn import AsyncConn
    from rawproto.net.aio_listener import AsyncListener
    from rawproto.net.options import DialOptions, ListenOptions

__all__ = ["StreamServer", "open_connection", "start_server"]

LIMIT = 64 * 1024
"""Default of asyncio: a StreamReader holds up to twice this many bytes."""


async def open_connection(
    network: str, address: str | PortAddr, *, limit: int = LIMIT, **options: Unpack[DialOptions]
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Dial and return (reader, writer), as :func:`asyncio.open_connection`; ``options`` are those of ``dial``."""
    reader = asyncio.StreamReader(limit=limit)
    protocol = asyncio.StreamReaderProtocol(reader)
    conn = await dial(network, address, **options)
    transport = ConnTransport(conn, protocol)
    protocol.connection_made(transport)
    return reader, asyncio.StreamWriter(transport, protocol, reader, asyncio.get_running_loop())


class StreamServer:
    """A server that runs; made by :func:`start_server`. Closing it leaves the connections it took in alone."""

    def __init__(self, listener: AsyncListener, take: Callable[[AsyncConn], None]) -> None:
        self._listener = listener
        self._task = asyncio.get_running_loop().create_task(self._serve(take))

    @property
    def addr(self) -> Any:
        """The address listened on."""
        return self._listener.addr

    def is_serving(self) -> bool:
        """Whether it takes connections."""
        return not self._task.done()

    async def _serve(self, take: Callable[[AsyncConn], None]) -> None:
        async for conn in self._listener:
            take(conn)

    def close(self) -> None:
        """Take no more connections."""
        self._task.cancel()
        self._listener.shut()

    async def wait_closed(self) -> None:
        """Wait until it takes no more connections."""
        with contextlib.suppress(asyncio.CancelledError):
            await self._task

    async def serve_forever(self) -> None:
        """Serve until the task is cancelled or the server is closed."""
        try:
            await asyncio.shield(self._task)
        finally:
            self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        await self.wait_closed()


async def start_server(
    client_connected: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None],
    network: str,
    address: str | PortAddr,
    *,
    limit: int = LIMIT,
    **options: Unpack[ListenOptions],
) -> StreamServer:
    """Listen and call ``client_connected(reader, writer)`` for each connection, as :func:`asyncio.start_server`.

    ``options`` are those of ``listen``. An exception in a coroutine of it is logged.
    """
    listener = await listen(network, address, **options)
    loop = asyncio.get_running_loop()

    handlers: set[asyncio.Task[None]] = set()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        result = client_connected(reader, writer)
        if result is not None:
            task = loop.create_task(_watched(result))
            handlers.add(task)
            task.add_done_callback(handlers.discard)

    def take(conn: AsyncConn) -> None:
        reader = asyncio.StreamReader(limit=limit)
        protocol = asyncio.StreamReaderProtocol(reader, connected, loop=loop)
        protocol.connection_made(ConnTransport(conn, protocol))

    return StreamServer(listener, take)


async def _watched(result: Awaitable[None]) -> None:
    try:
        await result
    except Exception:
        logger.exception("the handler of a connection failed")

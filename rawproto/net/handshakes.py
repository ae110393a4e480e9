"""TLS handshakes of accepted connections: in the background, so many at once and not more.

``accept`` must not wait for a slow client, and a client that waits in its own handshake must not depend on when the
server first reads. Beyond the limit a handshake waits for the first read or write of its connection: were it to wait
for a place, those that stall could keep all others out for as long as they like.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from rawproto.net.log import logger
from rawproto.net.tls import server_stream

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rawproto.net.aio_conn import AsyncConn
    from rawproto.net.conn import Conn
    from rawproto.net.stream import Stream

__all__ = ["LIMIT", "async_securing", "securing"]

LIMIT = 64
"""Handshakes of one listener at once."""


def securing(plain: Callable[[Stream], Conn], context: ssl.SSLContext) -> Callable[[Stream], Conn]:
    """``plain`` with TLS put on the connections that it makes."""
    free = threading.BoundedSemaphore(LIMIT)

    def run(conn: Conn) -> None:
        try:
            conn.handshake()
        except OSError as error:
            # The connection's own user hears of it; this is for the operator.
            logger.info("TLS handshake failed: %s", error)
        finally:
            free.release()

    def wrap(stream: Stream) -> Conn:
        conn = plain(stream).over(lambda below: server_stream(below, context))
        if free.acquire(blocking=False):
            thread = threading.Thread(target=run, args=(conn,), name="rawproto TLS handshake", daemon=True)
            try:
                thread.start()
            except (RuntimeError, MemoryError) as error:
                # The process has no thread to spare: as beyond the limit.
                free.release()
                logger.warning("TLS handshake left to the first read or write: %s", error)
        return conn

    return wrap


def async_securing(
    plain: Callable[[Stream], AsyncConn], context: ssl.SSLContext
) -> Callable[[Stream], AsyncConn]:
    """As :func:`securing`, in the running event loop."""
    tasks: set[asyncio.Task[None]] = set()

    async def run(conn: AsyncConn) -> None:
        try:
            await conn.handshake()
        except OSError as error:
            logger.info("TLS handshake failed: %s", error)

    def wrap(stream: Stream) -> AsyncConn:
        conn = plain(stream).over(lambda below: server_stream(below, context))
        if len(tasks) < LIMIT:
            task = asyncio.get_running_loop().create_task(run(conn))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        return conn

    return wrap

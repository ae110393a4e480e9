"""A connection as an asyncio transport, for what asyncio builds on transports."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError
from rawproto.net.stream import READ_SIZE

if TYPE_CHECKING:
    from rawproto.net.aio_conn import AsyncConn

__all__ = ["ConnTransport"]

HIGH_WATER = 64 * 1024
"""Bytes waiting to be written from which ``drain`` waits."""


class ConnTransport(asyncio.Transport):
    """An asyncio transport over a connection; two tasks move the bytes."""

    def __init__(self, conn: AsyncConn, protocol: asyncio.StreamReaderProtocol) -> None:
        super().__init__()
        self._conn = conn
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._waiting = 0
        self.set_write_buffer_limits()
        self._paused = False
        self._ending = self._closing = False
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._to_write = asyncio.Event()
        self._reader = self._loop.create_task(self._read())
        self._writer = self._loop.create_task(self._write())

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """As of any transport: "peername", "sockname" (our addresses), "ssl_object"; and "conn"."""
        known = {
            "peername": self._conn.remote_addr,
            "sockname": self._conn.local_addr,
            "ssl_object": self._conn.tls,
            "conn": self._conn,
        }
        return known.get(name) or default

    # ---- reading

    def is_reading(self) -> bool:
        """Whether data is being received."""
        return self._may_read.is_set() and not self._closing

    def pause_reading(self) -> None:
        """Take no more data for now."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Take data again."""
        self._may_read.set()

    async def _read(self) -> None:
        try:
            while data := await self._conn.read(READ_SIZE):
                self._protocol.data_received(data)
                await self._may_read.wait()
        except ClosedError:
            return  # by this side: the writing task sees to the rest
        except OSError as error:
            self._lost(error)
            return
        if not self._protocol.eof_received():
            self.close()

    # ---- writing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Queue ``data``; a writer that cares for memory awaits ``drain``.

        Nothing is said of data for a connection that is closed or lost: ``drain`` tells. (As of any transport.)
        """
        if self._ending:
            raise RuntimeError("cannot write after write_eof()")
        if data and not self._closing:
            self._pieces.append(bytes(data))
            self._waiting += len(data)
            if self._waiting > self._high and not self._paused:
                self._paused = True
                self._protocol.pause_writing()
            self._to_write.set()

    def get_write_buffer_size(self) -> int:
        """Bytes queued."""
        return self._waiting

    def get_write_buffer_limits(self) -> tuple[int, int]:
        """(low, high) water marks."""
        return self._low, self._high

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """Set the water marks, as of any transport: ``high`` is four times ``low`` where it is not given.

        Raises:
            ValueError: not ``high >= low >= 0``.
        """
        if high is None:
            high = HIGH_WATER if low is None else 4 * low
        low = high // 4 if low is None else low
        if not high >= low >= 0:
            raise ValueError(f"high ({high}) is to be at least low ({low}), and that at least 0")
        self._high, self._low = high, low

    def can_write_eof(self) -> bool:
        """Always."""
        return True

    def write_eof(self) -> None:
        """Half close behind what is queued."""
        self._ending = True
        self._to_write.set()

    async def _write(self) -> None:
        try:
            while True:
                await self._to_write.wait()
                self._to_write.clear()
                while self._pieces:
                    data, self._pieces = b"".join(self._pieces), []
                    await self._conn.write(data)
                    self._waiting -= len(data)
                    if self._paused and self._waiting <= self._low:
                        self._paused = False
                        self._protocol.resume_writing()
                if self._closing:
                    break
                if self._ending:
                    await self._conn.close_write()
            await self._conn.close()
        except OSError as error:
            self._lost(error)
        else:
            self._lost(None)

    # ---- the end

    def is_closing(self) -> bool:
        """Whether it is closed or about to be."""
        return self._closing

    def close(self) -> None:
        """Close behind what is queued."""
        self._closing = True
        self._to_write.set()

    def abort(self) -> None:
        """Close at once."""
        self._lost(None)

    def _lost(self, error: OSError | None) -> None:
        """The connection is over: tell the protocol, once."""
        self._closing = True
        protocol, self._protocol = self._protocol, _Deaf()
        self._conn.abort()
        for task in (self._reader, self._writer):
            if task is not asyncio.current_task():
                task.cancel()
        self._loop.call_soon(protocol.connection_lost, error)


class _Deaf(asyncio.StreamReaderProtocol):
    """What a transport talks to when its protocol has been told that the connection is lost."""

    def __init__(self) -> None:
        super().__init__(asyncio.StreamReader())

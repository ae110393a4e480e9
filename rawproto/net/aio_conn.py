"""AsyncConn: the asyncio face of every transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import UnexpectedEOF
from rawproto.net.aio_closing import AsyncClosable
from rawproto.net.aio_side import AsyncSide
from rawproto.net.side import deadline_after
from rawproto.net.stream_front import TLS_CLOSE_TIMEOUT, StreamFront

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rawproto.net.stream import Stream

__all__ = ["AsyncConn"]


DELIVERY_TIMEOUT = 1.0
"""Seconds that closing waits for what was written to arrive."""


class AsyncConn(StreamFront[AsyncSide], AsyncClosable):
    """A connection of an event loop: :class:`rawproto.Conn` with coroutine methods.

    One task may read while another writes. A cancelled read has taken no bytes; a cancelled write may have sent
    some of them.
    """

    def __init__(
        self, stream: Stream, reader: AsyncSide, writer: AsyncSide, delivery: AsyncSide | None = None
    ) -> None:
        super().__init__(stream, reader, writer)
        self._delivery = delivery
        self._finished = False

    async def read(self, n: int = -1) -> bytes:
        """As :meth:`rawproto.Conn.read`."""
        try:
            await self._enter(self._reader, "read")
            if not n:
                return b""
            while (data := self._try_read(n)) is None:
                await self._wait(self._reader, "read")
            return data
        except OSError as error:
            self._fail(error, "read")

    async def readinto(self, buffer: bytearray | memoryview) -> int:
        """As :meth:`rawproto.Conn.readinto`."""
        try:
            await self._enter(self._reader, "read")
            view = memoryview(buffer).cast("B")
            if not view:
                return 0
            while (count := self._try_readinto(view)) is None:
                await self._wait(self._reader, "read")
            return count
        except OSError as error:
            self._fail(error, "read")

    async def read_exactly(self, n: int) -> bytes:
        """As :meth:`rawproto.Conn.read_exactly`; cancelled, it puts back what it had."""
        data = bytearray(n)
        view = memoryview(data)
        done = 0
        try:
            await self._enter(self._reader, "read")
            while done < n:
                while (count := self._try_readinto(view[done:])) is None:
                    await self._wait(self._reader, "read")
                if not count:
                    raise UnexpectedEOF(f"the stream ended after {done} of {n} bytes")
                done += count
            return bytes(data)
        except OSError as error:
            self._fell_short(error, view[:done])
        except BaseException:
            self._put_back(view[:done])
            raise

    async def write(self, data: bytes | bytearray | memoryview) -> int:
        """As :meth:`rawproto.Conn.write`."""
        side = self._writer
        done = 0
        try:
            await self._enter(side, "write")
            rest = data if isinstance(data, bytes) else memoryview(data).cast("B")
            size = len(rest)
            while done < size:
                count = self._below.try_write(rest)
                done += count
                if done < size:
                    rest = memoryview(rest)[count:]
                    await self._wait(side, "write", done)
            while not self._below.flush():
                await self._wait(side, "write", done)
            return size
        except OSError as error:
            self._fail(error, "write")

    async def handshake(self) -> None:
        """As :meth:`rawproto.Conn.handshake`."""
        await self._enter(self._reader, "handshake")

    async def close_write(self) -> None:
        """As :meth:`rawproto.Conn.close_write`."""
        try:
            await self._enter(self._writer, "close_write")
            self._write_closed = True
            self._below.close_write()
            while not self._below.flush():
                await self._wait(self._writer, "close_write")
        except OSError as error:
            self._fail(error, "close_write")

    async def close(self) -> None:
        """As :meth:`rawproto.Conn.close`, but it waits a second at most for what was written to be delivered.

        The loop delivers the rest, as long as it runs; a loop that ends at once would leave it undelivered.
        """
        first = self._begin_close()
        if first and self._below.tls is not None and self._secured and not self._below.unread():
            await self._end_tls()
        self._finish()
        if first and self._delivery is not None:
            self._delivery.set_deadline(deadline_after(DELIVERY_TIMEOUT))
            while not self._below.delivered() and not self._delivery.expired:
                await self._delivery.wait()

    def abort(self) -> None:
        """As :meth:`rawproto.Conn.abort`."""
        self._aborted = True
        self._begin_close()
        self._finish()

    def over(self, layer: Callable[[Stream], Stream]) -> Self:
        """The same connection with a layer (TLS) put under its face; this object is not to be used any more."""
        return type(self)(layer(self._below), self._reader, self._writer, self._delivery)

    def _begin_close(self) -> bool:
        first, self._closed = not self._closed, True
        self._reader.wake()
        self._writer.wake()
        return first

    def _finish(self) -> None:
        if self._finished:
            return
        self._finished = True
        self._reader.release()
        self._writer.release()
        if self._aborted or self._below.unread():
            self._below.abort()
        else:
            self._below.close()

    async def _end_tls(self) -> None:
        """Tell the peer that nothing was cut off, waiting a bounded time for room to say it."""
        self._writer.deadline = deadline_after(TLS_CLOSE_TIMEOUT)
        try:
            if not self._write_closed:
                self._below.close_write()
            while not self._finished and not self._below.flush() and not self._writer.expired:
                await self._writer.wait()
        except OSError:
            # The peer is gone: there is nobody to tell.
            pass

    async def _enter(self, side: AsyncSide, op: str) -> None:
        if self._closed:
            raise self._closed_error(op)
        if self._write_closed and side is self._writer:
            raise self._closed_error(op, "the writing direction")
        if side.deadline is not None and side.expired:
            raise self._late(op)
        if not self._secured:
            await self._secure(side, op)

    async def _wait(self, side: AsyncSide, op: str, written: int = 0) -> None:
        if side.deadline is not None and side.expired:
            raise self._late(op, written)
        await side.wait()
        if self._closed:
            raise self._closed_error(op)

    async def _secure(self, side: AsyncSide, op: str) -> None:
        """Run the TLS handshake; reader and writer may both come here, each step is taken by one of them."""
        while not self._secured:
            want = self._next_step()
            if want is None:
                self._reader.wake()  # the other one, if it waits for the next step
            elif side.expired:
                raise self._late(op)
            else:
                other = self._reader if want == "read" else self._writer
                limit = self._handshake_limit
                await other.wait(limit if side.deadline is None else min(limit, side.deadline))
                if self._closed:
                    raise self._closed_error(op)

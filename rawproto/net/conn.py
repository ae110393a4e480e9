"""Conn: the blocking face of every transport."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from rawproto.errors import UnexpectedEOF
from rawproto.net.closing import Closable
from rawproto.net.side import Side, deadline_after
from rawproto.net.stream_front import TLS_CLOSE_TIMEOUT, StreamFront

if TYPE_CHECKING:
    import io
    from collections.abc import Callable
    from typing import Self

    from rawproto.net.stream import Stream

__all__ = ["Conn"]


class Conn(StreamFront[Side], Closable):
    """A connection. One thread may read while another writes; a second reader (or writer) waits its turn.

    Made by :func:`rawproto.dial` and :meth:`Listener.accept`.
    """

    def __init__(self, stream: Stream, reader: Side, writer: Side) -> None:
        StreamFront.__init__(self, stream, reader, writer)
        Closable.__init__(self, reader, writer)
        self._handshaking = threading.Lock() if stream.tls is not None else None

    def read(self, n: int = -1) -> bytes:
        """Up to ``n`` bytes, or what there is when ``n`` is negative; b"" at the end of the stream. Blocks for one.

        Raises:
            DeadlineExceeded: the read deadline passed; no byte is lost.
            ClosedError: this side is closed, perhaps during the call.
            ConnectionReset: the peer gave the connection up.
            ConnectionAborted: the peer stopped answering.
        """
        side = self._reader
        self._enter(side, "read")
        try:
            if not n:
                return b""
            while (data := self._try_read(n)) is None:
                self._wait(side, "read")
            return data
        except OSError as error:
            self._fail(error, "read")
        finally:
            self._leave(side)

    def readinto(self, buffer: bytearray | memoryview) -> int:
        """Read into ``buffer`` (any writable buffer): at least one byte, 0 at the end. Errors as of :meth:`read`."""
        side = self._reader
        self._enter(side, "read")
        try:
            view = memoryview(buffer).cast("B")
            if not view:
                return 0
            while (count := self._try_readinto(view)) is None:
                self._wait(side, "read")
            return count
        except OSError as error:
            self._fail(error, "read")
        finally:
            self._leave(side)

    def read_exactly(self, n: int) -> bytes:
        """Exactly ``n`` bytes.

        Raises:
            UnexpectedEOF: the stream ended before; ``partial`` has what came.
            DeadlineExceeded: nothing is lost: the bytes that came are read again by the next call.
        """
        side = self._reader
        self._enter(side, "read")
        data = bytearray(n)
        view = memoryview(data)
        done = 0
        try:
            while done < n:
                while (count := self._try_readinto(view[done:])) is None:
                    self._wait(side, "read")
                if not count:
                    raise UnexpectedEOF(f"the stream ended after {done} of {n} bytes")
                done += count
            return bytes(data)
        except OSError as error:
            self._fell_short(error, view[:done])
        finally:
            self._leave(side)

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of ``data`` (any buffer); blocks while the peer, or the path, does not take it.

        Returns:
            Its length in bytes.

        Raises:
            DeadlineExceeded: the write deadline passed; ``written`` says how many bytes had been taken.
            ClosedError: this side is closed, perhaps during the call.
            ConnectionReset: the peer gave the connection up.
            ConnectionAborted: the peer stopped answering.
        """
        side = self._writer
        self._enter(side, "write")
        done = 0
        try:
            # Slices of the caller's own bytes, not copies: a transport may keep them by reference.
            rest = data if isinstance(data, bytes) else memoryview(data).cast("B")
            size = len(rest)
            while done < size:
                count = self._below.try_write(rest)
                done += count
                if done < size:
                    rest = memoryview(rest)[count:]
                    self._wait(side, "write", done)
            while not self._below.flush():
                self._wait(side, "write", done)
            return size
        except OSError as error:
            self._fail(error, "write")
        finally:
            self._leave(side)

    def handshake(self) -> None:
        """Run the TLS handshake now; without this the first read or write of an accepted connection does it.

        Raises:
            TLSError: no common protocol, or a certificate that is not accepted.
        """
        self._enter(self._reader, "handshake")
        self._leave(self._reader)

    def quiet(self) -> bool:
        """Whether the connection is open and has nothing to read: fit to be used anew. Does not block.

        Raises:
            OSError: the connection has failed.
        """
        if not self._reader.turn.acquire(blocking=False):
            return False
        try:
            if self._closed or self._write_closed or not self._secured:
                return False
            data = self._try_read(1)
            if data:
                self._put_back(memoryview(data))
            return data is None
        finally:
            self._leave(self._reader)

    def close_write(self) -> None:
        """Half close: the peer reads the end of the stream behind what was written; reading goes on.

        Raises:
            ClosedError: the connection is closed.
        """
        side = self._writer
        self._enter(side, "close_write")
        try:
            self._write_closed = True
            self._below.close_write()
            while not self._below.flush():
                self._wait(side, "close_write")
        except OSError as error:
            self._fail(error, "close_write")
        finally:
            self._leave(side)

    def close(self) -> None:
        """Close gracefully: what was written is still delivered. Blocked calls end with ClosedError.

        Unread bytes make it a reset for the peer, as in TCP. Calling it again does nothing.
        """
        super().close()

    def abort(self) -> None:
        """Close at once: the peer sees a reset, what was not delivered is dropped."""
        self._aborted = True
        self.close()

    def makefile(
        self,
        mode: str = "r",
        buffering: int = -1,
        *,
        encoding: str | None = None,
        errors: str | None = None,
        newline: str | None = None,
    ) -> io.IOBase:
        """A file over the connection, as :meth:`socket.socket.makefile`; closing it leaves the connection open."""
        from rawproto.net.file import make_file

        return make_file(self, mode, buffering, encoding, errors, newline)

    def over(self, layer: Callable[[Stream], Stream]) -> Self:
        """The same connection with a layer (TLS) put under its face; this object is not to be used any more."""
        return type(self)(layer(self._below), self._reader, self._writer)

    # ---- the common path of all operations

    def _enter(self, side: Side, op: str) -> None:
        """Take the side's turn, or raise. A deadline that has passed is an error even if there is data, as in Go."""
        if not (side.turn.acquire(blocking=False) or side.enter()):
            raise self._late(op)
        try:
            if self._closed:
                raise self._closed_error(op)
            if self._write_closed and side is self._writer:
                raise self._closed_error(op, "the writing direction")
            if side.deadline is not None and side.expired:
                raise self._late(op)
            if not self._secured:
                self._secure(side, op)
        except BaseException:
            self._leave(side)
            raise

    def _wait(self, side: Side, op: str, written: int = 0) -> None:
        """Wait for ``side`` once; raises when the connection was closed or the deadline has passed."""
        if not self._closed:
            if side.deadline is not None and side.expired:
                raise self._late(op, written)
            side.wait()
        if self._closed:
            raise self._closed_error(op)

    def _secure(self, side: Side, op: str) -> None:
        """Run the TLS handshake: the first of reader and writer does it, the other waits for it here."""
        assert self._handshaking is not None
        with self._handshaking:
            try:
                while not self._secured:
                    want = self._next_step()
                    if want is not None:
                        self._wait_for_step(self._reader if want == "read" else self._writer, side, op)
            except OSError as error:
                self._fail(error, op)

    def _wait_for_step(self, other: Side, side: Side, op: str) -> None:
        """Wait for ``other`` within the limits of the handshake and of ``side``, whose operation this is."""
        if side.expired:
            raise self._late(op)
        limit = self._handshake_limit
        other.limit = limit if side.deadline is None else min(limit, side.deadline)
        try:
            other.wait()
        finally:
            other.limit = None
        if self._closed:
            raise self._closed_error(op)

    def _close_below(self) -> None:
        if self._aborted or self._below.unread():
            self._below.abort()
        else:
            if self._below.tls is not None and self._secured:
                self._end_tls()
            self._below.close()

    def _end_tls(self) -> None:
        """Tell the peer that nothing was cut off, waiting a bounded time for room to say it."""
        self._writer.deadline = deadline_after(TLS_CLOSE_TIMEOUT)
        try:
            if not self._write_closed:
                self._below.close_write()
            while not self._below.flush() and not self._writer.expired:
                self._writer.wait()
        except OSError:
            # The peer is gone: there is nobody to tell.
            pass

"""TLS on any stream, through ssl.MemoryBIO, with bounded buffers.

The layer is a stream itself: it encrypts between the face of a connection and the stream below, and holds no more
than 64 KiB of ciphertext in each direction. It adds no waiting of its own: when the stream below has no room, nothing
more is encrypted; when there is no room for plaintext, nothing more is read from below.
"""

from __future__ import annotations

import dataclasses
import ssl
import threading
from typing import TYPE_CHECKING, Literal

from rawproto.errors import ClosedError, ConfigError, TLSError, UnexpectedEOF
from rawproto.net.stream import Stream

if TYPE_CHECKING:
    from rawproto.net.stats import ConnStats

__all__ = ["TLSStream", "checked_context", "client_stream", "server_stream"]

RECORD = 16384
"""Plaintext of the largest record (RFC 8446 section 5.1)."""
CIPHERTEXT_LIMIT = 64 * 1024
"""Ciphertext held in each direction."""


def client_stream(below: Stream, context: ssl.SSLContext | bool, hostname: str) -> TLSStream:
    """The client's side of TLS over ``below``; True is the default context."""
    if context is True:
        context = ssl.create_default_context()
    return TLSStream(below, checked_context(context), hostname=hostname or None)


def server_stream(below: Stream, context: ssl.SSLContext) -> TLSStream:
    """The server's side of TLS over ``below``."""
    return TLSStream(below, checked_context(context), server_side=True)


def checked_context(context: object) -> ssl.SSLContext:
    """``context``, or an error that says what it should be."""
    if not isinstance(context, ssl.SSLContext):
        raise ConfigError(f"tls is an ssl.SSLContext, not {type(context).__name__}")
    return context


class TLSStream(Stream):
    """TLS over a stream. Reader and writer may be two threads; a lock guards the TLS state, never a wait."""

    def __init__(
        self,
        below: Stream,
        context: ssl.SSLContext,
        *,
        server_side: bool = False,
        hostname: str | None = None,
    ) -> None:
        self.network = below.network
        self.local_addr = below.local_addr
        self.remote_addr = below.remote_addr
        self._below = below
        self._incoming = ssl.MemoryBIO()
        self._outgoing = ssl.MemoryBIO()
        # Where this option is set (Python 3.11.2 of Debian does), a stream that was cut off looks like one that ended.
        context.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
        try:
            self.tls: ssl.SSLObject = context.wrap_bio(
                self._incoming, self._outgoing, server_side=server_side, server_hostname=hostname
            )
        except (ssl.SSLError, ValueError) as error:
            ends = {"network": self.network, "local": self.local_addr, "remote": self.remote_addr}
            raise TLSError(str(error), op="handshake", **ends) from error
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._unsent = memoryview(b"")
        self._plain = bytearray()
        self._ended = False
        self._failure: OSError | None = None
        self._end_sent = False
        self._end_passed = False
        self._done = False
        self._written = self._read = 0

    def handshake(self) -> Literal["read", "write"] | None:
        """See :meth:`Stream.handshake`."""
        while not self._done:
            with self._lock:
                try:
                    self.tls.do_handshake()
                    self._done = True
                except ssl.SSLWantReadError:
                    pass
                except ssl.SSLError as error:
                    failure = TLSError(f"TLS handshake failed: {_words(error)}")
                    failure.__cause__ = error
                    self._send_alert()
                    raise failure from error
            if not self.flush():
                return None if self._done else "write"
            if not self._done and not self._fill():
                return "read"
        return None

    def try_read(self, n: int) -> bytes | None:
        """See :meth:`Stream.try_read`."""
        while True:
            with self._lock:
                data = self._decrypt(n)
            if data is not None:
                self._read += len(data)
                self.flush()
                return data
            if not self._fill():
                # An answer of the record layer (a key update) may have been made on the way.
                self.flush()
                return None

    def try_readinto(self, view: memoryview) -> int | None:
        """See :meth:`Stream.try_readinto`."""
        data = self.try_read(len(view))
        if data is None:
            return None
        view[: len(data)] = data
        return len(data)

    def try_write(self, data: bytes | memoryview) -> int:
        """See :meth:`Stream.try_write`. What is taken is encrypted; the rest of it goes out with :meth:`flush`."""
        view = memoryview(data)
        taken = 0
        while taken < len(view) and self.flush():
            with self._lock:
                if self._end_sent:
                    raise ClosedError("the writing direction is closed")
                while taken < len(view) and self._outgoing.pending < CIPHERTEXT_LIMIT - 2 * RECORD:
                    taken += self._encrypt(view[taken : taken + RECORD])
        if taken:
            self._written += taken
            self.flush()
        return taken

    def flush(self) -> bool:
        """Pass ciphertext on, in order; True when nothing is left (or another thread is at it)."""
        # Taken without waiting: whoever holds it looks for more before it leaves.
        while self._outgoing.pending or len(self._unsent):
            if not self._sending.acquire(blocking=False):
                return True
            try:
                if not len(self._unsent):
                    with self._lock:
                        self._unsent = memoryview(self._outgoing.read())
                while len(self._unsent):
                    count = self._below.try_write(self._unsent)
                    if not count:
                        return False
                    self._unsent = self._unsent[count:]
            finally:
                self._sending.release()
        if self._end_sent and not self._end_passed:
            self._end_passed = True
            self._below.close_write()
        return True

    def delivered(self) -> bool:
        """See :meth:`Stream.delivered`."""
        return self._below.delivered()

    def close_write(self) -> None:
        """Send close_notify and end the direction below; reading goes on (RFC 8446 section 6.1)."""
        with self._lock:
            self._send_end()
        self.flush()

    def close(self) -> None:
        """Close the stream below; the face has sent close_notify before, where that was possible."""
        # A server's session tickets may still be on their way: they must not turn the close into a reset.
        self._below.close_gently()

    def unread(self) -> bool:
        """See :meth:`Stream.unread`. Takes in what has arrived: session tickets are nothing that one could read."""
        try:
            while not self._plain and not self._ended:
                with self._lock:
                    data = self._decrypt(RECORD)
                    self._plain += data or b""
                if data is None and not self._fill():
                    return False
        except OSError:
            return False
        return bool(self._plain)

    def abort(self) -> None:
        """Reset the stream below."""
        self._below.abort()

    def stats(self) -> ConnStats:
        """The counters of the stream below, but for those of the application's own bytes."""
        return dataclasses.replace(self._below.stats(), bytes_written=self._written, bytes_read=self._read)

    def _fill(self) -> bool:
        """Move ciphertext from below to the record layer; False when there is none yet."""
        with self._lock:
            room = CIPHERTEXT_LIMIT - self._incoming.pending
        data = self._below.try_read(room)
        if data is None:
            return False
        with self._lock:
            if data:
                self._incoming.write(data)
            else:
                self._incoming.write_eof()
        return True

    def _decrypt(self, n: int) -> bytes | None:
        if self._plain:
            data = bytes(self._plain[:n])
            del self._plain[:n]
            return data
        if self._failure is not None:
            raise self._failure
        if self._ended:
            return b""
        pieces: list[bytes] = []
        try:
            while n > 0:
                piece = self.tls.read(min(n, RECORD))
                if not piece:
                    self._ended = True
                    break
                pieces.append(piece)
                n -= len(piece)
        except ssl.SSLWantReadError:
            if not pieces:
                return None
        except ssl.SSLZeroReturnError:
            self._ended = True
        except ssl.SSLError as error:
            # The library would call every later read the end of the stream: the first error is kept.
            self._failure = self._read_error(error)
            self._failure.__cause__ = error
            if not pieces:
                raise self._failure from error
        return b"".join(pieces)

    def _read_error(self, error: ssl.SSLError) -> OSError:
        if isinstance(error, ssl.SSLEOFError) or error.reason == "UNEXPECTED_EOF_WHILE_READING":
            return UnexpectedEOF("the stream ended without the close_notify of TLS: it may have been cut off")
        self._send_alert()
        return TLSError(f"TLS record refused: {_words(error)}")

    def _encrypt(self, piece: memoryview) -> int:
        try:
            return self.tls.write(piece)
        except ssl.SSLError as error:
            raise TLSError(f"TLS write failed: {_words(error)}") from error

    def _send_end(self) -> None:
        if self._end_sent:
            return
        self._end_sent = True
        # Sending the end reads on, too, and would drop what it finds: first everything is taken out.
        while True:
            try:
                piece = self.tls.read(RECORD)
            except ssl.SSLError:
                break
            if not piece:
                self._ended = True
                break
            self._plain += piece
        try:
            self.tls.unwrap()
        except ssl.SSLError:
            # It asks for the peer's close_notify, which comes in its own time.
            pass

    def _send_alert(self) -> None:
        """Give the alert that names the error a chance to reach the peer; nobody waits for it."""
        data = self._outgoing.read()
        if data and not len(self._unsent):
            try:
                self._below.try_write(data)
            except OSError:
                pass


def _words(error: ssl.SSLError) -> str:
    """The library's own words without its source file and line."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate not accepted: {error.verify_message}"
    return (error.reason or str(error)).replace("_", " ").lower()

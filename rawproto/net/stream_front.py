"""What Conn and AsyncConn have in common: bytes put back, the steps of a TLS handshake, counters."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal, NoReturn

from rawproto.errors import TLSError, UnexpectedEOF
from rawproto.net.front import Front, S
from rawproto.net.stream import READ_SIZE, Stream

if TYPE_CHECKING:
    import ssl

    from rawproto.net.stats import ConnStats

__all__ = ["TLS_CLOSE_TIMEOUT", "TLS_HANDSHAKE_TIMEOUT", "StreamFront"]

TLS_HANDSHAKE_TIMEOUT = 10.0
"""Seconds that a TLS handshake may take when no deadline is nearer."""
TLS_CLOSE_TIMEOUT = 1.0
"""Seconds that closing may wait for room for the last bytes of TLS."""


class StreamFront(Front[Stream, S]):
    """Base of Conn and AsyncConn."""

    def __init__(self, stream: Stream, reader: S, writer: S) -> None:
        super().__init__(stream, reader, writer)
        self._held = b""
        self._aborted = False
        self._write_closed = False
        self._secured = stream.tls is None
        self._handshake_limit = 0
        self._handshake_error: TLSError | None = None

    @property
    def tls(self) -> ssl.SSLObject | None:
        """The TLS state (version, cipher, ALPN, the peer's certificate), or None without TLS."""
        return self._below.tls

    def stats(self) -> ConnStats:
        """The counters of the connection; they can be read after it is closed, too."""
        return self._below.stats()

    def _try_read(self, n: int) -> bytes | None:
        """What an earlier read put back, or up to ``n`` bytes of the stream; None when there is nothing yet."""
        if not self._held:
            return self._below.try_read(n if n > 0 else READ_SIZE)
        if n < 0 or n >= len(self._held):
            data, self._held = self._held, b""
        else:
            data, self._held = self._held[:n], self._held[n:]
        return data

    def _try_readinto(self, view: memoryview) -> int | None:
        if not self._held:
            return self._below.try_readinto(view)
        data = self._try_read(len(view)) or b""
        view[: len(data)] = data
        return len(data)

    def _put_back(self, data: memoryview) -> None:
        """The bytes of a read that did not get all it wanted: the next one begins with them."""
        self._held = bytes(data) + self._held

    def _fell_short(self, error: OSError, had: memoryview) -> NoReturn:
        """Raise ``error``, which ended a read that had got some bytes: the next one has them, if there is one."""
        if isinstance(error, UnexpectedEOF):
            error.partial = bytes(had)
        else:
            self._put_back(had)
        self._fail(error, "read")

    def _next_step(self) -> Literal["read", "write"] | None:
        """Go on with the TLS handshake: what it waits for, or None. A failed one fails again with the same words."""
        if self._handshake_error is not None:
            raise TLSError(self._handshake_error.reason) from self._handshake_error.__cause__
        if not self._handshake_limit:
            self._handshake_limit = time.monotonic_ns() + int(TLS_HANDSHAKE_TIMEOUT * 1e9)
        try:
            want = self._below.handshake()
            # Asked behind the step: one that always finds another byte shall not outrun the clock.
            if want is not None and time.monotonic_ns() >= self._handshake_limit:
                raise TLSError(f"the TLS handshake was not over within {TLS_HANDSHAKE_TIMEOUT:g} s")
        except TLSError as error:
            self._handshake_error = error
            raise
        self._secured = want is None
        return want

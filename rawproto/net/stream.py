"""What every transport gives: a connection that never blocks.

``Conn`` and ``AsyncConn`` are fronts of a :class:`Stream`: they try, and wait between two tries. A transport is
written once, below them, and is then blocking and asyncio, with and without TLS.

Nothing here waits. Methods raise builtin ``OSError`` classes or errors of :mod:`rawproto.errors`; the fronts add
the operation and the addresses.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import ssl

    from rawproto.net.stats import ConnStats

__all__ = ["READ_SIZE", "Acceptor", "Stream"]

READ_SIZE = 256 * 1024
"""Bytes that a read of "what there is" takes at most in one go."""


class Stream(abc.ABC):
    """One connection of one transport. One thread may read while another writes."""

    network: str
    local_addr: Any
    remote_addr: Any
    tls: ssl.SSLObject | None = None
    """The TLS state, for ALPN, certificates and cipher; None without TLS."""

    def handshake(self) -> Literal["read", "write"] | None:
        """Go on with the handshake; None when it is done, else what has to be waited for."""
        return None

    @abc.abstractmethod
    def try_read(self, n: int) -> bytes | None:
        """Up to ``n`` bytes, b"" at the end of the stream, None when there is nothing yet."""

    @abc.abstractmethod
    def try_readinto(self, view: memoryview) -> int | None:
        """As :meth:`try_read`, into ``view`` (bytes, not empty): the count, 0 at the end, None for nothing yet."""

    @abc.abstractmethod
    def try_write(self, data: bytes | memoryview) -> int:
        """Take some of ``data`` (one-dimensional bytes) from its start; how many bytes, 0 when there is no room."""

    def flush(self) -> bool:
        """Pass on what the stream itself holds back; True when nothing is left."""
        return True

    def delivered(self) -> bool:
        """Nothing is left that only a running process could deliver; the kernel goes on by itself."""
        return True

    @abc.abstractmethod
    def close_write(self) -> None:
        """End the writing direction; what was written before is still delivered."""

    @abc.abstractmethod
    def close(self) -> None:
        """Close both directions gracefully. Does not wait; calling it again does nothing."""

    def close_gently(self) -> None:
        """Close, but let what was written arrive even if the peer still sends something nobody will read."""
        self.close()

    def unread(self) -> bool:
        """Whether a layer of this stream holds data of the peer that was not read: closing is then a reset."""
        return False

    @abc.abstractmethod
    def abort(self) -> None:
        """Give up at once: the peer sees a reset."""

    @abc.abstractmethod
    def stats(self) -> ConnStats:
        """The counters of the connection."""


class Acceptor(abc.ABC):
    """The listening half of a transport."""

    network: str
    addr: Any

    @abc.abstractmethod
    def try_accept(self) -> Stream | None:
        """The next connection, or None when there is none yet."""

    @abc.abstractmethod
    def close(self) -> None:
        """Stop listening; accepted connections live on. Calling it again does nothing."""

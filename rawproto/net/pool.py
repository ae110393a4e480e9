"""ConnectionPool: connections to one place, kept for the next use."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING

from rawproto.errors import ConfigError
from rawproto.net.dialing import dial
from rawproto.net.failures import closed, deadline_exceeded
from rawproto.net.networks import parse_network

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType
    from typing import Self, Unpack

    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.conn import Conn
    from rawproto.net.options import DialOptions

__all__ = ["ConnectionPool"]


class ConnectionPool:
    """Dials on demand, lends each connection to one user at a time, and keeps it afterwards.

    A connection is not kept when its user ended with an error, when it was closed, or when a check finds that the
    peer has ended it or sent something that nobody asked for. The one used last is lent first, so that the others
    can grow old and go.

    Args:
        network: as of :func:`rawproto.dial`.
        address: as of :func:`rawproto.dial`.
        max_size: connections at most, lent and kept; :meth:`acquire` waits for one beyond.
        max_idle: connections kept at most.
        idle_timeout: seconds after which a kept connection is closed.
        check: a further test of a kept connection before it is lent again, such as a ping of the user's protocol;
            false or an ``OSError`` discards it.
        options: further arguments of :func:`rawproto.dial`.
    """

    def __init__(
        self,
        network: str,
        address: str | PortAddr,
        *,
        max_size: int = 64,
        max_idle: int = 8,
        idle_timeout: float = 60.0,
        check: Callable[[Conn], bool] | None = None,
        **options: Unpack[DialOptions],
    ) -> None:
        parse_network(network)
        if max_size < 1 or not 0 <= max_idle <= max_size:
            raise ConfigError(
                f"max_size must be at least 1 and max_idle from 0 to it, not {max_size}, {max_idle}"
            )
        self.network = network
        self.address = address
        self._options = options
        self._max_size = max_size
        self._max_idle = max_idle
        self._idle_timeout = idle_timeout
        self._check = check
        self._changed = threading.Condition()
        self._idle: list[tuple[Conn, float]] = []
        self._lent = 0
        self._closed = False

    @property
    def idle(self) -> int:
        """Connections that are kept."""
        return len(self._idle)

    @property
    def lent(self) -> int:
        """Connections in use."""
        return self._lent

    @contextlib.contextmanager
    def connection(self, timeout: float | None = None) -> Iterator[Conn]:
        """Borrow a connection for a block; an exception in the block discards it."""
        conn = self.acquire(timeout)
        try:
            yield conn
        except BaseException:
            self.release(conn, reuse=False)
            raise
        self.release(conn)

    def acquire(self, timeout: float | None = None) -> Conn:
        """Borrow a connection; give it back with :meth:`release`.

        Raises:
            DeadlineExceeded: none became free within ``timeout`` seconds.
            ClosedError: the pool is closed.
            OSError: dialling failed, as of :func:`rawproto.dial`.
        """
        stop = None if timeout is None else time.monotonic() + timeout
        self._wait_for_turn(stop)
        try:
            while (conn := self._take_idle()) is not None:
                if self._usable(conn):
                    return conn
                conn.abort()
            left = None if stop is None else max(stop - time.monotonic(), 0.001)
            options = self._options.copy()
            if left is not None:
                options["timeout"] = left
            dialled: Conn = dial(self.network, self.address, **options)
            return dialled
        except BaseException:
            self._give_turn()
            raise

    def release(self, conn: Conn, *, reuse: bool = True) -> None:
        """Give a connection back. Its deadlines are taken away."""
        keep = False
        if reuse and not conn.closed:
            conn.set_deadline(None)
            with self._changed:
                keep = not self._closed and len(self._idle) < self._max_idle
                if keep:
                    self._idle.append((conn, time.monotonic()))
        if not keep:
            conn.close()
        self._give_turn()
        self.prune()

    def prune(self) -> None:
        """Close the connections that were kept for too long; also done whenever one is given back or borrowed."""
        oldest = time.monotonic() - self._idle_timeout
        with self._changed:
            old = [conn for conn, since in self._idle if since <= oldest]
            self._idle = [(conn, since) for conn, since in self._idle if since > oldest]
        for conn in old:
            conn.close()

    def close(self) -> None:
        """Close what is kept; what is lent is closed when it comes back."""
        with self._changed:
            self._closed = True
            kept, self._idle = self._idle, []
            self._changed.notify_all()
        for conn, _ in kept:
            conn.close()

    def _wait_for_turn(self, stop: float | None) -> None:
        with self._changed:
            while not self._closed and self._lent >= self._max_size:
                left = None if stop is None else stop - time.monotonic()
                if left is not None and left <= 0:
                    raise deadline_exceeded("acquire", self.network, remote=self.address)
                self._changed.wait(left)
            if self._closed:
                raise closed("acquire", self.network, "the pool", remote=self.address)
            self._lent += 1

    def _give_turn(self) -> None:
        with self._changed:
            self._lent -= 1
            self._changed.notify()

    def _take_idle(self) -> Conn | None:
        self.prune()
        with self._changed:
            return self._idle.pop()[0] if self._idle else None

    def _usable(self, conn: Conn) -> bool:
        """Whether ``conn`` is open, quiet, and passes the user's own check."""
        try:
            return conn.quiet() and (self._check is None or self._check(conn))
        except OSError:
            return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ConnectionPool {self.network} {self.address}: {self._lent} lent, {len(self._idle)} kept>"

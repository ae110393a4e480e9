"""RSP as a transport: streams and acceptors over the core's connections and listeners."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NoReturn

from rawproto.addr.endpoints import RSPAddr
from rawproto.errors import ClosedError
from rawproto.net.stats import ConnStats
from rawproto.net.stream import Acceptor, Stream
from rawproto.net.trace_files import save_trace
from rawproto.rsp.state import FINISHED

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.net.driver import Driver
    from rawproto.rsp.connection import Connection
    from rawproto.rsp.listener import Listener

__all__ = ["RSPAcceptor", "RSPStream"]

WRITE_LOW_WATER = 512 * 1024
"""Bytes of room that wake a waiting writer: some batches' worth, so that it does not run for every packet."""


class RSPStream(Stream):
    """A connection of the core, under its driver's lock."""

    def __init__(self, driver: Driver, core: Connection, network: str, local: RSPAddr) -> None:
        address, port = core.remote
        self.network = network
        self.local_addr = local
        self.remote_addr = RSPAddr(address.ip, port, address.zone)
        self._driver = driver
        self._core = core
        self._shared = core.core
        self._incoming = self._shared.receiver.stream
        self._low_water = min(WRITE_LOW_WATER, driver.endpoint.config.send_buffer // 4)
        self._traced = False
        self._closing_gently = False
        self.notify: Callable[[], None] = _nothing
        """Called with the driver's lock held when something changed."""
        driver.watch(core, self._changed)

    def _changed(self) -> None:
        # What follows the end of both halves is only waiting for late copies.
        if not self._traced and self._shared.state in FINISHED:
            self._traced = True
            save_trace(self._core, self._driver.endpoint.config.trace)
        if self._closing_gently:
            self._close_when_delivered()
        self.notify()
        if self._shared.closed:
            # The last news: without the way back to those who wait all is gone as soon as nobody holds it.
            self.notify = _nothing

    # ---- what sides wait for; called with the driver's lock held

    def over(self) -> bool:
        """Nothing will change any more."""
        return self._shared.closed or self._driver.broken is not None

    def can_read(self) -> bool:
        """A read has bytes, the end, or an error to give."""
        incoming = self._incoming
        if incoming.next > incoming.read_offset or incoming.at_end:
            return True
        return self._shared.closed or self._driver.broken is not None

    def can_write(self) -> bool:
        """A write has room, or an error to give."""
        core = self._core
        room = core.writable
        # When memory is scarce there may never be more room than a little.
        return room > self._low_water or (room > 0 and not core.unacknowledged) or self.over()

    def connected(self) -> bool:
        """The handshake is over, one way or the other."""
        return self._core.established or self.over()

    # ---- the stream

    def try_connect(self) -> bool:
        """Whether the connection stands; raises the error if it cannot."""
        with self._driver.lock:
            if self._core.established:
                return True
            if self.over():
                self._raise()
            return False

    def try_read(self, n: int) -> bytes | None:
        """See :meth:`Stream.try_read`."""
        driver, core = self._driver, self._core
        with driver.lock:
            if not self._has_bytes():
                return b"" if self._incoming.at_end else None
            now = time.monotonic_ns()
            data = core.read(n, now)
            if driver.endpoint.ready:
                driver.commanded(now)
            return data

    def try_readinto(self, view: memoryview) -> int | None:
        """See :meth:`Stream.try_readinto`."""
        driver, lock = self._driver, self._driver.lock
        lock.acquire()  # not "with": that costs more than all that is done in it when there is nothing yet
        try:
            if not self._has_bytes():
                return 0 if self._incoming.at_end else None
            now = time.monotonic_ns()
            count = self._core.readinto(view, now)
            if driver.endpoint.ready:
                driver.commanded(now)
            return count
        finally:
            lock.release()

    def _has_bytes(self) -> bool:
        """Whether there is something to read; raises where there never will be, not even the end."""
        incoming = self._incoming
        if incoming.next > incoming.read_offset and self._driver.broken is None:
            return True
        if not incoming.at_end and self.over():
            self._raise()
        return False

    def try_write(self, data: bytes | memoryview) -> int:
        """See :meth:`Stream.try_write`."""
        driver, core = self._driver, self._core
        with driver.lock:
            if self._shared.closed or driver.broken is not None:
                self._raise()
            now = time.monotonic_ns()
            count = core.write(data, now)
            if count:
                driver.commanded(now)
            return count

    def delivered(self) -> bool:
        """See :meth:`Stream.delivered`."""
        return self._core.delivered or self.over()

    def close_write(self) -> None:
        """See :meth:`Stream.close_write`."""
        self._command(self._core.close_write)

    def close(self) -> None:
        """See :meth:`Stream.close`."""
        self._command(self._core.close)

    def close_gently(self) -> None:
        """See :meth:`Stream.close_gently`: reading goes on, into the void, until all is delivered."""
        self._closing_gently = True
        self._command(self._core.close_write)
        with self._driver.lock:
            self._close_when_delivered()

    def _close_when_delivered(self) -> None:
        core = self._core
        if self.over():
            return
        now = time.monotonic_ns()
        if core.readable:
            core.read(-1, now)
        if core.delivered:
            self._closing_gently = False
            core.close(now)
        self._driver.commanded(now)

    def abort(self) -> None:
        """See :meth:`Stream.abort`."""
        self._command(self._core.abort)

    def _command(self, command: Callable[[int], None]) -> None:
        with self._driver.lock:
            if not self.over():
                now = time.monotonic_ns()
                command(now)
                self._driver.commanded(now)

    def _raise(self) -> NoReturn:
        self._driver.check()
        error = self._core.error
        if error is None:
            raise ClosedError("the connection is closed")
        # The core knows neither the network's name nor endpoints as users write them.
        raise type(error)(
            error.reason,
            op=error.op,
            network=self.network,
            local=self.local_addr,
            remote=self.remote_addr,
            errno=error.errno,
        )

    def stats(self) -> ConnStats:
        """See :meth:`Stream.stats`."""
        with self._driver.lock:
            stats = self._core.stats()
            fields = {field: getattr(stats, field) for field in stats.__slots__}
            return ConnStats(**fields, kernel_drops=self._driver.link.stats().kernel_drops)


class RSPAcceptor(Acceptor):
    """A listener of the core, under its driver's lock."""

    def __init__(
        self, driver: Driver, core: Listener, network: str, addr: RSPAddr, local_for: Callable[[Any], RSPAddr]
    ) -> None:
        self.network = network
        self.addr = addr
        self._driver = driver
        self._core = core
        self._local_for = local_for
        self.notify: Callable[[], None] = _nothing
        driver.watch(core, lambda: self.notify())

    def can_accept(self) -> bool:
        """A connection waits, or none will ever; called with the driver's lock held."""
        return len(self._core) > 0 or self._core.closed or self._driver.broken is not None

    def try_accept(self) -> RSPStream | None:
        """See :meth:`Acceptor.try_accept`."""
        with self._driver.lock:
            self._driver.check()
            core = self._core.accept()
            if core is None:
                return None
            return RSPStream(self._driver, core, self.network, self._local_for(core))

    def close(self) -> None:
        """See :meth:`Acceptor.close`."""
        with self._driver.lock:
            if not self._core.closed and self._driver.broken is None:
                now = time.monotonic_ns()
                self._core.close(now)
                if self._driver.neighbours is not None:
                    self._driver.neighbours.give_back(self._core.port)
                self._driver.commanded(now)
            self.notify = _nothing


def _nothing() -> None:
    """Nobody waits yet."""

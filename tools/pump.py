"""Bytes both ways between a connection and a pair of descriptors, as netcat does it."""

from __future__ import annotations

import dataclasses
import os
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Pump", "write_all"]

_CHUNK = 1 << 16


@dataclasses.dataclass
class Pump:
    """One connection and what goes in and out of it.

    Attributes:
        conn: the connection.
        source: called with a size, gives the next bytes to send; None for nothing.
        sink: takes what arrives.
        stay: go on sending when the peer has ended its half; else that ends everything.
        sent: bytes sent so far.
        received: bytes received so far.
    """

    conn: Any
    source: Callable[[int], bytes] | None
    sink: Callable[[bytes], None]
    stay: bool = True
    sent: int = 0
    received: int = 0
    _error: BaseException | None = None

    def run(self) -> None:
        """Copy until both directions have ended (or the peer's, without ``stay``).

        Raises:
            OpError: the connection failed.
            OSError: the source cannot be read, or the sink cannot be written.
        """
        # A read of the terminal cannot be called off: as a daemon it does not keep the program alive.
        feeder = threading.Thread(target=self._feed, name="feeder", daemon=True)
        feeder.start()
        while data := self.conn.read(_CHUNK):
            self.sink(data)
            self.received += len(data)
        if self.stay:
            feeder.join()
        if self._error is not None:
            raise self._error

    def _feed(self) -> None:
        # A connection that fails ends the reader, too, and is told there or afterwards.
        try:
            while self.source is not None and (data := self.source(_CHUNK)):
                self.conn.write(data)
                self.sent += len(data)
        except OSError as error:
            self._error = error
        try:
            self.conn.close_write()
        except OSError:
            pass


def write_all(descriptor: int, data: bytes) -> None:
    """Write all of ``data`` to ``descriptor``."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]

"""A stream of the benchmark over a connection: bytes one way, as fast as they go or at a rate."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rawproto import DeadlineExceeded

from .stream import Stream

if TYPE_CHECKING:
    import threading

__all__ = ["Flow", "Pace"]

_READ = 1 << 20


class Pace:
    """Keeps what is sent to a rate.

    Args:
        rate: bits a second, or None for no limit.
        stop: ends a wait.
    """

    def __init__(self, rate: float | None, stop: threading.Event) -> None:
        self._rate = rate
        self._stop = stop
        self._began = time.monotonic()

    def wait(self, moved: int) -> None:
        """Wait until ``moved`` bytes are not more than the rate allows."""
        if self._rate is not None:
            ahead = moved * 8 / self._rate - (time.monotonic() - self._began)
            if ahead > 0:
                self._stop.wait(ahead)


class Flow(Stream):
    """One stream over a connection; see :class:`Stream`.

    Args:
        conn: the connection, in nobody else's hands.
        index: number of the stream.
        sending: whether this side sends.
        length: bytes of a write.
        share: bytes to send, or None for until :meth:`stop`.
        rate: bits a second, or None.
    """

    def __init__(
        self,
        conn: Any,
        index: int,
        *,
        sending: bool,
        length: int,
        share: int | None = None,
        rate: float | None = None,
    ) -> None:
        super().__init__(index)
        self.sending = sending
        self._conn = conn
        self._length = length
        self._share = share
        self._rate = rate

    def start(self) -> None:
        """Begin to move bytes."""
        self._conn.set_deadline(None)
        super().start()

    def close(self) -> None:
        """Give the connection up; what is still on its way is dropped."""
        self._conn.abort()

    def counters(self) -> dict[str, Any]:
        """What the sender's transport tells: packets sent again, window in bytes, round trip in seconds."""
        if not self.sending:
            return {}
        stats = self._conn.stats()
        return {
            "retransmitted": stats.packets_retransmitted,
            "window": stats.congestion_window,
            "rtt": stats.rtt_smoothed,
        }

    def _interrupt(self) -> None:
        self._conn.set_deadline(0)

    def _move(self) -> None:
        if self.sending:
            self._send()
        else:
            self._receive()
        self.ended = None if self._stop.is_set() else time.monotonic()

    def _send(self) -> None:
        payload = bytes(self._length)
        pace = Pace(self._rate, self._stop)
        left = self._share
        while not self._stop.is_set() and left != 0:
            data = payload if left is None or left >= self._length else payload[:left]
            try:
                self._conn.write(data)
            except DeadlineExceeded as error:
                self._moved += error.written
                raise
            self._moved += len(data)
            if left is not None:
                left -= len(data)
            pace.wait(self._moved)
        if not self._stop.is_set():
            self._conn.close_write()

    def _receive(self) -> None:
        buffer = memoryview(bytearray(_READ))
        while count := self._conn.readinto(buffer):
            self._moved += count

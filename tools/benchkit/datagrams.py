"""Streams of datagrams on UDP: numbered and dated, so that the receiver sees loss, order and jitter.

Each begins with :data:`HEADER`: what it is, stream, token of the run, number, and time of sending in nanoseconds of
the sender's clock. A HELLO is answered with the same; PROBEs are, too.
"""

from __future__ import annotations

import socket
import struct
import time
from typing import TYPE_CHECKING, Any, Final

from ..waiting import has_more
from .flow import Pace
from .stream import Stream

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DATA", "HEADER", "HELLO", "PROBE", "DatagramReceiver", "DatagramSender", "Tally", "make_room"]

HEADER: Final = struct.Struct("!HHxxxxQQQ")
HELLO, DATA, PROBE = 1, 2, 3
QUIET: Final = 0.1
"""Seconds of silence after which nothing is on its way any more."""
DRAIN: Final = 10.0
"""Seconds to count what has arrived: a peer that does not end must not hold us for ever."""
_TURN: Final = 0.01
_ROOM: Final = 4 << 20


def make_room(conn: Any) -> None:
    """Ask the kernel for a receive buffer that a burst fits in (it gives what its limit allows)."""
    with socket.socket(fileno=socket.dup(conn.fileno())) as same:
        same.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _ROOM)


class Tally:
    """What arrived of one stream.

    Attributes:
        moved: bytes.
        packets: datagrams.
        misplaced: datagrams that came after a later one.
        jitter: smoothed difference of the transit times of neighbours (RFC 3550 section 6.4.1), in seconds.
        last: when the last one came, on the monotonic clock.
    """

    def __init__(self) -> None:
        self.moved = self.packets = self.misplaced = 0
        self.jitter = self.last = 0.0
        self._next = 0
        self._transit: int | None = None

    def take(self, number: int, sent: int, size: int) -> None:
        """Count datagram ``number`` of ``size`` bytes, sent at ``sent`` nanoseconds."""
        now = time.monotonic_ns()
        self.last = now / 1e9
        self.moved += size
        self.packets += 1
        if number < self._next:
            self.misplaced += 1
        else:
            self._next = number + 1
        transit = now - sent
        if self._transit is not None:
            self.jitter += (abs(transit - self._transit) / 1e9 - self.jitter) / 16
        self._transit = transit

    @property
    def lost(self) -> int:
        """Datagrams missing among those up to the highest number seen."""
        return max(0, self._next - self.packets)

    def counters(self) -> dict[str, Any]:
        """The same as JSON."""
        return {
            "packets": self.packets,
            "lost": self.lost,
            "out_of_order": self.misplaced,
            "jitter": self.jitter,
        }


class DatagramSender(Stream):
    """Sends one stream. Arguments as of :class:`Flow`, but for ``send``, which sends a datagram."""

    sending = True

    def __init__(
        self,
        send: Callable[[bytearray], Any],
        index: int,
        token: int,
        *,
        length: int,
        share: int | None = None,
        rate: float | None = None,
        close: Callable[[], None] = lambda: None,
    ) -> None:
        super().__init__(index)
        self.packets = 0
        self._close = close
        self._send = send
        self._token = token
        self._length = length
        self._share = share
        self._rate = rate

    def close(self) -> None:
        """Close the socket, where it is the stream's own."""
        self._close()

    def counters(self) -> dict[str, Any]:
        """How many datagrams were sent."""
        return {"packets": self.packets}

    def _move(self) -> None:
        packet = bytearray(max(self._length, HEADER.size))
        pace = Pace(self._rate, self._stop)
        while not self._stop.is_set() and (self._share is None or self._moved < self._share):
            HEADER.pack_into(packet, 0, DATA, self.index, self._token, self.packets, time.monotonic_ns())
            self._send(packet)
            self.packets += 1
            self._moved += len(packet)
            pace.wait(self._moved)


class DatagramReceiver(Stream):
    """Counts one stream.

    Args:
        index: number of the stream.
        conn: the socket it arrives at.
        shared: that socket is read by somebody else, who calls ``tally.take``; else nothing but this stream arrives.
    """

    sending = False

    def __init__(self, index: int, conn: Any, *, shared: bool = False) -> None:
        super().__init__(index)
        self.tally = Tally()
        self._conn = conn
        self._shared = shared

    @property
    def moved(self) -> int:
        """Bytes received so far."""
        return self.tally.moved

    def start(self) -> None:
        """Begin to count."""
        if not self._shared:
            self._conn.set_deadline(None)
            super().start()

    def stop(self) -> None:
        """Wait for what is on its way, at most a second, and until the kernel has no more of what has arrived."""
        began = time.monotonic()
        while (now := time.monotonic()) < began + 1 and (left := self.tally.last + QUIET - now) > 0:
            self.finished.wait(left)
        while has_more(self._conn) and time.monotonic() < began + DRAIN and not self.finished.is_set():
            self.finished.wait(_TURN)
        self.finished.set()
        super().stop()

    def close(self) -> None:
        """Close the socket."""
        if not self._shared:
            self._conn.close()

    def counters(self) -> dict[str, Any]:
        """What was counted."""
        return self.tally.counters()

    def _interrupt(self) -> None:
        if not self._shared:
            self._conn.set_deadline(0)

    def _move(self) -> None:
        while not self.finished.is_set():
            packet = self._conn.read()
            if len(packet) >= HEADER.size:
                kind, _, _, number, sent = HEADER.unpack_from(packet)
                if kind == DATA:
                    self.tally.take(number, sent, len(packet))

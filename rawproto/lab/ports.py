"""The relay's hands: frames in and out of an interface in batches, and the memory they wait in."""

from __future__ import annotations

import errno
import socket
import struct
import time
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from rawproto.link.linux import (
    ETH_P_ALL,
    PACKET_IGNORE_OUTGOING,
    PACKET_STATISTICS,
    SOL_PACKET,
    recvmmsg,
    sendmmsg,
)
from rawproto.link.tables import ReceiveTable, SendTable
from rawproto.wire.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

__all__ = ["BATCH", "ETHERNET", "Arrivals", "Pool", "Port", "day_minus_monotonic"]

BATCH: Final = 64
ETHERNET: Final = 14
"""Bytes of an Ethernet header (IEEE 802.3)."""
SLOTS: Final = 1 << 15
# Room for a hundredth of a second at 10 Gbit/s; the kernel grants what it may.
_BUFFER: Final = 16 << 20
_SO_RCVBUFFORCE: Final = 33  # include/uapi/asm-generic/socket.h
_SO_TIMESTAMPNS: Final = 35  # SO_TIMESTAMPNS_OLD; its control message is a struct timespec of native longs
_STAMP: Final = np.dtype(
    [
        ("len", np.intp),
        ("level", np.int32),
        ("type", np.int32),
        ("seconds", np.int_),
        ("nanoseconds", np.int_),
    ]
)
_READING_TAKES: Final = 10_000
_LONGEST_WAIT: Final = 1_000_000_000
_FULL: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})


class Pool:
    """Slots for frames on their way; the free ones as a stack, so that few pages are touched.

    Attributes:
        width: bytes of a slot.
        rows: the slots, uint8 (slots, width).
    """

    def __init__(self, width: int, slots: int = SLOTS) -> None:
        self.width = width
        # Memory is only taken when a slot is first written to.
        self.flat = np.empty(slots * width, dtype=np.uint8)
        self.rows = self.flat.reshape(slots, width)
        self._free = np.arange(slots - 1, -1, -1, dtype=np.int64)
        self._left = slots

    def take(self, count: int) -> NDArray[np.int64]:
        """Up to ``count`` free slots, fewer when there are no more."""
        taken = min(count, self._left)
        self._left -= taken
        return self._free[self._left : self._left + taken].copy()

    def give_back(self, slots: Sequence[int] | NDArray[np.int64]) -> None:
        """Make slots free again."""
        self._free[self._left : self._left + len(slots)] = slots
        self._left += len(slots)


def day_minus_monotonic() -> int:
    """How far the clock of day is ahead of the monotonic one, nanoseconds."""
    while True:
        before = time.monotonic_ns()
        day = time.time_ns()
        after = time.monotonic_ns()
        # Not when something came between the readings.
        if after - before < _READING_TAKES:
            return day - before


class Arrivals(NamedTuple):
    """Frames that came in: ``rows`` uint8 (n, width), good until the next call, ``lengths`` and monotonic ``times``."""

    rows: NDArray[np.uint8]
    lengths: NDArray[np.int64]
    times: NDArray[np.int64]


class Port:
    """A packet socket on one interface of the calling thread's namespace, non-blocking."""

    def __init__(self, interface: str, mtu: int, pool: Pool) -> None:
        self.interface = interface
        self._pool = pool
        self._socket = socket.socket(
            socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(ETH_P_ALL)
        )
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        for option, value in ((_SO_RCVBUFFORCE, _BUFFER), (socket.SO_SNDBUF, _BUFFER)):
            try:
                self._socket.setsockopt(socket.SOL_SOCKET, option, value)
            except PermissionError:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, value)
        self._socket.bind((interface, ETH_P_ALL))
        # Stamped when the kernel gets them: what the relay takes to wake up is not added to the delay asked for.
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._arrivals = ReceiveTable(BATCH, pool.width, 0, _STAMP.itemsize, limit=pool.width)
        self._stamps = self._arrivals.control.view(_STAMP)[:, 0]
        self._last = 0
        self._departures = SendTable(BATCH)
        self._empty_heads = np.zeros((BATCH, 1), dtype=np.uint8)
        self._no_bytes = np.zeros(BATCH, dtype=np.int64)

    def fileno(self) -> int:
        """Readable when frames wait."""
        return self._socket.fileno()

    def receive(self) -> Arrivals | None:
        """Frames that wait, at most :data:`BATCH`; None when there are none."""
        table = self._arrivals
        count = recvmmsg(self._socket.fileno(), table.address, BATCH, socket.MSG_DONTWAIT)
        if count <= 0:
            return None
        lengths = table.lengths[:count].astype(np.int64)
        times = self._times(count)
        table.reset(count)
        return Arrivals(table.buffer[:count], lengths, times)

    def _times(self, count: int) -> NDArray[np.int64]:
        """When the frames came by the monotonic clock, never going back and never in the future."""
        now = time.monotonic_ns()
        stamps = self._stamps[:count]
        times: NDArray[np.int64] = stamps["seconds"] * 1_000_000_000 + stamps["nanoseconds"]
        times -= day_minus_monotonic()
        # Somebody may have set the clock of day meanwhile.
        np.clip(times, max(self._last, now - _LONGEST_WAIT), now, out=times)
        np.maximum.accumulate(times, out=times)
        self._last = int(times[-1])
        return times

    def send(self, slots: Sequence[int], lengths: Sequence[int]) -> int:
        """Send frames from slots of the pool, at most :data:`BATCH`; gives how many the kernel took."""
        count = len(slots)
        batch = Batch(
            self._empty_heads[:count],
            self._no_bytes[:count],
            self._pool.flat,
            np.array(slots, dtype=np.int64) * self._pool.width,
            np.array(lengths, dtype=np.int64),
        )
        self._departures.load(batch)
        sent = taken = 0
        while sent < count:
            address = self._departures.message(sent)
            result = sendmmsg(self._socket.fileno(), address, count - sent, socket.MSG_DONTWAIT)
            if result > 0:
                sent += result
                taken += result
            elif -result in _FULL:
                break
            else:
                sent += 1  # refused for its own sake, such as when the other end is down
        return taken

    def kernel_drops(self) -> int:
        """Frames the kernel had no room for since the last call."""
        counters = self._socket.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8)
        return int(struct.unpack("II", counters)[1])

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

"""Batches into the kernel: sendmmsg until all are taken, the queue is full or one is refused.

What one datagram is refused for (too large, no route, a firewall) concerns that datagram alone: it is counted, noted
and skipped. A full queue stops the batch. An error that an earlier datagram left behind on the socket, such as an
ICMP "port unreachable", costs nothing: the error queue is drained and the datagram offered again.
"""

from __future__ import annotations

import errno
import os
import select
import socket
from collections import deque
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from rawproto.errors import ClosedError, OpError
from rawproto.link.base import NOTED
from rawproto.link.linux import sendmmsg
from rawproto.link.tables import MAX_MESSAGES, SendTable
from rawproto.wire.batch import Batch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rawproto.link.base import LinkStats

__all__ = ["FULL", "Scatter", "Sender", "is_writable"]

_CAPACITY: Final = 64
FULL: Final = frozenset({errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM})


class Sender:
    """The sending half of a kernel link; used by one thread at a time.

    Args:
        fd: descriptor of a socket.
        network: the link's name, for errors.
        stats: counters to keep.
        clear_pending: called to take a pending error off the socket.
    """

    def __init__(self, fd: int, network: str, stats: LinkStats, clear_pending: Callable[[], None]) -> None:
        self._fd = fd
        self._network = network
        self._stats = stats
        self._clear_pending = clear_pending
        self._table = SendTable(_CAPACITY)
        self._noted: deque[OSError] = deque(maxlen=NOTED)
        self._destination: Any = None
        self._loaded = 0

    def send(self, batch: Batch, sockaddr: bytes, destination: Any) -> int:
        """Send ``batch`` to ``sockaddr`` and return how many datagrams are settled (taken or refused)."""
        self._destination = destination
        count = len(batch)
        batch = contiguous(batch)
        if count <= MAX_MESSAGES:
            settled = self._send_chunk(batch, count, sockaddr)
        else:
            settled = 0
            while settled < count:
                chunk = part(batch, settled, min(settled + MAX_MESSAGES, count))
                taken = self._send_chunk(chunk, len(chunk), sockaddr)
                settled += taken
                if taken < len(chunk):
                    break
        self._stats.send_refused += count - settled
        return settled

    def close(self) -> None:
        """Refuse all further calls."""
        self._fd = -1

    def take_errors(self) -> list[OSError]:
        """The newest errors of single datagrams since the last call."""
        taken = []
        while self._noted:
            taken.append(self._noted.popleft())
        return taken

    def _send_chunk(self, batch: Batch, count: int, sockaddr: bytes) -> int:
        self._load(batch, count, sockaddr)
        return self._push(0, count)

    def _load(self, batch: Batch, count: int, sockaddr: bytes, pieces: int = 1) -> SendTable:
        """Fill the table, enlarged when needed; messages have at least ``pieces`` iovecs."""
        if count > self._table.capacity:
            self._table = SendTable(min(1 << (count - 1).bit_length(), MAX_MESSAGES))
        table = self._table
        table.set_destination(sockaddr)
        table.load(batch, pieces)
        self._loaded = count
        return table

    def _push(self, first: int, last: int) -> int:
        """Offer the loaded messages ``first`` up to ``last``; returns the first that is not settled."""
        settled = first
        offered_again = -1
        while settled < last:
            result = sendmmsg(self._fd, self._table.message(settled), last - settled, socket.MSG_DONTWAIT)
            if result > 0:
                self._took(settled, result)
                settled += result
                continue
            number = -result
            if number in FULL:
                self._queue_is_full(number)
                break
            if offered_again != settled and number != errno.EBADF:
                offered_again = settled
                self._clear_pending()
                continue
            self.note(number)
            self._stats.send_refused += 1
            settled += 1
        return settled

    def _took(self, first: int, count: int) -> None:
        table = self._table
        self._stats.sent += count
        self._stats.sent_bytes += table.total if count == self._loaded else table.bytes_sent(first, count)

    def _queue_is_full(self, number: int) -> None:
        """Note which queue it is that takes no more, unless it is the socket's own buffer, which poll tells of.

        A raw socket whose buffer is full says ENOBUFS, as a full queue further down does; only the latter leaves the
        socket writable.
        """
        if number != errno.EAGAIN and is_writable(self._fd):
            self.note(number)

    def note(self, number: int) -> None:
        """Keep an error of one datagram for :meth:`take_errors`; raises ClosedError when the socket is gone."""
        if number == errno.EBADF:
            raise ClosedError("the link is closed", op="send", network=self._network)
        error = OpError(
            os.strerror(number), op="send", network=self._network, remote=self._destination, errno=number
        )
        self._noted.append(error)


class Scatter(Sender):
    """Sends each datagram of a batch to a destination of its own."""

    def send_each(self, batch: Batch, names: NDArray[np.uint8]) -> int:
        """Send the datagrams to the sockaddrs ``names``, uint8 (n, size), and return how many are settled."""
        count = min(len(batch), MAX_MESSAGES)
        names = np.ascontiguousarray(names[:count])
        self._load(contiguous(batch), count, b"")
        self._table.set_destinations(names)
        settled = self._push(0, count)
        self._stats.send_refused += count - settled
        return settled


def is_writable(fd: int) -> bool:
    """Whether the socket's send buffer has room."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    return any(events & select.POLLOUT for _, events in poll.poll(0))


def contiguous(batch: Batch) -> Batch:
    """``batch`` itself, or a copy when its rows or its tail are not plain runs of bytes."""
    head, tail = batch.head, batch.tail
    if head.strides[1] == 1 and (tail is None or tail.strides[0] == 1):
        return batch
    return Batch(
        np.ascontiguousarray(head),
        batch.head_lengths,
        None if tail is None else np.ascontiguousarray(tail),
        batch.tail_starts,
        batch.tail_lengths,
    )


def part(batch: Batch, first: int, last: int) -> Batch:
    """Datagrams ``first`` up to ``last`` of ``batch``, as views."""

    def cut(column: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
        return None if column is None else column[first:last]

    return Batch(
        batch.head[first:last],
        batch.head_lengths[first:last],
        batch.tail,
        cut(batch.tail_starts),
        cut(batch.tail_lengths),
    )

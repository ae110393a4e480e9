"""UDP segmentation offload on the way out: many datagrams of one size as one message (UDP_SEGMENT, udp(7)).

The kernel cuts a message at a size given with it; all datagrams of the message but the last have that size. A batch
is split into such groups. The iovecs stay those of the plain table (head row, tail slice, head row, ...): a group is
a message whose iovecs are a run of that table.
"""

from __future__ import annotations

import errno
import itertools
import socket
import sys
from collections import OrderedDict
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from rawproto.link import linux
from rawproto.link.control import pack
from rawproto.link.linux import UDP_MAX_SEGMENTS, sendmmsg
from rawproto.link.sender import FULL, Sender
from rawproto.link.tables import GroupTable, SendTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from rawproto.link.base import LinkStats
    from rawproto.wire.batch import Batch

__all__ = ["SegmentSender", "group_length", "plan_groups"]

_PLANS: Final = 16  # kept: a stream has batches of few different lengths
# Errors that mean "not as one message": too large for the path, or no checksum offload on the way out.
_NOT_AS_ONE: Final = frozenset({errno.EMSGSIZE, errno.EINVAL, errno.EIO})


class _Plan(NamedTuple):
    """What batches of datagrams of the same lengths have in common.

    Attributes:
        table: their iovecs.
        groups: one message for each group of datagrams.
        edges: the datagram that each group begins with, and the end.
        name_length: bytes of the destination's sockaddr.
    """

    table: SendTable
    groups: GroupTable
    edges: list[int]
    name_length: int


class SegmentSender(Sender):
    """Sends runs of equal datagrams as one message each; datagrams of a refused message one by one.

    Args:
        limit: bytes of one message at most: what an IP datagram holds above the UDP header.
    """

    def __init__(
        self, fd: int, network: str, stats: LinkStats, clear_pending: Callable[[], None], limit: int
    ) -> None:
        super().__init__(fd, network, stats, clear_pending)
        self._limit = limit
        self._offload = True
        self._plans: OrderedDict[tuple[bytes, bytes], _Plan] = OrderedDict()
        self._plan: _Plan
        self._plain = self._table

    def _send_chunk(self, batch: Batch, count: int, sockaddr: bytes) -> int:
        if not self._offload or count < 2:
            self._table = self._plain
            settled = super()._send_chunk(batch, count, sockaddr)
            self._plain = self._table
            return settled
        tail = batch.tail_lengths
        key = batch.head_lengths.tobytes(), b"" if tail is None else tail.tobytes()
        plan = self._plans.get(key)
        if plan is None or plan.name_length != len(sockaddr):
            plan = self._plans[key] = self._make_plan(batch, count, sockaddr)
            if len(self._plans) > _PLANS:
                self._plans.popitem(last=False)
        self._plan, self._table = plan, plan.table
        self._load(batch, count, sockaddr, pieces=2)
        return self._push_groups()

    def _make_plan(self, batch: Batch, count: int, sockaddr: bytes) -> _Plan:
        """The tables for batches whose datagrams are as long as those of ``batch``."""
        table = SendTable(count)
        table.set_destination(sockaddr)
        starts, sizes = plan_groups(batch.lengths, self._limit)
        groups = GroupTable(table, len(starts), len(_segment_control(1)))
        groups.load(starts, count, [_segment_control(size) for size in sizes.tolist()])
        return _Plan(table, groups, [*starts.tolist(), count], len(sockaddr))

    def _push_groups(self) -> int:
        """Offer the loaded groups; returns how many datagrams are settled."""
        edges, table = self._plan.edges, self._plan.groups
        group, groups = 0, len(edges) - 1
        offered_again = -1
        while group < groups:
            result = sendmmsg(self._fd, table.message(group), groups - group, socket.MSG_DONTWAIT)
            if result == groups:
                self._stats.sent += edges[-1]
                self._stats.sent_bytes += self._table.total
                break
            if result > 0:
                self._stats.sent += edges[group + result] - edges[group]
                self._stats.sent_bytes += table.bytes_sent(group, result)
                group += result
                continue
            number = -result
            if number in FULL:
                self._queue_is_full(number)
                return edges[group]
            if offered_again != group and number not in _NOT_AS_ONE and number != errno.EBADF:
                offered_again = group
                self._clear_pending()
                continue
            if number == errno.EIO:  # the device cannot do it, nor will it next time
                self._offload = False
            settled = self._push(edges[group], edges[group + 1])
            if settled < edges[group + 1]:
                return settled
            group += 1
        return edges[-1]


def plan_groups(
    lengths: NDArray[np.int64], limit: int, most: int = UDP_MAX_SEGMENTS
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where groups begin and the segment size of each, for datagrams of ``lengths`` bytes.

    A group is a run of equal datagrams, perhaps with a shorter one (not an empty one) at its end, of at most ``most``
    datagrams and ``limit`` bytes.
    """
    count = len(lengths)
    size = int(lengths[0])
    if size and 0 < lengths[-1] <= size and (lengths[1:-1] == size).all():
        starts = np.arange(0, count, group_length(size, limit, most), dtype=np.int64)
        return starts, np.full(len(starts), size, dtype=np.int64)
    found: list[tuple[int, int]] = []
    changes = np.flatnonzero(lengths[1:] != lengths[:-1]) + 1
    runs = [0, *changes.tolist(), count]
    joined = 0  # datagrams at the start of this run that the last group took along
    for first, last in itertools.pairwise(runs):
        size = int(lengths[first])
        step = group_length(size, limit, most)
        begins = range(first + joined, last, step)
        found.extend((begin, size) for begin in begins)
        joined = 0
        if len(begins) and last < count and 0 < lengths[last] < size:
            held = last - begins[-1]
            joined = int(held < step and held * size + int(lengths[last]) <= limit)
    array = np.array(found, dtype=np.int64)
    return array[:, 0], array[:, 1]


def group_length(size: int, limit: int, most: int = UDP_MAX_SEGMENTS) -> int:
    """Datagrams of ``size`` bytes that one message can hold."""
    return max(min(most, limit // size), 1) if size else 1


def _segment_control(size: int) -> bytes:
    size = min(size, 0xFFFF)  # what is longer is alone in its group, and refused
    return pack(linux.SOL_UDP, linux.UDP_SEGMENT, size.to_bytes(2, sys.byteorder))

"""The tables that sendmmsg and recvmmsg work on, as numpy arrays built once and reused.

Filling a table is a handful of whole-column assignments: pointers are computed by arithmetic on columns, never one
by one. Layouts are those of the C structures with native alignment (bits/socket.h, bits/types/struct_iovec.h)::

    struct iovec   { void *base; size_t len; }
    struct msghdr  { void *name; socklen_t namelen; struct iovec *iov; size_t iovlen;
                     void *control; size_t controllen; int flags; }
    struct mmsghdr { struct msghdr hdr; unsigned len; }
"""

from __future__ import annotations

import mmap
import weakref
from typing import TYPE_CHECKING, Any, Final

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from rawproto.wire.batch import Batch

__all__ = ["MAX_MESSAGES", "GroupTable", "ReceiveTable", "SendTable", "address_of", "pages"]

# Pointers and sizes are kept signed: user-space addresses fit, and signed columns add up with int64 offsets.
_IOVEC: Final = np.dtype([("base", np.intp), ("len", np.intp)], align=True)
_MSGHDR: Final = np.dtype(
    [
        ("name", np.intp),
        ("namelen", np.uint32),
        ("iov", np.intp),
        ("iovlen", np.intp),
        ("control", np.intp),
        ("controllen", np.intp),
        ("flags", np.int32),
    ],
    align=True,
)
_MMSGHDR: Final = np.dtype([("hdr", _MSGHDR), ("len", np.uint32)], align=True)

MAX_MESSAGES: Final = 1024
"""Messages of one call; the kernel takes no more (UIO_MAXIOV, linux/uio.h)."""


def address_of(array: NDArray[Any]) -> int:
    """Address in memory of the first element of ``array``."""
    address: int = array.__array_interface__["data"][0]
    return address


def pages(size: int) -> NDArray[np.uint8]:
    """``size`` bytes, uint8 (size,), in a mapping of their own, which goes back to the kernel as soon as it is dropped.

    From malloc, megabytes that a link held would be kept by the heap of the thread that opened it, a heap for each
    thread; and glibc, seeing such a block freed, from then on serves blocks of that size from its heaps, and trims
    these only when twice as much lies free at the top (mallopt(3), M_MMAP_THRESHOLD).
    """
    if not size:
        return np.empty(0, dtype=np.uint8)
    return np.frombuffer(mmap.mmap(-1, size, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS), dtype=np.uint8)


class Pointer:
    """The address of the array asked about last, kept with a weak reference: looking it up costs 2 us."""

    __slots__ = ("_address", "_reference")

    def __init__(self) -> None:
        self._address = 0
        self._reference: Callable[[], Any] = _nothing

    def to(self, array: NDArray[Any]) -> int:
        """Address of the first element of ``array``."""
        if self._reference() is not array:
            # Both or neither, should memory run out on the way; so in the tables below.
            address, reference = address_of(array), weakref.ref(array)
            self._address, self._reference = address, reference
        return self._address


def _nothing() -> None:
    return None


class SendTable:
    """Messages of two iovecs each, a row of a batch's head and a slice of its tail, all to one destination."""

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._messages = np.zeros(capacity, dtype=_MMSGHDR)
        self._iovecs = np.zeros((capacity, 2), dtype=_IOVEC)
        self._name = np.zeros(28, dtype=np.uint8)
        self._rows = np.arange(capacity, dtype=np.intp)
        self.address = address_of(self._messages)
        self.name_address = address_of(self._name)
        self.iovecs_address = address_of(self._iovecs)
        headers = self._messages["hdr"]
        headers["name"] = self.name_address
        headers["iov"] = self.iovecs_address + self._rows * self._iovecs.strides[0]
        self._name_lengths = headers["namelen"]
        self._iovec_counts = headers["iovlen"]
        self._lengths = self._messages["len"]
        self._head_bases = self._iovecs["base"][:, 0]
        self._head_lengths = self._iovecs["len"][:, 0]
        self._tail_bases = self._iovecs["base"][:, 1]
        self._tail_lengths = self._iovecs["len"][:, 1]
        # What the columns hold now, so that what stays the same from batch to batch is not computed again.
        self._head = Pointer()
        self._tail = Pointer()
        self._head_state = (0, 0)
        self._lengths_state = (b"", b"")
        self._pieces = 0
        self._sockaddr = b""
        self.total = 0

    def set_destination(self, sockaddr: bytes) -> None:
        """All messages go to ``sockaddr``; every message points to the one copy kept here."""
        if sockaddr == self._sockaddr:
            return
        name, before = np.frombuffer(sockaddr, dtype=np.uint8), len(self._sockaddr)
        self._sockaddr = b""
        self._name[: len(sockaddr)] = name
        if len(sockaddr) != before:
            self._name_lengths[:] = len(sockaddr)
        self._sockaddr = sockaddr

    def set_destinations(self, names: NDArray[np.uint8]) -> None:
        """Each message goes to its own row of ``names``, sockaddrs of one size, which must live on."""
        count, size = names.shape
        headers = self._messages["hdr"]
        headers["name"][:count] = address_of(names) + self._rows[:count] * names.strides[0]
        self._name_lengths[:] = size

    def load(self, batch: Batch, pieces: int = 1) -> None:
        """Point the first messages at the datagrams of ``batch``, which must live on.

        With ``pieces`` of 2 every message gets two iovecs even when the batch has no tail. Afterwards ``total`` is
        the number of bytes of the batch.
        """
        head, tail = batch.head, batch.tail
        state = (self._head.to(head), head.strides[0])
        if state != self._head_state:
            self._head_state = (0, 0)
            np.multiply(self._rows, state[1], out=self._head_bases)
            self._head_bases += state[0]
            self._head_state = state
        if tail is None or batch.tail_starts is None or batch.tail_lengths is None:
            lengths = (batch.head_lengths.tobytes(), b"")
        else:
            pieces = 2
            np.add(batch.tail_starts, self._tail.to(tail), out=self._tail_bases[: len(head)])
            lengths = (batch.head_lengths.tobytes(), batch.tail_lengths.tobytes())
        # Comparing bytes is a tenth of the price of comparing, or even copying, arrays.
        if lengths != self._lengths_state:
            self._load_lengths(batch, lengths)
        if pieces != self._pieces:
            self._pieces = 0
            self._iovec_counts[:] = pieces
            self._pieces = pieces

    def _load_lengths(self, batch: Batch, lengths: tuple[bytes, bytes]) -> None:
        count, total = len(batch.head), int(batch.lengths.sum())
        self._lengths_state = (b"", b"")
        self._head_lengths[:count] = batch.head_lengths
        self._tail_lengths[:count] = 0 if batch.tail_lengths is None else batch.tail_lengths
        self.total = total
        self._lengths_state = lengths

    @property
    def name_length(self) -> int:
        """Bytes of the destination's sockaddr."""
        return len(self._sockaddr)

    def message(self, index: int) -> int:
        """Address of message ``index``."""
        return self.address + index * _MMSGHDR.itemsize

    def bytes_sent(self, first: int, count: int) -> int:
        """Bytes the kernel took of ``count`` messages from ``first`` on."""
        return int(self._lengths[first : first + count].sum())


class GroupTable:
    """Messages that each take a run of another table's iovecs and a control message of their own."""

    def __init__(self, table: SendTable, capacity: int, control_size: int) -> None:
        self.table = table
        self._messages = np.zeros(capacity, dtype=_MMSGHDR)
        self._control = np.zeros((capacity, control_size), dtype=np.uint8)
        self._address = address_of(self._messages)
        headers = self._messages["hdr"]
        headers["name"] = table.name_address
        headers["control"] = address_of(self._control) + np.arange(capacity) * control_size
        self._name_lengths = headers["namelen"]
        self._iovecs = headers["iov"]
        self._iovec_counts = headers["iovlen"]
        self._control_lengths = headers["controllen"]
        self._lengths = self._messages["len"]

    def load(self, starts: NDArray[np.int64], count: int, controls: Sequence[bytes]) -> None:
        """Make one message of each run of datagrams that begins at ``starts``; the last ends at ``count``.

        Runs of more than one datagram get the control message in ``controls`` that belongs to them.
        """
        groups = len(starts)
        self._name_lengths[:groups] = self.table.name_length
        self._iovecs[:groups] = self.table.iovecs_address + starts * (2 * _IOVEC.itemsize)
        held = np.diff(starts, append=count)
        self._iovec_counts[:groups] = 2 * held
        self._control[:groups] = np.frombuffer(b"".join(controls), dtype=np.uint8).reshape(groups, -1)
        self._control_lengths[:groups] = np.where(held > 1, self._control.shape[1], 0)

    def message(self, index: int) -> int:
        """Address of message ``index``."""
        return self._address + index * _MMSGHDR.itemsize

    def bytes_sent(self, first: int, count: int) -> int:
        """Bytes the kernel took of ``count`` messages from ``first`` on."""
        return int(self._lengths[first : first + count].sum())


class ReceiveTable:
    """Messages of recvmmsg over one buffer of equal slots, with a spill slot for what is longer.

    Each message has two iovecs: its slot, and its part of a spill area that is only virtual memory until a
    datagram longer than a slot comes. Slots so stay small and close together, and nothing is ever truncated.

    Args:
        slots: messages of one call.
        slot_size: bytes of a slot.
        name_size: bytes of a source sockaddr; 0 when it is not wanted.
        control_size: bytes of control data kept of each message.
        limit: the longest datagram that can come.
    """

    def __init__(
        self, slots: int, slot_size: int, name_size: int, control_size: int, limit: int = 65_535
    ) -> None:
        self.slots = slots
        self.name_size = name_size
        self.limit = limit
        self._messages = np.zeros(slots, dtype=_MMSGHDR)
        self.address = address_of(self._messages)
        self.names = np.zeros((slots, max(name_size, 1)), dtype=np.uint8)
        self.control = np.zeros((slots, max(control_size, 1)), dtype=np.uint8)
        self._iovecs = np.zeros((slots, 2), dtype=_IOVEC)
        rows = np.arange(slots, dtype=np.intp)
        headers = self._messages["hdr"]
        headers["iov"] = address_of(self._iovecs) + rows * self._iovecs.strides[0]
        if name_size:
            headers["name"] = address_of(self.names) + rows * self.names.strides[0]
            headers["namelen"] = name_size
        if control_size:
            headers["control"] = address_of(self.control) + rows * self.control.strides[0]
            headers["controllen"] = control_size
        self.lengths = self._messages["len"]
        self.control_lengths = headers["controllen"]
        self.flags = headers["flags"]
        # Names, control lengths and flags are answers as well as questions: they are put back before each call.
        self._flat = self._messages.view(np.uint64).reshape(slots, -1)
        self._pristine = self._flat.copy()
        self._rows = rows
        # For messages that come alone: plain views, a tenth of the price of arrays.
        self._first_length = self.lengths[:1].data
        self._first_control_length = self.control_lengths[:1].data
        self._first_control = self.control[0].data
        self._first_name = self.names[0].data
        self._set_slot_size(slot_size)

    def _set_slot_size(self, slot_size: int) -> None:
        # Until all is in place it is none of these sizes, and the next call begins anew.
        self.slot_size = -1
        self._wanted_slot_size = slot_size
        # One slot more than is used: rows cut out of the last slot may reach beyond its end.
        self.flat = pages((self.slots + 1) * slot_size)
        self.buffer = self.flat[: self.slots * slot_size].reshape(self.slots, slot_size)
        self._iovecs["base"][:, 0] = address_of(self.buffer) + self._rows * slot_size
        self._iovecs["len"][:, 0] = slot_size
        spill_size = max(self.limit - slot_size, 0)
        self._spill = pages(self.slots * spill_size).reshape(self.slots, spill_size)
        self._iovecs["base"][:, 1] = address_of(self._spill) + self._rows * spill_size
        self._iovecs["len"][:, 1] = spill_size
        self._first_slot = self.flat[:slot_size].data
        self._flat[:] = self._pristine
        self._messages["hdr"]["iovlen"] = 2 if spill_size else 1
        self._pristine = self._flat.copy()
        self._first = self._messages[:1].view(np.uint8).data
        self._first_pristine = self._first.tobytes()
        self.slot_size = slot_size

    def reset(self, count: int) -> None:
        """Make the table ready for another call after one that used ``count`` messages."""
        if self._wanted_slot_size != self.slot_size:
            self._set_slot_size(self._wanted_slot_size)
        elif count == 1:
            self._first[:] = self._first_pristine
        else:
            self._flat[:count] = self._pristine[:count]

    def first(self) -> tuple[bytes, bytes, bytes] | None:
        """Datagram, control messages and source of the first message, or None when it is longer than its slot."""
        length = self._first_length[0]
        if length > self.slot_size:
            return None
        control = self._first_control[: self._first_control_length[0]].tobytes()
        return self._first_slot[:length].tobytes(), control, self._first_name.tobytes()

    def rows(self, count: int, longest: int) -> NDArray[np.uint8]:
        """The first ``count`` datagrams as rows of at least ``longest`` bytes, the longest of them.

        A view over the slots when all fit; otherwise a copy, after which the next call finds slots enlarged so that
        datagrams of this size need none.
        """
        if longest <= self.slot_size:
            return self.buffer[:count]
        # Whole cache lines, and an odd number of them: slots an even power apart share cache sets.
        self._wanted_slot_size = min((-(-longest // 64) | 1) * 64, self.limit)
        return np.concatenate([self.buffer[:count], self._spill[:count, : longest - self.slot_size]], axis=1)

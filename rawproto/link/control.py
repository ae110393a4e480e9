"""Control messages of a received batch, read as columns.

A control message (cmsg(3)) is ``size_t len; int level; int type;`` and data, each aligned to the size of a pointer.
In nearly every batch all datagrams carry the same kinds in the same order: one comparison with the layout of the
last batch settles it, and every field is a strided view. Otherwise the rows are read one by one into a fixed layout.
"""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from rawproto.link import linux

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.link.tables import ReceiveTable

__all__ = [
    "TIMESTAMP",
    "ControlMessage",
    "ControlReader",
    "control_messages",
    "nanoseconds",
    "pack",
    "read_timestamps",
    "space",
]

_HEADER: Final = struct.Struct("@Nii")
_ALIGN: Final = struct.calcsize("@N")
_TIMESPEC: Final = struct.Struct("@qq")  # struct timespec: seconds, nanoseconds

Kind = tuple[int, int]


def _aligned(size: int) -> int:
    return -(-size // _ALIGN) * _ALIGN


def space(*sizes: int) -> int:
    """Bytes of control buffer for messages with data of these sizes (CMSG_SPACE)."""
    return sum(_aligned(_HEADER.size) + _aligned(size) for size in sizes)


def pack(level: int, kind: int, data: bytes) -> bytes:
    """One control message, padded."""
    length = _aligned(_HEADER.size) + len(data)
    return (_HEADER.pack(length, level, kind).ljust(_aligned(_HEADER.size), b"\0") + data).ljust(
        _aligned(length), b"\0"
    )


TIMESTAMP: Final = (socket.SOL_SOCKET, linux.SCM_TIMESTAMPNS)
"""Kind of the message that SO_TIMESTAMPNS gives: a ``struct timespec``, two 64-bit numbers."""


class ControlMessage(NamedTuple):
    """A control message that the kernel adds to arrivals when asked.

    Attributes:
        level: socket option level.
        option: the option that asks for it.
        kind: the type it comes as.
        size: bytes of its data.
    """

    level: int
    option: int
    kind: int
    size: int


_IPV4_INFO: Final = ControlMessage(socket.IPPROTO_IP, linux.IP_PKTINFO, linux.IP_PKTINFO, 12)
_IPV6_CLASS: Final = ControlMessage(socket.IPPROTO_IPV6, linux.IPV6_RECVTCLASS, linux.IPV6_TCLASS, 4)
_IPV6_INFO: Final = ControlMessage(socket.IPPROTO_IPV6, linux.IPV6_RECVPKTINFO, linux.IPV6_PKTINFO, 20)
_IPV6_HOPS: Final = ControlMessage(socket.IPPROTO_IPV6, linux.IPV6_RECVHOPLIMIT, linux.IPV6_HOPLIMIT, 4)
_IPV6_FLOW: Final = ControlMessage(socket.IPPROTO_IPV6, linux.IPV6_FLOWINFO, linux.IPV6_FLOWINFO, 4)


def control_messages(version: int, *, bound: bool, details: bool) -> list[ControlMessage]:
    """What a raw socket has to ask the kernel for: less on IPv4, where the IP header arrives too."""
    if version == 4:
        return [_IPV4_INFO] if details else []
    if details:
        return [_IPV6_CLASS, _IPV6_INFO, _IPV6_HOPS, _IPV6_FLOW]
    return [_IPV6_CLASS] if bound else [_IPV6_CLASS, _IPV6_INFO]


class ControlReader:
    """Columns of the control messages of one receive table.

    Args:
        table: the table, whose control rows are sized by :func:`space`.
        wanted: size of the data of each (level, type) that may be asked for.
    """

    def __init__(self, table: ReceiveTable, wanted: dict[Kind, int]) -> None:
        self._table = table
        self._wanted = wanted
        self._words = table.control.view(np.uint32)
        self._length = -1
        self._where = np.zeros(0, dtype=np.intp)
        self._expected = np.zeros(0, dtype=np.uint32)
        self._offsets: dict[Kind, int] = {}
        self._rows: NDArray[np.uint8] = table.control

    def load(self, count: int) -> None:
        """Take up the first ``count`` messages of the table; columns stay good until it receives again."""
        lengths = self._table.control_lengths[:count]
        if int(lengths[0]) != self._length:
            self._learn()
        uniform = bool((lengths == self._length).all()) and bool(
            (self._words[:count, self._where] == self._expected).all()
        )
        if not uniform:
            self._learn()
            uniform = bool((lengths == self._length).all()) and bool(
                (self._words[:count, self._where] == self._expected).all()
            )
        if uniform:
            self._rows = self._table.control[:count]
        else:
            self._copy_one_by_one(count)

    def column(self, kind: Kind, dtype: type[Any]) -> NDArray[Any] | None:
        """The data of control messages ``kind`` as (n, items) of ``dtype``; None when there are none.

        Rows without one are zero where others have it.
        """
        offset = self._offsets.get(kind)
        if offset is None:
            return None
        column: NDArray[Any] = self._rows[:, offset : offset + self._wanted[kind]].view(dtype)
        return column

    def _learn(self) -> None:
        """Take the layout of row 0 for that of all."""
        self._length = int(self._table.control_lengths[0])
        row = self._table.control[0].tobytes()
        self._offsets = {}
        where: list[int] = []
        for kind, offset, _ in messages(row, self._length):
            self._offsets[kind] = offset
            start = offset - _aligned(_HEADER.size)
            where.extend(range(start // 4, (start + _HEADER.size) // 4))
        self._where = np.array(where, dtype=np.intp)
        self._expected = self._words[0, self._where].copy()

    def _copy_one_by_one(self, count: int) -> None:
        self._offsets = {}
        width = 0
        for kind, size in self._wanted.items():
            self._offsets[kind] = width
            width += _aligned(size)
        self._rows = np.zeros((count, width), dtype=np.uint8)
        seen: set[Kind] = set()
        for index in range(count):
            row = self._table.control[index]
            for kind, offset, size in messages(row.tobytes(), int(self._table.control_lengths[index])):
                start = self._offsets.get(kind)
                if start is not None:
                    size = min(size, self._wanted[kind])
                    self._rows[index, start : start + size] = row[offset : offset + size]
                    seen.add(kind)
        self._offsets = {kind: start for kind, start in self._offsets.items() if kind in seen}
        self._length = -1


def nanoseconds(timespec: bytes) -> int:
    """The ``struct timespec`` that ``timespec`` begins with as nanoseconds."""
    seconds, rest = _TIMESPEC.unpack_from(timespec)
    return int(seconds) * 1_000_000_000 + int(rest)


def read_timestamps(reader: ControlReader) -> NDArray[np.int64] | None:
    """Arrival times in nanoseconds since the epoch; None when the kernel gave none."""
    times = reader.column(TIMESTAMP, np.int64)
    if times is None:
        return None
    stamps: NDArray[np.int64] = times[:, 0] * 1_000_000_000 + times[:, 1]
    return stamps


def messages(control: bytes, length: int) -> list[tuple[Kind, int, int]]:
    """The control messages in the first ``length`` bytes: kind, offset of the data, size of the data."""
    found = []
    start = 0
    while start + _HEADER.size <= length:
        size, level, kind = _HEADER.unpack_from(control, start)
        if size < _HEADER.size or start + size > length:
            break
        data = start + _aligned(_HEADER.size)
        found.append(((level, kind), data, start + size - data))
        start += _aligned(size)
    return found

"""Trains: whole batches of DATA packets that continue each other, recognised in a handful of array operations.

What an undisturbed bulk transfer brings is batches whose packets are all of one connection, one size and one kind,
with numbers and offsets that rise by the same steps. One subtraction and comparisons of bytes tell; a batch that is
anything else is looked at more closely by whoever asked.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from rawproto.rsp.header import DATA_HEADER_SIZE, Data, Kind, RSPFlags

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawproto.wire.batch import ReceivedBatch

__all__ = ["Train", "recognise"]

_KINDS = bytes((Kind.DATA,)) * 1024
_NO_FLAGS = b"\0"
_FIN = int(RSPFlags.FIN)
_FIELDS: Mapping[str, tuple[Any, ...]] = Data.dtype.fields or {}
_KIND_AT = _FIELDS["kind"][1]  # flags follow
_NAME_AT = _FIELDS["connection"][1]  # number and offset follow
_NAMES = struct.Struct("!QQQ")
_WORD = np.dtype(">i8")
_REMEMBERED = 256


class Train(NamedTuple):
    """The packets of one batch.

    Attributes:
        connection: identifier that all of them bear.
        number: packet number of the first; the others follow.
        offset: stream offset of the first.
        size: bytes of payload of each but the last.
        last: bytes of payload of the last, at most ``size``.
        flags: flags of any of them; FIN is of the last alone.
    """

    connection: int
    number: int
    offset: int
    size: int
    last: int
    flags: int


_shapes: dict[bytes, tuple[int, int, bytes]] = {}
"""By the lengths of a batch's datagrams: payload sizes, and what identifier, number and offset add up to row by row."""


def _shape(lengths: bytes) -> tuple[int, int, bytes]:
    column = np.frombuffer(lengths, dtype=np.int64)
    length, last = int(column[0]), int(column[-1])
    shape = 0, 0, b""
    if DATA_HEADER_SIZE <= last <= length and (column[:-1] == length).all():
        steps = np.arange(len(column))[:, None] * np.array([0, 1, length - DATA_HEADER_SIZE])
        shape = length - DATA_HEADER_SIZE, last - DATA_HEADER_SIZE, steps.tobytes()
    if len(_shapes) >= _REMEMBERED:
        _shapes.clear()
    _shapes[lengths] = shape
    return shape


def recognise(batch: ReceivedBatch) -> Train | None:
    """The train that ``batch`` is, or None."""
    rows = batch.head
    count = len(rows)
    if rows.shape[1] < DATA_HEADER_SIZE:
        return None
    lengths = batch.head_lengths.tobytes()
    size, last, steps = _shapes.get(lengths) or _shape(lengths)
    if not steps:
        return None
    marks = rows[:, _KIND_AT : _KIND_AT + 2].tobytes()
    if marks[::2] != _KINDS[:count]:
        return None
    flags = marks[-1]
    if marks[1:-1:2].strip(_NO_FLAGS):
        for found in set(marks[1:-1:2]):
            if found & _FIN:
                return None  # more behind the end of the stream
            flags |= found
    words = rows[:, _NAME_AT:DATA_HEADER_SIZE].view(_WORD).astype(np.int64)
    words -= words[0]
    if words.tobytes() != steps:
        return None
    connection, number, offset = _NAMES.unpack(rows[0, _NAME_AT:DATA_HEADER_SIZE].tobytes())
    return Train(connection, number, offset, size, last, flags)

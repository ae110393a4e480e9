"""Reading batches: headers as columns over the received rows, and which datagrams are sound."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.errors import DecodeError
from rawproto.wire.batch_sums import row_sums
from rawproto.wire.datagram import Datagram
from rawproto.wire.dtype import column_of
from rawproto.wire.ip_chain import IS_FRAGMENT

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.wire.batch import Batch

__all__ = ["field_column", "parse_batch", "verify_batch"]


# Sums are of words in the machine's order: where the second byte of a word stands in it.
_LOW_BYTE = np.uint64(8 if sys.byteorder == "little" else 0)


def parse_batch(batch: Batch, header: Any, offset: int = 0) -> NDArray[Any]:
    """The fixed part of a header of every datagram, as a structured array (n,) of ``header.dtype``.

    Args:
        batch: the datagrams. Where their heads hold the header, the result is a view of them: writing to it edits
            them, and it is good as long as they are.
        header: a Header class.
        offset: bytes before the header in every datagram, such as ``IPv4.size`` for what follows it.

    Raises:
        DecodeError: a datagram is too short; names the first one.
    """
    end = offset + header.size
    lengths = batch.lengths
    if len(batch) and int(lengths.min()) < end:
        row = int(np.argmax(lengths < end))
        reason = f"datagram {row} has {int(lengths[row])} bytes, the header needs {end}"
        raise DecodeError(reason, header.__name__, "", max(int(lengths[row]) - offset, 0))
    rows = batch.head
    if rows.shape[1] < end or (batch.tail is not None and int(batch.head_lengths.min(initial=end)) < end):
        rows = _joined(batch, end)
    if rows.shape[0] and rows.strides[1] != 1:
        rows = np.ascontiguousarray(rows)
    array: NDArray[Any] = rows[:, offset:end].view(header.dtype)[:, 0]
    return array


def _joined(batch: Batch, size: int) -> NDArray[np.uint8]:
    """A copy of the first ``size`` bytes of every datagram, head and tail joined."""
    rows = np.zeros((len(batch), size), dtype=np.uint8)
    for index, row in enumerate(rows):
        data = batch.datagram(index)[:size]
        row[: len(data)] = np.frombuffer(data, dtype=np.uint8)
    return rows


def field_column(array: NDArray[Any], header: Any, field: str) -> NDArray[Any]:
    """One field of a parsed batch: also bit fields and numbers of odd widths, which have no column of their own.

    Returns:
        Integers or booleans (n,); uint8 (n, w) for addresses and bytes.

    Raises:
        KeyError: the header has no such fixed field.
    """
    name, shift, info = column_of(header, field)
    column = array[name]
    if info.kind in ("ip4", "ip6", "bytes"):
        return column
    if column.ndim == 2:
        padded = np.zeros((len(column), 8), dtype=np.uint8)
        padded[:, 8 - column.shape[1] :] = column
        column = padded.view(">u8")[:, 0]
    elif info.mask == (1 << 8 * column.dtype.itemsize) - 1:
        return column
    values = column.astype(np.uint64) >> np.uint64(shift) & np.uint64(info.mask)
    if info.kind == "bool":
        return values.astype(bool)
    return values * np.uint64(info.scale)


def verify_batch(batch: Batch) -> NDArray[np.bool_]:
    """Which IP datagrams of a batch are sound: lengths and checksums of IP and of TCP, UDP and ICMP, bool (n,).

    The common kind, IPv4 without options that is whole and carries one of these, is judged for the whole batch at
    once; any other datagram one by one, as :meth:`Datagram.verify` does. What does not parse is not sound.
    """
    if len(batch) == 0:
        return np.zeros(0, dtype=bool)
    lengths = batch.lengths
    rows = batch.head if batch.tail is None else _joined(batch, int(lengths.max()))
    common = _common(rows, lengths)
    sound = np.zeros(len(batch), dtype=bool)
    if common.all():
        return _verify_common(rows, lengths)
    if common.any():
        sound[common] = _verify_common(rows[common], lengths[common])
    for index in np.flatnonzero(~common).tolist():
        sound[index] = _is_sound(rows[index, : lengths[index]].tobytes())
    return sound


def _common(rows: NDArray[np.uint8], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Rows that are whole IPv4 datagrams without options or trailer, carrying TCP, UDP or ICMP."""
    if rows.shape[1] < 28:
        return np.zeros(len(rows), dtype=bool)
    words = rows[:, :20].view(">u2")
    protocol = rows[:, 9]
    known = (protocol == 17) | (protocol == 6) & (lengths >= 40) | (protocol == 1)
    whole = (words[:, 3] & IS_FRAGMENT) == 0
    common: NDArray[np.bool_] = (
        (rows[:, 0] == 0x45) & (words[:, 1] == lengths) & whole & known & (lengths >= 28)
    )
    return common


def _verify_common(rows: NDArray[np.uint8], lengths: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The verdict on rows for which :func:`_common` holds."""
    protocol = rows[:, 9]
    header = row_sums(rows[:, :20])
    # The pseudo header: addresses, the protocol, the length of what the IP header carries.
    pseudo = row_sums(rows[:, 12:20])
    sizes = (lengths - 20).astype(">u2").view(np.uint16)
    pseudo = pseudo + sizes + (protocol.astype(np.uint64) << _LOW_BYTE)
    body = row_sums(rows[:, 20:], lengths - 20) + np.where(protocol == 1, np.uint64(0), pseudo)
    zero = np.uint64(65535)
    right: NDArray[np.bool_] = (header % zero == 0) & (body % zero == 0)
    udp = protocol == 17
    if udp.any():
        fields = rows[:, 24:28].view(">u2")
        absent = fields[:, 1] == 0
        right = np.where(udp, (right | absent & (header % zero == 0)) & (fields[:, 0] == lengths - 20), right)
    if (protocol == 6).any():
        offset = rows[:, 32] >> 4 if rows.shape[1] > 32 else np.zeros(len(rows), dtype=np.uint8)
        right = right & ((protocol != 6) | (offset >= 5) & (offset * np.int64(4) <= lengths - 20))
    return right


def _is_sound(data: bytes) -> bool:
    """The verdict on one datagram of an uncommon kind."""
    try:
        datagram = Datagram.parse(data)
    except DecodeError:
        return False
    return not datagram.verify()

"""The Internet checksum over batches: one sum a row, in the machine's own byte order.

Ones-complement sums do not depend on byte order but for the order of the result (RFC 1071 section 2(B)): rows are
summed as native 32-bit words, and the 16-bit result is stored natively too: no row is ever swapped.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.wire.batch import Batch

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["checksums", "complement", "native_order", "native_sum", "row_sums", "swap_halves"]

# Above this many distinct lengths, rows are copied with zeros behind their ends instead of summed group by group.
_MAX_GROUPS = 8

# Up to this many 32-bit words a row, adding columns is faster than summing rows.
_FEW_WORDS = 6


def checksums(data: Batch | NDArray[np.uint8], initial: Any = 0) -> NDArray[np.uint16]:
    """The Internet checksum of every datagram of a batch, or of every row of a uint8 (n, w) array.

    Args:
        data: what to sum; an odd last byte counts as the high half of a word.
        initial: a sum to start from, such as that of a pseudo header: an int, or an integer array (n,).

    Returns:
        uint16 (n,), as :func:`rawproto.checksum` gives for each; 0 for a row that holds its own right checksum.
    """
    if isinstance(data, Batch):
        sums = row_sums(data.head, data.head_lengths)
        if data.tail is not None and data.tail_starts is not None and data.tail_lengths is not None:
            tails = tail_sums(data.tail, data.tail_starts, data.tail_lengths)
            # Behind an odd number of bytes every tail byte sits in the other half of its word.
            odd = (data.head_lengths & 1).astype(bool)
            sums = sums + (np.where(odd, swap_halves(tails), tails) if odd.any() else tails)
    else:
        sums = row_sums(np.asarray(data, dtype=np.uint8))
    if not (isinstance(initial, int) and initial == 0):
        sums = sums + native_order(initial)
    native = complement(sums)
    return native if sys.byteorder == "big" else native.byteswap()


def row_sums(rows: NDArray[np.uint8], lengths: NDArray[np.int64] | None = None) -> NDArray[np.uint64]:
    """Sum of the native 16-bit words of each row, modulo 65535 but never reduced: uint64 (n,).

    Args:
        rows: uint8 (n, w), each row contiguous.
        lengths: bytes to sum of each row, int64 (n,); all of them when None.
    """
    if lengths is None or len(rows) == 0:
        return _even_rows(rows)
    first = int(lengths[0])
    if (lengths == first).all():
        return _even_rows(rows[:, :first])
    groups = np.unique(lengths)
    if len(groups) > _MAX_GROUPS:
        inside = np.arange(rows.shape[1]) < lengths[:, None]
        return _even_rows(np.where(inside, rows, np.uint8(0)))
    sums = np.empty(len(rows), dtype=np.uint64)
    for size in groups:
        chosen = lengths == size
        sums[chosen] = _even_rows(rows[chosen, : int(size)])
    return sums


def tail_sums(
    tail: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint64]:
    """As :func:`row_sums`, of slices of one flat buffer."""
    rows = as_rows(tail, starts, lengths)
    return row_sums(rows, lengths)


def as_rows(
    tail: NDArray[np.uint8], starts: NDArray[np.int64], lengths: NDArray[np.int64]
) -> NDArray[np.uint8]:
    """Slices of a flat buffer as rows, uint8 (n, longest): a view where they are evenly spaced, else a copy."""
    count = len(starts)
    width = int(lengths.max(initial=0))
    if count == 0 or width == 0:
        return np.zeros((count, width), dtype=np.uint8)
    first = int(starts[0])
    step = int(starts[1]) - first if count > 1 else width
    last = first + (count - 1) * step
    if step > 0 and last + width <= len(tail) and (starts == first + step * np.arange(count)).all():
        return np.lib.stride_tricks.as_strided(tail[first:], (count, width), (step, 1), writeable=False)
    rows = np.zeros((count, width), dtype=np.uint8)
    for row, start, size in zip(rows, starts.tolist(), lengths.tolist(), strict=True):
        row[:size] = tail[start : start + size]
    return rows


def _even_rows(rows: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """Native word sums of whole rows."""
    count, width = rows.shape
    if count == 0 or width == 0:
        return np.zeros(count, dtype=np.uint64)
    if rows.strides[1] != 1:
        rows = np.ascontiguousarray(rows)
    words = width // 4
    if words == 0:
        sums = np.zeros(count, dtype=np.uint64)
    elif words <= _FEW_WORDS:
        # Column by column: adding whole columns is twice as fast as summing many short rows.
        columns = np.ascontiguousarray(rows[:, : words * 4].view(np.uint32).T)
        sums = np.add.reduce(columns, axis=0, dtype=np.uint64)
    else:
        # einsum sums short rows twice as fast as sum(axis=1), long ones as fast.
        sums = np.einsum("ij->i", rows[:, : words * 4].view(np.uint32), dtype=np.uint64)
    rest = width - words * 4
    if rest:
        last = np.zeros((count, 4), dtype=np.uint8)
        last[:, :rest] = rows[:, words * 4 :]
        sums = sums + last.view(np.uint32)[:, 0]
    return sums


def complement(sums: NDArray[np.uint64]) -> NDArray[np.uint16]:
    """The ones-complement checksum of native sums, in native order."""
    result = (np.uint64(65535) - sums % np.uint64(65535)).astype(np.uint16)
    # The sum of anything but zeros is never the positive zero: its complement is 0, not 0xffff.
    full = result == 65535
    if full.any():
        result[full & (sums != 0)] = 0
    return result


def native_sum(data: bytes) -> int:
    """The native word sum of constant bytes; an even number of them."""
    return int(np.frombuffer(data, dtype=np.uint16).sum(dtype=np.uint64))


def native_order(values: Any) -> NDArray[np.uint64]:
    """Word sums in network order as native ones, and back."""
    sums = np.asarray(values, dtype=np.uint64)
    return sums if sys.byteorder == "big" else swap_halves(sums)


def swap_halves(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The sums of the same bytes behind an odd number of others: both halves of each word change places."""
    folded = sums % np.uint64(65535)
    # Folding keeps the two zeros of ones-complement arithmetic apart: only nothing at all sums to 0.
    folded = np.where((folded == 0) & (sums != 0), np.uint64(65535), folded)
    return (folded & np.uint64(0xFF)) << np.uint64(8) | folded >> np.uint64(8)

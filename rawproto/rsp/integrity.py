"""The integrity checks (:mod:`rawproto.rsp.checks`) of whole batches."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import as_strided
from xxhash import xxh3_64_intdigest

from rawproto.rsp.checks import CHECK_SIZE, CRC32, NONE, SEED_END

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rawproto.wire.batch import Batch

__all__ = ["fill", "verify"]

_LOW_HALF = 0xFFFFFFFF


def fill(batch: Batch, check: str) -> None:
    """Compute the check field of every datagram of an outgoing batch, in place.

    Heads whose payload lies elsewhere are those of DATA: they end at ``SEED_END``.
    """
    head = batch.head
    if check == NONE:
        head[:, :CHECK_SIZE] = 0
        return
    if batch.tail is None or batch.tail_starts is None or batch.tail_lengths is None:
        values = _of_rows(head, batch.head_lengths, check)
    else:
        starts, lengths = batch.tail_starts.tolist(), batch.tail_lengths.tolist()
        values = _of_halves(head, batch.tail.data, starts, lengths, check)
    head[:, :CHECK_SIZE] = _as_fields(values).view(np.uint8).reshape(-1, CHECK_SIZE)


def verify(rows: NDArray[np.uint8], lengths: NDArray[np.int64], check: str) -> NDArray[np.bool_] | None:
    """Which rows have a wrong check field, bool (n,); None when all are right."""
    if check == NONE:
        return None
    right = _as_fields(_of_rows(rows, lengths, check)).tobytes()
    stated = rows[:, :CHECK_SIZE].tobytes()
    if stated == right:
        return None
    wrong: NDArray[np.bool_] = np.frombuffer(stated, dtype=np.uint32) != np.frombuffer(right, dtype=np.uint32)
    return wrong


def _of_rows(rows: NDArray[np.uint8], lengths: NDArray[np.int64], check: str) -> list[int]:
    """The values of packets that lie whole in rows."""
    step = rows.strides[0]
    # One plain view over all rows: a view of each would cost as much as its CRC.
    flat = as_strided(rows, ((len(rows) - 1) * step + rows.shape[1],), (1,)).data
    places = zip(range(0, len(rows) * step, step), lengths.tolist(), strict=True)
    if check == CRC32:
        crc32 = zlib.crc32
        return [crc32(flat[at + CHECK_SIZE : at + size]) for at, size in places]
    hashed = xxh3_64_intdigest
    return [
        hashed(flat[at + SEED_END : at + size], hashed(flat[at + CHECK_SIZE : at + min(SEED_END, size)]))
        for at, size in places
    ]


def _of_halves(
    heads: NDArray[np.uint8], payload: memoryview, starts: Sequence[int], lengths: Sequence[int], check: str
) -> list[int]:
    """The values of packets whose payloads lie elsewhere."""
    width = heads.shape[1]
    flat = memoryview(heads.tobytes())
    fronts = [flat[at : at + width - CHECK_SIZE] for at in range(CHECK_SIZE, len(flat), width)]
    pieces = zip(fronts, starts, lengths, strict=True)
    if check == CRC32:
        crc32 = zlib.crc32
        return [crc32(payload[start : start + length], crc32(front)) for front, start, length in pieces]
    hashed = xxh3_64_intdigest
    return [hashed(payload[start : start + length], hashed(front)) for front, start, length in pieces]


def _as_fields(values: list[int]) -> NDArray[np.uint32]:
    """The low halves of ``values`` in network order."""
    return (np.array(values, dtype=np.uint64) & _LOW_HALF).astype(">u4").view(np.uint32)

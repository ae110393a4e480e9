"""The integrity checks (:mod:`rawproto.rsp.checks`) of whole batches."""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import as_strided
from xxhash import xxh3_64_intdigest

from rawproto.rsp.checks import CHECK_SIZE, CRC32, NONE, SEED_END, XXH3, xxh3

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rawproto.wire.batch import Batch

__all__ = ["fill", "verify"]

_FRONTS = struct.Struct(f"{SEED_END - CHECK_SIZE}s").iter_unpack


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
    head[:, :CHECK_SIZE] = _as_fields(values)


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
    sizes = lengths.tolist()
    places = zip(range(0, len(rows) * step, step), sizes, strict=True)
    if check == CRC32:
        crc32 = zlib.crc32
        return [crc32(flat[at + CHECK_SIZE : at + size]) for at, size in places]
    if min(sizes, default=SEED_END) < SEED_END:
        return [xxh3(flat[at : at + size]) for at, size in places]
    return _seeded(rows, [flat[at + SEED_END : at + size] for at, size in places])


def _of_halves(
    heads: NDArray[np.uint8], payload: memoryview, starts: Sequence[int], lengths: Sequence[int], check: str
) -> list[int]:
    """The values of packets whose payloads lie elsewhere."""
    payloads = [payload[start : start + length] for start, length in zip(starts, lengths, strict=True)]
    if check == XXH3:
        return _seeded(heads, payloads)
    width = heads.shape[1]
    flat = memoryview(heads.tobytes())
    fronts = [flat[at : at + width - CHECK_SIZE] for at in range(CHECK_SIZE, len(flat), width)]
    return [zlib.crc32(payload, zlib.crc32(front)) for payload, front in zip(payloads, fronts, strict=True)]


def _seeded(heads: NDArray[np.uint8], payloads: Sequence[memoryview]) -> list[int]:
    """XXH3 of ``payloads``, the seeds from the heads: of each value the low half is the check."""
    hashed = xxh3_64_intdigest
    fronts = _FRONTS(heads[:, CHECK_SIZE:SEED_END].tobytes())
    return [hashed(payload, hashed(front)) for payload, (front,) in zip(payloads, fronts, strict=True)]


def _as_fields(values: list[int]) -> NDArray[np.uint8]:
    """The low halves of ``values`` in network order, uint8 (n, 4)."""
    return np.array(values, dtype=">u8").view(np.uint8).reshape(-1, 8)[:, CHECK_SIZE:]

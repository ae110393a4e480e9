"""The integrity check over header and payload: which there are, what they cost and what they let through.

- ``crc32``: CRC-32 of ISO 3309 over everything behind the check field itself. Catches every burst up to 32 bits and
  every odd number of wrong bits; of other damage one in 2^32 passes. The default on IP itself, where nothing else
  covers the payload.
- ``none``: the check field is zero and not looked at. The default inside UDP, whose checksum stands guard.

Handshake packets and resets always carry the CRC, whatever the connection agrees on.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np

from rawproto.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.wire.batch import Batch

__all__ = [
    "CHECK_SIZE",
    "CRC32",
    "NONE",
    "check_bit",
    "check_names",
    "fill",
    "fill_one",
    "verify",
    "verify_one",
]

CHECK_SIZE = 4
NONE = "none"
CRC32 = "crc32"

_BITS = {NONE: 1 << 0, CRC32: 1 << 1}


def check_names() -> list[str]:
    """The checks a connection can agree on."""
    return list(_BITS)


def check_bit(name: str) -> int:
    """The bit of ``features`` that stands for the check called ``name``.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return _BITS[name]
    except KeyError:
        raise ConfigError(f"unknown integrity check {name!r} (known: {', '.join(_BITS)})") from None


def fill_one(packet: bytes) -> bytes:
    """``packet`` with its check field computed."""
    return zlib.crc32(memoryview(packet)[CHECK_SIZE:]).to_bytes(CHECK_SIZE, "big") + packet[CHECK_SIZE:]


def verify_one(packet: bytes | memoryview) -> bool:
    """Whether the check field of ``packet`` is right."""
    view = memoryview(packet)
    return zlib.crc32(view[CHECK_SIZE:]) == int.from_bytes(view[:CHECK_SIZE], "big")


def fill(batch: Batch, check: str) -> None:
    """Compute the check field of every datagram of an outgoing batch, in place."""
    head = batch.head
    if check == NONE:
        head[:, :CHECK_SIZE] = 0
        return
    width = head.shape[1]
    flat = head.reshape(-1).data
    starts = range(0, len(head) * width, width)
    if batch.tail is None or batch.tail_starts is None or batch.tail_lengths is None:
        lengths = batch.head_lengths.tolist()
        values = [
            zlib.crc32(flat[at + CHECK_SIZE : at + length])
            for at, length in zip(starts, lengths, strict=True)
        ]
    else:
        crc32, payload = zlib.crc32, batch.tail.data
        places = zip(batch.tail_starts.tolist(), batch.tail_lengths.tolist(), strict=True)
        values = [
            crc32(payload[start : start + length], crc32(flat[at + CHECK_SIZE : at + width]))
            for at, (start, length) in zip(starts, places, strict=True)
        ]
    head[:, :CHECK_SIZE] = np.array(values, dtype=">u4").view(np.uint8).reshape(-1, CHECK_SIZE)


def verify(rows: NDArray[np.uint8], lengths: NDArray[np.int64], check: str) -> NDArray[np.bool_] | None:
    """Which rows have a wrong check field, bool (n,); None when all are right."""
    if check == NONE:
        return None
    crc32 = zlib.crc32
    stated = rows[:, :CHECK_SIZE].copy().view(">u4")[:, 0].tolist()
    computed = [
        crc32(row.data[CHECK_SIZE:length]) for row, length in zip(rows, lengths.tolist(), strict=True)
    ]
    if stated == computed:
        return None
    wrong: NDArray[np.bool_] = np.asarray(stated, dtype=np.int64) != np.asarray(computed, dtype=np.int64)
    return wrong

"""The integrity check over header and payload: which there are, what they cost and what they let through.

- ``crc32``: CRC-32 of ISO 3309 over everything behind the check field itself. Catches every burst up to 32 bits and
  every odd number of wrong bits; of other damage one in 2^32 passes. The default on IP itself, where nothing else
  covers the payload. Costs about a microsecond a packet of 1,480 bytes on each side.
- ``none``: the check field is zero and not looked at. The default inside UDP, whose checksum stands guard: 16 bits of
  ones' complement (RFC 768), which let pass what exchanges 16-bit words or changes two of them against each other, and
  of random damage one in 2^16.

A plain or keyed 64-bit sum by numpy would be cheaper still, but weak: sums lose what happens twice in the highest bits
of their words, as a line stuck in a memory or on a bus does it.

Handshake packets and resets always carry the CRC, whatever the connection agrees on.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import as_strided

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
    flat = memoryview(head.tobytes())
    starts = range(CHECK_SIZE, len(flat), width)
    crc32 = zlib.crc32
    if batch.tail is None or batch.tail_starts is None or batch.tail_lengths is None:
        sizes = (batch.head_lengths - CHECK_SIZE).tolist()
        values = [crc32(flat[at : at + size]) for at, size in zip(starts, sizes, strict=True)]
    else:
        payload = batch.tail.data
        places = zip(starts, batch.tail_starts.tolist(), batch.tail_lengths.tolist(), strict=True)
        size = width - CHECK_SIZE
        values = [
            crc32(payload[start : start + length], crc32(flat[at : at + size]))
            for at, start, length in places
        ]
    head[:, :CHECK_SIZE] = np.array(values, dtype=">u4").view(np.uint8).reshape(-1, CHECK_SIZE)


def verify(rows: NDArray[np.uint8], lengths: NDArray[np.int64], check: str) -> NDArray[np.bool_] | None:
    """Which rows have a wrong check field, bool (n,); None when all are right."""
    if check == NONE:
        return None
    crc32, step = zlib.crc32, rows.strides[0]
    # One plain view over all rows: a view of each would cost as much as its CRC.
    flat = as_strided(rows, ((len(rows) - 1) * step + rows.shape[1],), (1,)).data
    starts = range(CHECK_SIZE, CHECK_SIZE + len(rows) * step, step)
    sizes = (lengths - CHECK_SIZE).tolist()
    computed = [crc32(flat[at : at + size]) for at, size in zip(starts, sizes, strict=True)]
    right = np.array(computed, dtype=">u4").tobytes()
    stated = rows[:, :CHECK_SIZE].tobytes()
    if stated == right:
        return None
    wrong: NDArray[np.bool_] = np.frombuffer(stated, dtype=np.uint32) != np.frombuffer(right, dtype=np.uint32)
    return wrong

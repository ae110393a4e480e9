"""Enhanced packet blocks of a whole batch, assembled as one array."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rawproto.wire.pcapng.blocks import BlockType

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["packet_blocks"]

_WORDS = 7
"""32-bit words before a packet's bytes: see the writer's layout of the block."""


def packet_blocks(
    rows: NDArray[np.uint8],
    kept: NDArray[np.int64],
    original: NDArray[np.int64],
    timestamps: NDArray[np.uint64],
    interface: int,
) -> memoryview:
    """The blocks of n packets, one after another.

    Args:
        rows: uint8 (n, w).
        kept: bytes to take of each row, (n,).
        original: lengths on the wire, (n,).
        timestamps: nanoseconds since the epoch, (n,) or scalar.
        interface: interface number of all of them.

    Returns:
        The bytes to write.
    """
    count = len(rows)
    longest = int(kept.max())
    data_words = (kept + 3) // 4
    widest = int(data_words.max())
    even = int(kept.min()) == longest
    table = np.zeros((count, _WORDS + widest + 1 if even else _WORDS), dtype="<u4")
    table[:, 0] = BlockType.ENHANCED_PACKET
    table[:, 1] = (data_words + (_WORDS + 1)) * 4
    table[:, 2] = interface
    table[:, 3] = timestamps >> np.uint64(32)
    table[:, 4] = timestamps & np.uint64(0xFFFFFFFF)
    table[:, 5] = kept
    table[:, 6] = original
    if not even:
        return memoryview(_uneven(rows, kept, table))
    data = table.view(np.uint8)[:, 4 * _WORDS : 4 * (_WORDS + widest)]
    data[:, :longest] = rows[:, :longest]
    table[:, -1] = table[:, 1]
    return table.data.cast("B")


def _uneven(rows: NDArray[np.uint8], kept: NDArray[np.int64], heads: NDArray[np.uint32]) -> bytes:
    """The blocks of rows of several lengths, joined one by one.

    Args:
        rows: uint8 (n, w).
        kept: bytes to take of each row, (n,).
        heads: the words before each packet's bytes, (n, 7).
    """
    front = heads.tobytes()
    # Each block ends in up to three bytes of padding and its length: the end of eight bytes made ready here.
    ends = np.zeros((len(rows), 2), dtype="<u4")
    ends[:, 1] = heads[:, 1]
    back = ends.tobytes()
    width = 4 * _WORDS
    parts: list[bytes] = []
    for index, length in enumerate(kept.tolist()):
        parts += (
            front[width * index : width * (index + 1)],
            rows[index, :length].tobytes(),
            back[8 * index + 4 - (-length & 3) : 8 * (index + 1)],
        )
    return b"".join(parts)

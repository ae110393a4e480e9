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
    table = np.zeros((count, _WORDS + widest + 1), dtype="<u4")
    table[:, 0] = BlockType.ENHANCED_PACKET
    table[:, 1] = (data_words + (_WORDS + 1)) * 4
    table[:, 2] = interface
    table[:, 3] = timestamps >> np.uint64(32)
    table[:, 4] = timestamps & np.uint64(0xFFFFFFFF)
    table[:, 5] = kept
    table[:, 6] = original
    data = table.view(np.uint8)[:, 4 * _WORDS : 4 * (_WORDS + widest)]
    data[:, :longest] = rows[:, :longest]
    if int(kept.min()) == longest:
        table[:, -1] = table[:, 1]
        return table.data.cast("B")
    # Rows of several lengths: blank what lies behind each packet, put the closing length right behind its last
    # word, and keep of each row of the table only the words in use. Selecting by mask joins the rows in order.
    np.multiply(data, np.arange(data.shape[1]) < kept[:, None], out=data, casting="unsafe")
    closing = data_words + _WORDS
    table[np.arange(count), closing] = table[:, 1]
    used: NDArray[np.uint32] = table[np.arange(table.shape[1]) <= closing[:, None]]
    return used.data.cast("B")

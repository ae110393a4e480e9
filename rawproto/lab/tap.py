"""What passes through the relay, written as pcapng: each end of the link is an interface of the capture.

A packet is written when it comes from a host, on that host's end, and when it is delivered, on the other end. So
what was lost is on one end only, what was delayed shows by how much, what was damaged can be compared.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from rawproto.lab.ports import day_minus_monotonic
from rawproto.wire.pcapng import LinkType, PcapngWriter

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.lab.ports import Pool

__all__ = ["Tap"]


class Tap:
    """Writes one capture file.

    Args:
        path: of the file.
        ends: interface names of the capture by direction: (where it comes in, where it leaves).
    """

    def __init__(self, path: str, names: tuple[str, str], ends: dict[str, tuple[int, int]]) -> None:
        self._writer = PcapngWriter(path, linktype=LinkType.ETHERNET, interfaces=names)
        self._ends = ends
        # Frames carry the monotonic clock; a capture wants the time of day.
        self._offset = day_minus_monotonic()

    def came(
        self, direction: str, rows: NDArray[np.uint8], lengths: NDArray[np.int64], times: NDArray[np.int64]
    ) -> None:
        """Frames came from a host."""
        self._writer.write_batch(rows, lengths, times + self._offset, self._ends[direction][0])

    def left(self, direction: str, pool: Pool, slots: list[int], lengths: list[int], now: int) -> None:
        """Frames were delivered to a host."""
        rows = pool.rows[slots, : max(lengths)]
        self._writer.write_batch(rows, np.array(lengths), now + self._offset, self._ends[direction][1])

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

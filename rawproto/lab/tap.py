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
        names: of its two interfaces.
        ends: numbers of the interfaces by direction: (where it comes in, where it leaves).
        limit: bytes of packets after which no more are written; None for no limit.
    """

    def __init__(
        self, path: str, names: tuple[str, str], ends: dict[str, tuple[int, int]], limit: int | None = None
    ) -> None:
        self._writer = PcapngWriter(path, linktype=LinkType.ETHERNET, interfaces=names)
        self._ends = ends
        self._room = float("inf") if limit is None else limit
        # Frames carry the monotonic clock; a capture wants the time of day.
        self._offset = day_minus_monotonic()

    def came(
        self, direction: str, rows: NDArray[np.uint8], lengths: NDArray[np.int64], times: NDArray[np.int64]
    ) -> None:
        """Frames came from a host."""
        if self._has_room(int(lengths.sum())):
            self._writer.write_batch(rows, lengths, times + self._offset, self._ends[direction][0])

    def left(self, direction: str, pool: Pool, slots: list[int], lengths: list[int], now: int) -> None:
        """Frames were delivered to a host."""
        if not self._has_room(sum(lengths)):
            return
        rows = pool.rows[slots, : max(lengths)]
        self._writer.write_batch(rows, np.array(lengths), now + self._offset, self._ends[direction][1])

    def _has_room(self, size: int) -> bool:
        """Whether that many bytes may still be written; the first batch that does not fit ends the capture."""
        self._room = self._room - size if size <= self._room else 0
        return self._room > 0

    def close(self) -> None:
        """Finish the file."""
        self._writer.close()

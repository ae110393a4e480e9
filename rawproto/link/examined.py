"""Arrivals as a batch: what the raw and the packet link share, whose every datagram lies in a slot of its own.

The batch is the remembered one where all packets are like the last (see :mod:`rawproto.link.repeats`). Otherwise the
link says which of them are good, and what an earlier filter let in goes through the new one.
"""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

import numpy as np

from rawproto.link.socketlink import SocketLink

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from rawproto.link.repeats import Repeats
    from rawproto.wire.batch import ReceivedBatch

__all__ = ["ExaminedLink"]


class ExaminedLink(SocketLink):
    """A :class:`SocketLink` whose subclasses only have to say in :meth:`_good` what is good; they make the attributes.

    Attributes:
        _repeats: the memory of packets that were good.
        _header_size: bytes of the IP header that each row begins with; 0 where the kernel keeps the header.
    """

    _repeats: Repeats
    _header_size: int

    @abc.abstractmethod
    def _good(
        self, rows: NDArray[np.uint8], lengths: NDArray[np.int64]
    ) -> tuple[ReceivedBatch, Sequence[int], bool]:
        """The batch of the good ones among the arrivals; the others are counted.

        Args:
            rows: the arrivals as a filter sees them, uint8 (n, at least the header's size).
            lengths: bytes of each, (n,).

        Returns:
            The batch; the rows it consists of, by index; and whether others like its first may be known by their
            bytes.
        """

    def _batches(self, count: int) -> Sequence[ReceivedBatch]:
        """The datagrams among the ``count`` arrivals in the table, counted: a batch, or none."""
        batch = None if self._screen is not None else self._repeats.match(count)
        if batch is None:
            batch = self._examined(count)
        self._stats.received += len(batch.head)
        self._stats.received_bytes += int(batch.head_lengths.sum())
        return (batch,) if len(batch.head) else ()

    def _examined(self, count: int) -> ReceivedBatch:
        """The batch of those of the ``count`` arrivals that are good and pass the filter."""
        lengths = self._table.lengths[:count].astype(np.int64)
        rows = self._table.rows(count, max(int(lengths.max()), self._header_size))
        batch, kept, is_typical = self._good(rows, lengths)
        if self._screen is not None:
            shown = (row[:length].tobytes() for row, length in zip(rows, lengths, strict=True))
            return self._screened(batch, shown, kept)
        if is_typical and int(lengths[0]) <= self._table.slot_size:
            self._repeats.remember(batch)
        return batch

"""Packets known again: a stream's differ in nothing but their payload.

Once the headers of a batch have been looked at, those of the next are nearly always the same bytes. One comparison then
stands for all that would have to be asked about each packet, and the answer is the batch that was made last time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.wire.batch import ReceivedBatch

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.link.tables import ReceiveTable

__all__ = ["Repeats"]


class Repeats:
    """Remembers one good packet of a receive table, and compares others with it.

    Args:
        table: the table that packets are received into.
        header_size: bytes of the IP header that each row begins with; 0 where the kernel keeps the header, and names
            and control messages tell of it.
    """

    def __init__(self, table: ReceiveTable, header_size: int) -> None:
        self._table = table
        self._size = header_size
        self._buffer = table.buffer
        # The columns to compare, and what each holds of the good packet.
        self._columns: list[tuple[NDArray[Any], bytes]] = []
        self._batches: dict[int, ReceivedBatch] = {}

    def remember(self, batch: ReceivedBatch) -> None:
        """The table's first packet is good, lies in its slot whole and unmoved, and became the first of ``batch``.

        Of a batch with several senders or destinations nothing is remembered.
        """
        if batch.source is None or batch.destination is None:
            return
        table = self._table
        # Nothing is known until all of it is: memory may run out on the way.
        self._columns = []
        self._batches = {}
        self._buffer = table.buffer
        self._like = batch
        columns: list[NDArray[Any]] = [table.lengths]
        if self._size:
            columns.append(self._buffer[:, : self._size])
        else:
            columns += [table.names, table.control_lengths, table.control]
        self._columns = [(column, column[:1].tobytes()) for column in columns]

    def match(self, count: int) -> ReceivedBatch | None:
        """The batch of the first ``count`` packets of the table if all are like the remembered one, else None."""
        if not self._columns or self._table.buffer is not self._buffer:
            return None
        for column, row in self._columns:
            if column[:count].tobytes() != row * count:
                return None
        batch = self._batches.get(count)
        if batch is None:
            batch = self._batches[count] = self._repeated(count)
        return batch

    def _repeated(self, count: int) -> ReceivedBatch:
        """``count`` times the first datagram of the remembered batch, over the table's buffer."""
        like = self._like
        lengths = np.repeat(like.head_lengths[:1], count)
        marks = None if like.ecn is None else np.repeat(like.ecn[:1], count)
        for column in (lengths, marks):
            if column is not None:
                column.flags.writeable = False
        return ReceivedBatch(
            self._buffer[:count, self._size :],
            lengths,
            source=like.source,
            destination=like.destination,
            ecn=marks,
        )

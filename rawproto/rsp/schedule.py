"""Which connection goes next: those that may have something to send, in turn, and those that wait for a time."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawproto.rsp.connection import Connection

__all__ = ["Schedule"]


class Schedule:
    """A round of ready connections and a heap of deadlines.

    Deadlines move far more often than they pass, and mostly away: a connection that is to be woken later than it was
    stays in the heap as it is, wakes once for nothing and is settled anew. One that moves nearer leaves its old entry
    behind; entries that no longer hold are dropped when they come up, or all at once when they are most of the heap.
    """

    __slots__ = ("_armed", "_count", "_heap", "ready")

    def __init__(self) -> None:
        self.ready: OrderedDict[Connection, None] = OrderedDict()
        """Connections that may have something to send, the one whose turn it is first."""
        self._heap: list[tuple[int, int, Connection]] = []
        self._armed: dict[Connection, int] = {}
        self._count = 0

    def touch(self, connection: Connection) -> None:
        """``connection`` may have something to send, or a new deadline."""
        self.ready[connection] = None

    def rotate(self, connection: Connection) -> None:
        """``connection`` sent something: the others first, then it again."""
        self.ready.move_to_end(connection)

    def settle(self, connection: Connection, deadline: int | None) -> None:
        """``connection`` has nothing to send now; wake it at ``deadline``, ns, or before."""
        self.ready.pop(connection, None)
        self.arm(connection, deadline)

    def arm(self, connection: Connection, deadline: int | None) -> None:
        """Wake ``connection`` at ``deadline``, ns, or before; with None never."""
        armed = self._armed
        if deadline is None:
            armed.pop(connection, None)
        elif connection not in armed or deadline < armed[connection]:
            armed[connection] = deadline
            self._count += 1
            heapq.heappush(self._heap, (deadline, self._count, connection))
            if len(self._heap) > 64 + 4 * len(self._armed):
                self._rebuild()

    def _rebuild(self) -> None:
        armed = self._armed.items()
        self._heap = [(deadline, index, connection) for index, (connection, deadline) in enumerate(armed)]
        self._count = len(self._heap)
        heapq.heapify(self._heap)

    def next_deadline(self) -> int | None:
        """When to look at the connections again, ns; None for never. No deadline is before."""
        while self._heap:
            deadline, _, connection = self._heap[0]
            if self._armed.get(connection) == deadline:
                return deadline
            heapq.heappop(self._heap)
        return None

    def due(self, now: int) -> Iterator[Connection]:
        """Take out the connections whose deadline has come."""
        while self._heap and self._heap[0][0] <= now:
            deadline, _, connection = heapq.heappop(self._heap)
            if self._armed.get(connection) == deadline:
                del self._armed[connection]
                yield connection

"""The bytes that go out: which are acknowledged, which were lost, which come next, and the end behind them."""

from __future__ import annotations

from .ranges import Ranges

Piece = tuple[int, bytes, bool]  # offset, payload, whether the stream ends behind it


class Outgoing:
    """One direction, as its writer sees it."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.base = 0  # the offset of buffer[0]: everything below is acknowledged
        self.sent = 0  # the first offset never sent
        self.acked = Ranges()
        self.lost = Ranges()
        self.ended = False
        self.end_due = False  # the end has to go out, for the first time or again
        self.end_acked = False

    @property
    def written(self) -> int:
        return self.base + len(self.buffer)

    @property
    def delivered(self) -> bool:
        """Everything written is acknowledged, and the end if there is one."""
        return not self.buffer and (not self.ended or self.end_acked)

    @property
    def waiting(self) -> bool:
        return bool(self.lost) or self.sent < self.written or self.end_due

    def finish(self) -> None:
        self.end_due = self.end_due or not self.ended
        self.ended = True

    def take(self, room: int, limit: int) -> Piece | None:
        """The next piece of at most `room` bytes: what was lost, else what is new below `limit`, else the end."""
        if self.lost:
            start, end = self.lost.items[0]
            end = min(end, start + room)
            self.lost.remove(start, end)
        else:
            start, end = self.sent, max(self.sent, min(self.sent + room, self.written, limit))
            if start == end and not (self.end_due and start == self.written):
                return None
            self.sent = end
        return self._piece(start, end)

    def oldest(self, room: int) -> Piece | None:
        """What was sent first of what is not acknowledged, for a probe (4.5)."""
        holes = self.acked.missing(self.base, self.sent)
        if holes:
            return self._piece(holes[0][0], min(holes[0][1], holes[0][0] + room))
        return self._piece(self.written, self.written) if self.ended and not self.end_acked else None

    def _piece(self, start: int, end: int) -> Piece:
        fin = self.ended and end == self.written
        self.end_due = self.end_due and not fin
        return start, bytes(self.buffer[start - self.base : end - self.base]), fin

    def on_acked(self, start: int, end: int, fin: bool) -> None:
        self.end_acked = self.end_acked or fin
        self.end_due = self.end_due and not self.end_acked
        start = max(start, self.base)
        if start < end:
            self.lost.remove(start, end)
            self.acked.add(start, end)
            low, high = self.acked.items[0]
            if low <= self.base < high:
                del self.buffer[: high - self.base]
                self.base = high
                self.acked.remove(0, high)

    def on_lost(self, start: int, end: int, fin: bool) -> None:
        self.end_due = self.end_due or (fin and not self.end_acked)
        for low, high in self.acked.missing(max(start, self.base), end):
            self.lost.add(low, high)

"""The half that receives: bytes put in order, the window, and when and what to acknowledge (4.1, 4.2)."""

from __future__ import annotations

from .ranges import Ranges
from .wire import ACK_NOW, FIN, Ack, Packet

MS = 1_000_000
ACK_DELAY = 25 * MS
MOST_RANGES, MOST_HOLES, LARGEST = 64, 256, 2**62


class ViolationError(Exception):
    """The peer broke a rule that no network fault explains (section 5)."""


class Receiver:
    """One direction, as its reader sees it."""

    def __init__(self, window: int) -> None:
        self.size = window
        self.offered = window  # the handshake's value
        self.numbers = Ranges()
        self.largest = -1
        self.largest_at = 0
        self.arrived = Ranges()
        self.buffer = bytearray()  # from self.read_to on
        self.read_to = 0
        self.end: int | None = None
        self.packets = self.unacknowledged = 0
        self.ack_at: int | None = None
        self.same_holes = 0
        self.told: list[tuple[int, int]] = []

    @property
    def ready(self) -> int:
        """Bytes that can be read now."""
        start = self.read_to
        first = self.arrived.items[0] if self.arrived else (start, start)
        return first[1] - start if first[0] <= start else 0

    @property
    def complete(self) -> bool:
        return self.end is not None and self.read_to + self.ready == self.end

    def read(self, most: int, now: int) -> bytes:
        data = bytes(self.buffer[: min(most, self.ready)])
        del self.buffer[: len(data)]
        self.read_to += len(data)
        self.arrived.remove(0, self.read_to)
        if not self.complete and self.read_to + self.size - self.offered >= self.size // 2:
            self.ack_at = now
        return data

    def take(self, packet: Packet, now: int) -> bool:
        """A numbered packet whose check is right. False when it was refused, and so is not acknowledged."""
        if packet.number > LARGEST or packet.offset + len(packet.payload) > LARGEST:
            raise ViolationError("number or offset above 2^62")
        if packet.offset + len(packet.payload) > self.offered or self._too_many_holes(packet):
            self.ack_at = now
            return False
        self._keep(packet)
        new = packet.number not in self.numbers
        in_order = packet.number == self.largest + 1
        self.numbers.add(packet.number, packet.number + 1)
        del self.numbers.items[:-MOST_RANGES]
        if packet.number > self.largest:
            self.largest, self.largest_at = packet.number, now
        self.packets += new
        self.unacknowledged += 1
        threshold = min(32, max(2, self.packets // 16))
        if packet.flags & (ACK_NOW | FIN) or not in_order or self.unacknowledged >= threshold:
            self.ack_at = now
        elif self.ack_at is None:
            self.ack_at = now + ACK_DELAY
        return True

    def _too_many_holes(self, packet: Packet) -> bool:
        end = packet.offset + len(packet.payload)
        return len(self.arrived.items) > MOST_HOLES and self.arrived.missing(packet.offset, end) == [
            (packet.offset, end)
        ]

    def _keep(self, packet: Packet) -> None:
        end = packet.offset + len(packet.payload)
        if packet.flags & FIN:
            seen = self.arrived.items[-1][1] if self.arrived else self.read_to
            if self.end not in (None, end) or seen > end:
                raise ViolationError("two different ends, or data beyond the end")
            self.end = end
        if self.end is not None and end > self.end:
            raise ViolationError("data beyond the end")
        for low, high in self.arrived.missing(max(packet.offset, self.read_to), end):  # the first copy counts
            self.buffer.extend(bytes(max(0, high - self.read_to - len(self.buffer))))
            piece = packet.payload[low - packet.offset : high - packet.offset]
            self.buffer[low - self.read_to : high - self.read_to] = piece
            self.arrived.add(low, high)

    def acknowledge(self, now: int) -> Ack:
        """What there is to acknowledge; the wish to do so is fulfilled by it."""
        self.offered = max(self.offered, self.read_to + self.size)
        if len(self.numbers.items) > 1:
            holes = self.numbers.missing(self.numbers.items[0][0], self.largest)
            self.same_holes = self.same_holes + 1 if holes == self.told else 0
            self.told = holes
            if self.same_holes >= 32:  # a skipped number leaves a hole for ever
                del self.numbers.items[:-1]
        self.ack_at = None
        self.unacknowledged = 0
        delay = (now - self.largest_at) // 1000 if self.largest >= 0 else 0
        return Ack(self.offered, self.numbers.items[:-33:-1], delay)

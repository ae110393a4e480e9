"""Go-back-N: a window of segments on the way, one cumulative acknowledgement, and all of the window again after a loss.

The batched form of a protocol: what is sent and what arrives are batches, their fields are columns.
"""

import sys
import time
from typing import Any

import numpy as np

from rawproto import Batch, Header, Protocol, RawLink, ReceivedBatch, resolve_ip_addr, run
from rawproto.protocol import MILLISECOND
from rawproto.wire import OpenEnum, Transmit, build_batch, checksum16, checksums, enum8, u8, u32


class Kind(OpenEnum):
    SEGMENT = 1
    LAST = 2
    ACK = 3


class Segment(Header, protocol=253):
    kind: enum8(Kind)
    unused: u8 = 0
    check: checksum16 = None
    session: u32
    number: u32


class GoBackN(Protocol):
    """Either side. The receiver's events are pieces and b"" at the end, the sender's is True when all arrived."""

    def __init__(self, session: int, window: int = 32, size: int = 1000) -> None:
        self.session, self.window, self.size = session, window, size
        self.wait = 200 * MILLISECOND
        self.peer: Any = None
        self.pieces: list[bytes] = []
        self.base = self.next = 0  # the oldest number not acknowledged, the next to send
        self.deadline: int | None = None
        self.expected: dict[tuple[Any, int], int] = {}
        self.acks: set[tuple[Any, int]] = set()
        self.events: list[bytes | bool] = []

    def transfer(self, peer: Any, data: bytes) -> None:
        self.peer = peer
        self.pieces = [data[at : at + self.size] for at in range(0, len(data), self.size)] or [b""]

    def handle_datagrams(self, batch: ReceivedBatch, now: int) -> None:
        sound = (batch.lengths >= Segment.size) & (checksums(batch) == 0)  # of the whole batch at once
        for index in np.flatnonzero(sound).tolist():
            segment, piece = Segment.parse(batch.datagram(index))
            if segment.kind == Kind.ACK:
                self.ack_received(segment, batch.source_of(index), now)
            elif segment.kind in (Kind.SEGMENT, Kind.LAST):
                self.segment_received(segment, piece, batch.source_of(index))

    def segment_received(self, segment: Segment, piece: bytes, source: Any) -> None:
        stream = (source, segment.session)
        self.acks.add(stream)  # one for all that came of it in this batch
        if segment.number == self.expected.setdefault(stream, 0):
            self.expected[stream] += 1
            self.events.extend([piece, b""] if segment.kind == Kind.LAST and piece else [piece])

    def ack_received(self, segment: Segment, source: Any, now: int) -> None:
        """``number`` is the segment that the receiver waits for: all before it are there."""
        if (source, segment.session) != (self.peer, self.session):
            return
        if self.base < segment.number <= len(self.pieces):
            self.base, self.next = segment.number, max(self.next, segment.number)
            self.deadline = now + self.wait if self.base < len(self.pieces) else None
            self.events.extend([True] if self.deadline is None else [])

    def handle_timeout(self, now: int) -> None:
        if self.deadline is not None and now >= self.deadline:
            self.next, self.deadline = self.base, None

    def poll_transmit(self, now: int) -> Transmit | None:
        if self.acks:
            source, session = self.acks.pop()
            ack = Segment(Kind.ACK, session=session, number=self.expected[source, session])
            return Transmit(Batch.from_datagrams([bytes(ack)]), source)
        numbers = np.arange(self.next, min(self.base + self.window, len(self.pieces)))
        if not len(numbers):
            return None
        self.next += len(numbers)
        self.deadline = self.deadline or now + self.wait
        kinds = np.where(numbers == len(self.pieces) - 1, Kind.LAST, Kind.SEGMENT)
        template = Segment(Kind.SEGMENT, session=self.session, number=0)
        pieces = self.pieces[numbers[0] : numbers[-1] + 1]
        return Transmit(build_batch(template, pieces, kind=kinds, number=numbers), self.peer)

    def poll_timeout(self) -> int | None:
        return self.deadline

    def poll_event(self) -> bytes | bool | None:
        return self.events.pop(0) if self.events else None


if __name__ == "__main__":
    where = resolve_ip_addr("ip4", sys.argv[2])
    if sys.argv[1] == "receive":  # go_back_n.py receive LOCAL-ADDRESS > FILE
        receiver = GoBackN(0)
        with RawLink(253, local=where) as link:
            run(receiver, link, on_event=lambda piece: not sys.stdout.buffer.write(piece))
            sys.stdout.buffer.flush()
            run(receiver, link, timeout=2)  # the last acknowledgement may be lost: answer what comes again
    else:  # go_back_n.py send ADDRESS < FILE
        sender = GoBackN(time.time_ns() % 2**32)
        sender.transfer(where, sys.stdin.buffer.read())
        with RawLink(253, remote=where) as link:
            run(sender, link, on_event=lambda done: done)

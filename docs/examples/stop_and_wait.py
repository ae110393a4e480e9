"""Stop-and-wait: messages one at a time, each repeated until it is acknowledged."""

import sys
import time
from collections import deque
from typing import Any

from rawproto import DatagramProtocol, DecodeError, RawLink, resolve_ip_addr, run
from rawproto.protocol import MILLISECOND
from rawproto.wire import Header, OpenEnum, checksum16, enum8, u8, u16, u32


class Kind(OpenEnum):
    MESSAGE = 1
    ACK = 2


class Letter(Header, protocol=253):
    kind: enum8(Kind)
    unused: u8 = 0
    check: checksum16 = None
    session: u32
    number: u16


class StopAndWait(DatagramProtocol):
    """Either side. Its events are the messages: at the receiver as they arrive, at the sender as they are acknowledged.

    ``session`` tells the messages of this sender from those of an earlier run; ``wait`` is in nanoseconds.
    """

    def __init__(self, session: int, wait: int = 200 * MILLISECOND) -> None:
        super().__init__()
        self.session = session
        self.wait = wait
        self.outbox: deque[tuple[Any, bytes]] = deque()
        self.number = 0
        self.expected: dict[tuple[Any, int], int] = {}

    def submit(self, peer: Any, message: bytes, now: int) -> None:
        self.outbox.append((peer, message))
        if len(self.outbox) == 1:
            self.timer_expired(now)

    def timer_expired(self, now: int) -> None:
        """Send the oldest message, for the first time or again."""
        peer, message = self.outbox[0]
        self.send(bytes(Letter(Kind.MESSAGE, session=self.session, number=self.number) / message), peer)
        self.set_timer(now + self.wait)

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        try:
            letter, message = Letter.parse(data)
        except DecodeError:
            return
        if letter.verify():
            return
        if letter.kind == Kind.MESSAGE:
            self.message_received(letter, message, source)
        elif letter.kind == Kind.ACK and self.outbox and source == self.outbox[0][0]:
            self.ack_received(letter, now)

    def message_received(self, letter: Letter, message: bytes, source: Any) -> None:
        expected = self.expected.get((source, letter.session), 0)
        if letter.number == expected:
            self.expected[source, letter.session] = (expected + 1) % 65536
            self.emit(message)
        # What came before was acknowledged before, but that acknowledgement may be lost.
        self.send(bytes(Letter(Kind.ACK, session=letter.session, number=letter.number)), source)

    def ack_received(self, letter: Letter, now: int) -> None:
        if (letter.session, letter.number) == (self.session, self.number):
            self.emit(self.outbox.popleft()[1])
            self.number = (self.number + 1) % 65536
            self.set_timer(None)
            if self.outbox:
                self.timer_expired(now)


def receive(address: str) -> None:
    with RawLink(253, local=resolve_ip_addr("ip4", address)) as link:
        run(StopAndWait(0), link, on_event=lambda message: print(message.decode(), flush=True))


def send(address: str, messages: list[bytes]) -> None:
    peer, protocol = resolve_ip_addr("ip4", address), StopAndWait(time.time_ns() % 2**32)
    for message in messages:
        protocol.submit(peer, message, time.monotonic_ns())
    with RawLink(253, remote=peer) as link:
        run(protocol, link, until=lambda: not protocol.outbox)


if __name__ == "__main__":
    if sys.argv[1] == "receive":  # stop_and_wait.py receive LOCAL-ADDRESS
        receive(sys.argv[2])
    else:  # stop_and_wait.py send ADDRESS MESSAGE...
        send(sys.argv[2], [word.encode() for word in sys.argv[3:]])

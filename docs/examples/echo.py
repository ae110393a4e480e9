"""Echo: questions with a number, answers with the same number, and the time between them."""

import sys
from typing import Any

from rawproto import DatagramProtocol, DecodeError, RawLink, resolve_ip_addr, run
from rawproto.protocol import MILLISECOND
from rawproto.wire import Header, OpenEnum, checksum16, enum8, u8, u16


class Kind(OpenEnum):
    QUESTION = 1
    ANSWER = 2


class Echo(Header, protocol=253):
    kind: enum8(Kind)
    unused: u8 = 0
    check: checksum16 = None
    number: u16 = 0


class Answerer(DatagramProtocol):
    """Sends every question back as an answer."""

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        try:
            echo, payload = Echo.parse(data)
        except DecodeError:
            return
        if echo.kind == Kind.QUESTION and not echo.verify():
            self.send(bytes(echo.replace(kind=Kind.ANSWER, check=None) / payload), source)


class Asker(DatagramProtocol):
    """Asks ``count`` questions, one each ``interval`` nanoseconds; its events are (number, nanoseconds or None)."""

    def __init__(self, peer: Any, count: int, interval: int = 200 * MILLISECOND) -> None:
        super().__init__()
        self.peer = peer
        self.count = count
        self.interval = interval
        self.asked = 0
        self.asked_at: dict[int, int] = {}
        self.set_timer(0)

    def timer_expired(self, now: int) -> None:
        if self.asked == self.count:
            for number in self.asked_at:
                self.emit((number, None))
            self.asked_at.clear()
            return
        self.asked_at[self.asked] = now
        self.send(bytes(Echo(Kind.QUESTION, number=self.asked) / b"anybody there?"), self.peer)
        self.asked += 1
        self.set_timer(now + self.interval)

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        try:
            echo, _ = Echo.parse(data)
        except DecodeError:
            return
        if echo.kind == Kind.ANSWER and source == self.peer and not echo.verify():
            asked_at = self.asked_at.pop(echo.number, None)
            if asked_at is not None:
                self.emit((echo.number, now - asked_at))


def ask(address: str, count: int) -> None:
    told: list[int] = []

    def show(event: tuple[int, int | None]) -> bool:
        number, time = event
        print(f"{number}: no answer" if time is None else f"{number}: {time / MILLISECOND:.1f} ms")
        told.append(number)
        return len(told) == count

    peer = resolve_ip_addr("ip4", address)
    with RawLink(253, remote=peer) as link:
        run(Asker(peer, count), link, on_event=show)


def answer(address: str) -> None:
    with RawLink(253, local=resolve_ip_addr("ip4", address)) as link:
        run(Answerer(), link)


if __name__ == "__main__":
    if sys.argv[1] == "answer":  # echo.py answer LOCAL-ADDRESS
        answer(sys.argv[2])
    else:  # echo.py ask ADDRESS COUNT
        ask(sys.argv[2], int(sys.argv[3]))

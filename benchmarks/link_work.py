"""What bench_link.py measures of ours, each to run in a process of its own on a host of the lab.

Packets begin with a big-endian sequence number of 32 bits, filled in and checked, as those of link_rival.c do.
"""

from __future__ import annotations

import select
import time
from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.link import PacketLink, RawLink, RawSocket, UDPLink
from rawproto.wire import Batch, Transmit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.link import Link

HEADER = 20
IDLE = 0.2  # seconds
PORT = 9000

NUMBERS = np.arange(1024)
SEQUENCED = np.dtype([("sequence", ">u4"), ("rest", "V16")])


def send_raw(destination: str, count: int) -> None:
    with RawLink(253) as link:
        send_all(link, IPAddr(IP(destination)), count, link.batch_size(1480), 1480)


def receive_raw(ready: str) -> tuple[int, float, int]:
    with RawLink(253) as link:
        return receive_all(link, ready)


def send_packet(destination: str, count: int, local: str) -> None:
    with PacketLink(253, local=IPAddr(IP(local))) as link:
        send_all(link, IPAddr(IP(destination)), count, link.batch_size(1480), 1480)


def receive_packet(ready: str, local: str) -> tuple[int, float, int]:
    with PacketLink(253, local=IPAddr(IP(local))) as link:
        return receive_all(link, ready)


def receive_exclusive(ready: str, local: str) -> tuple[int, float, int]:
    with PacketLink(253, local=IPAddr(IP(local)), exclusive=True) as link:
        return receive_all(link, ready)


def open_exclusive(local: str) -> None:
    """Raises RawprotoError where there is no such link."""
    PacketLink(253, local=IPAddr(IP(local)), exclusive=True).close()


def send_udp(destination: str, calls: int) -> None:
    with UDPLink() as link:
        send_all(link, UDPAddr(IP(destination), PORT), calls * 44, link.batch_size(1472), 1472)


def receive_udp(ready: str) -> tuple[int, float, int]:
    with UDPLink(UDPAddr(None, PORT)) as link:
        return receive_all(link, ready)


def send_all(link: Link, destination: Any, count: int, batch_size: int, size: int) -> None:
    """Send ``count`` packets of ``size`` bytes in batches, a header row and a slice of one body each."""
    headers = np.zeros(batch_size, dtype=SEQUENCED)
    body = np.zeros(size - HEADER, dtype=np.uint8)
    batch = Batch(
        headers.view(np.uint8).reshape(batch_size, HEADER),
        None,
        body,
        np.zeros(batch_size, dtype=np.int64),
        np.full(batch_size, len(body), dtype=np.int64),
    )
    transmit = Transmit(batch, destination)
    sequence, numbers = headers["sequence"], np.arange(batch_size)
    poll = select.poll()
    poll.register(link.fileno(), select.POLLOUT)
    for first in range(0, count, batch_size):
        sequence[:] = numbers + first
        if link.send(transmit) < batch_size:
            poll.poll(1000)


def receive_all(link: Link, ready: str) -> tuple[int, float, int]:
    """Receive until nothing comes any more: packets, seconds from the first to the last, gaps in the sequence."""
    with open(ready, "w"):  # noqa: PTH123
        pass
    count = gaps = expected = 0
    first = last = 0.0
    link.wait(10)
    while True:
        batches = link.receive()
        if not batches:
            if not link.wait(IDLE):
                return count, last - first, gaps
            continue
        last = time.monotonic()
        first = first or last
        for batch in batches:
            got = len(batch.head)
            sequence = batch.head[:, :4]
            if sequence.tobytes() == (NUMBERS[:got] + expected).astype(">u4").tobytes():
                expected += got
            else:
                gaps += gaps_in(sequence, expected)
                expected = int.from_bytes(sequence[-1].tobytes(), "big") + 1
            count += got


def gaps_in(rows: NDArray[np.uint8], expected: int) -> int:
    """How often the numbers in ``rows`` do not follow one another, the first of them ``expected``."""
    numbers = rows.copy().view(">u4")[:, 0].astype(np.int64)
    return int((np.diff(numbers, prepend=expected - 1) != 1).sum())


def ping(destination: str, rounds: int) -> float:
    """Seconds of one request and response of 64 bytes."""
    to = IPAddr(IP(destination))
    data = bytes(64)
    with RawSocket(253) as sock:
        sock.set_deadline(20)
        begin = time.perf_counter()
        for _ in range(rounds):
            sock.send(data, to)
            if len(sock.receive().payload) != 64:
                raise RuntimeError("not our answer")
        return (time.perf_counter() - begin) / rounds

"""Rows of packets into the stream: whole batches must mean what their packets mean one by one."""

from __future__ import annotations

import random

import numpy as np
import pytest

from rawproto.rsp.header import RSPFlags
from rawproto.rsp.receiver import Receiver, StreamViolationError

WINDOW = 20_000
SEGMENT = 100
FIN, ACK_NOW = int(RSPFlags.FIN), int(RSPFlags.ACK_NOW)


def give(receiver, packets, now=0):
    """Hand packets (number, offset, data, flags) over as one batch."""
    width = max(max(len(packet[2]) for packet in packets), 1)
    rows = np.zeros((len(packets), width), dtype=np.uint8)
    for row, packet in zip(rows, packets, strict=True):
        row[: len(packet[2])] = np.frombuffer(packet[2], dtype=np.uint8)
    receiver.on_rows(
        np.array([packet[0] for packet in packets]),
        np.array([packet[1] for packet in packets]),
        np.array([packet[3] for packet in packets], dtype=np.uint8),
        rows,
        np.array([len(packet[2]) for packet in packets]),
        now,
    )


def cut(data, sizes):
    """Packets of a stream, in order, the end with the last."""
    packets, at = [], 0
    for number, size in enumerate(sizes):
        packets.append((number, at, data[at : at + size], 0))
        at += size
    number, offset, piece, _ = packets[-1]
    packets[-1] = (number, offset, piece, FIN)
    return packets


@pytest.mark.parametrize("seed", range(60))
def test_a_batch_means_what_its_packets_mean(seed):
    rng = random.Random(seed)
    sizes = [rng.choice((0, 1, 99, 100, 100, 100, 100, 100)) for _ in range(80)]
    data = rng.randbytes(sum(sizes))
    packets = cut(data, sizes)
    if seed % 3:
        for _ in range(rng.randrange(1, 8)):
            at = rng.randrange(len(packets))
            packets.insert(rng.randrange(len(packets)), packets[at])
    if seed % 3 == 2:
        rng.shuffle(packets)
    batched, single = Receiver(WINDOW, WINDOW, SEGMENT), Receiver(WINDOW, WINDOW, SEGMENT)
    at = 0
    while at < len(packets):
        count = rng.choice((1, 2, 3, 17, 64))
        give(batched, packets[at : at + count])
        at += count
    for packet in packets:
        give(single, [packet])
    for receiver in (batched, single):
        assert receiver.stream.complete
        assert receiver.stream.read(-1) == data
        assert receiver.acks.ranges(99) == [(0, len(sizes))]
        assert receiver.packets == len(packets)
    assert batched.acks.due


def test_what_does_not_fit_the_window_is_refused_and_not_acknowledged():
    receiver = Receiver(250, 250, SEGMENT)
    give(receiver, cut(bytes(range(200)) * 2, [100] * 4))
    assert receiver.acks.ranges(9) == [(0, 2)]
    assert (receiver.refused, receiver.stream.next) == (2, 200)
    assert receiver.stream.final_size is None
    assert receiver.acks.due
    assert receiver.stream.read(-1) == bytes(range(200))
    give(receiver, [(9, 200, bytes(200), FIN)])
    assert receiver.stream.complete


@pytest.mark.parametrize(
    "packets",
    [
        [(0, 0, b"abc", FIN), (1, 3, b"d", 0)],
        [(0, 0, b"abc", FIN), (1, 1, b"cdef", 0)],
        [(0, 0, b"abc", FIN), (1, 0, b"ab", FIN)],
        [(0, 0, b"abc", FIN), (1, 3, b"d", FIN)],
        [(0, 5, b"abc", 0), (1, 4, b"", FIN)],
    ],
    ids=["data behind", "data across", "an earlier end", "a later end", "an end before data"],
)
@pytest.mark.parametrize("together", [True, False])
def test_a_contradiction_about_the_end_is_a_violation(packets, together):
    receiver = Receiver(WINDOW, WINDOW, SEGMENT)
    if not together:
        give(receiver, packets[:-1])
        packets = packets[-1:]
    with pytest.raises(StreamViolationError):
        give(receiver, packets)


def test_the_same_end_again_is_none():
    receiver = Receiver(WINDOW, WINDOW, SEGMENT)
    for number in range(3):
        give(receiver, [(number, 0, b"abc", FIN)])
        give(receiver, [(10 + number, 3, b"", FIN)])
    assert receiver.stream.complete


def test_the_window_is_told_again_when_half_of_it_is_free():
    # RFC 9293 section 3.8.6.2.2.
    receiver = Receiver(1000, 1000, SEGMENT)
    give(receiver, [(0, 0, bytes(1000), 0)])
    receiver.acks.on_sent(0)
    assert receiver.advertise() == 1000
    receiver.stream.read(499)
    receiver.on_read()
    assert not receiver.acks.due
    receiver.stream.read(1)
    receiver.on_read()
    assert receiver.acks.due
    assert receiver.advertise() == 1500


def test_the_window_told_moves_by_a_segment_at_least():
    receiver = Receiver(1000, 1000, SEGMENT)
    give(receiver, [(0, 0, bytes(1000), 0)])
    receiver.stream.read(SEGMENT - 1)
    assert receiver.advertise() == 1000
    receiver.stream.read(1)
    assert receiver.advertise() == 1000 + SEGMENT
    narrow = Receiver(3, 3, SEGMENT)
    give(narrow, [(0, 0, b"abc", 0)])
    narrow.stream.read(1)
    assert narrow.advertise() == 4


def test_a_blocked_sender_gets_twice_the_window_up_to_the_limit():
    receiver = Receiver(1000, 3000, SEGMENT)
    sizes = []
    offset = number = 0
    for _ in range(6):
        room = receiver.advertise() - offset
        give(receiver, [(number, offset, bytes(room), int(RSPFlags.BLOCKED))])
        offset, number = offset + room, number + 1
        receiver.stream.read(-1)
        receiver.on_read()
        sizes.append(receiver.stream.capacity)
    assert sizes[:3] == [2000, 3000, 3000]
    assert sizes[-1] == 3000


def test_an_edge_that_was_told_counts_once():
    receiver = Receiver(1000, 1 << 20, SEGMENT)
    give(receiver, [(0, 0, bytes(400), int(RSPFlags.BLOCKED))])
    receiver.stream.read(-1)
    receiver.on_read()
    give(receiver, [(1, 400, bytes(400), int(RSPFlags.BLOCKED))])
    receiver.stream.read(-1)
    receiver.on_read()
    assert receiver.stream.capacity == 2000

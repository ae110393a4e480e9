"""Trains are recognised exactly when every packet continues the one before."""

from __future__ import annotations

import numpy as np
import pytest

from rawproto.rsp.header import DATA_HEADER_SIZE, Data, Kind, RSPFlags
from rawproto.rsp.train import Train, recognise
from rawproto.wire.batch import ReceivedBatch

SIZE, LAST, COUNT = 100, 40, 6


def packets(count=COUNT, size=SIZE, last=LAST, flags=1):
    made = []
    for index in range(count):
        header = Data(
            kind=Kind.DATA,
            port=7,
            connection=1 << 63 | 5,
            number=1000 + index,
            offset=(1 << 40) + index * size,
            flags=flags if index == count - 1 else 0,
        )
        made.append(bytearray(bytes(header) + bytes(last if index == count - 1 else size)))
    return made


def arrived(made):
    batch = ReceivedBatch.from_arrivals([(bytes(packet), "x") for packet in made])
    # As links have it: rows of a receive buffer, longer than what they hold.
    rows = np.full((len(made), 2000), 0xEE, dtype=np.uint8)
    rows[:, : batch.head.shape[1]] = batch.head
    return ReceivedBatch(rows, batch.head_lengths, source="x")


@pytest.mark.parametrize(("count", "last"), [(2, 100), (2, 0), (6, 40), (6, 100), (200, 1)])
def test_packets_that_continue_each_other_are_a_train(count, last):
    train = recognise(arrived(packets(count, last=last)))
    assert train == Train(1 << 63 | 5, 1000, 1 << 40, SIZE, last, 1)


# Not the check (4 bytes) and the port (2), which nobody looks at here, and the flags, which are put together.
BYTES = [(row, at) for row in range(1, COUNT) for at in (4, *range(8, DATA_HEADER_SIZE))]


@pytest.mark.parametrize(("row", "at"), BYTES)
def test_one_other_byte_in_a_header_and_it_is_none(row, at):
    made = packets()
    made[row][at] ^= 0x10
    assert recognise(arrived(made)) is None


def test_the_kind_of_the_first_counts():
    made = packets()
    made[0][4] ^= 0x10
    assert recognise(arrived(made)) is None


@pytest.mark.parametrize("row", range(COUNT))
def test_flags_of_all_are_put_together(row):
    made = packets()
    made[row][5] |= RSPFlags.ACK_NOW
    train = recognise(arrived(made))
    assert train is not None
    assert train.flags == RSPFlags.ACK_NOW | RSPFlags.FIN


@pytest.mark.parametrize("row", range(COUNT - 1))
def test_packets_behind_the_end_of_the_stream_are_none(row):
    made = packets()
    made[row][5] |= RSPFlags.FIN
    assert recognise(arrived(made)) is None


def test_lengths_that_differ_before_the_end_are_none():
    made = packets()
    made[2] = made[2][:-1]
    assert recognise(arrived(made)) is None
    longer = packets()
    longer[-1] += bytes(SIZE)
    assert recognise(arrived(longer)) is None


def test_one_shorter_than_a_header_is_none():
    made = packets()
    made[-1] = made[-1][: DATA_HEADER_SIZE - 1]
    assert recognise(arrived(made)) is None
    assert recognise(ReceivedBatch(np.zeros((3, 10), np.uint8), np.full(3, 10), source="x")) is None

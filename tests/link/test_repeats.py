"""Packets known again by the bytes of their headers."""

import numpy as np
import pytest

from rawproto.addr import IP, IPAddr
from rawproto.link.repeats import Repeats
from rawproto.link.tables import ReceiveTable
from rawproto.wire.batch import ReceivedBatch

SOURCE, HERE = IPAddr(IP("192.0.2.1")), IPAddr(IP("192.0.2.2"))


@pytest.fixture
def table():
    """Four packets of 30 bytes, each a header of 20 and a payload."""
    made = ReceiveTable(8, 64, 16, 32)
    made.buffer[:] = 0
    made.names[:] = 0
    made.control[:] = 0
    made.lengths[:4] = 30
    for row in range(4):
        made.buffer[row, :20] = np.arange(20)
        made.buffer[row, 20:30] = row
    return made


def batch_over(table, **fields):
    told = {"source": SOURCE, "destination": HERE, "ecn": np.full(4, 2, dtype=np.uint8)} | fields
    return ReceivedBatch(table.buffer[:4, 20:], np.full(4, 10), **told)


def test_nothing_matches_before_something_is_remembered(table):
    assert Repeats(table, 20).match(4) is None


def test_like_packets_are_the_remembered_batch_over_the_same_rows(table):
    repeats = Repeats(table, 20)
    repeats.remember(batch_over(table))
    table.buffer[:3, 20:30] = 77  # the payload may be any
    found = repeats.match(3)
    assert list(found) == [bytes([77]) * 10] * 3
    assert (found.source, found.destination, found.ecn.tolist()) == (SOURCE, HERE, [2, 2, 2])
    assert repeats.match(3) is found
    assert len(repeats.match(2)) == 2


@pytest.mark.parametrize("row", [0, 2])
@pytest.mark.parametrize("place", [0, 7, 19])
def test_one_byte_of_one_header_tells_packets_apart(table, row, place):
    repeats = Repeats(table, 20)
    repeats.remember(batch_over(table))
    table.buffer[row, place] ^= 1
    assert repeats.match(4) is None
    assert (repeats.match(2) is None) == (row < 2)


def test_another_length_or_buffer_is_another_packet(table):
    repeats = Repeats(table, 20)
    repeats.remember(batch_over(table))
    table.lengths[1] = 29
    assert repeats.match(1) is not None
    assert repeats.match(2) is None
    table.lengths[1] = 30
    table.rows(1, 200)  # a longer packet came: the next call has larger slots
    table.reset(4)
    assert repeats.match(1) is None


@pytest.mark.parametrize("column", ["names", "control", "control_lengths"])
def test_without_headers_names_and_control_messages_tell(table, column):
    repeats = Repeats(table, 0)
    repeats.remember(batch_over(table))
    table.buffer[0, 3] = 99  # payload, here
    assert len(repeats.match(4)) == 4
    array = getattr(table, column)
    array[3] += 1
    assert repeats.match(4) is None
    assert len(repeats.match(3)) == 3


@pytest.mark.parametrize("unknown", ["source", "destination"])
def test_of_mixed_batches_nothing_is_remembered(table, unknown):
    repeats = Repeats(table, 20)
    repeats.remember(batch_over(table, **{unknown: None}))
    assert repeats.match(4) is None


def test_what_is_shared_between_calls_cannot_be_written_to(table):
    repeats = Repeats(table, 20)
    repeats.remember(batch_over(table))
    found = repeats.match(4)
    for column in (found.head_lengths, found.ecn):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1

"""A batch made of one datagram's bytes is the same as one made of arrays."""

from __future__ import annotations

import numpy as np
import pytest

from rawproto.wire.batch import Batch, ReceivedBatch

DATA = bytes(range(100))


def test_its_arrays_are_those_of_a_batch_of_rows():
    single, rows = Batch.single(DATA), Batch.from_datagrams([DATA])
    assert len(single) == len(rows) == 1
    assert list(single) == list(rows) == [DATA]
    assert (single.head == rows.head).all()
    assert single.head.shape == rows.head.shape
    assert single.lengths.tolist() == rows.lengths.tolist() == [100]
    assert single.tail is single.tail_starts is single.tail_lengths is None
    assert rows.data is None


def test_it_is_copied_out_by_index():
    assert Batch.single(DATA).datagram(0) == DATA
    with pytest.raises(IndexError):
        Batch.single(DATA).datagram(1)


@pytest.mark.parametrize("mark", [None, 0, 3])
def test_an_arrival_has_source_and_mark(mark):
    batch = ReceivedBatch.arrival(DATA, "peer", mark=mark, destination="here")
    assert (batch.data, batch.mark, batch.source, batch.source_of(0)) == (DATA, mark, "peer", "peer")
    assert (batch.destination, batch.timestamps) == ("here", None)
    assert (batch.ecn is None) if mark is None else (batch.ecn.tolist() == [mark])
    assert np.array_equal(batch.head_lengths, [100])


def test_one_arrival_is_such_a_batch_and_several_are_not():
    assert ReceivedBatch.from_arrivals([(DATA, "peer")], ecn=[2]).mark == 2
    assert ReceivedBatch.from_arrivals([(DATA, "peer"), (DATA, "peer")]).data is None
    assert ReceivedBatch.from_arrivals([]).data is None


def test_what_it_does_not_have_is_an_attribute_error():
    with pytest.raises(AttributeError, match="colour"):
        Batch.single(DATA).colour  # noqa: B018 - the look-up is the test


@pytest.mark.parametrize("sources", [["a", "b", "c"], ["a", "a", "a"]])
def test_some_of_a_batch_are_copies_with_what_was_said_of_each(sources):
    rows = np.arange(30, dtype=np.uint8).reshape(3, 10)
    batch = ReceivedBatch(
        rows,
        np.array([10, 4, 7]),
        source=sources[0] if len(set(sources)) == 1 else None,
        sources=sources,
        destination="here",
        ecn=np.array([0, 1, 2], dtype=np.uint8),
        timestamps=np.array([100, 200, 300]),
    )
    some = batch.take([2, 0])
    rows[:] = 0
    assert list(some) == [bytes(range(20, 27)), bytes(range(10))]
    assert [some.source_of(0), some.source_of(1)] == [sources[2], sources[0]]
    assert (some.destination, some.ecn.tolist(), some.timestamps.tolist()) == ("here", [2, 0], [300, 100])

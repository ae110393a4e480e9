"""The tables that the kernel fills: where their memory is and when it goes."""

import mmap
import weakref

import numpy as np

from rawproto.link.tables import ReceiveTable, pages


def test_pages_are_as_many_bytes_as_asked_all_zero_and_writable():
    made = pages(10_000)
    assert made.shape == (10_000,)
    assert made.dtype == np.uint8
    assert not made.any()
    made[:] = 7
    assert int(made.sum()) == 70_000


def test_no_pages_are_an_empty_array():
    assert pages(0).shape == (0,)


def mapping_under(array):
    """The mapping that ``array`` is a view of, or None."""
    below = array
    while below is not None and not isinstance(below, mmap.mmap):
        below = below.obj if isinstance(below, memoryview) else below.base
    return below


def test_what_datagrams_land_in_goes_back_to_the_kernel_with_the_table():
    table = ReceiveTable(64, 1600, 16, 0)
    gone = weakref.ref(mapping_under(table.buffer))
    del table
    assert gone() is None


def test_a_larger_slot_gives_the_smaller_ones_back():
    table = ReceiveTable(4, 64, 16, 0)
    before = weakref.ref(mapping_under(table.buffer))
    table.rows(4, 1000)
    table.reset(4)
    assert table.slot_size >= 1000
    assert before() is None

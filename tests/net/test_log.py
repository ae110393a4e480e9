"""Log lines are limited by kind, so that a flood of faults is not one of lines."""

from __future__ import annotations

import logging

import pytest

from rawproto.net import log


@pytest.fixture
def said(monkeypatch):
    """Says a message at a time; whether it was let through, and as what."""
    clock = [100.0]
    monkeypatch.setattr(log.time, "monotonic", lambda: clock[0])
    limit = log.RateFilter(3)

    def say(message, *args, at=None):
        if at is not None:
            clock[0] = at
        record = logging.LogRecord("rawproto.net", logging.WARNING, __file__, 1, message, args, None)
        return record.getMessage() if limit.filter(record) else None

    return say


def test_so_many_a_second_and_no_more(said):
    assert [said("%s broke", name) for name in "abcde"] == ["a broke", "b broke", "c broke", None, None]


def test_each_kind_by_itself(said):
    for _ in range(9):
        said("one")
    assert said("another") == "another"


def test_later_it_says_how_many_were_left_out(said):
    for _ in range(8):
        said("%s broke", "x")
    assert said("%s broke", "y", at=101.5) == "y broke (5 more of these were left out)"
    assert said("%s broke", "z") == "z broke"


def test_kinds_without_end_take_no_memory_without_end(said):
    for number in range(5000):
        said(f"kind {number}")
    [limit] = [
        cell.cell_contents for cell in said.__closure__ if isinstance(cell.cell_contents, log.RateFilter)
    ]
    assert len(limit._counts) <= 1001


def test_the_logger_of_connections_has_the_limit():
    assert log.LINES_A_SECOND == 10
    assert any(isinstance(each, log.RateFilter) for each in log.logger.filters)

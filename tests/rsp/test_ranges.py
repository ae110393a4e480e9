"""RangeSet against a plain set of integers."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rawproto.rsp.ranges import RangeSet

_SPAN = 40
_ranges = st.tuples(st.integers(0, _SPAN), st.integers(1, 12)).map(lambda pair: (pair[0], pair[0] + pair[1]))
_operations = st.lists(st.tuples(st.sampled_from(["add", "remove", "drop"]), _ranges), max_size=30)


def runs_of(model: set[int]) -> list[tuple[int, int]]:
    """The model as sorted half-open ranges."""
    runs: list[tuple[int, int]] = []
    for value in sorted(model):
        if runs and runs[-1][1] == value:
            runs[-1] = (runs[-1][0], value + 1)
        else:
            runs.append((value, value + 1))
    return runs


@given(_operations, _ranges)
@settings(max_examples=400, deadline=None)
def test_every_operation_agrees_with_a_set(operations, query):
    subject, model = RangeSet(), set()
    for name, (start, stop) in operations:
        if name == "add":
            subject.add(start, stop)
            model |= set(range(start, stop))
        elif name == "remove":
            subject.remove(start, stop)
            model -= set(range(start, stop))
        elif model:
            first = runs_of(model)[0]
            assert subject.first == first
            assert subject.drop_first() == first
            model -= set(range(*first))
        assert list(subject) == runs_of(model)
    assert len(subject) == len(runs_of(model))
    assert subject.total == len(model)
    asked = set(range(*query))
    assert subject.covers(*query) == (asked <= model)
    assert subject.overlaps(*query) == bool(asked & model)
    assert [value for value in range(60) if value in subject] == sorted(model)
    missing = subject.missing(*query)
    assert missing == runs_of(asked - model)


def test_ranges_that_touch_become_one():
    subject = RangeSet()
    for start in (0, 20, 10):
        subject.add(start, start + 10)
    assert list(subject) == [(0, 30)]
    assert subject.last == (0, 30)
    assert repr(subject) == "RangeSet([(0, 30)])"
    subject.clear()
    assert not len(subject)

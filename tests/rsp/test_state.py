"""The state table: every transition, legal and illegal, from the table itself."""

from __future__ import annotations

import itertools

import pytest

from rawproto.rsp.state import TRANSITIONS, State, StateMachine

PAIRS = list(itertools.product(State, State))


@pytest.mark.parametrize(("start", "to"), PAIRS, ids=[f"{a.name}-{b.name}" for a, b in PAIRS])
def test_every_pair(start, to):
    machine = StateMachine(start)
    if to in TRANSITIONS[start]:
        machine.move(to)
        assert machine.current is to
    else:
        with pytest.raises(AssertionError, match="no way from"):
            machine.move(to)
        assert machine.current is start


def test_every_state_has_a_row_and_can_be_left_for_the_end():
    assert set(TRANSITIONS) == set(State)
    for state, targets in TRANSITIONS.items():
        assert (State.CLOSED in targets) is (state is not State.CLOSED)


def test_every_state_can_be_reached():
    reached = {State.SYN_SENT, State.ESTABLISHED}
    for _ in State:
        reached |= {target for state in reached for target in TRANSITIONS[state]}
    assert reached == set(State)


def test_nothing_leads_back():
    order = list(State)
    for state, targets in TRANSITIONS.items():
        assert all(order.index(target) > order.index(state) for target in targets)

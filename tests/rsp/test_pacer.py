"""The token bucket."""

from __future__ import annotations

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.pacer import BURST_DATAGRAMS, Pacer

SIZE = 1200


def test_the_first_burst_is_ten_datagrams():
    assert Pacer(0).allowance(0, 1e6, SIZE) == BURST_DATAGRAMS * SIZE


def test_a_fast_path_gets_two_milliseconds_of_its_rate():
    assert Pacer(0).allowance(0, 1e9, SIZE) == 2_000_000


def test_tokens_come_at_the_rate_and_are_limited():
    pacer = Pacer(0)
    pacer.sent(pacer.allowance(0, 1e6, SIZE))
    assert pacer.allowance(0, 1e6, SIZE) == 0
    assert pacer.allowance(5 * MILLISECOND, 1e6, SIZE) == 5000
    assert pacer.allowance(60 * SECOND, 1e6, SIZE) == BURST_DATAGRAMS * SIZE


def test_the_time_named_is_the_time_it_works():
    pacer = Pacer(0)
    pacer.sent(pacer.allowance(0, 1e6, SIZE) + 500)
    due = pacer.next_time(0, SIZE)
    assert pacer.allowance(due - 1000, 1e6, SIZE) < SIZE
    assert pacer.allowance(due, 1e6, SIZE) >= SIZE
    assert pacer.next_time(due, SIZE) == due


def test_a_rate_of_nothing_still_names_a_time():
    pacer = Pacer(0)
    pacer.sent(pacer.allowance(0, 0.0, SIZE))
    assert pacer.next_time(0, SIZE) > 0


def test_what_is_let_go_over_a_second_is_the_rate():
    pacer, sent, now = Pacer(0), 0, 0
    while now < SECOND:
        allowed = pacer.allowance(now, 1e6, SIZE)
        if allowed < SIZE:
            now = pacer.next_time(now, SIZE)
            continue
        pacer.sent(SIZE)
        sent += SIZE
    assert 1e6 <= sent <= 1e6 + BURST_DATAGRAMS * SIZE


def test_a_late_wake_up_is_made_up_for_within_limits():
    pacer = Pacer(0)
    pacer.sent(pacer.allowance(0, 10e6, SIZE))
    due = pacer.next_time(0, SIZE)
    burst = 10e6 * 2 * MILLISECOND / SECOND
    assert pacer.allowance(due + 5 * MILLISECOND, 10e6, SIZE) == int(SIZE + 10e6 * 0.005)
    pacer.sent(10**6)
    due = pacer.next_time(due + 5 * MILLISECOND, SIZE)
    late = due + SECOND
    assert pacer.allowance(late, 10e6, SIZE) == int(burst + 10e6 * 0.020)


def test_idle_time_is_not_made_up_for():
    pacer = Pacer(0)
    pacer.sent(pacer.allowance(0, 10e6, SIZE))
    due = pacer.next_time(0, SIZE)
    pacer.idle()
    assert pacer.allowance(due + SECOND, 10e6, SIZE) == 20_000

"""When an acknowledgement goes out (RFC 9000 section 13.2)."""

from __future__ import annotations

from rawproto.rsp.acks import (
    FIRST_THRESHOLD,
    INTERVAL,
    LAST_THRESHOLD,
    MAX_ACK_DELAY,
    MAX_RANGES,
    TOLD_OFTEN,
    AckTracker,
)


def test_every_second_packet_in_the_beginning():
    acks = AckTracker()
    acks.on_received(0, 1, 100)
    assert (acks.due, acks.deadline) == (False, 100 + MAX_ACK_DELAY)
    acks.on_received(1, 2, 200)
    assert acks.due
    acks.on_sent(0)
    assert (acks.pending, acks.deadline) == (False, None)


def test_the_deadline_is_that_of_the_first_packet_waiting():
    acks = AckTracker()
    acks._total = 10_000
    acks.on_received(0, 1, 100)
    acks.on_received(1, 2, 900)
    assert acks.deadline == 100 + MAX_ACK_DELAY


def test_seldom_when_much_has_arrived():
    acks, sent = AckTracker(), 0
    thresholds = []
    for number in range(5000):
        acks.on_received(number, number + 1, number * INTERVAL)
        sent += 1
        if acks.due:
            thresholds.append(sent)
            acks.on_sent(number * INTERVAL)
            sent = 0
    assert thresholds[0] == FIRST_THRESHOLD
    assert thresholds[-1] == LAST_THRESHOLD
    assert thresholds == sorted(thresholds)


def test_no_two_in_a_moment_when_much_has_arrived():
    acks = AckTracker()
    acks._total = 10_000
    acks.on_received(0, 100, 1000)
    assert acks.due
    acks.on_sent(1000)
    acks.on_received(100, 200, 1001)
    assert (acks.due, acks.deadline) == (False, 1000 + INTERVAL)
    acks.on_received(200, 201, 1000 + INTERVAL)
    assert acks.due
    acks.on_sent(1000 + INTERVAL)
    acks.on_received(201, 301, 1001 + INTERVAL, wanted=True)
    assert acks.due


def test_at_once_out_of_order():
    # Section 13.2.1: "SHOULD send an ACK frame immediately ... when an ack-eliciting packet is received out of order".
    for number in (2, 0):
        acks = AckTracker()
        acks._total = 10_000
        acks.on_received(0, 1, 0)
        assert not acks.due
        acks.on_received(number, number + 1, 0)
        assert acks.due


def test_at_once_when_asked_and_when_marked():
    acks = AckTracker()
    acks.on_received(0, 1, 0, wanted=True)
    assert acks.due
    acks.on_sent(0)
    acks.on_mark(3)
    assert (acks.due, acks.congestion_marks) == (True, 3)


def test_the_newest_ranges_are_told_highest_first():
    acks = AckTracker()
    for number in (0, 1, 5, 9, 8):
        acks.on_received(number, number + 1, number)
    assert acks.ranges(32) == [(8, 10), (5, 6), (0, 2)]
    assert acks.ranges(2) == [(8, 10), (5, 6)]
    assert acks.ranges(1) == [(8, 10)]
    assert (acks.largest, acks.largest_at) == (9, 9)


def test_copies_are_recognised():
    acks = AckTracker()
    acks.on_received(0, 10, 0)
    assert acks.duplicates(2, 5)
    assert acks.seen(9, 12)
    assert not acks.duplicates(9, 12)
    assert not acks.seen(10, 12)


def test_ranges_are_limited():
    acks = AckTracker()
    for number in range(0, 10_000, 2):
        acks.on_received(number, number + 1, 0)
    assert len(acks._received) == MAX_RANGES
    assert acks.ranges(1) == [(9998, 9999)]


def test_ranges_told_often_are_told_no_more():
    # Skipped numbers leave holes for ever; without an end to it every acknowledgement would repeat them all.
    acks = AckTracker()
    for number in (0, 1, 5, 6, 9):
        acks.on_received(number, number + 1, 0)
    acks.on_sent(0)
    for number in range(10, 10 + TOLD_OFTEN - 1):
        acks.on_received(number, number + 1, 0)
        assert len(acks.ranges(10)) == 3
        acks.on_sent(0)
    assert acks.ranges(10)[0] == (9, 9 + TOLD_OFTEN)
    acks.on_received(9 + TOLD_OFTEN, 10 + TOLD_OFTEN, 0)
    acks.on_sent(0)
    assert acks.ranges(10) == [(9, 10 + TOLD_OFTEN)]
    acks.on_received(7, 8, 0)  # one that was still under way
    assert acks.ranges(10) == [(9, 10 + TOLD_OFTEN), (7, 8)]

"""RFC 9002 section 6, one named test a rule."""

from __future__ import annotations

import pytest

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.loss import (
    MAX_BACKOFF,
    MAX_PACKET_THRESHOLD,
    MAX_PROBE_INTERVAL,
    MAX_TIME_THRESHOLD_EIGHTHS,
    PATIENCE_ROUNDS,
    LossDetector,
)
from rawproto.rsp.rtt import RTTEstimator
from rawproto.rsp.sent import CARRIES_STREAM, SentPackets, Settled

RTT = 80 * MILLISECOND


class Bench:
    """A detector whose round trip is known."""

    def __init__(self, rtt=RTT):
        self.sent, self.rtt = SentPackets(), RTTEstimator()
        if rtt:
            self.rtt.update(rtt, 0, 0)
        self.loss = LossDetector(self.sent, self.rtt)

    def send(self, now, count=1):
        first = self.sent.append(now, count, 100 * self.sent.next, 100, 100, CARRIES_STREAM)
        self.loss.last_sent_at = now
        return first

    def ack(self, now, *ranges, delay=0):
        return self.loss.on_ack(ranges, ranges[0][1] - 1, delay, now)


@pytest.fixture
def bench():
    return Bench


def test_nothing_is_lost_before_a_later_packet_is_acknowledged(bench):
    # Section 6.1: "The packet is unacknowledged, in flight, and was sent prior to an acknowledged packet."
    subject = bench()
    subject.send(0, 10)
    assert not subject.loss.detect(10**12).count
    assert not subject.ack(10**12, (0, 1)).lost.count


def test_packet_threshold_is_three(bench):
    # Section 6.1.1: kPacketThreshold = 3.
    subject = bench()
    subject.send(0, 10)
    assert not subject.ack(RTT // 2, (2, 3)).lost.count
    assert subject.ack(RTT // 2, (3, 4)).lost.stream == [(0, 100)]
    assert subject.ack(RTT // 2, (9, 10)).lost.count == 4


def test_time_threshold_is_nine_eighths_of_the_round_trip(bench):
    # Section 6.1.2: kTimeThreshold = 9/8 of max(smoothed_rtt, latest_rtt).
    subject = bench()
    subject.send(0)
    subject.send(1)
    assert not subject.ack(RTT, (1, 2)).lost.count
    deadline = subject.loss.timeout(0)
    assert deadline == max(subject.rtt.smoothed, subject.rtt.latest) * 9 // 8
    assert not subject.loss.detect(deadline - 1).count
    assert subject.loss.detect(deadline).count == 1


def test_time_threshold_is_at_least_the_granularity(bench):
    # Section 6.1.2: "MUST be set to at least the local timer granularity", 1 ms.
    subject = bench(rtt=1000)
    subject.send(0)
    subject.send(0)
    subject.ack(1000, (1, 2))
    assert subject.loss.timeout(0) == MILLISECOND


def test_the_latest_round_trip_counts_when_it_is_longer(bench):
    subject = bench()
    subject.send(0)
    subject.send(0)
    subject.ack(4 * RTT - 1, (1, 2))
    assert subject.loss.patience == (4 * RTT - 1) * 9 // 8


def test_the_probe_timeout_starts_at_the_last_packet_sent(bench):
    # Section 6.2.1: "restart its PTO timer every time an ack-eliciting packet is sent or acknowledged".
    subject = bench()
    subject.send(0)
    assert subject.loss.timeout(25 * MILLISECOND) == subject.rtt.probe_timeout(25 * MILLISECOND)
    subject.send(1000)
    assert subject.loss.timeout(0) == 1000 + subject.rtt.probe_timeout(0)


def test_the_probe_timeout_doubles_and_stops_doubling(bench):
    # Section 6.2.1: "the PTO period MUST be set to twice its current value".
    subject = bench()
    subject.send(0)
    one = subject.loss.timeout(0)
    for doublings in range(MAX_BACKOFF + 3):
        subject.loss.probe_count = doublings
        assert subject.loss.timeout(0) == min(one << min(doublings, MAX_BACKOFF), MAX_PROBE_INTERVAL)


def test_f16_repeated_probe_timeouts_differ_by_a_tenth_at_random(bench):
    subject = bench()
    subject.send(0)
    one = subject.loss.timeout(0)
    for chance, tenths in ((0, -1), (128, 0), (255, 127 / 128)):
        subject.loss.probe_count = 0
        subject.loss.on_timeout(chance)
        assert abs(subject.loss.timeout(0) - one * (2 + tenths / 5)) <= 2
    subject.loss.last_sent_at = 0
    for _ in range(20):
        subject.loss.on_timeout(255)
    assert subject.loss.timeout(0) < 10 * SECOND


def test_f16_the_first_probe_timeout_is_what_was_measured(bench):
    subject = bench()
    subject.send(0, 2)
    subject.loss.on_timeout(0)
    subject.ack(RTT, (0, 1))
    assert subject.loss.timeout(0) == subject.rtt.probe_timeout(0)


def test_the_probe_timeout_is_never_shortened_by_the_limit(bench):
    subject = bench(rtt=6 * MAX_PROBE_INTERVAL)
    subject.send(0)
    assert subject.loss.timeout(0) == subject.rtt.probe_timeout(0)


def test_an_acknowledgement_resets_the_backoff(bench):
    # Section 6.2.1: "the PTO backoff factor is reset when an acknowledgment is received".
    subject = bench()
    subject.send(0, 2)
    subject.loss.probe_count = 3
    subject.ack(RTT, (0, 1))
    assert subject.loss.probe_count == 0


def test_an_acknowledgement_of_nothing_new_changes_no_backoff(bench):
    subject = bench()
    subject.send(0, 2)
    subject.ack(RTT, (0, 1))
    subject.loss.probe_count = 3
    outcome = subject.ack(RTT, (0, 1))
    assert (outcome.acknowledged.count, outcome.rtt_sample, subject.loss.probe_count) == (0, 0, 3)


def test_no_timer_runs_when_nothing_is_in_flight(bench):
    subject = bench()
    assert subject.loss.timeout(0) is None
    subject.send(0)
    subject.ack(RTT, (0, 1))
    assert subject.loss.timeout(0) is None


def test_only_the_largest_newly_acknowledged_packet_gives_a_sample(bench):
    # Section 5.1: "the largest acknowledged packet number is newly acknowledged".
    subject = bench()
    subject.send(0)
    subject.send(5)
    assert subject.ack(RTT, (1, 2)).rtt_sample == RTT - 5
    assert subject.ack(RTT + 5, (0, 2)).rtt_sample == 0


def test_reordering_widens_the_packet_threshold_by_what_was_seen(bench):
    subject = bench()
    subject.send(0, 20)
    assert subject.ack(RTT // 2, (10, 11)).lost.count == 8
    subject.ack(RTT // 2 + 1, (0, 1))
    assert subject.loss.packet_threshold == 11
    assert subject.loss.time_threshold_eighths == 10


def test_patience_has_limits_and_shrinks_again(bench):
    subject = bench()
    for _ in range(20):
        first = subject.send(subject.sent.next, 4000)
        subject.ack(RTT, (first + 3999, first + 4000))
        subject.ack(RTT, (first, first + 1))
    assert subject.loss.packet_threshold == MAX_PACKET_THRESHOLD
    assert 16 < subject.loss.time_threshold_eighths <= MAX_TIME_THRESHOLD_EIGHTHS
    now = 10**12
    for _ in range(24 * PATIENCE_ROUNDS):
        first = subject.send(now, 2000)
        subject.ack(now, (first + 1999, first + 2000))
        now += 10**10
        subject.loss.detect(now)
    assert subject.loss.packet_threshold == 3
    assert subject.loss.time_threshold_eighths == 9


def persistent(bench, *, first_at, last_at, count=3, gap=False):
    subject = bench()
    for _ in range(100):  # until the variation is gone
        subject.rtt.update(RTT, 0, 0)
    duration = 3 * subject.rtt.probe_timeout(0)
    step = (last_at - first_at) * duration / (count - 1)
    times = [int(first_at * duration + index * step) for index in range(count)]
    for number, at in enumerate(times):
        subject.send(at)
        if gap and number == 1:
            subject.ack(at + RTT, (1, 2))
    last = subject.send(times[-1], 3) + 2
    lost = subject.ack(times[-1] + RTT, (last, last + 1)).lost
    if gap:
        return subject.loss.is_persistent(lost, 0)
    assert lost.count == count
    return subject.loss.is_persistent(lost, 0)


def test_persistent_congestion_needs_three_probe_timeouts(bench):
    # Section 7.6.1: kPersistentCongestionThreshold = 3.
    assert persistent(bench, first_at=0, last_at=1.01)
    assert not persistent(bench, first_at=0, last_at=0.99)


def test_persistent_congestion_needs_that_nothing_between_arrived(bench):
    # Section 7.6.2: "none of the packets sent between the send times of these two packets are acknowledged".
    assert not persistent(bench, first_at=0, last_at=2, gap=True)
    assert persistent(bench, first_at=0, last_at=2)


def test_persistent_congestion_needs_two_packets_and_a_sample(bench):
    subject = bench(rtt=0)
    assert not subject.loss.is_persistent(Settled(count=2, oldest=0, newest=1, newest_sent_at=10**12), 0)
    subject.rtt.update(1, 0, 0)
    assert subject.loss.is_persistent(Settled(count=2, oldest=0, newest=1, newest_sent_at=10**12), 0)
    assert not subject.loss.is_persistent(Settled(count=1, oldest=0, newest=0, newest_sent_at=10**12), 0)

"""RFC 9002 section 5, sentence by sentence."""

from __future__ import annotations

import pytest

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.rtt import INITIAL_RTT, MIN_RTT_WINDOW, RTTEstimator


def test_before_a_sample_333_ms_are_assumed():
    # RFC 9002 section 6.2.2: smoothed 333 ms, variation half of it, so a first probe timeout near one second.
    rtt = RTTEstimator()
    assert (rtt.smoothed, rtt.variation, rtt.has_sample) == (INITIAL_RTT, INITIAL_RTT // 2, False)
    assert 0.99 * SECOND < rtt.probe_timeout(0) < SECOND


def test_the_first_sample_sets_everything():
    # Section 5.3: smoothed_rtt = latest_rtt, rttvar = latest_rtt / 2.
    rtt = RTTEstimator()
    rtt.update(100, 0, 5)
    assert (rtt.smoothed, rtt.variation, rtt.minimum, rtt.latest) == (100, 50, 100, 100)


def test_later_samples_are_smoothed():
    # Section 5.3: rttvar = 3/4 rttvar + 1/4 |smoothed - sample|, then smoothed = 7/8 smoothed + 1/8 sample.
    rtt = RTTEstimator()
    rtt.update(800, 0, 1)
    rtt.update(1600, 0, 2)
    assert rtt.variation == 3 * 400 // 4 + 800 // 4
    assert rtt.smoothed == 7 * 800 // 8 + 1600 // 8


def test_the_acknowledgement_delay_is_taken_off():
    rtt = RTTEstimator()
    rtt.update(50 * MILLISECOND, 0, 1)
    rtt.update(70 * MILLISECOND, 20 * MILLISECOND, 2)
    assert rtt.smoothed == 50 * MILLISECOND
    assert rtt.latest == 70 * MILLISECOND


def test_the_delay_is_not_believed_below_the_minimum():
    # Section 5.3: "MUST NOT subtract the acknowledgment delay ... if the resulting value is smaller than the min_rtt."
    rtt = RTTEstimator()
    rtt.update(50 * MILLISECOND, 0, 1)
    rtt.update(58 * MILLISECOND, 20 * MILLISECOND, 2)
    assert rtt.smoothed == 51 * MILLISECOND


def test_the_age_of_a_repeated_acknowledgement_is_taken_off():
    # Found by seed 93118: the only acknowledgement that came through repeated one of 4.7 s before, and the transfer
    # then crept along as if the path were that long.
    age = 4_700 * MILLISECOND
    rtt = RTTEstimator()
    assert rtt.believed(age, 25 * MILLISECOND) == age
    assert rtt.believed(900 * MILLISECOND, 25 * MILLISECOND) == 25 * MILLISECOND
    rtt.update(age + 50 * MILLISECOND, age, 1)
    assert (rtt.smoothed, rtt.latest, rtt.minimum) == (50 * MILLISECOND,) * 3
    rtt.update(age + 50 * MILLISECOND, age, 2)
    assert (rtt.smoothed, rtt.latest, rtt.minimum) == (50 * MILLISECOND,) * 3


def test_an_age_that_leaves_less_than_the_minimum_is_not_believed():
    rtt = RTTEstimator()
    rtt.update(50 * MILLISECOND, 0, 1)
    rtt.update(60 * MILLISECOND, 2 * SECOND, 2)
    assert rtt.minimum == 50 * MILLISECOND
    assert rtt.latest == 60 * MILLISECOND


def test_the_minimum_ignores_the_delay():
    # Section 5.2: the peer's delay plays no part, so that a lying peer cannot make it too small.
    rtt = RTTEstimator()
    rtt.update(50, 0, 1)
    rtt.update(60, 55, 2)
    assert rtt.minimum == 50


def test_the_minimum_is_forgotten_after_its_window():
    rtt = RTTEstimator()
    rtt.update(10, 0, 0)
    rtt.update(200, 0, MIN_RTT_WINDOW)
    assert rtt.minimum == 10
    rtt.update(200, 0, MIN_RTT_WINDOW + 1)
    assert rtt.minimum == 200


def test_a_sample_of_nothing_counts_as_one_nanosecond():
    rtt = RTTEstimator()
    rtt.update(0, 0, 1)
    assert rtt.smoothed == rtt.minimum == 1


@pytest.mark.parametrize("delay", [0, 25 * MILLISECOND])
def test_the_probe_timeout_is_smoothed_four_variations_and_the_delay(delay):
    # Section 6.2.1: PTO = smoothed_rtt + max(4*rttvar, kGranularity) + max_ack_delay.
    rtt = RTTEstimator()
    rtt.update(40 * MILLISECOND, 0, 1)
    assert rtt.probe_timeout(delay) == 40 * MILLISECOND + 4 * 20 * MILLISECOND + delay
    for _ in range(100):
        rtt.update(40 * MILLISECOND, 0, 2)
    assert rtt.probe_timeout(delay) == 41 * MILLISECOND + delay


def test_reset_forgets_the_path():
    rtt = RTTEstimator()
    rtt.update(40, 0, 1)
    rtt.reset()
    assert (rtt.has_sample, rtt.smoothed, rtt.minimum) == (False, INITIAL_RTT, 0)

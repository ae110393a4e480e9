"""The search for the path's datagram size and the detector of black holes, without packets (RFC 8899)."""

from __future__ import annotations

import pytest

from rawproto.rsp.black_hole import BlackHole
from rawproto.rsp.mtu_search import BASE_DATAGRAM, GRANULARITY, MAX_PROBES, MTUSearch


def search_on(path, search, most=200):
    """Probe until the search is over; how many probes that took."""
    for probes in range(most):
        if (size := search.candidate()) is None:
            return probes
        assert search.size < size <= search.ceiling
        if size <= path:
            assert search.passed(size)
        else:
            search.lost(size)
    raise AssertionError("the search does not end")


def test_the_largest_size_is_tried_first():
    search = MTUSearch(1200, 65_507, 28)
    assert search_on(65_507, search) == 1
    assert search.size == 65_507


@pytest.mark.parametrize("ceiling", [1200, 1452, 1480, 8972, 65_507])
@pytest.mark.parametrize("overhead", [20, 28, 40, 48])
def test_every_path_is_found_to_a_hundredth(ceiling, overhead):
    most = 0
    for path in {1200, 1201, ceiling, *range(1200, min(ceiling, 9001), 7)}:
        search = MTUSearch(min(BASE_DATAGRAM, ceiling), ceiling, overhead)
        most = max(most, search_on(path, search))
        assert path - GRANULARITY <= search.size <= path
    # The plateaus above, then halves of what lies between two of them, and the last one three times.
    assert most <= 20


def test_common_mtus_are_found_exactly():
    for mtu in (9000, 1500, 1492, 1400, 1280):
        search = MTUSearch(1200, 65_507, 28)
        search_on(mtu - 28, search)
        assert mtu - 28 <= search.size + GRANULARITY
        assert MTUSearch(1200, mtu - 28, 28).candidate() == mtu - 28


def test_a_size_is_given_up_after_three_losses():
    search = MTUSearch(1200, 1480, 20)
    tried = []
    while (size := search.candidate()) is not None:
        tried.append(size)
        search.lost(size)
    assert [tried.count(size) for size in sorted(set(tried))] == [MAX_PROBES] + [1] * (len(set(tried)) - 1)
    assert tried[:3] == [1480, 1472, 1380]
    assert search.size == 1200


@pytest.mark.parametrize("chance", range(5))
def test_probes_lost_by_chance_are_sent_again(chance):
    # One loss, whichever probe it hits, costs time and not size.
    for path in (1480, 1433, 1300, 1200):
        search = MTUSearch(1200, 1480, 20)
        for probe in range(60):
            if (size := search.candidate()) is None:
                break
            if size <= path and probe != chance:
                search.passed(size)
            else:
                search.lost(size)
        assert path - GRANULARITY <= search.size <= path


def test_a_probe_that_was_only_late_counts():
    search = MTUSearch(1200, 1480, 20)
    for _ in range(MAX_PROBES):
        search.lost(1480)
    assert search.passed(1480)
    assert search.candidate() is None
    assert not search.passed(1300)
    assert search.size == 1480


def test_below_the_base_the_base_comes_after_the_ceiling():
    search = MTUSearch(536, 1480, 20)
    sizes = []
    while (size := search.candidate()) is not None:
        sizes.append(size)
        search.lost(size)
    assert sizes[:3] == [1480, 1200, 868]
    assert search.size == 536


class TestHints:
    def test_it_is_what_is_tried_next_and_last(self):
        search = MTUSearch(1200, 1480, 20)
        search.hint(1400)
        assert search.candidate() == 1380
        search.passed(1380)
        assert search.candidate() is None

    @pytest.mark.parametrize("mtu", [0, 68, 576, 1219, 1501, 65_535])
    def test_nothing_below_the_base_or_beyond_the_ceiling(self, mtu):
        search = MTUSearch(1200, 1480, 20)
        search.hint(mtu)
        assert search.candidate() == 1480

    def test_a_false_one_is_found_out_like_any_size(self):
        search = MTUSearch(1200, 1480, 20)
        search.hint(1400)
        assert search_on(1300, search) <= 10 * MAX_PROBES
        assert 1300 - GRANULARITY <= search.size <= 1300

    def test_a_restart_forgets_it_and_a_fall_does_not(self):
        search = MTUSearch(1480, 1480, 20)
        search.hint(1400)
        search.fall(1200)
        assert search.candidate() == 1380
        search.restart(1200)
        assert search.candidate() == 1480

    def test_covers(self):
        search = MTUSearch(1480, 1480, 20)
        assert search.covers(1499)
        assert not search.covers(1500)


class TestBlackHole:
    def test_three_strikes_and_something_small_heard(self):
        hole = BlackHole()
        hole.on_timeout()
        assert not hole.suspected
        hole.on_timeout()
        assert hole.suspected
        assert not hole.settle(large=False)
        hole.on_lost(5, 10)
        assert hole.settle(large=False)
        assert not hole.strikes

    def test_a_large_packet_heard_clears_all(self):
        hole = BlackHole()
        for _ in range(9):
            hole.on_timeout()
        assert not hole.settle(large=True)
        assert not hole.strikes

    def test_losses_strike_once_a_round_trip(self):
        hole = BlackHole()
        hole.on_lost(5, 10)
        hole.on_lost(9, 11)
        hole.on_lost(10, 12)
        assert hole.strikes == 1
        hole.on_lost(11, 20)
        assert hole.strikes == 2

    def test_a_hint_alone_proves_nothing(self):
        hole = BlackHole()
        hole.on_hint()
        hole.on_hint()
        assert hole.suspected
        assert not hole.settle(large=False)
        hole.on_lost(1, 2)
        assert hole.settle(large=False)

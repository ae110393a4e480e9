"""The impairment engine: every word does what it says, and chance depends on the packet's number alone."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rawproto.lab.damage import damage_of
from rawproto.lab.delivery import HELD, Delivery
from rawproto.lab.draws import Stream
from rawproto.lab.fates import Fate
from rawproto.lab.impair import Direction
from rawproto.lab.rules import Verdict
from rawproto.lab.spec import Corruption, Impairments

MS = 1_000_000
S = 1_000_000_000
MIXED: dict[str, Any] = {
    "delay": "10ms", "jitter": "3ms", "loss": 0.05, "burst_loss": (0.01, 0.3), "reorder": 0.05, "duplicate": 0.05,
    "corrupt": 0.05,
}  # fmt: skip


def make(seed: int = 7, **words: Any) -> Direction:
    return Direction(Impairments.of(**words), seed, "forward")


def feed(direction: Direction, count: int, size: int = 1000, gap: int = MS) -> list[list[Delivery]]:
    """The deliveries of each of ``count`` packets, ``gap`` nanoseconds apart."""
    start = direction.index
    return [direction.admit([size], (start + number) * gap) for number in range(count)]


def near(count: int, total: int, probability: float) -> bool:
    """Whether a count is within five standard deviations of what a coin of that probability gives."""
    return abs(count - total * probability) <= 5 * math.sqrt(total * probability * (1 - probability))


def test_without_words_packets_arrive_at_once() -> None:
    (deliveries,) = feed(make(), 1)
    assert [(item.due, item.row, item.damage) for item in deliveries] == [(0, 0, None)]


def test_delay() -> None:
    assert [item[0].due for item in feed(make(delay="10ms"), 3)] == [10 * MS, 11 * MS, 12 * MS]


@pytest.mark.parametrize(
    ("words", "counter"),
    [({"loss": 0.1}, "lost"), ({"duplicate": 0.1}, "duplicated"), ({"reorder": 0.1}, "reordered"),
     ({"corrupt": 0.1}, "corrupted")],
)  # fmt: skip
def test_probabilities_are_kept(words: dict[str, float], counter: str) -> None:
    direction = make(**words)
    direction.admit([100] * 20_000, 0)
    assert near(getattr(direction.stats, counter), 20_000, 0.1)
    none = make()
    none.admit([100] * 2_000, 0)
    assert getattr(none.stats, counter) == 0


def test_certain_loss_and_none() -> None:
    assert not any(feed(make(loss=1), 1000))
    assert all(feed(make(loss=0), 1000))


def test_bursts_have_the_length_and_share_of_the_model() -> None:
    direction = make(burst_loss=(0.02, 0.25))
    lost = [not deliveries for deliveries in feed(direction, 40_000)]
    runs = [len(list(group)) for is_lost, group in itertools.groupby(lost) if is_lost]
    assert sum(runs) / 40_000 == pytest.approx(0.02 / 0.27, rel=0.15)
    assert sum(runs) / len(runs) == pytest.approx(1 / 0.25, rel=0.15)
    assert direction.stats.lost_in_burst == sum(runs)


def test_a_burst_goes_on_across_blocks_and_changes_of_settings() -> None:
    whole = make(burst_loss=(0.05, 0.05))
    feed(whole, 3000)
    pieces = make(burst_loss=(0.05, 0.05))
    for index in range(3000):
        if index % 37 == 0:
            pieces.set(Impairments.of(burst_loss=(0.05, 0.05), delay=index / 1000), index * MS)
        pieces.admit([1000], index * MS)
    assert pieces.decisions().fates == whole.decisions().fates


@given(st.lists(st.integers(1, 700), min_size=1, max_size=8), st.integers(0, 2**32))
def test_chance_depends_on_the_number_of_the_packet_alone(batches: list[int], seed: int) -> None:
    total = sum(batches)
    one_by_one = make(seed, **MIXED)
    feed(one_by_one, total)
    in_batches = make(seed, **MIXED)
    for turn, size in enumerate(batches):
        in_batches.admit([64 + turn] * size, turn)
    assert in_batches.decisions().fates == one_by_one.decisions().fates
    assert in_batches.decisions().digest() == one_by_one.decisions().digest()
    assert len(in_batches.decisions()) == total


@pytest.mark.parametrize(
    ("words", "plain"),
    [({"delay": "10ms"}, True), ({"delay": "10ms", "loss": 0.05, "burst_loss": (0.02, 0.3)}, True),
     ({"loss": 1.0}, True), ({"loss": 0.05, "duplicate": 0.01}, True), ({"jitter": "1ms", "delay": "2ms"}, False),
     ({"rate": "1gbit"}, False), ({"mtu": 1400}, False), ({"policer": ("1gbit", "1mb")}, False), ({"up": False}, False),
     ({"blackhole": [("1h", "1s")]}, False)],
    ids=str,
)  # fmt: skip
def test_a_batch_decided_on_as_a_whole_is_what_its_packets_are_one_by_one(
    words: dict[str, Any], plain: bool
) -> None:
    whole, single = make(**words), make(**words)
    taken = 0
    for turn in range(60):
        sizes = np.full(40, 1000)
        times = turn * MS + np.arange(40) * 100
        found = whole.admit_plain(sizes, times)
        one_by_one = [(item.due, item.row) for item in single.admit(sizes.tolist(), times.tolist())]
        if found is None:
            assert [
                (item.due, item.row) for item in whole.admit(sizes.tolist(), times.tolist())
            ] == one_by_one
            continue
        taken += 1
        dues, kept = found
        rows = range(40) if kept is None else np.flatnonzero(kept).tolist()
        assert list(zip(dues.tolist(), rows, strict=True)) == one_by_one
    assert (taken > 0) is plain
    assert whole.stats == single.stats
    assert whole.decisions().fates == single.decisions().fates


def test_seeds_and_directions_differ() -> None:
    digests = set()
    for seed, name in itertools.product(range(3), ("forward", "backward")):
        direction = Direction(Impairments.of(loss=0.5), seed, name)
        direction.admit([1] * 1000, 0)
        digests.add(direction.decisions().digest())
    assert len(digests) == 6


def test_decisions_can_be_compared_in_part() -> None:
    short, long = make(**MIXED), make(**MIXED)
    feed(short, 600)
    feed(long, 900)
    assert short.decisions().digest() == long.decisions().digest(600) != long.decisions().digest()
    fates = [long.decisions()[index] for index in range(900)]
    assert sum(1 for fate in fates if fate & (Fate.LOST | Fate.LOST_IN_BURST)) == sum(
        (long.stats.lost, long.stats.lost_in_burst)
    )


def test_draws_are_found_by_number() -> None:
    stream = Stream(1, "x")
    assert stream.words(0, 100)[60:70].tolist() == stream.words(60, 10).tolist()
    assert stream.word(63) == int(stream.words(0, 100)[63])
    assert len(set(stream.words(0, 10_000).tolist())) == 10_000
    units = stream.units(0, 50_000)
    assert 0 <= units.min() < 0.001
    assert 0.999 < units.max() < 1
    assert abs(units.mean() - 0.5) < 0.01


def test_jitter_spreads_the_delay_and_keeps_the_order() -> None:
    dues = [item[0].due for item in feed(make(delay="10ms", jitter="5ms"), 2000, gap=20 * MS)]
    delays = [due - number * 20 * MS for number, due in enumerate(dues)]
    assert 5 * MS <= min(delays) < 5.1 * MS
    assert 14.9 * MS < max(delays) <= 15 * MS
    assert sum(delays) / len(delays) == pytest.approx(10 * MS, rel=0.03)
    close = [item[0].due for item in feed(make(delay="10ms", jitter="5ms"), 2000, gap=1000)]
    assert close == sorted(close)


def test_a_reordered_packet_is_overtaken() -> None:
    direction = make(delay="10ms", reorder=0.1, reorder_hold="3.5ms")
    dues = [item[0].due for item in feed(direction, 2000)]
    late = [due - number * MS - 10 * MS for number, due in enumerate(dues)]
    assert set(late) == {0, 3_500_000}
    assert late.count(3_500_000) == direction.stats.reordered > 100
    assert Impairments.of(delay="100ms").hold == 25 * MS
    assert Impairments.of(delay="1ms").hold == MS


def test_a_duplicate_comes_right_behind_and_undamaged() -> None:
    direction = make(duplicate=0.2, corrupt=1.0, delay="1ms")
    twins = [item for item in feed(direction, 500) if len(item) == 2]
    assert len(twins) == direction.stats.duplicated > 50
    for first, second in twins:
        assert first.due == second.due
        assert first.damage is not None
        assert second.damage is None


def test_rate_spaces_packets_exactly() -> None:
    direction = make(rate="8mbit", delay="1ms")  # 1000 bytes a millisecond
    dues = [item.due for item in direction.admit([1000] * 5 + [500], 0)]
    assert dues == [2 * MS, 3 * MS, 4 * MS, 5 * MS, 6 * MS, 6_500_000]
    # An idle link begins anew.
    assert direction.admit([1000], 100 * MS)[0].due == 102 * MS


@pytest.mark.parametrize(("limit", "through"), [(3, 3), ("3p", 3), ("3500b", 3), ("2999b", 2)])
def test_a_full_queue_drops_the_tail(limit: int | str, through: int) -> None:
    direction = make(rate="8mbit", limit=limit)
    assert [item.row for item in direction.admit([1000] * 10, 0)] == list(range(through))
    assert direction.stats.queue_dropped == 10 - through
    # One packet has left after a millisecond, so one finds room.
    assert len(direction.admit([1000, 1000], MS)) == 1


def test_a_rate_lowered_and_raised_while_running() -> None:
    direction = make(rate="8mbit")
    direction.admit([1000], 0)
    direction.set(Impairments.of(rate="80mbit"), 0)
    assert direction.admit([1000], 0)[0].due == 1_100_000


def test_a_policer_drops_what_exceeds_its_bucket() -> None:
    direction = make(policer=("8mbit", 3000))
    assert [item.row for item in direction.admit([1000] * 5, 0)] == [0, 1, 2]
    assert direction.admit([1000], MS - 1) == []
    assert len(direction.admit([1000], MS)) == 1
    assert direction.stats.policed == 3
    # The bucket does not run over.
    assert len(direction.admit([1000] * 9, 100 * S)) == 3


def test_what_is_too_big_vanishes() -> None:
    direction = make(mtu=1400)
    assert [item.row for item in direction.admit([1400, 1401, 20], 0)] == [0, 2]
    assert direction.stats.too_big == 1


def test_black_holes_once_and_again() -> None:
    once = make(blackhole=[("5s", "2s")])
    assert [len(once.admit([1], second * S)) for second in range(9)] == [1, 1, 1, 1, 1, 0, 0, 1, 1]
    again = make(blackhole=[("1s", "1s", "3s")])
    assert [len(again.admit([1], second * S)) for second in range(9)] == [1, 0, 1, 1, 0, 1, 1, 0, 1]
    assert again.stats.blackholed == 3


def test_a_black_hole_counts_from_when_it_was_given() -> None:
    direction = make()
    direction.set(Impairments.of(blackhole=[("1s", "1s")]), 10 * S)
    assert [len(direction.admit([1], (10 + second) * S)) for second in range(4)] == [1, 0, 1, 1]


def test_down_and_up_use_numbers_all_the_same() -> None:
    steady, broken = make(loss=0.3), make(loss=0.3)
    feed(steady, 300)
    feed(broken, 100)
    broken.set(Impairments.of(loss=0.3, up=False), 100 * MS)
    assert not any(feed(broken, 100))
    broken.set(Impairments.of(loss=0.3), 200 * MS)
    feed(broken, 100)
    assert broken.decisions().fates == steady.decisions().fates
    assert broken.stats.blackholed == 100


@pytest.mark.parametrize(
    ("kind", "bits", "length"),
    [("bit", 32, {1}), ("byte", 32, {1}), ("burst", 8, {1, 2}), ("burst", 64, {8, 9})],
)
@given(word=st.integers(0, 2**64 - 1), first=st.integers(0, 60), size=st.integers(9, 1500))
def test_damage_stays_in_its_place(
    kind: str, bits: int, length: set[int], word: int, first: int, size: int
) -> None:
    at, mask = damage_of(Corruption(1, kind=kind, bits=bits), word, first * 8, size * 8)
    assert first <= at
    assert at + len(mask) <= first + size
    assert len(mask) in length
    assert mask[0] != 0
    assert mask[-1] != 0
    changed = int.from_bytes(mask, "big")
    if kind == "bit":
        assert changed.bit_count() == 1
    if kind == "burst":
        lowest = (changed & -changed).bit_length()
        assert changed.bit_length() - lowest + 1 == bits


def test_damage_spares_the_header_unless_asked() -> None:
    spared = [item[0].damage for item in _with_headers(make(corrupt=1.0))]
    assert min(at for at, _ in spared if spared) >= 20
    anywhere = [item[0].damage for item in _with_headers(make(corrupt=Corruption(1.0, where="packet")))]
    assert min(at for at, _ in anywhere) < 20
    empty = make(corrupt=1.0)
    assert empty.admit([20], 0, [20])[0].damage is None
    assert empty.stats.corrupted == 0


def _with_headers(direction: Direction) -> list[Any]:
    return [direction.admit([40], number, [20]) for number in range(200)]


def test_rules_are_asked_with_row_and_number() -> None:
    direction = make(delay="1ms")
    direction.admit([10] * 3, 0)
    asked: list[tuple[int, int]] = []

    def judge(row: int, index: int) -> Verdict | None:
        asked.append((row, index))
        actions = {3: Verdict(drop=True), 4: Verdict(delay=5 * MS), 5: Verdict(copies=2), 6: Verdict(hold=9)}
        return actions.get(index)

    out = direction.admit([10] * 5, 0, judge=judge)
    assert asked == [(0, 3), (1, 4), (2, 5), (3, 6), (4, 7)]
    assert [(item.index, item.due) for item in out] == [
        (4, 6 * MS), (5, MS), (5, MS), (5, MS), (6, HELD), (7, MS)
    ]  # fmt: skip
    stats = direction.stats
    assert (stats.rule_dropped, stats.rule_delayed, stats.copied, stats.held) == (1, 1, 2, 1)


@given(st.integers(0, 2**32))
def test_every_packet_has_one_fate(seed: int) -> None:
    direction = make(seed, **MIXED, rate="8mbit", limit=5, mtu=1200, policer=("9mbit", "9kb"))
    out = [item for turn in range(60) for item in direction.admit([1000, 1300, 200], turn * MS)]
    stats = direction.stats
    assert stats.received == 180
    assert len(out) + stats.dropped == stats.received + stats.duplicated
    in_order = [item.due for item in out if not item.late]
    assert in_order == sorted(in_order)

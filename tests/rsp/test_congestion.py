"""The window: NewReno (RFC 9002 section 7), CUBIC (RFC 9438), HyStart++ (RFC 9406) and what all of them promise."""

from __future__ import annotations

import pytest

from rawproto.errors import ConfigError
from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.congestion.base import Acknowledged, Lost, controller, controller_names
from rawproto.rsp.congestion.bbr import BBR
from rawproto.rsp.congestion.cubic import ALPHA, BETA, C, Cubic, HyStart
from rawproto.rsp.congestion.newreno import NewReno, initial_window, minimum_window

SIZE = 1200
RTT = 100 * MILLISECOND


def acked(now, size, *, sent_at=None, in_flight=0, rtt=RTT):
    return Acknowledged(
        now=now, bytes=size, sent_at=now - RTT if sent_at is None else sent_at, in_flight=in_flight, rtt=rtt,
        smoothed_rtt=RTT, min_rtt=RTT,
    )  # fmt: skip


def lost(now, *, sent_at=None, persistent=False):
    return Lost(now, SIZE, now - RTT if sent_at is None else sent_at, 0, persistent)


@pytest.mark.parametrize(
    ("size", "window"), [(1200, 12000), (1448, 14480), (1500, 14720), (9000, 18000), (536, 5360)]
)
def test_the_initial_window(size, window):
    # RFC 9002 section 7.2: ten datagrams, limited to the larger of 14,720 bytes and two datagrams.
    assert initial_window(size) == window
    assert minimum_window(size) == 2 * size


@pytest.mark.parametrize("name", ["newreno", "cubic"])
class TestEveryWindow:
    """Rules of RFC 9002 section 7 that do not depend on the algorithm."""

    @pytest.fixture
    def subject(self, name):
        return controller(name)(SIZE, 0)

    def test_slow_start_grows_by_what_is_acknowledged(self, subject):
        before = subject.window
        subject.on_acknowledged(acked(RTT, 3000), window_limited=True)
        assert (subject.window, subject.state) == (before + 3000, "slow start")

    def test_an_unused_window_does_not_grow(self, subject):
        # Section 7.8.
        before = subject.window
        subject.on_acknowledged(acked(RTT, 3000), window_limited=False)
        assert subject.window == before

    def test_one_reduction_a_round_trip(self, subject):
        # Section 7.3.2: losses of packets sent before the recovery period began do not reduce again.
        subject.on_lost(lost(10 * RTT))
        reduced = subject.window
        subject.on_lost(lost(10 * RTT + 5, sent_at=10 * RTT))
        assert subject.window == reduced
        subject.on_lost(lost(12 * RTT, sent_at=10 * RTT + 1))
        assert subject.window < reduced

    def test_no_growth_in_recovery(self, subject):
        subject.on_lost(lost(10 * RTT))
        reduced = subject.window
        subject.on_acknowledged(acked(11 * RTT, 3000, sent_at=10 * RTT), window_limited=True)
        assert subject.window == reduced

    def test_never_below_two_datagrams(self, subject):
        for turn in range(1, 40):
            subject.on_lost(lost(turn * 10 * RTT))
        assert subject.window == minimum_window(SIZE)

    def test_persistent_congestion_leaves_two_datagrams_and_slow_start(self, subject):
        # Section 7.6.2.
        subject.on_lost(lost(10 * RTT, persistent=True))
        assert (subject.window, subject.state) == (minimum_window(SIZE), "slow start")
        subject.on_acknowledged(acked(12 * RTT, SIZE, sent_at=9 * RTT), window_limited=True)
        assert subject.window == minimum_window(SIZE) + SIZE

    def test_a_mark_reduces_as_a_loss_does(self, subject, name):
        # Section 7.1.
        other = controller(name)(SIZE, 0)
        other.on_lost(lost(10 * RTT))
        subject.on_congestion_mark(10 * RTT, 9 * RTT)
        assert subject.window == other.window
        subject.on_congestion_mark(10 * RTT + 1, 10 * RTT)
        assert subject.window == other.window

    def test_a_false_loss_is_undone_once(self, subject):
        before = subject.window
        subject.on_lost(lost(10 * RTT))
        subject.on_spurious_loss(11 * RTT)
        assert (subject.window, subject.state) == (before, "slow start")
        subject.on_spurious_loss(12 * RTT)
        assert subject.window == before

    def test_nothing_is_undone_after_persistent_congestion(self, subject):
        subject.on_lost(lost(10 * RTT, persistent=True))
        subject.on_spurious_loss(11 * RTT)
        assert subject.window == minimum_window(SIZE)

    def test_the_pacing_rate_follows_the_window(self, subject):
        # Section 7.7: rate = N * congestion_window / smoothed_rtt; N small, but over 1.
        assert subject.pacing_rate(RTT) == 2.0 * subject.window * SECOND / RTT
        subject.on_lost(lost(10 * RTT))
        assert subject.pacing_rate(RTT) == 1.25 * subject.window * SECOND / RTT
        assert subject.pacing_rate(0) > 0


class TestNewReno:
    """Section 7.3."""

    def test_halves(self):
        subject = NewReno(SIZE, 0)
        subject.on_lost(lost(10 * RTT))
        assert subject.window == initial_window(SIZE) // 2

    def test_avoidance_adds_a_datagram_a_window(self):
        # Section 7.3.3, counted in bytes (RFC 3465), so that divided acknowledgements gain nothing.
        subject = NewReno(SIZE, 0)
        subject.on_lost(lost(10 * RTT))
        before, now = subject.window, 20 * RTT
        for _ in range(before // 10):
            subject.on_acknowledged(acked(now, 10), window_limited=True)
        assert subject.window == before + SIZE
        assert subject.state == "congestion avoidance"


class TestCubic:
    """RFC 9438."""

    def avoiding(self, window, w_max=None):
        subject = Cubic(SIZE, 0)
        subject._window = float(w_max or window)
        subject.on_lost(lost(10 * RTT))
        assert subject.window == int((w_max or window) * BETA)
        return subject

    def test_the_constants(self):
        assert (C, BETA) == (0.4, 0.7)
        assert pytest.approx(3 * 0.3 / 1.7) == ALPHA

    def test_reaches_the_old_window_after_k_seconds_and_passes_it(self):
        # Section 4.2: K = cbrt((W_max - cwnd_epoch) / C) in segments.
        peak = 1000 * SIZE
        subject = self.avoiding(peak)
        k = (0.3 * 1000 / C) ** (1 / 3)
        now, start = 20 * RTT, 20 * RTT
        series = {}
        while now < start + 2 * k * SECOND:
            subject.on_acknowledged(acked(now, subject.window), window_limited=True)
            now += RTT
            series[round((now - start) / SECOND, 1)] = subject.window
        at_k = series[round(k, 1)]
        assert 0.97 * peak < at_k < 1.05 * peak
        # Concave before, convex behind (section 4.1): slow around W_max, fast far from it.
        early = series[2.0] - series[1.0]
        middle = series[round(k + 0.5, 1)] - series[round(k - 0.5, 1)]
        late = series[round(2 * k - 0.5, 1)] - series[round(2 * k - 1.5, 1)]
        assert early > 5 * middle
        assert late > 5 * middle

    def test_never_more_than_half_again_in_a_round_trip(self):
        # Section 4.2: target is at most 1.5 * cwnd.
        subject = self.avoiding(10 * SIZE)
        subject.on_acknowledged(acked(20 * RTT, 1), window_limited=True)
        before = subject.window
        subject.on_acknowledged(acked(20 * RTT + 1000 * SECOND, before), window_limited=True)
        assert subject.window <= 1.5 * before + SIZE

    def test_as_fast_as_reno_on_small_windows(self):
        # Section 4.3: W_est grows by alpha a round trip, by one segment once past the window of the last loss.
        subject = self.avoiding(10 * SIZE)
        now = 20 * RTT
        start = subject.window
        for _ in range(20):
            now += RTT // 50
            subject.on_acknowledged(acked(now, subject.window), window_limited=True)
        gained = (subject.window - start) / SIZE
        until = 3 / ALPHA  # round trips to grow from 7 to 10 segments
        assert gained == pytest.approx(3 + (20 - until), rel=0.15)

    def test_fast_convergence_gives_way(self):
        # Section 4.7: a window reduced again below W_max remembers less than it had.
        subject = self.avoiding(100 * SIZE)
        subject.on_lost(lost(30 * RTT))
        assert subject._w_max == pytest.approx(70 * SIZE * (1 + BETA) / 2)

    def test_reno_estimate_speeds_up_past_the_window_before_the_loss_not_past_w_max(self):
        # Section 4.3: alpha becomes 1 "once W_est reaches cwnd_prior"; fast convergence lowers W_max below that.
        subject = self.avoiding(100 * SIZE)
        subject.on_lost(lost(30 * RTT))  # cwnd_prior 70, W_max 59.5, cwnd 49
        now = 40 * RTT
        subject.on_acknowledged(acked(now, 1), window_limited=True)
        subject._w_est = 65.0 * SIZE
        before = subject._w_est
        subject._window = 65.0 * SIZE
        subject.on_acknowledged(acked(now + 1, 65 * SIZE), window_limited=True)
        assert subject._w_est - before == pytest.approx(ALPHA * SIZE, rel=0.01)

    def test_the_clock_stops_while_the_window_is_not_used(self):
        # Section 5.8.
        subject = self.avoiding(1000 * SIZE)
        subject.on_acknowledged(acked(20 * RTT, SIZE), window_limited=True)
        before = subject.window
        subject.on_acknowledged(acked(20 * RTT + 60 * SECOND, SIZE), window_limited=False)
        subject.on_acknowledged(acked(21 * RTT + 60 * SECOND, SIZE), window_limited=True)
        assert subject.window < before + SIZE

    def test_spurious_loss_restores_the_curve(self):
        # Section 4.9.
        subject = self.avoiding(1000 * SIZE)
        subject.on_acknowledged(acked(20 * RTT, SIZE), window_limited=True)
        before = (subject._w_max, subject._k, subject._epoch, subject.window)
        subject.on_lost(lost(30 * RTT))
        assert subject.window < before[3]
        subject.on_spurious_loss(31 * RTT)
        assert (subject._w_max, subject._k, subject._epoch, subject.window) == before


class TestBBR:
    """The model's path: a megabyte a second, 100 ms."""

    RATE = 1_000_000

    def subject(self, rounds=12):
        """A controller after so many round trips of packets of 1,000 bytes, and the time."""
        self.bbr, self.now, self.delivered = BBR(1000, 0), 0, 0
        for _ in range(rounds):
            self.round()
        return self.bbr

    def round(self, lost_share=0.0):
        """A round trip, longer when there is a queue, in which all of the window is acknowledged or lost."""
        bbr = self.bbr
        window = min(bbr.window, int(bbr.pacing_rate(RTT) * RTT / SECOND))  # what the pacer lets go
        took = max(RTT, window * SECOND // self.RATE)
        start, before = self.now, self.delivered
        if lost_share:
            self.now += 1
            bbr.on_lost(Lost(self.now, int(lost_share * window), self.now, window))
        size = int(window * (1 - lost_share)) // 20
        for step in range(1, 21):
            self.now = start + took * step // 20
            self.delivered += size
            event = Acknowledged(
                self.now, size, self.now - took, window, took, took, RTT, 20 * size * SECOND / took, False,
                before, self.delivered,
            )  # fmt: skip
            bbr.on_acknowledged(event, window_limited=True)

    def test_startup_doubles_until_the_rate_no_longer_grows(self):
        bbr = self.subject(1)
        windows = [bbr.window]
        while bbr.state == "startup":
            self.round()
            windows.append(bbr.window)
        assert windows[1] == 2 * windows[0]
        assert bbr.state == "drain"
        assert bbr.pacing_rate(RTT) < self.RATE / 2

    def test_it_settles_at_the_rate_and_twice_the_product(self):
        bbr = self.subject(20)
        assert bbr.state == "probe bandwidth"
        product = self.RATE * RTT / SECOND
        assert 2 * product <= bbr.window <= 3.2 * product
        assert 0.7 * self.RATE <= bbr.pacing_rate(RTT) <= 1.3 * self.RATE

    def test_a_round_that_loses_little_changes_nothing(self):
        bbr = self.subject(20)
        window = bbr.window
        self.round(0.02)
        self.round()
        assert bbr.window >= window

    def test_a_round_that_loses_much_lowers_the_window_and_ends_startup(self):
        bbr = self.subject(2)
        window = bbr.window
        self.round(0.25)
        assert (bbr.state, bbr.window <= window) == ("drain", True)

    def test_false_losses_are_undone_and_startup_goes_on(self):
        bbr = self.subject(2)
        window = bbr.window
        self.round(0.25)
        bbr.on_spurious_loss(self.now)
        assert (bbr.state, bbr.window >= window) == ("startup", True)
        window = bbr.window
        self.round()
        assert bbr.window > 1.5 * window

    def test_losses_that_were_true_are_not_undone_with_later_false_ones(self):
        bbr = self.subject(2)
        self.round(0.25)
        self.round(0.01)
        window = bbr.window
        bbr.on_spurious_loss(self.now)
        assert (bbr.state == "startup", bbr.window) == (False, window)

    def test_nothing_is_undone_after_persistent_congestion(self):
        bbr = self.subject(20)
        bbr.on_lost(Lost(self.now, 5000, self.now, 0, persistent=True))
        bbr.on_spurious_loss(self.now)
        assert bbr.window == 4000

    def test_a_mark_lowers_the_window(self):
        bbr = self.subject(20)
        window = bbr.window
        bbr.on_congestion_mark(self.now, self.now)
        self.round()
        assert bbr.window <= 0.75 * window

    def test_the_path_is_run_empty_when_its_least_round_trip_is_old(self):
        bbr = self.subject(20)
        self.now += 11 * SECOND
        bbr.on_acknowledged(
            Acknowledged(
                self.now, 1000, self.now - 2 * RTT, 1000, 2 * RTT, RTT, RTT, 0.0, True, 0, self.delivered
            ),
            window_limited=False,
        )
        assert (bbr.state, bbr.window) == ("probe rtt", 4000)


class TestHyStart:
    """RFC 9406."""

    def rounds(self, *minima, samples=8):
        subject = HyStart()
        ended = []
        for rtt in minima:
            ended.append(subject.start_round())
            for _ in range(samples):
                subject.sample(rtt * MILLISECOND)
        return subject, ended

    def test_growth_of_an_eighth_begins_the_cautious_phase(self):
        # Section 4.2: RttThresh = clamp(4 ms, lastRoundMinRTT / 8, 16 ms).
        assert not self.rounds(80, 89)[0].in_css
        assert self.rounds(80, 90)[0].in_css

    @pytest.mark.parametrize(("base", "threshold"), [(8, 4), (64, 8), (400, 16)])
    def test_the_threshold_is_clamped(self, base, threshold):
        assert not self.rounds(base, base + threshold - 1)[0].in_css
        assert self.rounds(base, base + threshold)[0].in_css

    def test_needs_eight_samples(self):
        assert not self.rounds(80, 120, samples=7)[0].in_css

    def test_a_passing_growth_is_forgiven(self):
        assert not self.rounds(80, 90, 85)[0].in_css

    def test_five_cautious_rounds_end_slow_start(self):
        _, ended = self.rounds(80, *[100] * 7)
        assert ended.index(True) == 1 + 5

    def test_the_cautious_phase_grows_a_quarter(self):
        subject = Cubic(SIZE, 0)
        subject._hystart.in_css = True
        before = subject.window
        subject.on_acknowledged(acked(RTT, 4000), window_limited=True)
        assert (subject.window - before, subject.state) == (1000, "conservative slow start")

    def test_slow_start_ends_at_the_window_reached(self):
        subject = Cubic(SIZE, 0)
        now = 0
        for turn in range(12):
            base = 80 if turn < 2 else 120
            for _ in range(10):
                now += 1
                sent_at = (turn * 10 + 1) * RTT - 1
                event = acked(now * RTT, SIZE, sent_at=sent_at, rtt=base * MILLISECOND)
                subject.on_acknowledged(event, window_limited=True)
        assert subject._threshold < float("inf")


def test_the_registry_names_what_exists():
    assert {"newreno", "cubic", "bbr"} <= set(controller_names())
    for name in controller_names():
        subject = controller(name)(SIZE, 0)
        assert (subject.name, subject.window) == (name, initial_window(SIZE))
        subject.on_max_datagram(600)
        assert subject.max_datagram == 600


def test_an_unknown_controller_is_told_with_the_known_ones():
    with pytest.raises(
        ConfigError, match=r"unknown congestion controller 'vegas' \(known: bbr, cubic, newreno\)"
    ):
        controller("vegas")

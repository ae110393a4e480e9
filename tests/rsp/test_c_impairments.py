"""A bad network: the lines C1 to C12 of the reliability catalogue."""

from __future__ import annotations

import itertools

import pytest

from rawproto.protocol import MILLISECOND, SECOND

BASE = {"delay": 15 * MILLISECOND, "rate": 10e6, "queue": 30 * MILLISECOND}


def whole(p, size, back=0, **limits):
    client, server = p.transfer(p.payload(size), p.payload(back), **limits)
    assert server.received == client.data
    assert client.received == server.data
    assert client.error is None
    assert server.error is None
    return client, server


@pytest.mark.parametrize("seed", range(4))
def test_c1_two_percent_both_ways(pair, seed):
    whole(pair(seed=seed, link={**BASE, "loss": 0.02, "burst": 3}), 2_000_000, limit=60)


@pytest.mark.parametrize("loss", [0.05, 0.1, 0.2, 0.3])
@pytest.mark.parametrize("congestion", ["newreno", "cubic", "bbr"])
def test_c2_heavy_loss(pair, loss, congestion):
    p = pair(seed=2, link={**BASE, "loss": loss}, congestion=congestion, linger=600.0)
    whole(p, 200_000, limit=600)


@pytest.mark.parametrize("seed", range(4))
def test_c3_losses_in_runs(pair, seed):
    # Gilbert-Elliott: 0.1 % lost in the good state, 50 % in the bad one, which lasts 8 packets on average.
    p = pair(seed=seed, link=BASE)
    bad = {"a": False, "b": False}

    def drop(packet):
        bad[packet.sender] = p.rng.random() < (7 / 8 if bad[packet.sender] else 0.01)
        return p.rng.random() < (0.5 if bad[packet.sender] else 0.001)

    for direction in p.links.values():
        direction.drop = drop
    whole(p, 500_000)


@pytest.mark.parametrize("seed", range(4))
def test_c4_corruption_never_reaches_the_reader(pair, seed):
    p = pair(seed=seed, link={**BASE, "corrupt": 0.02})
    client, server = whole(p, 1_000_000)
    corrupted = sum(packet.fate == "corrupted" for packet in p.packets)
    seen = (
        client.connection.stats().corrupted_received + server.connection.stats().corrupted_received
        + p.a.stats.corrupted + p.b.stats.corrupted + p.a.stats.malformed + p.b.stats.malformed
        + p.a.stats.unknown + p.b.stats.unknown
    )  # fmt: skip
    assert seen >= 0.95 * corrupted > 5


@pytest.mark.parametrize("seed", range(30))
def test_c4_corrupted_handshakes(pair, seed):
    whole(pair(seed=seed, link={**BASE, "corrupt": 0.3}), 1000, 1000)


@pytest.mark.parametrize("share", [0.01, 0.05, 0.09, 0.25, 0.5])
def test_c6_reordering_is_learned(pair, share):
    p = pair(seed=6, link={**BASE, "rate": 50e6, "queue": SECOND, "reorder": share, "hold": 8 * MILLISECOND})
    client, _ = whole(p, 3_000_000)
    stats = client.connection.stats()
    assert stats.packets_retransmitted <= 0.05 * stats.packets_sent
    # The second half of the transfer has learned.
    late = [packet for packet in p.sent("a", "DATA") if packet.number > stats.packets_sent // 2]
    offsets = [packet.stream[0] for packet in late]
    assert len(offsets) - len(set(offsets)) <= 0.01 * len(offsets)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.5])
def test_c8_duplication_delivers_once(pair, share):
    # NewReno grows by what is acknowledged, so a copy that counted twice would show.
    p = pair(seed=8, link={**BASE, "duplicate": share}, congestion="newreno")
    client, server = whole(p, 500_000, 100_000)
    plain = pair(seed=8, link=BASE, congestion="newreno")
    reference, _ = whole(plain, 500_000, 100_000)
    assert server.connection.stats().duplicates_received > 0
    assert client.connection.stats().congestion_window <= 1.3 * max(
        reference.connection.stats().congestion_window, 40_000
    )


@pytest.mark.parametrize("jitter", [1, 10, 100, 1000])
@pytest.mark.parametrize("seed", range(3))
def test_c10_jitter(pair, jitter, seed):
    p = pair(seed=seed, link={**BASE, "jitter": jitter * MILLISECOND})
    whole(p, 200_000, 50_000, limit=300)


@pytest.mark.parametrize("asymmetry", [1, 10, 100])
def test_asymmetric_links(pair, asymmetry):
    p = pair(link=BASE, b_to_a={"rate": 10e6 / asymmetry, "queue": SECOND})
    whole(p, 1_000_000)


class TestC12BlackHoles:
    @pytest.mark.parametrize("seconds", [0.5, 2, 10, 50])
    @pytest.mark.parametrize("direction", ["a", "b", "ab"])
    def test_shorter_than_the_give_up_time_it_goes_on(self, pair, seconds, direction):
        p = pair(link=BASE, linger=300.0)
        for name in direction:
            p.at(0.5, lambda name=name: setattr(p.links[name], "up", False))
            p.at(0.5 + seconds, lambda name=name: setattr(p.links[name], "up", True))
        client, _ = whole(p, 1_500_000, limit=300)
        # Once the network is back it is noticed within a doubled probe timeout, and within ten seconds.
        assert p.now / SECOND <= 0.5 + seconds + min(1.5 * seconds, 11) + 5
        assert client.connection.stats().probes >= 2

    def test_five_times_in_a_row(self, pair):
        p = pair(link=BASE)
        for turn in range(5):
            for name in "ab":
                p.at(0.5 + 3 * turn, lambda name=name: setattr(p.links[name], "up", False))
                p.at(2.5 + 3 * turn, lambda name=name: setattr(p.links[name], "up", True))
        whole(p, 5_000_000)

    @pytest.mark.parametrize("timeout", [10.0, 60.0])
    def test_longer_it_ends_with_one_clear_error_at_the_stated_time(self, pair, flow, timeout):
        p = pair(link=BASE, idle_timeout=timeout, linger=1000.0)
        client, server = p.open()
        p.flows.append(flow(client, p.payload(3_000_000)))
        p.flows.append(flow(server))
        p.run_for(1)
        for direction in p.links.values():
            direction.up = False
        p.run_for(0.1)
        start = p.now
        p.run(lambda: client.closed, 700)
        assert timeout - 2 <= (p.now - start) / SECOND <= timeout + 1
        assert isinstance(client.error, TimeoutError)

    @pytest.mark.parametrize("congestion", ["newreno", "cubic", "bbr"])
    def test_the_rate_recovers_afterwards(self, pair, congestion):
        p = pair(link=BASE, congestion=congestion, linger=300.0)
        for name in "ab":
            p.at(0.5, lambda name=name: setattr(p.links[name], "up", False))
            p.at(2.5, lambda name=name: setattr(p.links[name], "up", True))
        whole(p, 2_500_000)
        assert p.now / SECOND < 2.5 + 1.5 * 2_500_000 * 8 / 10e6 + 4


@pytest.mark.parametrize("seed", range(25))
def test_everything_at_once(pair, seed):
    # Swarm: each run draws its own network and its own settings.
    p = swarm(pair, seed)
    rng = p.rng
    whole(p, rng.randrange(200_000), rng.randrange(200_000), limit=2000)


def swarm(pair, seed):
    import random

    rng = random.Random(seed)

    def direction():
        return {
            "delay": rng.choice((10_000, MILLISECOND, 20 * MILLISECOND, 300 * MILLISECOND)),
            "jitter": rng.choice((0, 0, MILLISECOND, 50 * MILLISECOND)),
            "rate": rng.choice((None, 1e6, 10e6, 1e9)),
            "queue": rng.choice((5, 30, 500)) * MILLISECOND,
            "loss": rng.choice((0, 0.01, 0.1, 0.3)),
            "duplicate": rng.choice((0, 0.01, 0.3)),
            "reorder": rng.choice((0, 0.01, 0.3)),
            "hold": rng.choice((1, 10, 200)) * MILLISECOND,
            "corrupt": rng.choice((0, 0, 0.01, 0.1)),
        }

    window = rng.choice((1000, 20_000, 1 << 18))
    p = pair(
        seed=seed, a_to_b=direction(), b_to_a=direction(), congestion=rng.choice(("newreno", "cubic", "bbr")),
        initial_window=window, receive_window=window * rng.choice((1, 10)), linger=1000.0, handshake_timeout=300.0,
        idle_timeout=300.0, send_buffer=rng.choice((1000, 100_000, 1 << 22)),
        max_datagram=rng.choice((256, 600, 1480)), keepalive=rng.choice((None, 1.0)),
    )  # fmt: skip
    p.coalesce = rng.choice((0, 0, 100_000, 5 * MILLISECOND))
    return p


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_everything_at_once_many_seeds(pair):
    for seed in range(1000, 4000):
        p = swarm(pair, seed)
        whole(p, p.rng.randrange(200_000), p.rng.randrange(200_000), limit=2000)


def test_equal_seeds_give_equal_runs(pair):
    digests = []
    for seed in (1, 1, 2):
        p = pair(seed=seed, link={**BASE, "loss": 0.1, "reorder": 0.1, "jitter": MILLISECOND})
        whole(p, 100_000, 50_000)
        digests.append(p.digest())
    assert digests[0] == digests[1] != digests[2]


def test_c7_two_paths_of_different_length(pair):
    """Every other packet takes 50 ms longer, twice the round trip measured: patience grows to bear it.

    Without that a third of the stream went out twice, and NewReno took seven times as long.
    """
    for congestion in ("newreno", "cubic", "bbr"):
        p = pair(link={"rate": 20e6, "queue": SECOND // 5}, congestion=congestion)
        for direction in p.links.values():
            spray(direction)
        client, server = p.transfer(p.payload(3_000_000))
        assert server.received == client.data
        assert 3_000_000 * 8 / (p.now / SECOND) >= 0.25 * 20e6, congestion
        stats = client.connection.stats()
        assert stats.bytes_retransmitted <= 0.02 * stats.bytes_sent


@pytest.mark.parametrize("congestion", ["newreno", "cubic", "bbr"])
def test_c21_a_path_that_grows_to_eight_weeks(pair, congestion):
    # Longer than a cookie lives no handshake can take, but a connection may come to such a path.
    week = 7 * 24 * 3600.0
    patience = {"idle_timeout": 1000 * week, "linger": 1000 * week}
    p = pair(link={"rate": 1e6, "queue": SECOND}, congestion=congestion, **patience)
    client, server = p.open()
    up, down = p.payload(20_000), p.payload(5_000)
    for seconds in (60.0, 3600.0, week / 7, week, 8 * week, 8 * week):
        for direction in p.links.values():
            direction.delay = int(seconds * SECOND)
        p.send(client, up)
        p.send(server, down)
        start, got, back = p.now, bytearray(), bytearray()

        def whole_and_told(got=got, back=back):
            got += server.read(-1, p.now)
            back += client.read(-1, p.now)
            return (len(got), len(back)) == (len(up), len(down)) and client.delivered and server.delivered

        p.run(whole_and_told, 100 * week)
        assert (got, back) == (up, down)
        assert p.now - start < 2.5 * seconds * SECOND  # there and back, and no wait for a timer
    assert client.stats().rtt_latest > 16 * week


def spray(direction):
    arrivals = direction.arrivals

    def over_two(packet, now, rng):
        direction.delay = (10, 60)[packet.nth % 2] * MILLISECOND
        return arrivals(packet, now, rng)

    direction.arrivals = over_two


@pytest.mark.parametrize("congestion", ["newreno", "cubic", "bbr"])
@pytest.mark.parametrize("period", [1.0, 1.5])
def test_f16_shrew_bursts_leave_a_third(pair, congestion, period):
    """Bursts of 150 ms that lose everything, timed to hit what is sent again after a timeout (Kuzmanovic, 2003)."""
    size = 4_000_000
    took = []
    for attacked in (False, True):
        p = pair(link={"delay": 20 * MILLISECOND, "rate": 10e6}, congestion=congestion)
        if attacked:
            p.links["a"].drop = lambda _, p=p: p.now % int(period * SECOND) < 150 * MILLISECOND
        client, server = p.transfer(p.payload(size), limit=300)
        assert server.received == client.data
        took.append(p.now)
    assert took[0] / took[1] >= 0.3, took


def test_f16_probes_of_a_silent_path_come_at_irregular_times(pair):
    times = []
    for seed in range(8):
        p = pair(seed=seed, idle_timeout=300.0)
        client, _ = p.open()
        p.run_for(1)
        p.links["a"].up = False
        p.send(client, b"anyone?")
        start = p.now
        p.run_for(60)
        probes = sorted({packet.at for packet in p.sent("a") if packet.at > start})
        waits = [later - sooner for sooner, later in itertools.pairwise(probes)]
        assert max(waits) < 10 * SECOND
        times.append(waits)
    for nth in zip(*(waits[:4] for waits in times), strict=True):
        assert 1.02 < max(nth) / min(nth) < 1.23, nth  # by a tenth, up or down

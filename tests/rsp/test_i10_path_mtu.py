"""Path MTU discovery between two endpoints: I10 and F17 of the reliability catalogue (RFC 8899)."""

from __future__ import annotations

import itertools

import pytest

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.black_hole import STRIKES
from rawproto.rsp.header import DATA_HEADER_SIZE, Kind
from rawproto.rsp.mtu_search import BASE_DATAGRAM, GRANULARITY, MAX_PROBES
from rawproto.rsp.path_mtu import RAISE_INTERVAL
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

CONTROLLERS = ["newreno", "cubic", "bbr"]
FAST = {"delay": 10 * MILLISECOND, "rate": 50e6}


def probes(p, sender="a"):
    return [each for each in p.sent(sender, "PROBE") if len(each.data) > DATA_HEADER_SIZE]


class Upload:
    """A connection over which data goes from a to b whenever told to."""

    def __init__(self, p, flow):
        self.p, self._flow = p, flow
        self.client, server = p.open()
        self.reader = flow(server)
        self.reader.half_close = False
        p.flows.append(self.reader)

    def __call__(self, data, limit=60.0):
        """Write all of ``data`` and wait until it has arrived."""
        writer = self._flow(self.client, data)
        writer.half_close = False
        self.p.flows.append(writer)
        self.p.run(lambda: writer.written == len(data) and self.client.delivered, limit)
        self.p.flows.remove(writer)

    @property
    def stats(self):
        return self.client.stats()

    @property
    def received(self):
        return self.reader.received


@pytest.fixture
def upload(flow):
    return lambda p: Upload(p, flow)


class TestSearch:
    def test_a_clean_path_is_found_with_one_probe(self, pair):
        p = pair(link=FAST)
        client, server = p.transfer(p.payload(400_000))
        assert server.received == client.data
        assert [len(each.data) for each in probes(p)] == [1480]
        sizes = [len(each.data) for each in p.sent("a", "DATA")]
        assert sizes[0] == BASE_DATAGRAM
        assert max(sizes) == 1480
        stats = client.connection.stats()
        assert (stats.max_datagram, stats.mtu_probes, stats.black_holes) == (1480, 1, 0)

    @pytest.mark.parametrize("size", [1, 1000, BASE_DATAGRAM - DATA_HEADER_SIZE])
    def test_who_says_little_probes_nothing(self, pair, size):
        p = pair(link=FAST)
        client, _ = p.open()
        for _ in range(20):
            p.send(client, bytes(size))
            p.run_for(0.1)
        assert not probes(p)

    @pytest.mark.parametrize("mtu", [1200, 1210, 1260, 1300, 1372, 1380, 1460, 1472, 1479])
    def test_a_narrow_path_is_found_without_a_reduction_of_the_window(self, pair, mtu):
        p = pair(link={**FAST, "mtu": mtu, "queue": SECOND}, congestion="newreno")
        client, server = p.transfer(p.payload(2_000_000))
        assert server.received == client.data
        stats = client.connection.stats()
        assert mtu - GRANULARITY <= stats.max_datagram <= mtu
        assert all(len(each.data) <= mtu for each in p.sent("a", "DATA"))
        assert stats.packets_lost == stats.bytes_retransmitted == stats.black_holes == 0
        assert client.connection._core.recovery.controller.state == "slow start"
        lost = [each for each in probes(p) if each.fate == "too big"]
        assert 0 < len(lost) <= 6 + MAX_PROBES

    def test_one_probe_a_round_trip_at_most(self, pair):
        p = pair(link={**FAST, "mtu": 1250})
        p.transfer(p.payload(2_000_000))
        times = [each.at for each in probes(p)]
        assert all(later - sooner >= 20 * MILLISECOND for sooner, later in itertools.pairwise(times))

    @pytest.mark.parametrize("loss", [0.05, 0.2])
    def test_random_loss_does_not_hide_the_size_for_long(self, pair, loss):
        found = 0
        for seed in range(10):
            p = pair(seed=seed, link={**FAST, "loss": loss})
            client, _ = p.transfer(p.payload(400_000), limit=300)
            found += client.connection.stats().max_datagram >= 1480 - GRANULARITY
        assert found >= 8

    def test_each_direction_has_its_own(self, pair):
        p = pair(a_to_b={**FAST, "mtu": 1300}, b_to_a=FAST)
        client, server = p.transfer(p.payload(1_200_000), p.payload(1_000_000))
        assert 1300 - GRANULARITY <= client.connection.stats().max_datagram <= 1300
        assert server.connection.stats().max_datagram == 1480

    @pytest.mark.parametrize("path", [1472, 4000, 8972, 65_507])
    def test_a_wide_link_before_a_path_of_any_width(self, pair, path):
        wide = {"max_datagram": 65_507, "overhead": 28}
        p = pair(link={"delay": 5 * MILLISECOND, "rate": 2e8, "mtu": path}, endpoint=wide)
        client, server = p.transfer(p.payload(8_000_000))
        assert server.received == client.data
        assert path - GRANULARITY <= client.connection.stats().max_datagram <= path

    @pytest.mark.parametrize("mtu", [400, 600, 1000])
    def test_a_ceiling_below_the_base_is_used_as_it_is(self, pair, mtu):
        p = pair(link={**FAST, "mtu": mtu}, max_datagram=mtu)
        client, server = p.transfer(p.payload(50_000))
        assert server.received == client.data
        assert not probes(p)
        assert client.connection.stats().max_datagram == mtu

    def test_what_the_peer_takes_is_the_ceiling(self, pair):
        p = pair(link=FAST, b_config=None, endpoint={"max_datagram": 9000})
        small = pair(link=FAST, endpoint={"max_datagram": 9000}, max_datagram=1350)
        p.endpoints["b"] = small.b
        p.links["a"].mtu = p.links["b"].mtu = 9000
        client, _ = p.transfer(p.payload(400_000))
        assert max(len(each.data) for each in p.sent("a")) == 1350
        assert client.connection.stats().max_datagram == 1350

    def test_switched_off_the_largest_goes_out_at_once(self, pair):
        p = pair(link=FAST, path_mtu_discovery=False)
        p.transfer(p.payload(100_000))
        assert len(p.sent("a", "DATA")[0].data) == 1480
        assert not probes(p)

    def test_the_trace_tells(self, pair, tmp_path):
        p = pair(link=FAST, trace=tmp_path)
        client, _ = p.transfer(p.payload(400_000))
        told = [e for e in client.connection.trace.events() if e["name"] == "connectivity:mtu_updated"]
        assert [each["data"] for each in told] == [{"old": 1200, "new": 1480}]


class TestAfterTheSearch:
    def test_a_path_that_grows_is_noticed_after_the_raise_interval(self, pair, upload):
        p = pair(link={**FAST, "mtu": 1300})
        send = upload(p)
        data = p.payload(2_500_000)
        send(data)
        assert send.stats.max_datagram <= 1300
        p.links["a"].mtu = 1480
        before = send.stats.mtu_probes
        p.run_for(RAISE_INTERVAL / SECOND / 2)
        send(data)
        assert send.stats.mtu_probes == before
        p.run_for(RAISE_INTERVAL / SECOND / 2)
        send(data)
        assert send.stats.max_datagram == 1480
        assert send.received == data * 3

    def test_when_it_has_not_grown_the_size_stays(self, pair, upload):
        p = pair(link={**FAST, "mtu": 1300})
        send = upload(p)
        for _ in range(3):
            send(p.payload(2_500_000))
            assert 1300 - GRANULARITY <= send.stats.max_datagram <= 1300
            p.run_for(RAISE_INTERVAL / SECOND)
        assert send.stats.packets_lost == 0


class TestBlackHole:
    @pytest.mark.parametrize("congestion", CONTROLLERS)
    @pytest.mark.parametrize("at", [0.2, 0.5])
    def test_the_path_shrinks_and_nobody_says_so(self, pair, congestion, at):
        p = pair(link=FAST, congestion=congestion)
        p.at(at, lambda: setattr(p.links["a"], "mtu", 1280))
        client, server = p.transfer(p.payload(5_000_000))
        assert server.received == client.data
        stats = client.connection.stats()
        assert stats.black_holes == 1
        assert 1260 <= stats.max_datagram <= 1280

    def test_it_is_found_after_three_probes_of_the_size(self, pair, upload):
        p = pair(link=FAST)
        send = upload(p)
        send(p.payload(200_000))
        p.links["a"].mtu = 1280
        p.send(send.client, p.payload(10_000))
        p.settle()
        flight = len(p.packets)
        p.run(lambda: send.stats.black_holes > 0, 60)
        # After the first flight, what goes out at the old size are the probes of two timeouts.
        again = [each for each in p.packets[flight:] if each.fate == "too big" and each.kind == "DATA"]
        assert 0 < len(again) <= STRIKES
        p.run(lambda: send.client.delivered, 60)

    def test_down_to_the_least_and_up_again(self, pair, upload):
        p = pair(link=FAST)
        send = upload(p)
        data = p.payload(1_500_000)
        seen = []
        for mtu in (1480, 1260, 556):
            p.links["a"].mtu = mtu
            send(data, 120)
            seen.append(send.stats.max_datagram)
        assert seen[0] == 1480
        assert 1260 - GRANULARITY <= seen[1] <= 1260
        assert 536 <= seen[2] <= 556
        p.links["a"].mtu = 1480
        p.run_for(RAISE_INTERVAL / SECOND + 1)
        send(data, 120)
        assert send.stats.max_datagram == 1480
        assert send.received == data * 4

    def test_the_last_packets_of_a_transfer_find_it_too(self, pair, upload):
        # No more data behind them: only probe timeouts are left.
        p = pair(link=FAST)
        send = upload(p)
        send(p.payload(200_000))
        p.links["a"].mtu = 1280
        p.send(send.client, bytes(2 * 1448))
        p.run(lambda: send.client.delivered, 60)
        assert len(send.received) == 200_000 + 2 * 1448

    @pytest.mark.parametrize("outage", [0.5, 2.0, 20.0])
    def test_a_network_that_is_down_is_not_taken_for_one(self, pair, outage):
        p = pair(link=FAST)
        for when, up in ((0.3, False), (0.3 + outage, True)):
            p.at(when, lambda up=up: [setattr(link, "up", up) for link in p.links.values()])
        client, server = p.transfer(p.payload(4_000_000))
        assert server.received == client.data
        assert client.connection.stats().black_holes == 0

    def test_a_congested_path_is_not_taken_for_one(self, pair):
        for seed in range(5):
            p = pair(seed=seed, link={"delay": 20 * MILLISECOND, "rate": 5e6, "queue": 20 * MILLISECOND})
            client, _ = p.transfer(p.payload(2_000_000))
            assert client.connection.stats().packets_lost > 0
            assert client.connection.stats().black_holes == 0

    def test_after_a_move_the_new_path_is_searched(self, pair, upload):
        p = pair(link=FAST)
        send = upload(p)
        send(p.payload(200_000))
        send.client._core.move_to("b", p.now)
        assert send.stats.max_datagram == BASE_DATAGRAM
        p.links["a"].mtu = 1300
        send(p.payload(400_000))
        assert 1300 - GRANULARITY <= send.stats.max_datagram <= 1300
        assert send.stats.black_holes == 0


class Router:
    """A router on a's way that says so when a packet is too large for its next link."""

    def __init__(self, p, mtu, told=None, quote=576):
        self.p, self.mtu, self.told, self.quote = p, mtu, told, quote
        self.dropped = 0
        p.links["a"].drop = self

    def __call__(self, packet):
        if len(packet.data) + 20 <= self.mtu:
            return False
        self.dropped += 1
        told = self.mtu if self.told is None else self.told
        self.p.at(self.p.now / SECOND + 0.001, lambda: self.tell(packet.data, told))
        return True

    def tell(self, quoted, mtu):
        error = ICMPError(
            kind=ICMPErrorKind.PACKET_TOO_BIG,
            type=3,
            code=4,
            version=4,
            reporter="router",
            destination="b",
            mtu=mtu,
            quoted=quoted[: self.quote],
        )
        self.p.a.handle_icmp(error, self.p.now)


class TestICMP:
    def test_the_hint_saves_the_search(self, pair):
        p = pair(link=FAST)
        router = Router(p, 1333)
        client, server = p.transfer(p.payload(400_000))
        assert server.received == client.data
        assert client.connection.stats().max_datagram == 1313
        assert router.dropped == 1
        assert [len(each.data) for each in probes(p)] == [1480, 1313]

    @pytest.mark.parametrize("told", [None, 0, 68, 1499, 65_535])
    def test_a_path_that_shrinks_is_found_whatever_the_router_says(self, pair, told):
        p = pair(link=FAST)
        p.at(0.5, lambda: Router(p, 1333, told))
        client, server = p.transfer(p.payload(6_000_000))
        assert server.received == client.data
        stats = client.connection.stats()
        assert 1313 - GRANULARITY <= stats.max_datagram <= 1313
        assert stats.black_holes == 1

    def test_eight_quoted_bytes_are_not_enough(self, pair):
        # They hold neither identifier nor number: anybody could have made them up.
        p = pair(link=FAST)
        Router(p, 1333, quote=8)
        client, _ = p.transfer(p.payload(2_000_000))
        assert 1313 - GRANULARITY <= client.connection.stats().max_datagram <= 1313
        assert p.a.stats.icmp_ignored > 0

    @pytest.mark.parametrize("mtu", [0, 68, 552, 576, 1219, 1300])
    def test_forged_ones_lower_nothing(self, pair, upload, mtu):
        """F17: whatever they say, and though they quote packets in flight, what is sent stays as large."""
        p = pair(link=FAST)
        send = upload(p)
        send(p.payload(200_000))
        router = Router(p, 65_535)
        for _ in range(20):
            p.send(send.client, p.payload(20_000))
            p.settle()
            for packet in p.sent("a", "DATA")[-5:]:
                router.tell(packet.data, mtu)
            p.run(lambda: send.client.delivered, 10)
        assert send.stats.max_datagram == 1480
        assert send.stats.black_holes == 0

    def test_one_that_quotes_what_has_arrived_is_no_hint(self, pair, upload):
        p = pair(link=FAST)
        send = upload(p)
        send(p.payload(200_000))
        router = Router(p, 65_535)
        for packet in p.sent("a"):
            router.tell(packet.data, 1300)
        router.tell(p.sent("a", "DATA")[-1].data[:16] + (1 << 61).to_bytes(8, "big"), 1300)
        assert not send.client._core.path_mtu.suspected
        assert send.stats.max_datagram == 1480


def test_a_probe_is_a_padded_probe_packet(pair):
    p = pair(link=FAST)
    p.transfer(p.payload(400_000))
    [probe] = probes(p)
    assert probe.data[4] == Kind.PROBE
    assert not any(probe.data[DATA_HEADER_SIZE:])

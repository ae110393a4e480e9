"""Transfer, flow control, recovery: the lines B1 to B13 of the reliability catalogue."""

from __future__ import annotations

import itertools

import pytest

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.congestion.newreno import initial_window
from rawproto.rsp.state import State

CONTROLLERS = ["newreno", "cubic", "bbr"]


def pump(p, server):
    """Read what there is, and say false: for ``run`` conditions."""
    server.read(-1, p.now)
    return False


@pytest.mark.parametrize(
    ("congestion", "size"), [("newreno", 2_000_000), ("cubic", 3_000_000), ("bbr", 5_000_000)]
)
def test_b1_base_link_goodput(pair, congestion, size):
    # 15 ms one way, 10 Mbit/s, queue of 25 packets (30 ms): the interop runner's goodput case.
    p = pair(link={"delay": 15 * MILLISECOND, "rate": 10e6, "queue": 30 * MILLISECOND}, congestion=congestion)
    client, server = p.transfer(p.payload(size))
    assert server.received == client.data
    done = max(packet.at for packet in p.sent("a") if packet.stream)
    assert size * 8 / (done / SECOND) >= 0.85 * 10e6


@pytest.mark.parametrize("congestion", CONTROLLERS)
def test_a_lost_confirm_costs_a_probe_timeout_and_no_window(pair, congestion):
    # The data behind it comes to a host that does not know of the connection: ten packets lost, and no queue was full.
    took = []
    for losses in (0, 1):
        p = pair(
            link={"delay": 25 * MILLISECOND, "rate": 20e6, "queue": 50 * MILLISECOND}, congestion=congestion
        )
        left = ["CONFIRM"] * losses
        p.links["a"].drop = lambda packet, left=left: packet.kind in left and not left.clear()
        client, server = p.transfer(p.payload(3_000_000))
        assert server.received == client.data
        took.append(max(packet.at for packet in p.sent("a") if packet.stream))
    assert took[0] < took[1] < took[0] + 400 * MILLISECOND


B2_WINDOWS = [128 << step for step in range(9)]
B2_LOSSES = [0, 0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3]
B2_ALWAYS = set(itertools.product(B2_WINDOWS[::2], [0, 0.01, 0.05, 0.1, 0.3]))
B2 = [
    pytest.param(*cell, marks=() if cell in B2_ALWAYS else pytest.mark.long)
    for cell in itertools.product(B2_WINDOWS, B2_LOSSES)
]


@pytest.mark.parametrize(("window", "loss"), B2)
def test_b2_small_windows_and_loss(pair, golden, window, loss):
    p = pair(
        seed=window,
        link={"delay": 50 * MILLISECOND, "loss": loss, "rate": None},
        initial_window=window, receive_window=window, idle_timeout=1000.0, linger=1000.0,
    )  # fmt: skip
    size = min(40 * window, 300_000)
    client, server = p.transfer(p.payload(size), limit=3600)
    assert server.received == client.data
    assert max(packet.stream[1] - packet.stream[0] for packet in p.sent("a") if packet.stream) <= window
    done = max(packet.at for packet in p.sent("a") if packet.stream)
    rate = round(size * SECOND / done)
    due = golden("windows", f"window {window}, loss {loss:.1%}", rate)
    assert abs(rate - due) <= 0.05 * due, f"{rate} bytes a second for {due}"


@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.parametrize("loss", [0, 0.1])
def test_b2_windows_of_a_byte_or_two(pair, window, loss):
    p = pair(
        link={"delay": MILLISECOND, "loss": loss}, initial_window=window, receive_window=window, linger=1e4,
        idle_timeout=1e4,
    )  # fmt: skip
    client, server = p.transfer(p.payload(1000), limit=9000)
    assert server.received == client.data


@pytest.mark.parametrize("buffer", [1, 2, 100, 5000])
def test_b2_small_send_buffers(pair, buffer):
    p = pair(link={"delay": MILLISECOND, "loss": 0.02}, send_buffer=buffer)
    client, server = p.transfer(p.payload(min(60 * buffer, 100_000)), limit=900)
    assert server.received == client.data


class TestB5LargeNumbers:
    """64-bit numbers do not wrap; where 32 bits would, nothing happens."""

    @pytest.mark.parametrize("start", [2**31 - 3000, 2**32 - 20_000, 2**32 - 1, 2**53 - 7, 2**61])
    def test_offsets_and_numbers_beyond_32_bits(self, pair, start):
        p = pair(seed=5, link={"loss": 0.05, "reorder": 0.05, "rate": 50e6})
        client, server = p.open()
        sender, receiver = client._core.sender.stream, server._core.receiver.stream
        sender.end = sender.next = sender.acked_end = start
        receiver.next = receiver.read_offset = receiver.highest = start
        client._core.sender.peer_window += start
        server._core.receiver._advertised += start
        client._core.recovery.sent.next = start
        server._core.receiver.acks.largest = start - 1
        server._core.receiver.acks._received.add(0, start)
        p.oracle._windows.clear()
        p.oracle._windows[client.identifier] = start + 200_000
        data = p.payload(200_000)
        p.send(client, data)
        client.close_write(p.now)
        got = bytearray()
        p.run(lambda: bool(got.extend(server.read(-1, p.now))) or server.at_eof)
        assert got == data
        assert client.stats().packets_lost > 0


class TestB7TailLoss:
    @pytest.mark.parametrize("count", range(1, 11))
    def test_the_last_packets_lost_are_probed_for(self, pair, count):
        # A probe leaves after about two round trips, and no window collapse follows when it returns.
        p = pair(link={"delay": 20 * MILLISECOND, "rate": 100e6}, congestion="cubic")
        client, server = p.open()
        p.send(client, p.payload(200_000))
        p.run(lambda: pump(p, server) or client.unacknowledged == 0)
        p.run_for(1)
        window = client.stats().congestion_window
        first = client._core.recovery.sent.next
        total = 12
        p.links["a"].drop = lambda packet: first + total - count <= packet.number < first + total
        start = p.now
        p.send(client, bytes(total * 1448))
        p.run(lambda: pump(p, server) or client.unacknowledged == 0)
        assert p.now - start < 8 * 40 * MILLISECOND
        assert client.stats().probes <= 2
        assert client.stats().congestion_window >= min(window, initial_window(1448)) * 0.7 - 1448


class TestB8Losses:
    @pytest.mark.parametrize(
        "lost", [{0, 1, 2, 3}, set(range(10, 16)), {0, 2, 4, 6}, set(range(1, 29)), {29}], ids=str
    )
    @pytest.mark.parametrize("again", [0, 1, 2])
    def test_lost_packets_and_lost_retransmissions(self, pair, lost, again):
        p = pair(link={"delay": 20 * MILLISECOND, "rate": 100e6, "queue": SECOND})
        client, server = p.open()
        data = p.payload(400_000)
        p.send(client, data[:300_000])
        got = bytearray()
        p.run(lambda: bool(got.extend(server.read(-1, p.now))) or client.unacknowledged == 0)
        base = client._core.sender.stream.end
        tries = dict.fromkeys((base + 1448 * index for index in lost), 0)

        def drop(packet):
            at = packet.stream[0] if packet.stream else None
            if at in tries and tries[at] <= again:
                tries[at] += 1
                return True
            return False

        p.links["a"].drop = drop
        p.send(client, data[300_000 : 300_000 + 30 * 1448])
        p.run(lambda: bool(got.extend(server.read(-1, p.now))) or client.unacknowledged == 0, 60)
        assert got == data[: len(got)]
        assert len(got) == 300_000 + 30 * 1448


class TestB9SpuriousTimeout:
    @pytest.mark.parametrize("congestion", ["newreno", "cubic"])
    def test_a_delay_spike_costs_no_window_and_no_storm(self, pair, congestion):
        p = pair(link={"delay": 25 * MILLISECOND, "rate": 20e6, "queue": 10 * SECOND}, congestion=congestion)
        client, server = p.open()
        p.links["a"].delay += 0
        p.send(client, p.payload(1_000_000))
        p.run(lambda: pump(p, server) or client.unacknowledged < 600_000)
        window = client.stats().congestion_window
        for direction in p.links.values():
            direction.delay += 3 * SECOND
        p.run_for(0.2)
        for direction in p.links.values():
            direction.delay -= 3 * SECOND
        p.run(lambda: pump(p, server) or client.unacknowledged == 0)
        stats = client.stats()
        # Everything delayed came in the end: of several reductions the last is undone.
        assert stats.congestion_window >= 0.45 * window
        assert stats.bytes_retransmitted <= 600_000


class TestB11ZeroWindow:
    @pytest.mark.parametrize("seconds", [1, 60, 3600, 86400])
    def test_probes_back_off_and_the_transfer_goes_on(self, pair, seconds):
        p = pair(initial_window=5000, receive_window=5000)
        client, server = p.open()
        data = p.payload(50_000)
        p.send(client, data)
        p.run_for(1)
        before, start = len(p.packets), p.now
        p.run_for(seconds)
        probes = [packet.at for packet in p.sent("a") if packet.at > start]
        assert len(probes) <= 10 + seconds / 60
        gaps = [later - earlier for earlier, later in itertools.pairwise(probes)]
        assert all(gap <= 61 * SECOND for gap in gaps)
        if seconds >= 3600:
            assert len(probes) >= seconds // 61
            assert gaps[-1] >= 60 * SECOND
        assert len(p.packets) > before or seconds < 2
        assert client.state is State.ESTABLISHED
        got = bytearray()
        p.run(lambda: bool(got.extend(server.read(-1, p.now))) or len(got) == len(data))
        assert got == data

    def test_a_lost_window_update_is_found_out_by_a_probe(self, pair):
        p = pair(initial_window=5000, receive_window=5000)
        client, server = p.open()
        p.send(client, bytes(20_000))
        p.run_for(1)
        p.links["b"].up = False
        assert len(server.read(-1, p.now)) > 4000
        p.settle()
        p.links["b"].up = True
        p.run(lambda: pump(p, server) or client.unacknowledged == 0, 300)

    def test_an_old_window_does_not_shrink_the_new_one(self, pair):
        p = pair(
            link={"reorder": 0.5, "hold": 100 * MILLISECOND}, initial_window=20_000, receive_window=20_000
        )
        client, server = p.transfer(p.payload(300_000))
        assert server.received == client.data

    def test_the_peer_opens_its_window_while_nothing_is_in_flight(self, pair):
        p = pair(initial_window=3000, receive_window=3000)
        client, server = p.open()
        p.send(client, bytes(9000))
        p.run_for(30)
        assert client.stats().bytes_in_flight == 0
        start = p.now
        server.read(-1, p.now)
        p.run(lambda: server.readable > 0)
        assert p.now - start < 60 * MILLISECOND


@pytest.mark.parametrize("window", [10_000, 100_000])
def test_b12_a_slow_reader_makes_no_silly_windows(pair, window):
    # RFC 9293 sections 3.8.6.2: no segment below min(packet, half the window) but the last, and probes.
    p = pair(initial_window=window, receive_window=window, link={"delay": MILLISECOND})
    client, server = p.open()
    p.send(client, bytes(4 * window))
    p.run_for(2)
    before = len(p.sent("a"))
    for _ in range(200):
        p.run_for(0.1)
        server.read(window // 500, p.now)
        p.settle()
    sizes = [packet.stream[1] - packet.stream[0] for packet in p.sent("a")[before:] if packet.stream]
    small = [size for size in sizes if size < min(1448, window // 2)]
    assert len(small) <= 20 * 1.1  # those of the persist timer: one a second
    updates = [packet for packet in p.sent("b", "ACK") if packet.at > 2 * SECOND]
    assert len(updates) < 150  # answers to probes; a reader of 200 pieces is not told each time


class TestB13ApplicationLimited:
    @pytest.mark.parametrize("congestion", ["newreno", "cubic"])
    def test_the_window_does_not_grow_unused(self, pair, congestion):
        p = pair(congestion=congestion, link={"rate": 100e6})
        client, server = p.open()
        for _ in range(100):
            p.send(client, bytes(500))
            p.run_for(0.1)
            server.read(-1, p.now)
        assert client.stats().congestion_window <= 2 * initial_window(1448)

    @pytest.mark.parametrize("congestion", CONTROLLERS)
    def test_after_a_pause_the_first_burst_is_paced(self, pair, congestion):
        p = pair(congestion=congestion, link={"rate": 20e6, "delay": 50 * MILLISECOND, "queue": SECOND})
        client, server = p.open()
        p.send(client, p.payload(2_000_000))
        p.run(lambda: pump(p, server) or client.unacknowledged == 0)
        p.run_for(10)
        start = p.now
        p.send(client, p.payload(1_000_000))
        p.run(lambda: pump(p, server) or client.unacknowledged == 0)
        burst = [packet for packet in p.sent("a") if packet.stream and packet.at == start]
        limit = max(initial_window(1448), 2 * 20e6 / 8 * 0.002 * 3)
        assert sum(len(packet.data) for packet in burst) <= limit + 1480


@pytest.mark.parametrize("delay", [1, 20, 100])
def test_the_receive_window_grows_with_the_path(pair, delay):
    p = pair(
        link={"rate": 400e6, "delay": delay * MILLISECOND, "queue": SECOND}, initial_window=20_000,
        send_buffer=1 << 24,
    )  # fmt: skip
    p.coalesce = 200_000
    client, server = p.transfer(p.payload(4_000_000))
    assert server.received == client.data
    assert server.connection.stats().receive_window >= min(400e6 / 8 * 2 * delay / 1000, 1e6) / 2


def test_request_and_response_share_packets(pair):
    # A small answer goes out with the acknowledgement of its question.
    p = pair(link={"delay": MILLISECOND})
    client, server = p.open()
    p.run_for(1)
    before = len(p.packets)
    for _ in range(50):
        p.send(client, bytes(64))
        p.run(lambda: server.readable == 64)
        p.send(server, server.read(-1, p.now))
        p.run(lambda: client.readable == 64)
        client.read(-1, p.now)
    assert len(p.packets) - before <= 50 * 3

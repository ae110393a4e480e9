"""Clocks that drift, hosts that sleep, processes that are stopped: I2, I3 and I5 of the reliability catalogue."""

from __future__ import annotations

import pytest

from rawproto.errors import ConnectionAborted, ConnectionReset
from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.state import State


class Host:
    """An endpoint whose clock and process are not the bench's: it drifts, stands still, or is not scheduled."""

    def __init__(self, endpoint, drift=0.0):
        self._endpoint = endpoint
        self._rate = 1 + drift
        self._lost = 0  # time that its clock did not count
        self._asleep_at = None
        self._held = None

    def __getattr__(self, name):
        return getattr(self._endpoint, name)

    def local(self, now):
        return int((now - self._lost) * self._rate)

    def handle_datagrams(self, batch, now):
        if self._held is not None:
            self._held.append(batch)
        elif self._asleep_at is None:
            self._endpoint.handle_datagrams(batch, self.local(now))

    def handle_timeout(self, now):
        self._endpoint.handle_timeout(self.local(now))

    def poll_transmit(self, now):
        idle = self._held is not None or self._asleep_at is not None
        return None if idle else self._endpoint.poll_transmit(self.local(now))

    def poll_timeout(self):
        due = self._endpoint.poll_timeout()
        if due is None or self._held is not None or self._asleep_at is not None:
            return None
        return int(due / self._rate) + self._lost + 1

    def sleep(self, now):
        """The host is suspended: it hears nothing, and its monotonic clock stands still."""
        self._asleep_at = now

    def wake(self, now):
        self._lost += now - self._asleep_at
        self._asleep_at = None

    def stop(self):
        """SIGSTOP: the kernel's buffer fills, the clock goes on."""
        self._held = []

    def go_on(self, now):
        held, self._held = self._held, None
        for batch in held[:500]:  # what the buffer held
            self._endpoint.handle_datagrams(batch, self.local(now))


@pytest.fixture
def hosted():
    def wrap(p, **options):
        p.endpoints["b"] = Host(p.endpoints["b"], **options)
        return p.b

    return wrap


@pytest.mark.parametrize("drift", [-1e-3, -1e-5, 1e-5, 1e-3])
def test_i2_a_clock_that_drifts_spoils_no_round_trip(pair, hosted, drift):
    link = {"delay": 25 * MILLISECOND, "rate": 50e6}
    seen = []
    for value in (0.0, drift):
        p = pair(link=link)
        hosted(p, drift=value)
        client, server = p.transfer(p.payload(500_000), p.payload(500_000))
        assert server.received == client.data
        assert client.received == server.data
        seen.append((client.connection.stats().rtt_minimum, server.connection.stats().rtt_minimum))
    for plain, drifted in zip(*seen, strict=True):
        assert abs(drifted - plain) <= 0.01 * plain


@pytest.mark.parametrize("seconds", [1, 10, 40])
def test_i3_a_short_sleep_is_survived(pair, hosted, flow, seconds):
    p = pair(keepalive=15.0, idle_timeout=60.0)
    host = hosted(p)
    client, server = p.open()
    writer, reader = flow(client, p.payload(2_000_000)), flow(server)
    writer.close = False  # or what is left would have to arrive within the linger time
    p.flows += [writer, reader]
    p.at(0.5, lambda: host.sleep(p.now))
    p.at(0.5 + seconds, lambda: host.wake(p.now))
    p.run(lambda: len(reader.received) == len(writer.data), 200)
    assert bytes(reader.received) == writer.data


@pytest.mark.parametrize("seconds", [600, 8 * 3600])
def test_i3_after_a_long_one_the_loss_of_the_peer_is_noticed_within_a_keepalive(pair, hosted, seconds):
    p = pair(keepalive=15.0, idle_timeout=60.0)
    host = hosted(p)
    client, server = p.open()
    p.run_for(5)
    host.sleep(p.now)
    p.run(lambda: client.closed, 200)
    assert isinstance(client.error, TimeoutError)
    p.run_for(seconds)
    host.wake(p.now)
    woken = p.now
    p.run(lambda: server.closed, 60)
    assert p.now - woken <= 16 * SECOND
    assert isinstance(server.error, ConnectionReset | ConnectionAborted)  # what a still remembers, or nothing


@pytest.mark.parametrize("seconds", [1, 5, 50])
def test_i5_a_stopped_process_goes_on_where_it_was(pair, hosted, flow, seconds):
    p = pair(link={"rate": 20e6})
    host = hosted(p)
    client, server = p.open()
    writer, reader = flow(client, p.payload(2_000_000)), flow(server)
    writer.close = False  # or what is left would have to arrive within the linger time
    p.flows += [writer, reader]
    p.at(0.4, host.stop)
    p.at(0.4 + seconds, lambda: host.go_on(p.now))
    p.run(lambda: len(reader.received) == len(writer.data), 200)
    assert bytes(reader.received) == writer.data
    assert client.state is not State.CLOSED


@pytest.mark.parametrize("granularity", [1, 15])
def test_i5_coarse_timers_cost_little(pair, granularity):
    # Timers that fire only every so many milliseconds.
    p = pair(link={"rate": 20e6, "loss": 0.01})
    step = granularity * MILLISECOND

    def coarse():
        times = [endpoint.poll_timeout() for endpoint in p.endpoints.values()]
        due = [-(-max(time, p.now) // step) * step for time in times if time is not None]
        due += [queue[0][0] for queue in (p._queue, p._calls) if queue]
        return max(p.now, min(due)) if due else None

    p.next_time = coarse
    client, server = p.transfer(p.payload(1_000_000))
    assert server.received == client.data
    assert p.now < 5 * SECOND


def test_i12_a_route_that_becomes_longer_is_taken_for_what_it_is_within_300_s(pair):
    p = pair(link={"delay": 5 * MILLISECOND})
    client, server = p.open()

    def talk():
        p.send(client, b"hello")
        server.read(-1, p.now)
        p.at(p.now / SECOND + 1, talk)

    talk()
    p.run_for(20)
    assert client.stats().rtt_minimum < 0.02
    for direction in p.links.values():
        direction.delay = 100 * MILLISECOND
    p.run_for(10)
    assert client.stats().rtt_smoothed > 0.15
    p.run_for(291)
    assert client.stats().rtt_minimum >= 0.2

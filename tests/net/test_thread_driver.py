"""Who drives: leaders, followers, the background thread."""

import os
import socket
import threading

import pytest

import rawproto
from rawproto import IP, RSPConfig, UDPAddr, UDPLink
from rawproto.link.privilege import helpers
from rawproto.net import thread_driver
from rawproto.net.networks import parse_network
from rawproto.net.registry import Registry
from rawproto.net.rsp_blocking import REGISTRY
from rawproto.net.thread_driver import ThreadDriver
from rawproto.rsp import Endpoint

NETWORK = "rsp+udp4"


@pytest.fixture
def pair(background):
    with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
        accepting = background(listener.accept)
        with rawproto.dial(NETWORK, listener.addr, timeout=100) as client, accepting.result() as server:
            yield client, server


def test_news_made_by_another_thread_reaches_the_thread_that_leads(pair, background, wait_until):
    """A command, or a turn of a thread that had polled before, brings what the leader waits for: nothing arrives
    any more that would end its poll."""
    client, _ = pair
    reading = background(client.read)
    wait_until(lambda: client._reader.polling)
    client._below.abort()
    with pytest.raises(rawproto.ClosedError):
        reading.result()


def test_a_thread_that_is_served_takes_the_lead_from_one_that_only_waits(pair, background, wait_until):
    client, server = pair
    idle = background(client.read)
    wait_until(lambda: client._reader.polling)
    with rawproto.listen(NETWORK, "127.0.0.1:0") as other:  # a driver of its own: it must not disturb
        accepting = background(other.accept)
        served = rawproto.dial(NETWORK, other.addr, timeout=100)
        peer = accepting.result()
        for _ in range(20):
            peer.write(b"x")
            assert served.read_exactly(1) == b"x"
        served.close()
        peer.close()
    server.write(b"at last")
    assert idle.result() == b"at last"


def test_a_follower_is_served_while_another_thread_leads(background, wait_until):
    with rawproto.listen(NETWORK, "127.0.0.1:0") as listener:
        waiting = background(listener.accept)
        first = rawproto.dial(NETWORK, listener.addr, timeout=100)
        one = waiting.result()
        waiting = background(listener.accept)
        second = rawproto.dial(NETWORK, listener.addr, timeout=100)
        other = waiting.result()
        # Both dialled connections share an endpoint; one thread of the two leads.
        assert first._reader.driver is second._reader.driver
        readings = [background(first.read), background(second.read)]
        wait_until(lambda: first._reader.waiting and second._reader.waiting)
        other.write(b"second")
        one.write(b"first")
        assert [reading.result() for reading in readings] == [b"first", b"second"]
        for conn in (first, second, one, other):
            conn.close()


def test_the_background_thread_serves_when_nobody_waits(pair, wait_until):
    _, server = pair
    server.write(b"x" * 1000)
    # Nobody reads on the client's side: its acknowledgements are the background thread's work.
    wait_until(lambda: server.stats().bytes_acknowledged == 1000)


def test_dials_share_an_endpoint_and_unlike_configs_do_not(pair):
    client, server = pair
    address = server.local_addr
    with rawproto.dial(NETWORK, address, timeout=100) as same:
        assert same._reader.driver is client._reader.driver
    config = rawproto.RSPConfig(congestion="newreno")
    with rawproto.dial(NETWORK, address, timeout=100, config=config) as other:
        assert other._reader.driver is not client._reader.driver
        assert other.stats().congestion == "newreno"


def test_a_fault_of_the_core_is_an_error_for_everybody_and_not_a_hang(pair, background, wait_until, caplog):
    client, server = pair
    reading = background(client.read)
    wait_until(lambda: client._reader.polling)

    def fault(batch, now):
        raise ZeroDivisionError("made by the test")

    client._reader.driver.endpoint.handle_datagrams = fault
    server.write(b"x")
    with pytest.raises(ConnectionAbortedError, match="made by the test"):
        reading.result()
    with pytest.raises(ConnectionAbortedError):
        client.write(b"x")
    assert client._reader.driver not in list(REGISTRY)
    caplog.clear()


def test_a_refused_dial_names_network_and_endpoints_once():
    with rawproto.listen_udp("udp4", "127.0.0.1:0") as sock:
        address = str(sock.local_addr)
    with pytest.raises(rawproto.ConnectionRefused) as caught:
        rawproto.dial("rsp+udp4", address, timeout=10)
    error = caught.value
    assert (error.network, str(error.remote)) == ("rsp+udp4", address)
    assert str(error).startswith(f"dial rsp+udp4 {error.local}->{address}: nothing there speaks the protocol")


def test_a_packet_that_comes_before_there_is_anything_to_do_is_not_the_end_of_a_driver(wait_until):
    """On raw IP every endpoint gets what others are sent, so one may come as soon as the socket is open."""

    def make(endpoint, link, neighbours, on_stop):
        driver = ThreadDriver(endpoint, link, neighbours, on_stop)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(b"for somebody else", ("127.0.0.1", link.local_addr.port))
        wait_until(lambda: endpoint.stats.received)
        return driver

    registry = Registry(make)
    local = UDPAddr(IP("127.0.0.1"), 0)
    driver = registry.claim(parse_network(NETWORK), 4, local, RSPConfig(), listening=False, owner=None)
    with driver.lock:
        assert not driver.stopped
        assert driver.claims == 1
    registry.unclaim(driver)
    driver.join(60)
    assert driver.stopped
    assert driver.link.fileno() == -1
    assert list(registry) == []


def test_a_driver_whose_thread_ended_at_once_is_not_kept(monkeypatch):
    class Quick(threading.Thread):
        def start(self):
            super().start()
            self.join()

    monkeypatch.setattr(thread_driver.threading, "Thread", Quick)
    monkeypatch.setattr(ThreadDriver, "_background", ThreadDriver.release)
    link = UDPLink(UDPAddr(IP("127.0.0.1"), 0))
    driver = ThreadDriver(Endpoint(entropy=os.urandom), link, None, lambda _: None)
    assert driver.link.fileno() == -1
    assert driver.call_in_thread not in helpers.values()

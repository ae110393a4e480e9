"""RSP's path MTU discovery on every carrier between hosts of a lab: black holes, real ICMP, a link that changes."""

from __future__ import annotations

import pytest

import rawproto

pytestmark = pytest.mark.netns

BASE = 1200
SIZE = 3_000_000


def address(host, network):
    return f"[{host.address(6)}]:0" if network.endswith("6") else f"{host.address(4)}:0"


def header(network):
    """Bytes of the headers below RSP."""
    return (40 if network.endswith("6") else 20) + (8 if "udp" in network else 0)


def receive(listener, size):
    with listener.accept() as conn:
        conn.set_deadline(60)
        got = 0
        while got < size:
            got += len(conn.read())
        conn.write(b"done")
        assert conn.read() == b""


def upload(conn, size):
    data = memoryview(bytes(range(256)) * 4096)
    while size:
        size -= conn.write(data[: min(size, len(data))])


@pytest.fixture
def connected(spawn):
    """Opens a connection from one host to another, whose side reads ``size`` bytes, and gives it to a function."""

    def run(a, b, network, size, use, **options):
        config = rawproto.RSPConfig(**options)
        with b:
            listener = rawproto.listen(network, address(b, network), config=config)
        with listener, spawn(receive, listener, size):
            with a:
                conn = rawproto.dial(network, listener.addr, timeout=100, config=config)
            with conn:
                conn.set_deadline(60)
                use(conn)
                assert conn.read_exactly(4) == b"done"
                return conn.stats()

    return run


NETWORKS = ["rsp4", "rsp6", "rsp+udp4", "rsp+udp6"]


@pytest.mark.parametrize("network", NETWORKS)
def test_a_clean_link_is_used_to_the_full(lab, connected, network):
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    stats = connected(a, b, network, SIZE, lambda conn: upload(conn, SIZE))
    assert stats.max_datagram == 1500 - header(network)


@pytest.mark.parametrize("link", ["packet", "exclusive"])
@pytest.mark.parametrize("network", ["rsp4", "rsp6"])
def test_a_packet_link_too(lab, connected, network, link):
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    stats = connected(a, b, network, SIZE, lambda conn: upload(conn, SIZE), link=link)
    assert stats.max_datagram == 1500 - header(network)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_black_hole_is_walked_round(lab, connected, network):
    """The link drops what is longer than 1,400 bytes, and says nothing."""
    a, b = lab.hosts("a", "b")
    lab.link(a, b, mtu=1400, device_mtu=1500, delay="2ms", seed=1)
    stats = connected(a, b, network, SIZE, lambda conn: upload(conn, SIZE))
    assert BASE < stats.max_datagram <= 1400 - header(network)


@pytest.mark.parametrize("network", NETWORKS)
def test_a_router_that_says_so_is_heard(lab, connected, network):
    a, b = lab.hosts("a", "b")
    router = lab.router("r")
    lab.link(a, router)
    lab.link(router, b, device_mtu=1350)
    stats = connected(a, b, network, SIZE, lambda conn: upload(conn, SIZE))
    assert stats.max_datagram == 1350 - header(network)
    assert stats.mtu_probes <= 3


@pytest.mark.parametrize("network", ["rsp4", "rsp+udp4"])
def test_the_path_shrinks_during_a_transfer(lab, connected, network, wait_until):
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b, mtu=1500, delay="2ms", seed=1)

    def use(conn):
        upload(conn, SIZE)
        wait_until(lambda: conn.stats().bytes_acknowledged == SIZE)
        assert conn.stats().max_datagram == 1500 - header(network)
        link.set(mtu=1300)
        upload(conn, SIZE)

    stats = connected(a, b, network, 2 * SIZE, use)
    assert stats.black_holes >= 1
    assert BASE <= stats.max_datagram <= 1300 - header(network)

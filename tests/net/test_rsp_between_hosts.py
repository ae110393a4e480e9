"""RSP on raw IP between hosts of a lab: links, neighbours, many connections on one socket."""

import contextlib
import threading

import pytest

import rawproto
from rawproto.net.neighbours import Neighbours

pytestmark = pytest.mark.netns


@pytest.fixture
def hosts(lab):
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return a, b


def echo(listener, count=1):
    def handle(conn):
        with conn:
            conn.set_deadline(100)
            while data := conn.read():
                conn.write(data)

    threads = []
    for _ in range(count):
        thread = threading.Thread(target=handle, args=(listener.accept(),), daemon=True)
        thread.start()
        threads.append(thread)
    for thread in threads:
        thread.join(100)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("kind", ["raw", "packet"])
def test_each_link_carries_it(hosts, kind, version, spawn):
    a, b = hosts
    network = f"rsp{version}"
    config = rawproto.RSPConfig(link=kind)
    data = bytes(range(256)) * 2000
    address = f"[{b.address(6)}]:0" if version == 6 else f"{b.address(4)}:0"
    with b:
        listener = rawproto.listen(network, address, config=config)
    with listener, spawn(echo, listener):
        with a:
            conn = rawproto.dial(network, listener.addr, timeout=100, config=config)
        with conn:
            conn.set_deadline(100)
            assert str(conn.local_addr.ip) == a.address(version)
            with spawn(conn.write, data):
                assert conn.read_exactly(len(data)) == data
            conn.close_write()
            assert conn.read() == b""


def test_nobody_speaks_the_protocol_there(hosts):
    a, b = hosts
    with a, pytest.raises(ConnectionRefusedError):
        rawproto.dial("rsp4", f"{b.address()}:7", timeout=100)


def test_nobody_listens_on_that_port(hosts):
    a, b = hosts
    with b:
        listener = rawproto.listen("rsp4", ":7")
    with listener, a, pytest.raises(ConnectionRefusedError):
        rawproto.dial("rsp4", f"{b.address()}:8", timeout=100)


def test_endpoints_of_one_host_leave_each_other_alone(hosts, spawn):
    """Two listeners with sockets of their own, and a dialer on the same host: all hear everything."""
    a, b = hosts
    with contextlib.ExitStack() as stack:
        stack.enter_context(b)
        one = stack.enter_context(rawproto.listen("rsp4", ":1001"))
        other = stack.enter_context(
            rawproto.listen("rsp4", ":1002", config=rawproto.RSPConfig(congestion="newreno"))
        )
        for listener in (one, other):
            stack.enter_context(spawn(echo, listener))
            with a:
                conn = rawproto.dial("rsp4", f"{b.address()}:{listener.addr.port}", timeout=100)
            with conn:
                conn.set_deadline(100)
                conn.write(b"hello")
                assert conn.read_exactly(5) == b"hello"


def test_a_port_can_be_had_once(hosts):
    _, b = hosts
    with b, rawproto.listen("rsp4", ":1001"):
        with pytest.raises(rawproto.OpError, match="another endpoint") as caught:
            rawproto.listen("rsp4", ":1001", config=rawproto.RSPConfig(congestion="newreno"))
        assert caught.value.op == "listen"


def test_neighbours_know_each_other(hosts):
    a, b = hosts
    with b:
        one, other = Neighbours(253, 4), Neighbours(253, 4)
    with a:
        elsewhere = Neighbours(253, 4)
    with b:
        apart = Neighbours(254, 4)
    try:
        assert one.present()
        assert other.present()
        assert not elsewhere.present()
        assert not apart.present()
        with b:
            one.claim(7)
            with pytest.raises(rawproto.OpError):
                other.claim(7)
        assert other.listens(7)
        assert not one.listens(7)
        assert not elsewhere.listens(7)
        one.give_back(7)
        assert not other.listens(7)
        other.close()
        assert not one.present()
    finally:
        for neighbours in (one, other, elsewhere, apart):
            neighbours.close()


def test_hundreds_of_connections_on_one_socket(hosts, spawn, descriptors):
    a, b = hosts
    count = 200
    with b:
        listener = rawproto.listen("rsp4", ":7", backlog=count)
    accepted, dialed = [], []
    with listener:
        with a:
            dialed.append(rawproto.dial("rsp4", f"{b.address()}:7", timeout=100))
            accepted.append(listener.accept())
            before = len(descriptors())
            for _ in range(count - 1):
                dialed.append(rawproto.dial("rsp4", f"{b.address()}:7", timeout=100))
                accepted.append(listener.accept())
        # A driver makes what it polls with when a thread first has to wait: one for each end, that may be since.
        assert len(descriptors()) <= before + 2
        for index, conn in enumerate(dialed):
            conn.write(b"%d" % index)
        # In reverse: news of one connection must not be lost while another is waited for.
        for index in reversed(range(count)):
            accepted[index].set_deadline(100)
            assert accepted[index].read() == b"%d" % index
        for conn in (*dialed, *accepted):
            conn.close()


def write_and_return(address, size):
    conn = rawproto.dial("rsp4", address, timeout=100)
    conn.write(bytes(size))
    return "written"


def test_what_a_function_on_a_host_wrote_is_delivered(hosts, background):
    """Its process ends without the interpreter's exit, and still as a program would."""
    a, b = hosts
    size = 3_000_000
    with b:
        listener = rawproto.listen("rsp4", f"{b.address()}:7")
    with listener:
        accepting = background(listener.accept)
        call = a.start(write_and_return, f"{b.address()}:7", size)
        with accepting.result() as conn:
            conn.set_deadline(100)
            assert conn.read_exactly(size) == bytes(size)
            assert conn.read() == b""
        assert call.result(60) == "written"

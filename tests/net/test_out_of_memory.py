"""Drivers when the process has no memory (E13): what a link could not carry is lost; nothing hangs, no other ends."""

import contextlib
import random
import socket
import threading

import pytest

import rawproto
from rawproto.link import UDPLink
from rawproto.net import pump

SIZE = 100_000
CALLS = ["send", "receive", "errors", "send_each"]


class Scarce:
    """Memory that is refused now and then; its methods are called in several threads."""

    def __init__(self, one_in):
        self.one_in = one_in
        self.refused = 0
        self._rng = random.Random(one_in)
        self._lock = threading.Lock()

    def ask(self):
        with self._lock:
            if self.one_in and self._rng.random() * self.one_in < 1:
                self.refused += 1
                raise MemoryError

    def around(self, call):
        """``call``, which fails before it has done anything, or when it is done."""

        def calling(*args, **options):
            self.ask()
            result = call(*args, **options)
            self.ask()
            return result

        return calling


@pytest.fixture(params=["blocking", "asyncio"])
def net(request, make_harness):
    yield from make_harness(request.param, "rsp+udp4")


@pytest.fixture
def scarce_links(monkeypatch):
    def make(one_in):
        scarce = Scarce(one_in)
        for name in CALLS:
            monkeypatch.setattr(UDPLink, name, scarce.around(getattr(UDPLink, name)))
        return scarce

    return make


def accept(net, listener, name):
    """The connection whose dialer says ``name``; others have lost theirs."""
    while True:
        conn = net.accept(listener)
        conn.set_deadline(20)
        with contextlib.suppress(OSError):
            if conn.read_exactly(len(name)) == name:
                return conn
        conn.abort()


@contextlib.contextmanager
def fatal(conn):
    """An application that gets no memory gives its connection up; the other one would wait for it."""
    try:
        yield
    except BaseException:
        conn.abort()
        raise


def exchange(net, listener, background, data):
    """``data`` there and, by an echo, back; what came back."""
    listener.set_deadline(100)
    with contextlib.ExitStack() as stack:
        client = net.dial(listener.addr)
        stack.callback(client.abort)
        client.set_deadline(1000)
        name = random.randbytes(16)
        client.write(name)
        server = accept(net, listener, name)
        stack.callback(server.abort)
        server.set_deadline(1000)

        def echo():
            with fatal(server):
                server.write(server.read_exactly(len(data)))
                server.close()

        def write():
            with fatal(client):
                client.write(data)

        echoing, writing = background(echo), background(write)
        got = client.read_exactly(len(data))
        writing.result()
        echoing.result()
    return got


def test_e13_what_a_link_has_no_memory_for_is_lost_and_comes_again(net, scarce_links, background):
    scarce = scarce_links(100)
    listener = net.listen()
    while scarce.refused < 30:
        data = random.Random(scarce.refused).randbytes(SIZE)
        assert exchange(net, listener, background, data) == data


def test_e13_a_link_that_never_gets_any_breaks_the_driver_and_all_hear_of_it(
    net, scarce_links, background, caplog
):
    scarce = scarce_links(0)
    listener = net.listen()
    dialling = background(net.dial, listener.addr)
    server, client = net.accept(listener), dialling.result()
    reading, accepting = background(server.read, 1), background(net.accept, listener)
    scarce.one_in = 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        # It waits to be received, and can never be.
        stranger.sendto(b"knock", ("127.0.0.1", listener.addr.port))
    for task in (reading, accepting):
        with pytest.raises(rawproto.ConnectionAborted, match="no memory"):
            task.result()
    assert scarce.refused > pump.MOST_FAILURES
    scarce.one_in = 0
    client.abort()
    caplog.clear()
    again = net.listen()
    assert exchange(net, again, background, b"hello") == b"hello"

"""Drivers when the process has no memory (E13): what a link could not carry is lost; nothing hangs, no other ends."""

import contextlib
import random
import socket
import threading

import numpy as np
import pytest

import rawproto
from rawproto.link import UDPLink
from rawproto.net import pump
from rawproto.rsp import inbound, receive_stream, send_stream, sender, train

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

    def __getattr__(self, name):
        """As numpy, whose arrays cannot be had now and then."""
        value = getattr(np, name)
        if name in ("empty", "zeros", "full", "frombuffer", "concatenate"):
            return self.around(value)
        return value


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
            server.write(server.read_exactly(len(data)))
            server.close()

        echoing, writing = background(echo), background(client.write, data)
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


def test_e13_a_connection_that_gets_none_ends_and_the_endpoint_lives(
    net, scarce_links, background, monkeypatch
):
    scarce = scarce_links(100)
    for module in (inbound, receive_stream, send_stream, sender, train):
        monkeypatch.setattr(module, "np", scarce)
    listener = net.listen()
    ended = whole = 0
    data = random.Random(1).randbytes(SIZE)
    while scarce.refused < 30 or not ended:
        try:
            assert exchange(net, listener, background, data) == data
            whole += 1
        except (OSError, MemoryError):
            ended += 1
    scarce.one_in = 0
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

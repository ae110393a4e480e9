"""Lines I5, I6 and I9 of the reliability catalogue: processes stopped and killed, and a cable that is pulled."""

from __future__ import annotations

import os
import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import rawproto
from rawproto import RSPConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto import Host, Lab

pytestmark = pytest.mark.netns
SIZE = 4_000_000
PIECE = bytes(range(256)) * 256


def read_to_the_end(conn: rawproto.Conn) -> None:
    while conn.read():
        pass


def serve(ready: int) -> None:
    """Write, and wait for the peer to close."""
    with rawproto.listen("rsp4", ":7") as listener:
        os.write(ready, b"r")
        conn = listener.accept()
        with conn:
            conn.set_deadline(100)
            for _ in range(SIZE // len(PIECE)):
                conn.write(PIECE)
            conn.close_write()
            read_to_the_end(conn)  # the process has to stay until everything has arrived


def start_server(host: Host) -> Any:
    is_ready, ready = os.pipe()
    server = host.start(serve, ready)
    os.close(ready)  # so that a server that fails ends the wait
    try:
        if not os.read(is_ready, 1):
            server.result()
    finally:
        os.close(is_ready)
    return server


@contextmanager
def later(seconds: float, act: Callable[..., Any], *args: Any) -> Iterator[None]:
    """Have something done while the block goes on, and done before it is left."""
    timer = threading.Timer(seconds, act, args)
    timer.start()
    try:
        yield
    finally:
        timer.join()


@pytest.fixture
def pair(lab: Lab) -> tuple[Host, Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, rate="20mbit", delay="2ms")
    return a, b


def test_i5_a_server_that_is_stopped_and_goes_on(pair: tuple[Host, Host]) -> None:
    a, b = pair
    server = start_server(b)
    with a:
        conn = rawproto.dial("rsp4", f"{b.address()}:7", timeout=60)
    with conn:
        conn.set_deadline(100)
        got = len(conn.read_exactly(SIZE // 4))
        os.kill(server.pid, signal.SIGSTOP)
        with later(2.0, os.kill, server.pid, signal.SIGCONT):
            while data := conn.read():
                got += len(data)
        conn.close_write()
    assert got == SIZE // len(PIECE) * len(PIECE)
    server.result(timeout=100)
    server.wait()


def test_i6_a_server_that_is_killed(pair: tuple[Host, Host]) -> None:
    a, b = pair
    server = start_server(b)
    with a:
        # As little patience as a busy machine allows: it must not end before the server does.
        config = RSPConfig(keepalive=2, idle_timeout=12)
        conn = rawproto.dial("rsp4", f"{b.address()}:7", timeout=60, config=config)
    with conn:
        conn.set_deadline(100)
        conn.read_exactly(SIZE // 8)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
        with pytest.raises((ConnectionError, TimeoutError)) as caught:
            read_to_the_end(conn)
        # Not the deadline of the call: the connection itself is over, and says why.
        assert not isinstance(caught.value, rawproto.DeadlineExceeded)


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_i9_a_cable_that_is_pulled(lab: Lab, seconds: float) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b)
    server = start_server(b)
    with a:
        conn = rawproto.dial("rsp4", f"{b.address()}:7", timeout=60)
    with conn:
        conn.set_deadline(100)
        got = len(conn.read_exactly(SIZE // 4))
        link.down()
        with later(seconds, link.up):
            while data := conn.read():
                got += len(data)
        conn.close_write()
    assert got == SIZE // len(PIECE) * len(PIECE)
    server.result(timeout=100)
    server.wait()

"""Lines I5, I6 and I9 of the reliability catalogue: processes stopped and killed, and a cable that is pulled."""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

import pytest

import rawproto
from rawproto import RSPConfig

if TYPE_CHECKING:
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
            conn.set_deadline(60)
            for _ in range(SIZE // len(PIECE)):
                conn.write(PIECE)
            conn.close_write()
            read_to_the_end(conn)  # the process has to stay until everything has arrived


def start_server(host: Host) -> Any:
    is_ready, ready = os.pipe()
    server = host.start(serve, ready)
    os.read(is_ready, 1)
    os.close(is_ready)
    os.close(ready)
    return server


@pytest.fixture
def pair(lab: Lab) -> tuple[Host, Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, rate="20mbit", delay="2ms")
    return a, b


def test_i5_a_server_that_is_stopped_and_goes_on(pair: tuple[Host, Host]) -> None:
    a, b = pair
    server = start_server(b)
    with a:
        conn = rawproto.dial("rsp4", f"{b.address()}:7", timeout=20)
    with conn:
        conn.set_deadline(60)
        got = len(conn.read_exactly(SIZE // 4))
        os.kill(server.pid, signal.SIGSTOP)
        waker = threading.Timer(2.0, os.kill, (server.pid, signal.SIGCONT))
        waker.start()
        while data := conn.read():
            got += len(data)
        waker.join()
        conn.close_write()
    assert got == SIZE // len(PIECE) * len(PIECE)
    server.result(timeout=30)
    server.wait()


def test_i6_a_server_that_is_killed(pair: tuple[Host, Host]) -> None:
    a, b = pair
    server = start_server(b)
    with a:
        config = RSPConfig(keepalive=0.5, idle_timeout=2)
        conn = rawproto.dial("rsp4", f"{b.address()}:7", timeout=20, config=config)
    with conn:
        conn.set_deadline(60)
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
        conn = rawproto.dial("rsp4", f"{b.address()}:7", timeout=20)
    with conn:
        conn.set_deadline(60)
        got = len(conn.read_exactly(SIZE // 4))
        link.down()
        plugged = threading.Timer(seconds, link.up)
        plugged.start()
        while data := conn.read():
            got += len(data)
        plugged.join()
        conn.close_write()
    assert got == SIZE // len(PIECE) * len(PIECE)
    server.result(timeout=30)
    server.wait()

"""The connection pool."""

import contextlib
import threading

import pytest

import rawproto
from rawproto import ConnectionPool


@pytest.fixture(params=["tcp4", "rsp+udp4"])
def server(request):
    """An echo server; its ``drop`` ends all its connections."""

    class Server:
        def __init__(self, network):
            self.network = network
            self.conns = []
            self.listener = rawproto.listen(network, "127.0.0.1:0")
            threading.Thread(target=self.serve, daemon=True).start()

        @property
        def addr(self):
            return self.listener.addr

        def serve(self):
            for conn in self.listener:
                self.conns.append(conn)
                threading.Thread(target=self.echo, args=(conn,), daemon=True).start()

        @staticmethod
        def echo(conn):
            with contextlib.suppress(OSError), conn:
                while data := conn.read():
                    conn.write(data)

        def drop(self):
            for conn in self.conns:
                conn.close()

    made = Server(request.param)
    yield made
    made.listener.close()
    made.drop()


def ask(conn):
    conn.set_deadline(100)
    conn.write(b"ping")
    assert conn.read_exactly(4) == b"ping"


def test_a_connection_is_used_again(server):
    with ConnectionPool(server.network, server.addr) as pool:
        with pool.connection() as first:
            ask(first)
            assert pool.lent == 1
        assert (pool.lent, pool.idle) == (0, 1)
        with pool.connection() as second:
            assert second is first
            ask(second)


def test_one_that_failed_its_user_is_not(server):
    with ConnectionPool(server.network, server.addr) as pool:
        with pytest.raises(KeyError), pool.connection() as conn:
            raise KeyError
        assert conn.closed
        assert (pool.lent, pool.idle) == (0, 0)


def test_one_that_the_peer_ended_is_not(server, wait_until):
    with ConnectionPool(server.network, server.addr) as pool:
        with pool.connection() as first:
            ask(first)
        server.drop()
        wait_until(lambda: not first.quiet())
        with pool.connection() as second:
            assert second is not first
            ask(second)


def test_one_with_bytes_nobody_asked_for_is_not(server, wait_until):
    with ConnectionPool(server.network, server.addr) as pool:
        with pool.connection() as first:
            first.write(b"?")
            wait_until(lambda: not first.quiet())
        with pool.connection() as second:
            assert second is not first


def test_the_users_own_check(server):
    with ConnectionPool(server.network, server.addr, check=lambda conn: False) as pool:
        with pool.connection() as first:
            ask(first)
        with pool.connection() as second:
            assert second is not first


def test_what_is_old_goes(server):
    with ConnectionPool(server.network, server.addr, idle_timeout=0) as pool:
        with pool.connection() as conn:
            ask(conn)
        assert pool.idle == 0
        assert conn.closed


def test_no_more_are_kept_than_asked_for(server):
    with ConnectionPool(server.network, server.addr, max_idle=1) as pool:
        conns = [pool.acquire() for _ in range(3)]
        for conn in conns:
            pool.release(conn)
        assert pool.idle == 1
        assert sum(conn.closed for conn in conns) == 2


def test_the_size_is_a_limit_that_is_waited_for(server, background):
    with ConnectionPool(server.network, server.addr, max_size=1, max_idle=1) as pool:
        held = pool.acquire()
        with pytest.raises(rawproto.DeadlineExceeded):
            pool.acquire(timeout=0.05)
        waiting = background(pool.acquire, 20)
        pool.release(held)
        assert waiting.result() is held
        pool.release(held)


def test_close_wakes_who_waits(server, background):
    pool = ConnectionPool(server.network, server.addr, max_size=1, max_idle=1)
    held = pool.acquire()
    waiting = background(pool.acquire)
    pool.close()
    with pytest.raises(rawproto.ClosedError):
        waiting.result()
    pool.release(held)
    assert held.closed


def test_a_dial_that_fails_gives_its_place_back():
    with rawproto.listen("tcp4", "127.0.0.1:0") as listener:
        address = listener.addr
    with ConnectionPool("tcp4", address, max_size=1, max_idle=1) as pool:
        for _ in range(2):
            with pytest.raises(ConnectionRefusedError):
                pool.acquire(timeout=5)
        assert pool.lent == 0


def test_sizes_must_make_sense():
    with pytest.raises(rawproto.ConfigError):
        ConnectionPool("tcp", "127.0.0.1:1", max_size=0)

"""What every connection does, whatever carries it: one suite over transports and faces."""

import hashlib
import random

import pytest

import rawproto


def cases():
    """(face, network, with TLS): all of them."""
    for name in ("tcp4", "tcp6", "rsp+udp4", "rsp+udp6", "rsp4", "rsp6"):
        marks = [pytest.mark.netns] if name in ("rsp4", "rsp6") else []
        for face in ("blocking", "asyncio"):
            yield pytest.param((face, name, False), id=f"{face}-{name}", marks=marks)
            yield pytest.param((face, name, True), id=f"{face}-{name}-tls", marks=marks)


@pytest.fixture(params=cases())
def net(request, make_harness):
    face, network, secured = request.param
    yield from make_harness(face, network, request.getfixturevalue("contexts") if secured else None)


def pump(conn, data, piece=65536):
    for start in range(0, len(data), piece):
        assert conn.write(data[start : start + piece]) == len(data[start : start + piece])
    conn.close_write()


def drain(conn):
    pieces = []
    while data := conn.read():
        pieces.append(data)
    return b"".join(pieces)


def write_for_ever(conn):
    while True:
        conn.write(b"x" * 1_000_000)


def shown(error):
    """The errors of ours among those that a traceback of ``error`` shows."""
    while error is not None:
        if isinstance(error, rawproto.RawprotoError):
            yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


class TestTransfer:
    def test_a_message_and_its_answer(self, net):
        client, server = net.pair()
        assert client.write(b"ping") == 4
        assert server.read_exactly(4) == b"ping"
        server.write(b"pong")
        assert client.read_exactly(4) == b"pong"

    def test_the_server_may_speak_first(self, net):
        client, server = net.pair()
        server.write(b"welcome")
        assert client.read_exactly(7) == b"welcome"

    def test_megabytes_arrive_in_order_and_once(self, net, spawn):
        data = noise(3_000_000)
        client, server = net.pair()
        with spawn(pump, client, data):
            assert hashlib.sha256(drain(server)).digest() == hashlib.sha256(data).digest()

    def test_both_directions_at_once(self, net, spawn):
        there, back = noise(1_500_000, 2), noise(1_500_000, 3)
        client, server = net.pair()
        with spawn(pump, client, there), spawn(pump, server, back), spawn(drain, server) as first:
            second = drain(client)
        assert first.result() == there
        assert second == back

    def test_one_large_write_is_taken_whole(self, net, spawn):
        data = noise(2_000_000)
        client, server = net.pair()
        with spawn(client.write, data) as written:
            assert server.read_exactly(len(data)) == data
        assert written.result() == len(data)

    @pytest.mark.parametrize("make", [bytes, bytearray, memoryview])
    def test_any_buffer_can_be_written(self, net, make):
        client, server = net.pair()
        assert client.write(make(b"some bytes")) == 10
        assert server.read_exactly(10) == b"some bytes"

    def test_a_buffer_may_be_changed_after_the_write(self, net):
        client, server = net.pair()
        data = bytearray(b"a" * 40_000)
        client.write(data)
        data[:] = b"b" * 40_000
        assert server.read_exactly(40_000) == b"a" * 40_000

    def test_writing_nothing(self, net):
        client, server = net.pair()
        assert client.write(b"") == 0
        client.write(b"x")
        assert server.read() == b"x"

    def test_read_takes_at_most_what_is_asked(self, net):
        client, server = net.pair()
        client.write(b"abcdef")
        assert server.read(0) == b""
        assert server.read(2) == b"ab"
        assert server.read_exactly(4) == b"cdef"

    def test_readinto(self, net):
        client, server = net.pair()
        client.write(b"abcdef")
        buffer = bytearray(4)
        count = server.readinto(buffer)
        assert bytes(buffer[:count]) == b"abcdef"[:count]
        assert server.readinto(bytearray()) == 0

    def test_small_writes_keep_their_order(self, net, spawn):
        client, server = net.pair()
        data = noise(5000)

        def trickle():
            for start in range(0, len(data), 7):
                client.write(data[start : start + 7])
            client.close_write()

        with spawn(trickle):
            assert drain(server) == data

    def test_read_exactly_of_a_stream_that_is_too_short(self, net):
        client, server = net.pair()
        client.write(b"abc")
        client.close_write()
        with pytest.raises(rawproto.UnexpectedEOF) as caught:
            server.read_exactly(4)
        assert caught.value.partial == b"abc"
        assert isinstance(caught.value, EOFError)

    def test_addresses_agree(self, net):
        client, server = net.pair()
        assert client.network == server.network == net.network
        assert client.local_addr.ip == server.remote_addr.ip
        assert client.remote_addr.ip == server.local_addr.ip
        assert client.remote_addr.port == server.local_addr.port
        assert client.local_addr.port == server.remote_addr.port

    def test_stats_count_the_bytes(self, net):
        client, server = net.pair()
        client.write(b"x" * 1000)
        server.read_exactly(1000)
        assert client.stats().bytes_written == 1000
        assert server.stats().bytes_read == 1000
        client.close()
        assert client.stats().bytes_written == 1000


class TestBackPressure:
    def test_a_writer_waits_for_a_reader_that_does_not_read(self, net, spawn):
        client, server = net.pair()
        client.set_write_deadline(0.3)
        with pytest.raises(rawproto.DeadlineExceeded) as caught:
            write_for_ever(client)
        assert 0 <= caught.value.written < 1_000_000
        # What had been taken, and nothing else, can still be read.
        client.set_write_deadline(None)
        with spawn(client.close_write):
            assert set(drain(server)) == {ord("x")}


class TestHalfClose:
    def test_the_other_direction_lives_on(self, net, spawn):
        client, server = net.pair()
        data = noise(1_000_000)
        client.write(b"question")
        client.close_write()
        assert drain(server) == b"question"
        assert server.read() == b""
        with spawn(pump, server, data):
            assert drain(client) == data

    def test_writing_after_it_is_an_error(self, net):
        client, _ = net.pair()
        client.close_write()
        with pytest.raises(rawproto.ClosedError):
            client.write(b"x")


class TestClose:
    def test_what_was_written_is_delivered(self, net):
        client, server = net.pair()
        data = noise(100_000)
        client.write(data)
        client.close()
        assert drain(server) == data

    def test_a_closed_connection_can_do_nothing(self, net):
        client, _ = net.pair()
        client.close()
        client.close()
        for operation in (client.read, lambda: client.write(b"x"), client.close_write):
            with pytest.raises(rawproto.ClosedError):
                operation()

    def test_close_wakes_a_blocked_read(self, net, background):
        client, _ = net.pair()
        reading = background(client.read)
        client.close()
        with pytest.raises(rawproto.ClosedError) as caught:
            reading.result()
        assert isinstance(caught.value, OSError)
        assert caught.value.network == net.network

    def test_close_wakes_a_blocked_write(self, net, background):
        client, _ = net.pair()
        writing = background(write_for_ever, client)
        client.set_read_deadline(0.2)
        with pytest.raises(rawproto.DeadlineExceeded):
            client.read()
        client.close()
        with pytest.raises(rawproto.ClosedError):
            writing.result()

    def test_abort_is_a_reset_for_the_peer(self, net):
        client, server = net.pair()
        client.write(b"x")
        assert server.read(1) == b"x"
        client.abort()
        with pytest.raises(ConnectionResetError) as caught:
            server.read()
        assert isinstance(caught.value, rawproto.OpError)
        assert caught.value.op == "read"
        assert caught.value.remote == server.remote_addr
        place = f"read {net.network} {server.local_addr}->{server.remote_addr}: "
        assert all(str(error).startswith(place) for error in shown(caught.value))

    def test_close_with_unread_data_is_a_reset_for_the_peer(self, net):
        client, server = net.pair()
        client.write(b"never read")
        # The answer proves that the bytes have come to the server.
        server.write(b"x")
        client.read_exactly(1)
        assert server.read(1) == b"n"
        server.close()
        with pytest.raises(ConnectionResetError):
            client.read_exactly(1)

    def test_context_managers(self, net):
        client, _server = net.pair()
        with client:
            client.write(b"x")
        with pytest.raises(rawproto.ClosedError):
            client.write(b"x")


class TestDeadlines:
    def test_a_read_deadline_passes_and_loses_nothing(self, net):
        client, server = net.pair()
        server.set_read_deadline(0.05)
        with pytest.raises(TimeoutError) as caught:
            server.read()
        assert isinstance(caught.value, rawproto.DeadlineExceeded)
        client.write(b"late")
        with pytest.raises(rawproto.DeadlineExceeded):
            server.read()  # a deadline that has passed stays passed, as in Go
        server.set_read_deadline(None)
        assert server.read_exactly(4) == b"late"

    def test_read_exactly_puts_back_what_it_had(self, net):
        client, server = net.pair()
        client.write(b"ab")
        server.set_read_deadline(0.2)
        with pytest.raises(rawproto.DeadlineExceeded):
            server.read_exactly(4)
        server.set_read_deadline(None)
        client.write(b"cd")
        assert server.read(1) == b"a"
        assert server.read_exactly(3) == b"bcd"

    def test_a_deadline_in_the_past(self, net):
        _, server = net.pair()
        server.set_deadline(0)
        with pytest.raises(rawproto.DeadlineExceeded):
            server.read()
        with pytest.raises(rawproto.DeadlineExceeded):
            server.write(b"x")

    def test_a_new_deadline_reaches_a_read_that_waits(self, net, background):
        _, server = net.pair()
        server.set_read_deadline(None)
        reading = background(server.read)
        server.set_read_deadline(0.05)
        with pytest.raises(rawproto.DeadlineExceeded):
            reading.result()

    def test_the_two_directions_are_apart(self, net):
        client, server = net.pair()
        server.set_read_deadline(0)
        server.write(b"x")
        assert client.read_exactly(1) == b"x"

    def test_accept_deadline(self, net, spawn):
        listener = net.listen()
        listener.set_deadline(0.05)
        with pytest.raises(rawproto.DeadlineExceeded) as caught:
            listener.accept()
        assert caught.value.op == "accept"
        listener.set_deadline(None)
        with spawn(net.accept, listener) as accepted:
            net.dial(listener.addr)
        assert accepted.result()


class TestListener:
    def test_port_zero_picks_one(self, net):
        listener = net.listen()
        assert 0 < listener.addr.port < 65536

    def test_close_wakes_every_accept(self, net, background):
        listener = net.listen()
        waiting = [background(listener.accept) for _ in range(3)]
        listener.close()
        for task in waiting:
            with pytest.raises(rawproto.ClosedError):
                task.result()
        with pytest.raises(rawproto.ClosedError):
            listener.accept()

    def test_accepted_connections_outlive_it(self, net, spawn):
        listener = net.listen()
        with spawn(net.accept, listener) as accepted:
            client = net.dial(listener.addr)
        server = accepted.result()
        listener.close()
        client.write(b"still here")
        assert server.read_exactly(10) == b"still here"

    def test_iteration_ends_with_close(self, net, background):
        listener = net.listen()

        def serve():
            served = 0
            for conn in listener:
                conn.write(b"hello")
                conn.close()
                served += 1
            return served

        serving = background(serve)
        for _ in range(3):
            assert net.dial(listener.addr).read_exactly(5) == b"hello"
        listener.close()
        assert serving.result() == 3

    def test_many_connections(self, net, background):
        listener = net.listen()

        def echo():
            conns = [net.accept(listener) for _ in range(20)]
            for conn in conns:
                conn.write(conn.read_exactly(100))

        serving = background(echo)
        clients = [net.dial(listener.addr) for _ in range(20)]
        for index, client in enumerate(clients):
            client.write(bytes([index]) * 100)
        for index, client in enumerate(clients):
            assert client.read_exactly(100) == bytes([index]) * 100
        serving.result()

    def test_nobody_listens(self, net):
        listener = net.listen()
        address = listener.addr
        listener.close()
        with pytest.raises(ConnectionRefusedError) as caught:
            net.dial(address)
        assert caught.value.op == "dial"

    def test_address_in_use(self, net):
        listener = net.listen()
        port = listener.addr.port
        host = "[::1]" if net.network.endswith("6") else "127.0.0.1"
        with pytest.raises(rawproto.OpError) as caught:
            rawproto.listen(net.network, f"{host}:{port}")
        assert caught.value.op == "listen"
        assert isinstance(caught.value, OSError)


class Nobody:
    """An access list that remembers whom it refused."""

    def __init__(self):
        self.asked = []

    def permits(self, ip):
        self.asked.append(ip)
        return False


class TestAccessList:
    def test_a_peer_that_is_not_permitted_gets_nothing(self, net, background, wait_until):
        acl = Nobody()
        listener = net.listen(acl=acl)
        accepting = background(listener.accept)
        with pytest.raises((ConnectionError, TimeoutError)):
            self.ask(net.dial(listener.addr, timeout=0.3))
        wait_until(lambda: acl.asked)
        assert [str(ip) for ip in set(acl.asked)] == ["::1" if net.network.endswith("6") else "127.0.0.1"]
        assert accepting.running
        listener.close()
        with pytest.raises(rawproto.ClosedError):
            accepting.result()

    @staticmethod
    def ask(conn):
        conn.set_deadline(100)
        conn.write(b"x")
        assert not conn.read_exactly(1)

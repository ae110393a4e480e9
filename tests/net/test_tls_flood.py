"""A flood of TLS handshakes (F23 of the reliability catalogue): what a listener spends on who does not go on."""

import asyncio
import itertools
import socket
import ssl
import threading
import time
from types import SimpleNamespace

import pytest

import rawproto
from rawproto.net import handshakes, stream_front
from rawproto.rsp.handshake import Terms, hello_packet
from rawproto.rsp.header import Hello, Kind

ADDRESS = "127.0.0.1"


class Counting(ssl.SSLContext):
    """A context that counts the TLS objects made of it."""

    made = 0

    def wrap_bio(self, *args, **options):
        self.made += 1
        return super().wrap_bio(*args, **options)


@pytest.fixture
def server_context(authority):
    context = Counting(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(ADDRESS).configure_cert(context)
    return context


@pytest.fixture(params=["tcp4", "rsp+udp4"])
def network(request):
    return request.param


@pytest.fixture(params=["blocking", "asyncio"])
def net(request, network, make_harness, contexts, server_context):
    """A face whose listeners speak TLS."""
    yield from make_harness(request.param, network, (server_context, contexts[1]))


@pytest.fixture
def clock(monkeypatch):
    """The clock of handshakes; ``clock.ahead`` nanoseconds may be added."""
    fake = SimpleNamespace(ahead=0)
    fake.monotonic_ns = lambda: time.monotonic_ns() + fake.ahead
    monkeypatch.setattr(stream_front, "time", fake)
    return fake


def running(net):
    """Handshakes that run in the background."""
    if not hasattr(net, "loop"):
        return sum(thread.name == "rawproto TLS handshake" for thread in threading.enumerate())

    async def count():
        tasks = asyncio.all_tasks()
        return sum(handshakes.async_securing.__name__ in task.get_coro().__qualname__ for task in tasks)

    return net.call(count())


class Trickle:
    """A TLS client made by hand on a plain connection: its words go out byte by byte."""

    def __init__(self, conn, context):
        self.conn = conn
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=ADDRESS)

    def words(self):
        """What it has to say now, or None when the handshake is over."""
        try:
            self.tls.do_handshake()
        except ssl.SSLWantReadError:
            pass
        return self._outgoing.read()

    def listen(self):
        """Take in what the server says."""
        data = self.conn.read(65536)
        assert data, "the server ended the connection"
        self._incoming.write(data)


@pytest.fixture
def dial_plain(network):
    """Dials without TLS; closes what it dialled at the end."""
    dialled = []

    def dial(listener):
        dialled.append(rawproto.dial(network, listener.addr, timeout=1000))
        dialled[-1].set_deadline(1000)
        return dialled[-1]

    yield dial
    for conn in dialled:
        conn.abort()


@pytest.fixture
def patient(monkeypatch):
    """No handshake ends for its time."""
    monkeypatch.setattr(stream_front, "TLS_HANDSHAKE_TIMEOUT", 100_000)


@pytest.mark.parametrize("network", ["rsp+udp4"], indirect=True)
def test_f23_no_tls_object_before_the_cookie_returns(net, server_context, background):
    listener = net.listen()
    accepting = background(net.accept, listener)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
        stranger.settimeout(100)
        stranger.connect((ADDRESS, listener.addr.port))
        for identifier in range(1, 301):
            terms = Terms(5000, listener.addr.port, identifier, 65536, 1200, 1)
            stranger.send(hello_packet(Kind.SYN, terms, 0))
            answer, _ = Hello.parse(stranger.recv(2000))
            assert answer.kind == Kind.COOKIE
        assert accepting.running
        assert server_context.made == 0
        stranger.send(hello_packet(Kind.CONFIRM, terms, answer.identifier, answer.cookie))
        accepted = accepting.result()
        assert server_context.made == 1
        accepted.abort()


def test_f23_a_client_hello_in_segments_of_a_byte_is_understood(
    net, network, contexts, dial_plain, background, wait_until
):
    listener = net.listen()
    client = Trickle(dial_plain(listener), contexts[1])
    server = net.accept(listener)
    hello = client.words()
    assert len(hello) > 200
    for sent, byte in enumerate(hello):
        client.conn.write(bytes([byte]))
        if network != "tcp4":
            wait_until(lambda count=sent + 1: client.conn.stats().packets_sent >= count)
    greeting = background(server.write, b"hello")
    while not client.tls.version():
        client.listen()
        client.conn.write(client.words())
    client.conn.write(client.words())
    greeting.result()
    assert client.tls.version() == "TLSv1.3"


def test_f23_64_at_once_and_who_is_read_from_gets_in(net, patient, dial_plain, background, wait_until):
    listener = net.listen()
    stalled = []
    for _ in range(handshakes.LIMIT + 6):
        conn = dial_plain(listener)
        conn.write(b"\x16")
        stalled.append((conn, net.accept(listener)))
        assert running(net) <= handshakes.LIMIT
    assert handshakes.LIMIT == running(net) == 64
    # Beyond the limit the application's own read does it.
    dialling = background(net.dial, listener.addr)
    server = net.accept(listener)
    reading = background(server.read_exactly, 5)
    client = dialling.result()
    client.write(b"hello")
    assert reading.result() == b"hello"
    assert running(net) == 64
    # Whoever goes makes room for the next in the background.
    stalled[0][1].abort()
    wait_until(lambda: running(net) == 63)
    dialling = background(net.dial, listener.addr)
    net.accept(listener)
    dialling.result()
    wait_until(lambda: running(net) == 63)
    for _, accepted in stalled:
        accepted.abort()
    wait_until(lambda: running(net) == 0)


def test_f23_a_byte_now_and_then_buys_no_time(net, contexts, dial_plain, clock, monkeypatch, wait_until):
    monkeypatch.setattr(stream_front, "TLS_HANDSHAKE_TIMEOUT", 10.0)
    # The clock stands still but for what the test adds.
    start = time.monotonic_ns()
    clock.monotonic_ns = lambda: start + clock.ahead
    listener = net.listen()
    client = Trickle(dial_plain(listener), contexts[1])
    server = net.accept(listener)
    wait_until(lambda: server._handshake_limit)
    assert server._handshake_limit == start + 10 * 10**9
    for byte in itertools.islice(client.words(), 3):
        client.conn.write(bytes([byte]))
        clock.ahead += 6 * 10**9
    wait_until(lambda: running(net) == 0)
    server.set_deadline(1000)
    with pytest.raises(rawproto.TLSError, match="not over within 10 s"):
        server.read(1)


def test_a_thread_that_cannot_be_started_costs_neither_the_connection_nor_a_place(
    network, contexts, server_context, dial_plain, background, monkeypatch
):
    class NoThread:
        def __init__(self, **options):
            pass

        def start(self):
            raise RuntimeError("can't start new thread")

    fake = SimpleNamespace(BoundedSemaphore=threading.BoundedSemaphore, Thread=NoThread)
    monkeypatch.setattr(handshakes, "threading", fake)
    with rawproto.listen(network, f"{ADDRESS}:0", tls=server_context) as listener:
        for _ in range(handshakes.LIMIT):
            dial_plain(listener)
            listener.accept().abort()
        fake.Thread = threading.Thread
        dialling = background(lambda: rawproto.dial(network, listener.addr, tls=contexts[1], timeout=1000))
        with listener.accept(), dialling.result() as client:
            assert client.tls.version() == "TLSv1.3"

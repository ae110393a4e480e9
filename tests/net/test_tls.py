"""TLS on connections: what the one conformance suite does not ask."""

import asyncio
import contextlib
import socket
import ssl
import threading

import pytest
import trustme

import rawproto
from rawproto import aio
from rawproto.net import tls as layer
from rawproto.net.stats import ConnStats
from rawproto.net.stream import Stream

NETWORKS = ["tcp4", "rsp+udp4"]


@pytest.fixture(params=NETWORKS)
def network(request):
    return request.param


def server_context(authority, *names):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(*names).configure_cert(context)
    return context


def client_context(authority):
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


@pytest.fixture
def served(network, spawn):
    """Serves one connection with a function; yields the means to start it."""
    opened = []

    def serve(context, function):
        listener = rawproto.listen(network, "127.0.0.1:0", tls=context)
        opened.append(listener)

        def run():
            with listener.accept() as conn:
                conn.set_deadline(100)
                function(conn)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return listener.addr

    yield serve
    for listener in opened:
        listener.close()


def greet(conn):
    with contextlib.suppress(OSError):
        conn.write(b"hello")
        conn.read()


class TestIdentity:
    def test_the_version_is_1_3(self, network, authority, served):
        address = served(server_context(authority, "127.0.0.1"), greet)
        with rawproto.dial(network, address, tls=client_context(authority), timeout=100) as conn:
            assert conn.tls.version() == "TLSv1.3"
            assert conn.read_exactly(5) == b"hello"

    def test_an_unknown_authority_is_refused(self, network, authority, served):
        address = served(server_context(trustme.CA(), "127.0.0.1"), greet)
        with pytest.raises(rawproto.TLSError, match="certificate not accepted") as caught:
            rawproto.dial(network, address, tls=client_context(authority), timeout=100)
        assert isinstance(caught.value, OSError)
        assert caught.value.remote.port == address.port

    def test_a_certificate_for_another_name_is_refused(self, network, authority, served):
        address = served(server_context(authority, "example.org"), greet)
        with pytest.raises(rawproto.TLSError, match="certificate not accepted"):
            rawproto.dial(network, address, tls=client_context(authority), timeout=100)

    def test_server_hostname_is_what_is_asked_for(self, network, authority, served):
        asked = []
        context = server_context(authority, "example.org")
        context.sni_callback = lambda sslobject, name, ctx: asked.append(name)
        address = served(context, greet)
        options = {"tls": client_context(authority), "server_hostname": "example.org", "timeout": 20}
        with rawproto.dial(network, address, **options) as conn:
            assert conn.read_exactly(5) == b"hello"
        assert asked == ["example.org"]

    def test_mutual_authentication(self, network, authority, served):
        seen = []

        def look(conn):
            conn.handshake()
            seen.append(conn.tls.getpeercert()["subjectAltName"])
            conn.write(b"known")

        context = server_context(authority, "127.0.0.1")
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        address = served(context, look)
        client = client_context(authority)
        authority.issue_cert("client.example").configure_cert(client)
        with rawproto.dial(network, address, tls=client, timeout=100) as conn:
            assert conn.read_exactly(5) == b"known"
        assert seen == [(("DNS", "client.example"),)]

    def test_a_client_without_a_certificate_is_refused(self, network, authority, served):
        context = server_context(authority, "127.0.0.1")
        context.verify_mode = ssl.CERT_REQUIRED
        authority.configure_trust(context)
        address = served(context, greet)
        with (  # noqa: PT012 - the error may come with dial, too
            pytest.raises(OSError, match=r"alert|reset|closed|certificate"),
            rawproto.dial(network, address, tls=client_context(authority), timeout=100) as conn,
        ):
            conn.set_deadline(100)
            conn.read_exactly(5)  # in TLS 1.3 the client hears of it with its first read

    def test_alpn(self, network, authority, served):
        context = server_context(authority, "127.0.0.1")
        context.set_alpn_protocols(["b", "c"])
        address = served(context, greet)
        client = client_context(authority)
        client.set_alpn_protocols(["a", "b"])
        with rawproto.dial(network, address, tls=client, timeout=100) as conn:
            assert conn.tls.selected_alpn_protocol() == "b"

    def test_tls_must_be_a_context(self, network):
        with pytest.raises(rawproto.ConfigError):
            rawproto.listen(network, "127.0.0.1:0", tls="please")


def faces(context):
    """A server's connection of each face, over TCP, whose peer never says anything, and how to write."""
    with rawproto.listen("tcp4", "127.0.0.1:0") as listener, rawproto.dial("tcp4", listener.addr):
        conn = listener.accept().over(lambda below: layer.server_stream(below, context))
        yield conn, conn.write
        conn.abort()
    loop = asyncio.new_event_loop()
    listener = loop.run_until_complete(aio.listen("tcp4", "127.0.0.1:0"))
    with rawproto.dial("tcp4", listener.addr):
        conn = loop.run_until_complete(listener.accept())
        conn = conn.over(lambda below: layer.server_stream(below, context))
        yield conn, lambda data: loop.run_until_complete(conn.write(data))
        conn.abort()
    loop.run_until_complete(listener.close())
    loop.close()


class TestHandshake:
    def test_a_writer_in_it_sleeps_though_the_read_deadline_has_passed(self, contexts):
        """It waits for the peer's bytes, and until its own deadline."""
        for conn, write in faces(contexts[0]):
            steps = []
            go_on = conn._below.handshake
            conn._below.handshake = lambda steps=steps, go_on=go_on: steps.append(1) or go_on()
            conn.set_read_deadline(0)
            conn.set_write_deadline(0.2)
            with pytest.raises(rawproto.DeadlineExceeded, match="write tcp4"):
                write(b"x")
            assert len(steps) < 10

    def test_a_name_that_cannot_be_asked_for_is_refused_with_the_addresses(self, contexts):
        with rawproto.listen("tcp4", "127.0.0.1:0") as listener:
            with pytest.raises(rawproto.TLSError) as caught:
                rawproto.dial("tcp4", listener.addr, tls=contexts[1], server_hostname=".org")
            assert caught.value.remote == listener.addr
            assert str(caught.value).startswith("handshake tcp4 127.0.0.1:")


class TestEnd:
    def test_a_stream_that_is_cut_off_is_told_from_one_that_ended(self, network, authority, served):
        def cut(conn):
            conn.write(b"half of it")
            conn._below._below.close_write()  # the end of the stream below, without that of TLS
            with contextlib.suppress(OSError):
                conn.read()

        address = served(server_context(authority, "127.0.0.1"), cut)
        with rawproto.dial(network, address, tls=client_context(authority), timeout=100) as conn:
            conn.set_deadline(100)
            assert conn.read_exactly(10) == b"half of it"
            with pytest.raises(rawproto.UnexpectedEOF, match="close_notify"):
                conn.read()

    def test_many_short_connections_deliver_what_was_written_before_close(self, network, authority):
        # The server's session tickets arrive at clients that have closed.
        context = server_context(authority, "127.0.0.1")
        client = client_context(authority)
        received = []
        with rawproto.listen(network, "127.0.0.1:0", tls=context) as listener:

            def serve():
                for _ in range(10):
                    with listener.accept() as conn:
                        conn.set_deadline(100)
                        received.append(conn.read_exactly(50_000))

            thread = threading.Thread(target=serve, daemon=True)
            thread.start()
            for index in range(10):
                with rawproto.dial(network, listener.addr, tls=client, timeout=100) as conn:
                    conn.write(bytes([index]) * 50_000)
            thread.join(100)
        assert received == [bytes([index]) * 50_000 for index in range(10)]


class TestAgainstOtherImplementations:
    def test_a_client_of_the_standard_library(self, authority, served, network):
        if network != "tcp4":
            pytest.skip("the standard library speaks TLS over TCP only")
        address = served(
            server_context(authority, "127.0.0.1"), lambda conn: conn.write(conn.read_exactly(3))
        )
        with (
            socket.create_connection(("127.0.0.1", address.port), timeout=100) as plain,
            client_context(authority).wrap_socket(plain, server_hostname="127.0.0.1") as secured,
        ):
            secured.sendall(b"abc")
            assert secured.recv(3) == b"abc"
            assert secured.recv(1) == b""

    def test_a_peer_that_does_not_speak_tls(self, authority, network):
        context = server_context(authority, "127.0.0.1")
        with (
            rawproto.listen(network, "127.0.0.1:0", tls=context) as listener,
            rawproto.dial(network, listener.addr, timeout=100) as plain,
        ):
            plain.write(b"GET / HTTP/1.0\r\n\r\n")
            with listener.accept() as conn:
                conn.set_deadline(100)
                for _ in range(2):  # it fails again in the same words
                    with pytest.raises(rawproto.TLSError, match="handshake failed"):
                        conn.read()


class Pipe(Stream):
    """One end of a stream in memory that takes ``room`` bytes at most, ``step`` in one go."""

    network = "pipe"
    local_addr = remote_addr = None

    def __init__(self, step=1 << 20, room=1 << 30):
        self.inbox = bytearray()
        self.ended = False
        self.step = step
        self.room = room
        self.peer = None

    def try_read(self, n):
        if not self.inbox:
            return b"" if self.ended else None
        data = bytes(self.inbox[: min(n, self.step)])
        del self.inbox[: len(data)]
        return data

    def try_readinto(self, view):
        raise NotImplementedError

    def try_write(self, data):
        count = min(len(data), self.step, self.room - len(self.peer.inbox))
        self.peer.inbox += bytes(data[:count])
        return count

    def close_write(self):
        self.peer.ended = True

    close = abort = close_write

    def stats(self):
        return ConnStats()


@pytest.fixture
def secured_pair(authority):
    """Two TLS layers over pipes, handshake done; the pipes behind them."""

    def make(**options):
        one, other = Pipe(**options), Pipe(**options)
        one.peer, other.peer = other, one
        client = layer.client_stream(one, client_context(authority), "example.org")
        server = layer.server_stream(other, server_context(authority, "example.org"))
        while [client.handshake(), server.handshake()] != [None, None]:
            pass
        return client, server, one, other

    return make


class TestBuffers:
    def test_records_cut_at_every_byte(self, secured_pair):
        client, server, *_ = secured_pair(step=1)
        message = bytes(range(256)) * 8
        assert client.try_write(message) == len(message)
        got = b""
        while len(got) < len(message):
            assert client.flush() in (True, False)
            got += server.try_read(100) or b""
        assert got == message

    def test_one_byte_writes(self, secured_pair):
        client, server, *_ = secured_pair()
        for index in range(500):
            assert client.try_write(bytes([index & 255])) == 1
        assert server.try_read(1000) == bytes(index & 255 for index in range(500))

    def test_ciphertext_is_bounded_when_nobody_takes_it(self, secured_pair):
        client, _, one, other = secured_pair()
        other.inbox.clear()
        one.peer.room = one.room = 0
        taken = 0
        while count := client.try_write(bytes(1_000_000)):
            taken += count
        assert taken <= layer.CIPHERTEXT_LIMIT
        assert len(client._unsent) + client._outgoing.pending <= layer.CIPHERTEXT_LIMIT

    def test_ciphertext_is_bounded_when_nobody_reads(self, secured_pair):
        client, server, _, other = secured_pair()
        for _ in range(40):
            client.try_write(bytes(16384))
        assert server.try_read(1)
        assert server._incoming.pending <= layer.CIPHERTEXT_LIMIT
        assert len(other.inbox) > 400_000

    def test_a_damaged_record_is_an_error_and_what_came_before_is_not_lost(self, secured_pair):
        client, server, _, other = secured_pair()
        client.try_write(b"good")
        start = len(other.inbox)
        client.try_write(b"damaged")
        other.inbox[start + 8] ^= 1
        assert server.try_read(100) == b"good"
        with pytest.raises(rawproto.TLSError):
            server.try_read(100)

    def test_half_close_keeps_what_had_arrived(self, secured_pair):
        client, server, *_ = secured_pair()
        server.try_write(b"x" * 50_000)
        assert client.try_read(1) == b"x"
        client.close_write()
        with pytest.raises(rawproto.ClosedError):
            client.try_write(b"more")
        server.try_write(b"y")
        got = b""
        while data := client.try_read(100_000):
            got += data
        assert got == b"x" * 49_999 + b"y"
        assert server.try_read(10) == b""

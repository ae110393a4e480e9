"""dial and listen on UDP and IP: the same two functions, blocking and asyncio, one datagram a read."""

import asyncio
import errno
import threading

import pytest

import rawproto
from rawproto import (
    ACL,
    AddrError,
    ClosedError,
    ConfigError,
    ConnectionRefused,
    DeadlineExceeded,
    IPConn,
    OpError,
    RSPConfig,
    UDPAddr,
    UDPConn,
    UnknownNetworkError,
    aio,
    dial,
    dial_udp,
    listen,
    listen_udp,
)

HOSTS = {"udp4": "127.0.0.1", "udp6": "[::1]"}


@pytest.mark.parametrize("network", sorted(HOSTS))
def test_udp_keeps_datagrams_apart(network):
    with listen(network, f"{HOSTS[network]}:0") as server, dial(network, str(server.local_addr)) as client:
        assert isinstance(server, UDPConn)
        assert isinstance(client, UDPConn)
        assert client.remote_addr == server.local_addr
        for data in (b"one", b"", b"x" * 9000):
            assert client.write(data) == len(data)
        server.set_deadline(100)
        assert server.read_from() == (b"one", client.local_addr)
        assert server.read() == b""
        assert server.read(100) == b"x" * 100
        assert server.write_to(b"answer", client.local_addr) == 6
        client.set_deadline(100)
        assert client.read() == b"answer"


def test_a_dual_stack_listener_reports_ipv4_peers_as_ipv4():
    with listen("udp", ":0") as server, dial("udp4", f"127.0.0.1:{server.local_addr.port}") as client:
        client.write(b"x")
        server.set_deadline(100)
        assert str(server.read_from()[1]) == f"127.0.0.1:{client.local_addr.port}"


def test_a_local_endpoint_can_be_chosen():
    with listen("udp4", "127.0.0.1:0") as server:
        with dial("udp4", str(server.local_addr), local="127.0.0.2:0") as client:
            assert str(client.local_addr).startswith("127.0.0.2:")
        with dial_udp("udp4", UDPAddr("127.0.0.3", 0), server.local_addr) as client:
            assert str(client.local_addr).startswith("127.0.0.3:")


def test_udp_errors_say_what_was_done_where():
    with listen_udp("udp4", "127.0.0.1:0") as server:
        address = server.local_addr
        server.set_read_deadline(0)
        with pytest.raises(DeadlineExceeded, match=f"read udp4 {address}"):
            server.read()
        with dial("udp4", str(address)) as client:
            with pytest.raises(OpError, match="use write"):
                client.write_to(b"x", address)
            with pytest.raises(OpError) as caught:
                client.write(bytes(70_000))
            assert caught.value.errno == errno.EMSGSIZE
    assert server.closed
    with pytest.raises(ClosedError):
        server.read()
    with dial("udp4", str(address)) as client:
        client.write(b"nobody is there")
        client.set_deadline(100)
        with pytest.raises(ConnectionRefused, match="read udp4"):
            client.read()


def test_a_broadcast_is_sent_without_asking_for_leave():
    with listen("udp4", ":0") as server, dial("udp4", f"127.255.255.255:{server.local_addr.port}") as client:
        client.write(b"to all")
        server.set_deadline(100)
        assert server.read_from() == (b"to all", client.local_addr)


def test_closing_wakes_a_reader():
    server = listen("udp4", "127.0.0.1:0")
    caught = []

    def read():
        try:
            server.read()
        except ClosedError as error:
            caught.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    while not server._reader.turn.locked():
        pass
    server.close()
    reader.join(100)
    assert len(caught) == 1


@pytest.mark.parametrize("call", [dial, listen])
def test_what_belongs_to_connections_is_refused(call):
    for network, address in (("udp", "127.0.0.1:9"), ("ip4:253", "127.0.0.1")):
        with pytest.raises(ConfigError, match=f"config is for connections: {network} has none"):
            call(network, address, config=RSPConfig())
        with pytest.raises(ConfigError, match="tls is for connections"):
            call(network, address, tls=True)
    with pytest.raises(ConfigError, match="acl is for connections"):
        listen("udp", ":0", acl=ACL(deny=["10.0.0.0/8"]))


@pytest.mark.parametrize("call", [dial, listen])
@pytest.mark.parametrize(
    ("network", "address", "kind"),
    [
        ("upd", "127.0.0.1:1", UnknownNetworkError),
        ("ip4", "127.0.0.1", UnknownNetworkError),
        ("ip5:1", "127.0.0.1", UnknownNetworkError),
        ("ip4:nonesuch", "127.0.0.1", AddrError),
        ("ip4:256", "127.0.0.1", AddrError),
        ("ip6:253", "127.0.0.1", AddrError),
        ("udp6", "127.0.0.1:1", AddrError),
        ("udp4", "127.0.0.1", AddrError),
        ("udp4", "127.0.0.1:65536", AddrError),
    ],
)
def test_bad_names_are_refused_alike(call, network, address, kind):
    with pytest.raises(kind):
        call(network, address)

    async def later():
        with pytest.raises(kind):
            await getattr(aio, call.__name__)(network, address)

    asyncio.run(later())


def test_an_unknown_network_names_the_known_ones():
    with pytest.raises(UnknownNetworkError, match=r"tcp, .*udp6, ip:protocol, ip4:protocol, ip6:protocol"):
        dial("dccp", "127.0.0.1:1")


@pytest.mark.netns
@pytest.mark.parametrize(("network", "address"), [("ip4:253", "127.0.0.1"), ("ip6:253", "::1")])
def test_ip_between_two_connections(lab, network, address):
    host = lab.host("a")
    with host, listen(network, address) as server, dial(network, address) as client:
        assert isinstance(server, IPConn)
        assert isinstance(client, IPConn)
        assert str(client.remote_addr) == address
        server.set_deadline(100)
        client.write(b"hello")
        assert server.read() == b"hello"


async def talk(network, address):
    """A question and an answer on what ``network`` gives; the listener takes any address of its own."""
    async with await aio.listen(network, address) as server:
        assert isinstance(server, aio.PacketConn)
        target = str(server.local_addr)
        async with await aio.dial(network, target) as client:
            assert client.remote_addr == server.local_addr
            waiting = asyncio.create_task(server.read_from())
            await asyncio.sleep(0)
            assert await client.write(b"question") == 8
            async with asyncio.timeout(10):
                data, source = await waiting
            assert data == b"question"
            assert source.ip == client.local_addr.ip
            with pytest.raises(OpError, match=r"connect|dialled"):
                await client.write_to(b"x", server.local_addr)
            server.set_read_deadline(0)
            with pytest.raises(DeadlineExceeded):
                await server.read()
            server.set_read_deadline(None)
            cancelled = asyncio.create_task(server.read())
            await asyncio.sleep(0)
            cancelled.cancel()
            with pytest.raises(asyncio.CancelledError):
                await cancelled
            await client.write(b"after that")
            async with asyncio.timeout(10):
                assert await server.read(5) == b"after"
            waiting = asyncio.create_task(server.read())
            await asyncio.sleep(0)
            await server.close()
            with pytest.raises(ClosedError):
                await waiting
            with pytest.raises(ClosedError):
                await server.read()


@pytest.mark.parametrize("network", sorted(HOSTS))
def test_udp_under_asyncio(network):
    asyncio.run(talk(network, f"{HOSTS[network]}:0"))


@pytest.mark.netns
@pytest.mark.parametrize(("network", "address"), [("ip4:253", "127.0.0.1"), ("ip6:253", "::1")])
def test_ip_under_asyncio(lab, network, address):
    with lab.host("a"):
        asyncio.run(talk(network, address))


def test_names_are_looked_up_without_a_thread():
    async def main():
        before = threading.active_count()
        async with (
            await aio.listen("udp4", "localhost:0") as server,
            await aio.dial("udp4", f"localhost:{server.local_addr.port}") as client,
        ):
            assert str(client.remote_addr.ip) == "127.0.0.1"
        async with (
            await aio.listen("tcp4", "localhost:0") as listener,
            await aio.dial("tcp4", f"localhost:{listener.addr.port}") as conn,
        ):
            assert str(conn.remote_addr.ip) == "127.0.0.1"
        assert threading.active_count() == before

    asyncio.run(main())


def test_both_faces_are_the_same_two_functions():
    assert rawproto.dial is dial
    assert {"dial", "listen", "PacketConn"} <= set(aio.__all__)

"""open_connection and start_server over our transports, with asyncio's own readers and writers."""

import asyncio
import contextlib
import random

import pytest

import rawproto
from rawproto import aio


@pytest.fixture(params=["tcp4", "rsp+udp4"])
def network(request):
    return request.param


def run(main):
    async def bounded():
        async with asyncio.timeout(30):
            await main

    asyncio.run(bounded())


async def shout(reader, writer):
    while line := await reader.readline():
        writer.write(line.upper())
        await writer.drain()
    writer.close()
    await writer.wait_closed()


def test_lines_back_and_forth(network):
    async def main():
        async with await aio.start_server(shout, network, "127.0.0.1:0") as server:
            reader, writer = await aio.open_connection(network, server.addr)
            for word in (b"one\n", b"two\n"):
                writer.write(word)
                assert await reader.readline() == word.upper()
            assert writer.get_extra_info("peername") == server.addr
            writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            await writer.wait_closed()

    run(main())


def test_megabytes_with_drain(network):
    data = random.Random(5).randbytes(3_000_000)

    async def echo(reader, writer):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
        writer.close()

    async def main():
        async with await aio.start_server(echo, network, "127.0.0.1:0") as server:
            reader, writer = await aio.open_connection(network, server.addr)

            async def send():
                for start in range(0, len(data), 100_000):
                    writer.write(data[start : start + 100_000])
                    await writer.drain()
                writer.write_eof()

            sending = asyncio.create_task(send())
            assert await reader.read() == data
            await sending
            writer.close()
            await writer.wait_closed()

    run(main())


def test_drain_waits_for_a_reader_that_does_not_read(network):
    async def ignore(reader, writer):
        try:
            await asyncio.Event().wait()
        finally:
            writer.transport.abort()

    async def main():
        async with await aio.start_server(ignore, network, "127.0.0.1:0", limit=1000) as server:
            _, writer = await aio.open_connection(network, server.addr)

            async def flood():
                while True:
                    writer.write(bytes(1_000_000))
                    await writer.drain()

            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await flood()
            assert writer.transport.get_write_buffer_size() <= 2_000_000
            writer.transport.abort()

    run(main())


def test_a_reset_reaches_the_reader(network):
    async def slam(reader, writer):
        await reader.readexactly(1)
        writer.transport.abort()

    async def main():
        async with await aio.start_server(slam, network, "127.0.0.1:0") as server:
            reader, writer = await aio.open_connection(network, server.addr)
            writer.write(b"x")
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.close()
            with contextlib.suppress(ConnectionResetError):
                await writer.wait_closed()

    run(main())


def test_what_is_written_to_a_lost_connection_is_dropped_and_drain_tells(network):
    async def slam(reader, writer):
        writer.transport.abort()

    async def main():
        async with await aio.start_server(slam, network, "127.0.0.1:0") as server:
            reader, writer = await aio.open_connection(network, server.addr)
            with pytest.raises(ConnectionResetError):
                await reader.read()
            writer.write(b"for nobody")
            with pytest.raises(ConnectionResetError):
                await writer.drain()
            assert writer.transport.get_write_buffer_size() == 0

    run(main())


def test_nothing_is_written_behind_the_end(network):
    async def main():
        async with await aio.start_server(shout, network, "127.0.0.1:0") as server:
            _, writer = await aio.open_connection(network, server.addr)
            writer.write_eof()
            with pytest.raises(RuntimeError, match="write_eof"):
                writer.write(b"more")
            writer.transport.abort()

    run(main())


def test_water_marks_are_those_of_any_transport(network):
    async def main():
        async with await aio.start_server(shout, network, "127.0.0.1:0") as server:
            _, writer = await aio.open_connection(network, server.addr)
            transport = writer.transport
            assert transport.get_write_buffer_limits() == (16384, 65536)
            for given, expected in (({"low": 1000}, (1000, 4000)), ({"high": 1000}, (250, 1000))):
                transport.set_write_buffer_limits(**given)
                assert transport.get_write_buffer_limits() == expected
            with pytest.raises(ValueError, match="at least low"):
                transport.set_write_buffer_limits(high=1, low=2)
            transport.abort()

    run(main())


def test_tls(network, contexts):
    server_side, client_side = contexts

    async def main():
        async with await aio.start_server(shout, network, "127.0.0.1:0", tls=server_side) as server:
            reader, writer = await aio.open_connection(network, server.addr, tls=client_side)
            writer.write(b"secret\n")
            assert await reader.readline() == b"SECRET\n"
            assert writer.get_extra_info("ssl_object").version() == "TLSv1.3"
            writer.close()
            await writer.wait_closed()

    run(main())


def test_closing_the_server_leaves_its_connections_alone(network):
    async def main():
        server = await aio.start_server(shout, network, "127.0.0.1:0")
        reader, writer = await aio.open_connection(network, server.addr)
        writer.write(b"a\n")
        await reader.readline()
        server.close()
        await server.wait_closed()
        assert not server.is_serving()
        writer.write(b"b\n")
        assert await reader.readline() == b"B\n"
        writer.close()
        await writer.wait_closed()
        with pytest.raises(OSError):
            await aio.dial(network, server.addr, timeout=5)

    run(main())


def test_connections_and_listeners_are_async_context_managers(network):
    async def main():
        async with await aio.listen(network, "127.0.0.1:0") as listener:
            accepting = asyncio.create_task(listener.accept())
            async with await aio.dial(network, listener.addr) as client:
                async with await accepting as server:
                    await client.write(b"x")
                    assert await server.read_exactly(1) == b"x"
                with pytest.raises(rawproto.ClosedError):
                    await server.read()

    run(main())


def test_a_cancelled_read_has_taken_nothing(network):
    async def main():
        async with await aio.listen(network, "127.0.0.1:0") as listener:
            accepting = asyncio.create_task(listener.accept())
            async with await aio.dial(network, listener.addr) as client, await accepting as server:
                await client.write(b"ab")
                reading = asyncio.create_task(server.read_exactly(4))
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.1):
                        await asyncio.shield(reading)
                reading.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await reading
                await client.write(b"cd")
                assert await server.read_exactly(4) == b"abcd"

    run(main())

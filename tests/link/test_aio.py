"""Raw sockets under asyncio."""

import asyncio

import pytest

from rawproto.addr import IP, IPAddr
from rawproto.errors import ClosedError, ConnectionRefused
from rawproto.link import AsyncRawSocket, RawSocket

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("namespace")]

ONE, OTHER, ABSENT = (IPAddr(IP(f"127.0.0.{last}")) for last in (1, 2, 9))


def run(scenario):
    async def bounded():
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


def test_request_and_response():
    async def scenario():
        async with AsyncRawSocket(253, local=ONE) as one, AsyncRawSocket(253, local=OTHER) as other:

            async def answer():
                for _ in range(20):
                    got = await other.receive()
                    await other.send(got.payload.upper(), got.source)

            answering = asyncio.create_task(answer())
            for number in range(20):
                await one.send(b"request %d" % number, OTHER)
                assert (await one.receive()).payload == b"REQUEST %d" % number
            await answering

    run(scenario)


def test_cancelling_loses_nothing():
    async def scenario():
        async with AsyncRawSocket(253, local=ONE) as sock:
            for number in range(30):
                waiting = asyncio.create_task(sock.receive())
                await asyncio.sleep(0)
                sock.raw.send(b"%d" % number, ONE)
                # Sometimes the loop has seen the datagram before the cancelling, sometimes not.
                for _ in range(number % 3):
                    await asyncio.sleep(0)
                waiting.cancel()
                try:
                    got = await waiting
                except asyncio.CancelledError:
                    got = await sock.receive()
                assert got.payload == b"%d" % number

    run(scenario)


def test_closing_wakes_waiting_tasks():
    async def scenario():
        sock = AsyncRawSocket(RawSocket(253, local=ONE))
        waiting = asyncio.create_task(sock.receive())
        await asyncio.sleep(0)
        sock.close()
        sock.close()
        with pytest.raises(ClosedError):
            await waiting
        with pytest.raises(ClosedError):
            await sock.receive()
        with pytest.raises(ClosedError):
            await sock.send(b"x", ONE)

    run(scenario)


def test_a_refusal_ends_the_wait():
    async def scenario():
        async with AsyncRawSocket(253, local=ONE, remote=ABSENT) as sock:
            await sock.send(b"anybody there?")
            with pytest.raises(ConnectionRefused):
                await sock.receive()

    run(scenario)


def test_an_error_that_nobody_reads_does_not_spin(errors_of):
    """On a socket without a remote the error stays for errors(); the wait goes on."""

    async def scenario():
        async with AsyncRawSocket(253, local=ONE) as sock:
            await sock.send(b"anybody there?", ABSENT)
            waiting = asyncio.create_task(sock.receive())
            for _ in range(5):
                await asyncio.sleep(0)
            assert not waiting.done()
            await sock.send(b"to myself", ONE)
            assert (await waiting).payload == b"to myself"
            assert [error.datagram for error in errors_of(sock.raw, 1)] == [b"anybody there?"]

    run(scenario)

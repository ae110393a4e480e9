"""Thousands of connections in one process on one socket: what each costs, and that all are served alike."""

import asyncio
import contextlib
import gc
import threading
import tracemalloc
import weakref

import pytest

import rawproto
from benchmarks.net_work import jain
from rawproto import aio


@pytest.fixture
def open_many():
    """Dials so many connections over loopback; gives (dialed, accepted) and closes all at the end."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(rawproto.listen("rsp+udp4", "127.0.0.1:0", backlog=512))

        def dial(count):
            dialed, accepted = [], []
            for _ in range(count):
                dialed.append(stack.enter_context(rawproto.dial("rsp+udp4", listener.addr, timeout=60)))
                accepted.append(stack.enter_context(listener.accept()))
            return dialed, accepted

        yield dial


def test_an_idle_connection_costs_less_than_8_kib(open_many):
    """Both ends are counted, with the face, the streams and what the driver keeps for them."""
    open_many(20)  # what exists once exists now
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        dialed, _ = open_many(200)
        gc.collect()
        each = (tracemalloc.get_traced_memory()[0] - before) / (2 * len(dialed))
    finally:
        tracemalloc.stop()
    assert each <= 8 * 1024


def test_many_connections_share_one_socket_and_each_hears_its_own(open_many, descriptors):
    open_many(1)
    before = len(descriptors())
    dialed, accepted = open_many(300)
    assert len(descriptors()) < before + 10, "not one a connection"
    for index, conn in enumerate(dialed):
        conn.write(b"%d" % index)
    for index, conn in enumerate(accepted):
        conn.set_deadline(60)
        question = conn.read()
        assert question == b"%d" % index
        conn.write(question * 2)
    for index, conn in enumerate(dialed):
        conn.set_deadline(60)
        assert conn.read() == b"%d" % index * 2


def test_a_server_with_a_thousand_connections_stops_gracefully(wait_until):
    """What was written is delivered to everybody, everybody reads the end, and nothing is left running."""
    others = {thread for thread in threading.enumerate() if thread.name.startswith("rawproto")}
    with rawproto.listen("rsp+udp4", "127.0.0.1:0", backlog=512) as listener:
        dialed, accepted = [], []
        for _ in range(1000):
            dialed.append(rawproto.dial("rsp+udp4", listener.addr, timeout=60))
            accepted.append(listener.accept())
    for index, conn in enumerate(accepted):
        conn.write(b"%04d" % index * 500)
        conn.close()
    for index, conn in enumerate(dialed):
        conn.set_deadline(60)
        assert conn.read_exactly(2000) == b"%04d" % index * 500
        assert conn.read() == b""
        conn.close()
    wait_until(lambda: all(conn.stats().state == "closed" for conn in (*dialed, *accepted)), 60)
    running = {thread for thread in threading.enumerate() if thread.name.startswith("rawproto")}
    wait_until(lambda: not any(thread.is_alive() for thread in running - others))


def test_shares_are_fair_when_all_talk_at_once():
    """Messages echoed over 300 connections until 20 each have gone round on average: nobody waits for others."""
    assert asyncio.run(shares(connections=300, messages=6000)) >= 0.95


async def shares(connections, messages):
    done = [0] * connections

    async def echo(conn):
        with contextlib.suppress(ConnectionError):
            while data := await conn.read():
                await conn.write(data)

    async def talk(index, conn):
        while sum(done) < messages:
            await conn.write(b"x" * 64)
            await conn.read_exactly(64)
            done[index] += 1
        conn.abort()

    async with await aio.listen("rsp+udp4", "127.0.0.1:0", backlog=512) as listener:
        dialed = [await aio.dial("rsp+udp4", listener.addr, timeout=60) for _ in range(connections)]
        accepted = [await listener.accept() for _ in range(connections)]
        await asyncio.gather(*map(echo, accepted), *(talk(*pair) for pair in enumerate(dialed)))
    return jain(done)


def closed_pair(listener, data):
    """Moves ``data`` over a connection and closes it; gives weak references to what both ends were."""
    with rawproto.dial("rsp+udp4", listener.addr, timeout=100) as dialed, listener.accept() as accepted:
        for conn in (dialed, accepted):
            conn.set_deadline(100)
        dialed.write(data)
        assert accepted.read_exactly(len(data)) == data
        streams = [conn._below for conn in (dialed, accepted)]
        return [weakref.ref(stream._core) for stream in streams], [
            weakref.ref(stream._driver) for stream in streams
        ]


def test_what_was_closed_waits_for_no_garbage_collector(wait_until):
    """It comes when many objects, not many bytes, have gathered. What timers still hold is small."""
    gc.collect()
    gc.disable()
    try:
        with rawproto.listen("rsp+udp4", "127.0.0.1:0") as listener:
            cores, drivers = closed_pair(listener, bytes(300_000))
            wait_until(
                lambda: all(core() is None or not core()._core.receiver.stream.memory for core in cores)
            )
        # The timers go with the driver, and so do the buffers of its socket.
        del listener
        wait_until(lambda: not any(left() for left in (*cores, *drivers)))
    finally:
        gc.enable()

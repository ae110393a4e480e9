"""Threads and privileges: those of this package, and numpy's, give them up as well; those of the program cannot."""

import asyncio
import contextlib
import threading
from pathlib import Path

import numpy
import pytest

import rawproto
from rawproto import aio

pytestmark = pytest.mark.netns


def capabilities(pid="self"):
    """The effective and permitted sets of every thread of a process, all in one."""
    together = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # it has just ended
            for line in (thread / "status").read_text().splitlines():
                if line.startswith(("CapEff", "CapPrm")):
                    together |= int(line.split()[1], 16)
    return together


def served(parked):
    """Listen on raw IP, drop, and go on: accept, dial, echo."""
    numpy.dot(numpy.ones((300, 300)), numpy.ones((300, 300)))  # its library has threads of its own now
    with rawproto.listen("rsp4", ":0") as listener:
        if parked:
            # The background thread sleeps in another way while an application thread drives.
            listener.set_deadline(0.1)
            with pytest.raises(TimeoutError):
                listener.accept()
            listener.set_deadline(None)
        before = capabilities()
        rawproto.drop_privileges()
        after = capabilities()
        threads = len(list(Path("/proc/self/task").iterdir()))
        with rawproto.dial("rsp4", listener.addr, timeout=60) as conn, listener.accept() as accepted:
            conn.set_deadline(60)
            conn.write(b"still here")
            assert accepted.read() == b"still here"
    product = numpy.dot(numpy.full((300, 300), 2.0), numpy.ones((300, 300)))
    return before, after, threads, float(product[0, 0]), capabilities()


@pytest.mark.parametrize("parked", [False, True])
def test_a_program_opens_its_sockets_and_then_drops(lab, parked):
    before, after, threads, product, at_the_end = lab.host("a").call(served, parked, timeout=100)
    assert before
    assert after == 0
    assert threads > 1, "the driver has a thread of its own"
    assert product == 600.0
    assert at_the_end == 0


async def leave_undelivered(address):
    """More than the peer takes unread."""
    conn = await aio.dial("rsp4", address, timeout=60)
    await conn.write(bytes(2_000_000))


async def open_another(address):
    (await aio.dial("rsp4", address, timeout=60)).abort()


def finished_for_a_closed_loop():
    with rawproto.listen("rsp4", "127.0.0.1:0") as listener:
        asyncio.run(leave_undelivered(listener.addr))
        with listener.accept():
            asyncio.run(open_another(listener.addr))
            finishing = [each for each in threading.enumerate() if each.name == "rawproto finishing"]
            status = [Path(f"/proc/self/task/{each.native_id}/status").read_text() for each in finishing]
    return capabilities(), [
        line for text in status for line in text.splitlines() if line.startswith("CapPrm")
    ]


def test_a_thread_that_delivers_for_a_closed_loop_has_none(lab):
    whole, finishing = lab.host("a").call(finished_for_a_closed_loop, timeout=100)
    assert whole
    assert [int(line.split()[1], 16) for line in finishing] == [0]

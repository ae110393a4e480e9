"""What the processes of bench_net.py do: many connections at once, on any transport."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import time
from pathlib import Path
from typing import Any

import rawproto
from rawproto import aio

__all__ = ["echo_all", "greet", "hold", "keep_open", "shake_hands", "talk_at_once"]

PORT = 4000
BACKLOG = 4096
DIALS_AT_ONCE = 32


def resident() -> int:
    """Resident bytes of this process."""
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def hold(network: str, host: str, ready: str, count: int) -> float:
    """Accept ``count`` connections, leave them idle, and say how many resident bytes each costs."""
    with rawproto.listen(network, f"{host}:{PORT}", backlog=BACKLOG) as listener:
        Path(ready).touch()
        listener.set_deadline(120)
        held = [listener.accept()]
        before = resident()
        held += [listener.accept() for _ in range(count)]
        held[0].set_deadline(120)
        held[0].read(1)  # the dialer has them all, and they have been silent for a while
        each = (resident() - before) / count
        held[0].write(b".")
        held[0].read(1)
        return each


def keep_open(network: str, host: str, count: int, silence: float) -> float:
    """Dial ``count`` connections, one after the other, and say how many resident bytes each costs."""
    first = rawproto.dial(network, f"{host}:{PORT}", timeout=10)
    before = resident()
    held = [rawproto.dial(network, f"{host}:{PORT}", timeout=10) for _ in range(count)]
    time.sleep(silence)
    first.set_deadline(120)
    first.write(b".")
    first.read(1)
    each = (resident() - before) / count
    first.close()
    held.clear()
    return each


def greet(network: str, host: str, ready: str, count: int) -> None:
    """Accept ``count`` connections, and let each go when its dialer does."""
    held: list[Any] = []
    with rawproto.listen(network, f"{host}:{PORT}", backlog=BACKLOG) as listener:
        Path(ready).touch()
        listener.set_deadline(60)
        held += [listener.accept() for _ in range(count)]
        held[-1].set_deadline(60)
        held[-1].read(1)
        for conn in held:
            conn.abort()


def shake_hands(network: str, host: str, count: int) -> float:
    """Handshakes a second of one dialing process that has some under way at any time."""
    return asyncio.run(_shake_hands(network, host, count))


async def dial_all(network: str, host: str, count: int) -> list[Any]:
    """``count`` connections, some of them under way at any time."""
    left = iter(range(count))

    async def dial_on() -> list[Any]:
        return [await aio.dial(network, f"{host}:{PORT}", timeout=30) for _ in left]

    some = await asyncio.gather(*(dial_on() for _ in range(DIALS_AT_ONCE)))
    return [conn for held in some for conn in held]


async def _shake_hands(network: str, host: str, count: int) -> float:
    began = time.perf_counter()
    held = await dial_all(network, host, count)
    seconds = time.perf_counter() - began
    for conn in held:
        # The server waits for one of them and then lets all go.
        with contextlib.suppress(ConnectionError):
            await conn.write(b".")
    await asyncio.sleep(0.2)
    for conn in held:
        conn.abort()
    return count / seconds


def echo_all(network: str, host: str, ready: str, size: int) -> None:
    """Answer every message of ``size`` bytes on every connection, until the process is ended."""
    asyncio.run(_echo_all(network, host, ready, size))


async def _echo_all(network: str, host: str, ready: str, size: int) -> None:
    async def attend(conn: Any) -> None:
        try:
            while True:
                await conn.write(await conn.read_exactly(size))
        except (OSError, EOFError):
            conn.abort()

    tasks = set()
    async with await aio.listen(network, f"{host}:{PORT}", backlog=BACKLOG) as listener:
        Path(ready).touch()  # noqa: ASYNC240 - once, before anybody has come
        while True:
            task = asyncio.create_task(attend(await listener.accept()))
            tasks.add(task)
            task.add_done_callback(tasks.discard)


def talk_at_once(network: str, host: str, count: int, size: int, seconds: float) -> tuple[float, float]:
    """Messages echoed a second over ``count`` connections at once, and Jain's index of their shares."""
    return asyncio.run(_talk_at_once(network, host, count, size, seconds))


async def _talk_at_once(
    network: str, host: str, count: int, size: int, seconds: float
) -> tuple[float, float]:
    conns = await dial_all(network, host, count)
    done = [0] * count
    stop = time.perf_counter() + seconds

    async def talk(index: int, conn: Any) -> None:
        message = bytes(size)
        while time.perf_counter() < stop:
            await conn.write(message)
            await conn.read_exactly(size)
            done[index] += 1

    began = time.perf_counter()
    await asyncio.gather(*(talk(index, conn) for index, conn in enumerate(conns)))
    took = time.perf_counter() - began
    for conn in conns:
        conn.abort()
    await asyncio.sleep(0.1)
    return sum(done) / took, jain(done)


def jain(shares: list[int]) -> float:
    """Jain's fairness index: 1 when all have the same (R. Jain et al., DEC-TR-301, 1984)."""
    return sum(shares) ** 2 / (len(shares) * sum(share * share for share in shares) or 1)

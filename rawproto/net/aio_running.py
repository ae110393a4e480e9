"""run for asyncio: any protocol on any link, until something says it is enough."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError
from rawproto.net.poller import POLLIN
from rawproto.net.rounds import LOOK, Rounds

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import Link
    from rawproto.protocol import Protocol

__all__ = ["run"]

RETRY = 1_000_000
"""Nanoseconds after which a full send queue, rare and short, is tried again rather than watched for."""


async def run(
    protocol: Protocol,
    link: Link,
    *,
    on_event: Callable[[Any], object] | None = None,
    until: Callable[[], object] | None = None,
    timeout: float | None = None,  # noqa: ASYNC109 - the same words as the blocking run
) -> Any | None:
    """Drive ``protocol`` on ``link`` in the running loop; arguments and result as of :func:`rawproto.run`."""
    rounds = Rounds(protocol, link, on_event, until, timeout)
    loop = asyncio.get_running_loop()
    ready = asyncio.Event()
    fd = link.fileno()
    loop.add_reader(fd, ready.set)
    events = 0
    try:
        while rounds.go_on(events):
            events = await _readable(ready, rounds.pause(RETRY if rounds.blocked else LOOK))
    except ClosedError:
        pass
    finally:
        loop.remove_reader(fd)
    return rounds.result


async def _readable(ready: asyncio.Event, nanoseconds: int) -> int:
    # The loop sets it again in every turn in which there is something to read.
    ready.clear()
    try:
        async with asyncio.timeout(nanoseconds / 1e9):
            await ready.wait()
    except TimeoutError:
        return 0
    return POLLIN

"""dial and listen over RSP in an event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rawproto.net.aio_conn import AsyncConn
from rawproto.net.aio_listener import AsyncListener
from rawproto.net.failures import deadline_exceeded
from rawproto.net.loop_driver import AsyncDriverSide, LoopDriver
from rawproto.net.registry import Registry
from rawproto.net.rsp_opening import connecting, listening
from rawproto.net.rsp_stream import RSPStream
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.plans import DialPlan, ListenPlan
    from rawproto.net.stream import Stream

__all__ = ["REGISTRY", "dial_rsp", "listen_rsp"]

REGISTRY: Registry[LoopDriver] = Registry(LoopDriver)


async def dial_rsp(plan: DialPlan, remote: PortAddr, timeout: float | None) -> AsyncConn:  # noqa: ASYNC109
    """Connect to ``remote``; ``timeout`` None leaves it to the configuration's handshake timeout."""
    _, stream = connecting(REGISTRY, plan, remote, asyncio.get_running_loop())
    side = AsyncDriverSide(stream.connected)
    stream.notify = side.look
    side.deadline = deadline_after(timeout)
    try:
        while not stream.try_connect():
            if side.expired:
                raise deadline_exceeded("dial", stream.network, stream.local_addr, stream.remote_addr)
            await side.wait()
    except BaseException:
        stream.abort()
        raise
    return rsp_conn(stream)


def rsp_conn(stream: Stream) -> AsyncConn:
    """The asyncio face of ``stream``."""
    assert isinstance(stream, RSPStream)
    reader = AsyncDriverSide(stream.can_read)
    writer = AsyncDriverSide(stream.can_write)
    delivery = AsyncDriverSide(stream.delivered)

    def look() -> None:
        reader.look()
        writer.look()
        delivery.look()

    stream.notify = look
    return AsyncConn(stream, reader, writer, delivery)


def listen_rsp(plan: ListenPlan) -> AsyncListener:
    """Listen as planned."""
    _, acceptor = listening(REGISTRY, plan, asyncio.get_running_loop())
    side = AsyncDriverSide(acceptor.can_accept)
    acceptor.notify = side.look
    return AsyncListener(acceptor, side, rsp_conn)

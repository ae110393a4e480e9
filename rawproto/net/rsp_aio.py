"""dial and listen over RSP in an event loop."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any

from rawproto.net.aio_conn import AsyncConn
from rawproto.net.aio_listener import AsyncListener
from rawproto.net.carriers import Registry, checked_config, dial_source, link_address, local_address
from rawproto.net.failures import deadline_exceeded
from rawproto.net.loop_driver import AsyncDriverSide, LoopDriver
from rawproto.net.networks import version_of
from rawproto.net.rsp_blocking import open_acceptor
from rawproto.net.rsp_stream import RSPStream
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.networks import Network
    from rawproto.net.stream import Stream

__all__ = ["REGISTRY", "dial_rsp", "listen_rsp"]

REGISTRY: Registry[LoopDriver] = Registry(LoopDriver)


async def dial_rsp(
    network: Network,
    source: PortAddr | None,
    remote: PortAddr,
    timeout: float | None,  # noqa: ASYNC109
    config: Any,
) -> AsyncConn:
    """Connect to ``remote``; ``timeout`` None leaves it to the configuration's handshake timeout."""
    settings = checked_config(config)
    owner = asyncio.get_running_loop()
    source = dial_source(network, source, remote, settings)
    driver = REGISTRY.claim(network, version_of(remote.ip), source, settings, listening=False, owner=owner)
    try:
        with driver.lock:
            now = time.monotonic_ns()
            core = driver.endpoint.connect(
                link_address(network, remote),
                remote.port,
                local_port=source.port if source is not None else 0,
                now=now,
            )
            stream = RSPStream(driver, core, network.name, local_address(driver.link, remote, core.local))
            side = AsyncDriverSide(stream.connected)
            stream.notify = side.look
            driver.commanded(now)
    finally:
        REGISTRY.unclaim(driver)
    side.deadline = deadline_after(timeout)
    try:
        while not stream.try_connect():
            if side.expired:
                raise deadline_exceeded("dial", network.name, stream.local_addr, stream.remote_addr)
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


def listen_rsp(
    network: Network, local: PortAddr, backlog: int, permits: Callable[[Any], bool] | None, config: Any
) -> AsyncListener:
    """Listen on ``local``."""
    settings = checked_config(config)
    version = network.version or (4 if local.ip is None else version_of(local.ip))
    owner = asyncio.get_running_loop()
    driver = REGISTRY.claim(network, version, local, settings, listening=True, owner=owner)
    try:
        with driver.lock:
            acceptor = open_acceptor(driver, network, local, backlog, permits)
            side = AsyncDriverSide(acceptor.can_accept)
            acceptor.notify = side.look
    finally:
        REGISTRY.unclaim(driver)
    return AsyncListener(acceptor, side, rsp_conn)

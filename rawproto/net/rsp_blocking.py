"""dial and listen over RSP with the threaded driver."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from rawproto.addr.endpoints import RSPAddr
from rawproto.errors import OpError
from rawproto.net.carriers import Registry, checked_config, dial_source, link_address, local_address
from rawproto.net.conn import Conn
from rawproto.net.failures import deadline_exceeded
from rawproto.net.listener import Listener
from rawproto.net.networks import version_of
from rawproto.net.rsp_stream import RSPAcceptor, RSPStream
from rawproto.net.side import deadline_after
from rawproto.net.thread_driver import DriverSide, ThreadDriver

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.driver import Driver
    from rawproto.net.networks import Network
    from rawproto.net.stream import Stream
    from rawproto.rsp.listener import Listener as CoreListener

__all__ = ["REGISTRY", "dial_rsp", "listen_rsp"]

REGISTRY: Registry[ThreadDriver] = Registry(ThreadDriver)


def dial_rsp(
    network: Network, source: PortAddr | None, remote: PortAddr, timeout: float | None, config: Any
) -> Conn:
    """Connect to ``remote``; ``timeout`` None leaves it to the configuration's handshake timeout."""
    settings = checked_config(config)
    version = version_of(remote.ip)
    source = dial_source(network, source, remote, settings)
    driver = REGISTRY.claim(network, version, source, settings, listening=False, owner=None)
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
            side = DriverSide(driver, stream.connected)
            stream.notify = lambda: driver.tell(side)
            driver.commanded(now)
    finally:
        REGISTRY.unclaim(driver)
    side.deadline = deadline_after(timeout)
    try:
        while not stream.try_connect():
            if side.expired:
                raise deadline_exceeded("dial", network.name, stream.local_addr, stream.remote_addr)
            side.wait()
    except BaseException:
        stream.abort()
        raise
    return rsp_conn(stream, driver)


def rsp_conn(stream: RSPStream, driver: ThreadDriver) -> Conn:
    """The blocking face of ``stream``."""
    reader = DriverSide(driver, stream.can_read)
    writer = DriverSide(driver, stream.can_write)
    with driver.lock:
        stream.notify = lambda: driver.tell(reader, writer)
    return Conn(stream, reader, writer)


def listen_rsp(
    network: Network, local: PortAddr, backlog: int, permits: Callable[[Any], bool] | None, config: Any
) -> Listener:
    """Listen on ``local``."""
    settings = checked_config(config)
    version = network.version or (4 if local.ip is None else version_of(local.ip))
    driver = REGISTRY.claim(network, version, local, settings, listening=True, owner=None)
    try:
        with driver.lock:
            acceptor = open_acceptor(driver, network, local, backlog, permits)
            side = DriverSide(driver, acceptor.can_accept)
            acceptor.notify = lambda: driver.tell(side)
    finally:
        REGISTRY.unclaim(driver)

    def wrap(stream: Stream) -> Conn:
        assert isinstance(stream, RSPStream)
        return rsp_conn(stream, driver)

    return Listener(acceptor, side, wrap)


def open_acceptor(
    driver: Driver, network: Network, local: PortAddr, backlog: int, permits: Callable[[Any], bool] | None
) -> RSPAcceptor:
    """Listen on the driver's endpoint; called with its lock held. Inside UDP the port is that of the socket."""
    port = driver.link.local_addr.port if network.transport == "rsp+udp" else local.port
    core = _listen_core(driver, port, backlog, permits)
    addr = RSPAddr(local.ip, core.port, local.zone)
    return RSPAcceptor(
        driver, core, network.name, addr, lambda conn: local_address(driver.link, conn.remote[0], core.port)
    )


def _listen_core(
    driver: Driver, port: int, backlog: int, permits: Callable[[Any], bool] | None
) -> CoreListener:
    """Listen on a port that no other endpoint of the host has; port 0 tries others until one is free."""
    now = time.monotonic_ns()
    while True:
        core = driver.endpoint.listen(port, backlog=backlog, admit=permits, now=now)
        if driver.neighbours is None:
            return core
        try:
            driver.neighbours.claim(core.port)
        except OpError:
            core.close(now)
            if port:
                raise
        else:
            return core

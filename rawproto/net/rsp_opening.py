"""Dial and listen over RSP up to the waiting: an endpoint that runs, and its core told what to do."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, Any

from rawproto.addr.endpoints import RSPAddr
from rawproto.errors import OpError
from rawproto.net.candidates import version_of
from rawproto.net.carriers import dial_source, link_address, local_address
from rawproto.net.rsp_stream import RSPAcceptor, RSPStream
from rawproto.rsp.config import RSPConfig

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.driver import Driver
    from rawproto.net.plans import DialPlan, ListenPlan
    from rawproto.net.registry import D, Registry
    from rawproto.rsp.listener import Listener as CoreListener

__all__ = ["connecting", "listening"]


def connecting(
    registry: Registry[D], plan: DialPlan, remote: PortAddr, owner: Any = None
) -> tuple[D, RSPStream]:
    """A stream whose handshake with ``remote`` has begun, and its driver; ``owner`` as of :meth:`Registry.claim`."""
    network, settings = plan.network, plan.config or RSPConfig()
    source = dial_source(network, plan.source, remote, settings)
    version = version_of(remote.ip)
    driver = registry.claim(network, version, source, settings, listening=False, owner=owner)
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
            driver.commanded(now)
    finally:
        registry.unclaim(driver)
    return driver, stream


def listening(registry: Registry[D], plan: ListenPlan, owner: Any = None) -> tuple[D, RSPAcceptor]:
    """An acceptor that takes connections in, and its driver."""
    network, local, settings = plan.network, plan.local, plan.config or RSPConfig()
    version = network.version or (4 if local.ip is None else version_of(local.ip))
    driver = registry.claim(network, version, local, settings, listening=True, owner=owner)
    try:
        with driver.lock:
            # Inside UDP the port is that of the socket.
            port = driver.link.local_addr.port if network.transport == "rsp+udp" else local.port
            core = _listen(driver, port, plan.backlog, plan.permits)
            addr = RSPAddr(local.ip, core.port, local.zone)
            acceptor = RSPAcceptor(
                driver,
                core,
                network.name,
                addr,
                lambda conn: local_address(driver.link, conn.remote[0], core.port),
            )
    finally:
        registry.unclaim(driver)
    return driver, acceptor


def _listen(driver: Driver, port: int, backlog: int, permits: Callable[[Any], bool] | None) -> CoreListener:
    """Listen on a port that no other endpoint of the host has; port 0 tries others until one is free."""
    now = time.monotonic_ns()
    while True:
        core = driver.endpoint.listen(port, backlog=backlog, admit=permits, now=now)
        if driver.neighbours is None:
            return core
        try:
            driver.neighbours.claim(core.port)
        except OpError as error:
            core.close(now)
            if port or error.errno != errno.EADDRINUSE:
                raise
        else:
            return core

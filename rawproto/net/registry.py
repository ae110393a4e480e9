"""Endpoints that run, shared: which dial and which listener go through which socket.

Dials with the same family, local address and configuration share one endpoint and so one socket; a listener on raw
IP shares it as well, since every raw socket of a protocol gets a copy of every packet. Inside UDP a listener has the
socket of its own port.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rawproto.net import lifecycle
from rawproto.net.carriers import open_link, overhead
from rawproto.net.driver import Driver
from rawproto.net.neighbours import Neighbours

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.addr.endpoints import PortAddr
    from rawproto.link.base import Link
    from rawproto.net.networks import Network
    from rawproto.rsp.config import RSPConfig
    from rawproto.rsp.endpoint import Endpoint

__all__ = ["D", "Registry"]

D = TypeVar("D", bound=Driver)


class Registry(Generic[D]):
    """The drivers that are running, by what they carry.

    Args:
        make: starts a driver for an endpoint on a link, with what it knows of other endpoints; it is claimed from the
            beginning, and calls the fourth argument when it stops.
    """

    def __init__(self, make: Callable[[Endpoint, Link, Neighbours | None, Callable[[D], None]], D]) -> None:
        self._make = make
        self._watched = False
        self._lock = threading.Lock()
        self._shared: dict[Any, D] = {}
        self._all: set[D] = set()

    def claim(
        self,
        network: Network,
        version: int,
        local: PortAddr | None,
        config: RSPConfig,
        *,
        listening: bool,
        owner: Any,
    ) -> D:
        """A driver to dial from or listen on, with a claim on it: give it work, then :meth:`unclaim` it.

        Args:
            network: "rsp" or "rsp+udp" of any version.
            version: 4 or 6.
            local: the local endpoint, or None.
            config: the configuration; equal ones share.
            listening: whether it is for a listener.
            owner: what else must be the same to share: the event loop, for asyncio.
        """
        key = None
        if not (listening and network.transport == "rsp+udp"):
            ip, zone = (local.ip, local.zone) if local is not None else (None, "")
            port = local.port if local is not None and network.transport == "rsp+udp" else 0
            key = (network.transport, version, ip, zone, port, config, owner, _namespace())
        while True:
            with self._lock:
                driver = self._shared.get(key) if key is not None else None
                is_new = driver is None
                if driver is None:
                    if not self._watched:
                        self._watched = True
                        lifecycle.watch(self)
                    driver = self._open(network, version, local, config)
                    if key is not None:
                        self._shared[key] = driver
            with driver.lock:
                if not driver.stopped:
                    driver.claims += not is_new
                    return driver
            self._drop(driver)

    def unclaim(self, driver: D) -> None:
        """The claim's work has been given to ``driver``, or failed; called without its lock."""
        with driver.lock:
            driver.claims -= 1
            driver.settle()

    def _open(self, network: Network, version: int, local: PortAddr | None, config: RSPConfig) -> D:
        from rawproto.rsp.endpoint import Endpoint

        lifecycle.finish_orphans(self)
        link = open_link(network, version, local, config)
        neighbours = None
        try:
            neighbours = Neighbours(config.protocol, version) if network.transport == "rsp" else None
            endpoint = Endpoint(
                config,
                entropy=os.urandom,
                max_datagram=link.max_datagram_size,
                overhead=overhead(network, version),
                carrier_checks=network.transport == "rsp+udp",
                batch_size=link.batch_size,
                together=True,
                neighbours=neighbours,
                now=time.monotonic_ns(),
            )
            driver = self._make(endpoint, link, neighbours, self._drop)
        except BaseException:
            link.close()
            if neighbours is not None:
                neighbours.close()
            raise
        self._all.add(driver)
        return driver

    def _drop(self, driver: D) -> None:
        """``driver`` has stopped. May be called with its lock held, so it must not take the registry's."""
        self._all.discard(driver)
        for key, held in list(self._shared.items()):
            if held is driver:
                self._shared.pop(key, None)

    def __iter__(self) -> Iterator[D]:
        return iter(list(self._all))

    def forget(self) -> list[D]:
        """All drivers, which are no longer known here; for the child of a fork."""
        drivers = list(self._all)
        self._lock = threading.Lock()
        self._shared.clear()
        self._all.clear()
        return drivers


def _namespace() -> int:
    """The network namespace of this thread: sockets opened in different ones are not to be shared."""
    try:
        return os.stat("/proc/thread-self/ns/net").st_ino  # noqa: PTH116 - a Path would double the cost of a dial
    except OSError:
        return 0

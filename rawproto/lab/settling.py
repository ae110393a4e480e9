"""Waiting until the kernel has done in the background what an interface needs before packets pass.

Netlink answers when a change is written down, not when it is in force. Two things follow in workqueues: an interface
that gets its carrier is given its transmit queue (and as a port of a bridge begins to forward), and an IPv6 address
gets its local route, even without duplicate address detection. What is sent before is lost without a word.
"""

from __future__ import annotations

import select
import socket
import time
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self

    from rawproto.lab.wiring import Port

__all__ = ["PATIENCE", "settle"]

PATIENCE = 10.0
"""Seconds; the kernel needs milliseconds, also on a busy machine."""

# include/uapi/linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV6_ROUTE
_NEWS_OF_LINKS_AND_ROUTES = 0x1 | 0x400
# include/uapi/linux/if_bridge.h
_BR_STATE_FORWARDING = 3


class _News:
    """Wakes whenever an interface or an IPv6 route of this network namespace changes."""

    def __init__(self) -> None:
        kind = socket.SOCK_RAW | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK
        self._socket = socket.socket(socket.AF_NETLINK, kind, socket.NETLINK_ROUTE)
        self._socket.bind((0, _NEWS_OF_LINKS_AND_ROUTES))

    def wait(self, timeout: float) -> None:
        """Wait for something to change, at most ``timeout`` seconds, and forget what it was."""
        if not select.select([self._socket], [], [], timeout)[0]:
            return
        try:
            while self._socket.recv(1 << 16):
                pass
        except OSError:
            return  # read empty, or more came than there was room for: there is news in any case

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def settle(port: Port) -> None:
    """Wait until an interface whose both ends are up sends, forwards, and takes packets to all its addresses.

    Raises:
        LabError: it does not within :data:`PATIENCE`; the message says what is missing.
    """
    port.namespace.run(lambda: _wait(lambda: _missing(port), port.name))


def _wait(missing: Callable[[], str | None], name: str) -> None:
    """Wait until nothing is missing; the question is put again whenever something has changed."""
    # News is listened to before the first question, so that nothing happens unheard in between.
    with _News() as news:
        end = time.monotonic() + PATIENCE
        while (what := missing()) is not None:
            left = end - time.monotonic()
            if left <= 0:
                raise LabError(f"{name} is not usable after {PATIENCE:.0f} s: {what}")
            news.wait(left)


def _missing(port: Port) -> str | None:
    from pyroute2 import IPRoute

    from rawproto.link.rtnetlink import RoutingSocket

    with IPRoute() as ip:
        links = list(ip.get_links(ifname=port.name))
    if not links:
        return "there is no such interface"
    # The kernel answers under the lock under which it gives the interface its carrier and its queue.
    if links[0].get_attr("IFLA_OPERSTATE") != "UP":
        return "no carrier"
    if not _forwards(links[0]):
        return "the bridge does not forward to it"
    routing = RoutingSocket()
    try:
        for address in port.addresses:
            way = routing.route(address.ip.packed)
            if way is None or way.is_unicast:
                return f"no local route to {address.ip}"
    finally:
        routing.close()
    return None


def _forwards(link: Any) -> bool:
    """Whether an interface that is a port of a bridge passes packets on; true of one that is none."""
    about = link.get_attr("IFLA_LINKINFO")
    if about is None or about.get_attr("IFLA_INFO_SLAVE_KIND") != "bridge":
        return True
    state = about.get_attr("IFLA_INFO_SLAVE_DATA").get_attr("IFLA_BRPORT_STATE")
    return bool(state == _BR_STATE_FORWARDING)

"""Connections: dial and listen over TCP and RSP, blocking and asyncio, with and without TLS."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.net.conn import Conn as Conn
    from rawproto.net.dialing import dial as dial
    from rawproto.net.dialing import dial_tcp as dial_tcp
    from rawproto.net.dialing import listen as listen
    from rawproto.net.dialing import listen_tcp as listen_tcp
    from rawproto.net.listener import Listener as Listener
    from rawproto.net.packets import dial_udp as dial_udp
    from rawproto.net.packets import listen_udp as listen_udp
    from rawproto.net.pool import ConnectionPool as ConnectionPool
    from rawproto.net.running import run as run
    from rawproto.net.stats import ConnStats as ConnStats
    from rawproto.net.udp import UDPConn as UDPConn

_MODULE_OF = {
    "Conn": "rawproto.net.conn",
    "ConnStats": "rawproto.net.stats",
    "ConnectionPool": "rawproto.net.pool",
    "Listener": "rawproto.net.listener",
    "UDPConn": "rawproto.net.udp",
    "dial": "rawproto.net.dialing",
    "dial_tcp": "rawproto.net.dialing",
    "dial_udp": "rawproto.net.packets",
    "listen": "rawproto.net.dialing",
    "listen_tcp": "rawproto.net.dialing",
    "listen_udp": "rawproto.net.packets",
    "run": "rawproto.net.running",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value

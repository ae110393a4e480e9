"""Batches in and out of the kernel: raw IP, UDP, packet and in-memory links, raw sockets, filters, privileges."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.link.aio import AsyncRawSocket as AsyncRawSocket
    from rawproto.link.base import Link as Link
    from rawproto.link.base import LinkStats as LinkStats
    from rawproto.link.broker import Allow as Allow
    from rawproto.link.broker import Broker as Broker
    from rawproto.link.broker import ask_broker as ask_broker
    from rawproto.link.causes import DatagramError as DatagramError
    from rawproto.link.ipconn import IPConn as IPConn
    from rawproto.link.ipconn import dial_ip as dial_ip
    from rawproto.link.ipconn import listen_ip as listen_ip
    from rawproto.link.memory import MemoryLink as MemoryLink
    from rawproto.link.memory import MemoryNetwork as MemoryNetwork
    from rawproto.link.packet import PacketLink as PacketLink
    from rawproto.link.privilege import drop_privileges as drop_privileges
    from rawproto.link.privilege import has_capability as has_capability
    from rawproto.link.raw import RawLink as RawLink
    from rawproto.link.rawsocket import RawSocket as RawSocket
    from rawproto.link.received import ChecksumState as ChecksumState
    from rawproto.link.received import Received as Received
    from rawproto.link.udp import UDPLink as UDPLink

_EXPORTS: dict[str, tuple[str, ...]] = {
    "rawproto.link.aio": ("AsyncRawSocket",),
    "rawproto.link.base": ("Link", "LinkStats"),
    "rawproto.link.memory": ("MemoryLink", "MemoryNetwork"),
    "rawproto.link.raw": ("RawLink",),
    "rawproto.link.udp": ("UDPLink",),
    "rawproto.link.causes": ("DatagramError",),
    "rawproto.link.ipconn": (
        "IPConn",
        "dial_ip",
        "listen_ip",
    ),
    "rawproto.link.rawsocket": ("RawSocket",),
    "rawproto.link.received": (
        "ChecksumState",
        "Received",
    ),
    "rawproto.link.broker": (
        "Allow",
        "Broker",
        "ask_broker",
    ),
    "rawproto.link.packet": ("PacketLink",),
    "rawproto.link.privilege": (
        "drop_privileges",
        "has_capability",
    ),
}

_MODULE_OF = {name: module for module, names in _EXPORTS.items() for name in names}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rawproto.link' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})

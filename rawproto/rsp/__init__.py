"""RSP, the Reliable Stream Protocol, on IP itself: handshake, retransmission, flow and congestion control.

Sans-IO: an :class:`Endpoint` is a :class:`~rawproto.protocol.Protocol`; the drivers in :mod:`rawproto.net` run it on
a link, the simulator of :mod:`rawproto.lab` in virtual time. docs/rsp.md specifies the protocol.

The way of a byte: ``Connection.write`` -> ``send_stream`` -> ``sender`` cuts packets -> ``outbound`` -> ``endpoint``
-> link; and back: link -> ``endpoint`` finds the connection -> ``inbound`` -> ``receiver`` -> ``receive_stream`` ->
``Connection.read``.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.rsp.config import RSPConfig as RSPConfig
    from rawproto.rsp.connection import Connection as Connection
    from rawproto.rsp.endpoint import Endpoint as Endpoint
    from rawproto.rsp.listener import Listener as Listener
    from rawproto.rsp.reasons import Reason as Reason
    from rawproto.rsp.state import State as State
    from rawproto.rsp.stats import ConnectionStats as ConnectionStats
    from rawproto.rsp.stats import EndpointStats as EndpointStats
    from rawproto.rsp.trace import Trace as Trace

_MODULE_OF = {
    "Connection": "connection",
    "ConnectionStats": "stats",
    "Endpoint": "endpoint",
    "EndpointStats": "stats",
    "Listener": "listener",
    "RSPConfig": "config",
    "Reason": "reasons",
    "State": "state",
    "Trace": "trace",
}

__all__ = [
    "Connection",
    "ConnectionStats",
    "Endpoint",
    "EndpointStats",
    "Listener",
    "RSPConfig",
    "Reason",
    "State",
    "Trace",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rawproto.rsp' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"rawproto.rsp.{module}"), name)
    globals()[name] = value
    return value

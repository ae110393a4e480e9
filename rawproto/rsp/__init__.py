"""RSP, the Reliable Stream Protocol, on IP itself: handshake, retransmission, flow and congestion control.

Sans-IO: an :class:`Endpoint` is a :class:`~rawproto.protocol.Protocol`; the drivers in :mod:`rawproto.net` run it on
a link, the simulator of :mod:`rawproto.lab` in virtual time. docs/rsp.md specifies the protocol.

The way of a byte: ``Connection.write`` -> ``send_stream`` -> ``sender`` cuts packets -> ``outbound`` -> ``endpoint``
-> link; and back: link -> ``endpoint`` finds the connection -> ``inbound`` -> ``receiver`` -> ``receive_stream`` ->
``Connection.read``.
"""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".config": "RSPConfig",
    ".connection": "Connection",
    ".endpoint": "Endpoint",
    ".listener": "Listener",
    ".reasons": "Reason",
    ".state": "State",
    ".stats": "ConnectionStats EndpointStats",
    ".trace": "Trace",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)

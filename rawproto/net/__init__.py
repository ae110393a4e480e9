"""Connections: dial and listen over TCP and RSP, blocking and asyncio, with and without TLS."""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".conn": "Conn",
    ".dialing": "dial dial_tcp dial_udp listen listen_tcp listen_udp",
    ".listener": "Listener",
    ".pool": "ConnectionPool",
    ".running": "run",
    ".stats": "ConnStats",
    ".udp": "UDPConn",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)

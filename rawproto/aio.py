"""The asyncio face of rawproto: ``dial`` and ``listen`` with coroutine methods."""

from __future__ import annotations

from rawproto.net.aio_conn import AsyncConn as Conn
from rawproto.net.aio_conn import AsyncListener as Listener
from rawproto.net.aio_dialing import dial, listen

__all__ = ["Conn", "Listener", "dial", "listen"]

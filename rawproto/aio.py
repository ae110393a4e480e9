"""The asyncio face of rawproto: the names of the blocking one, with coroutine methods."""

from __future__ import annotations

from rawproto.net.aio_conn import AsyncConn as Conn
from rawproto.net.aio_dialing import dial, listen
from rawproto.net.aio_listener import AsyncListener as Listener
from rawproto.net.aio_packets import AsyncPacketConn as PacketConn
from rawproto.net.aio_running import run
from rawproto.net.aio_streams import open_connection, start_server

__all__ = ["Conn", "Listener", "PacketConn", "dial", "listen", "open_connection", "run", "start_server"]

"""Batches in and out of the kernel: raw IP, UDP, packet and in-memory links, raw sockets, filters, privileges."""

from __future__ import annotations

from rawproto._face import face

_HOMES = {
    ".aio": "AsyncRawSocket",
    ".base": "Link LinkStats",
    ".broker": "Allow Broker ask_broker",
    ".causes": "DatagramError",
    ".ipconn": "IPConn dial_ip listen_ip",
    ".memory": "MemoryLink MemoryNetwork",
    ".packet": "PacketLink",
    ".privilege": "drop_privileges has_capability",
    ".raw": "RawLink",
    ".rawsocket": "RawSocket",
    ".received": "ChecksumState Received",
    ".udp": "UDPLink",
}

__all__, __getattr__, __dir__ = face(__name__, _HOMES)

"""One raw IP socket for those who wait themselves, as :mod:`rawproto.net.udp_socket` is for UDP."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

    from rawproto.link.ipconn import IPConn

__all__ = ["IPSocket"]


class IPSocket:
    """An :class:`IPConn` whose calls raise BlockingIOError instead of waiting."""

    def __init__(self, conn: IPConn) -> None:
        self._conn = conn
        self.network = conn.network
        self.local_addr = conn.local_addr
        self.remote_addr = conn.remote_addr
        self.fileno = conn.fileno
        self.close = conn.close

    def receive(self, n: int) -> tuple[bytes, Any]:
        """The payload of the next datagram, cut to ``n`` bytes unless negative, and its source."""
        arrived = self._conn.raw.receive_nowait()
        if arrived is None:
            raise BlockingIOError
        return arrived.payload if n < 0 else arrived.payload[:n], arrived.source

    def send(self, data: Buffer) -> int:
        """Send to the dialled peer."""
        return self._send(data, None)

    def send_to(self, data: Buffer, address: Any) -> int:
        """Send to ``address``; OpError (EISCONN) where a peer was dialled."""
        self._conn.check_write_to(address)
        return self._send(data, address)

    def _send(self, data: Buffer, to: Any) -> int:
        payload = bytes(data)
        if not self._conn.raw.try_send(payload, to):
            raise BlockingIOError
        return len(payload)

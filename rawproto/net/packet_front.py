"""What UDPConn and AsyncPacketConn have in common: one try at a socket whose every datagram stands for itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from rawproto.net.front import Front, S
from rawproto.net.packet_socket import PacketSocket

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["PacketFront"]

T = TypeVar("T")


class PacketFront(Front[PacketSocket, S]):
    """Base of UDPConn and AsyncPacketConn."""

    def fileno(self) -> int:
        """The socket's descriptor, -1 when closed."""
        return self._below.fileno()

    def _try(self, side: S, op: str, attempt: Callable[[], T]) -> T | None:
        """The result of ``attempt``, None where it would block."""
        if self._closed:
            raise self._closed_error(op)
        if side.expired:
            raise self._late(op)
        try:
            return attempt()
        except BlockingIOError:
            return None

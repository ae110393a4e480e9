"""What a socket gives whose every datagram stands for itself: UDP, and IP with a protocol number of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]

__all__ = ["PacketSocket"]


class PacketSocket(Protocol):
    """A socket for those who wait themselves: calls raise BlockingIOError instead of waiting."""

    @property
    def network(self) -> str:
        """The network's name, as given."""

    @property
    def local_addr(self) -> Any:
        """Own endpoint."""

    @property
    def remote_addr(self) -> Any:
        """The peer that was dialled, or None."""

    def receive(self, n: int) -> tuple[bytes, Any]:
        """The next datagram, cut to ``n`` bytes (n < 0: all of it), and where it came from."""

    def send(self, data: Buffer) -> int:
        """Send to the dialled peer."""

    def send_to(self, data: Buffer, address: Any) -> int:
        """Send to ``address``; OpError (EISCONN) where a peer was dialled."""

    def fileno(self) -> int:
        """The descriptor, -1 when closed."""

    def close(self) -> None:
        """Close the descriptor."""

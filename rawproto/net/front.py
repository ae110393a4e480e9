"""What every face of a connection has, blocking or asyncio, of bytes or of datagrams: everything but the waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from rawproto.net.failures import closed, deadline_exceeded, raise_op_error
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from rawproto.errors import OpError
    from rawproto.net.aio_side import AsyncSide
    from rawproto.net.packet_socket import PacketSocket
    from rawproto.net.side import Side
    from rawproto.net.stream import Stream

__all__ = ["Front"]


B = TypeVar("B", bound="Stream | PacketSocket")
S = TypeVar("S", bound="Side | AsyncSide")


class Front(Generic[B, S]):
    """Base of every connection: who talks to whom, and until when.

    Args:
        below: what the connection is a face of.
        reader: waits for what is to be read.
        writer: waits for room to write.
    """

    _closed: bool

    def __init__(self, below: B, reader: S, writer: S) -> None:
        self._below = below
        self._reader = reader
        self._writer = writer

    @property
    def network(self) -> str:
        """The network the connection was made with, such as "tcp" or "rsp+udp4"."""
        return self._below.network

    @property
    def local_addr(self) -> Any:
        """This end: an endpoint of the network's kind, such as a TCPAddr."""
        return self._below.local_addr

    @property
    def remote_addr(self) -> Any:
        """The peer: an endpoint of the network's kind, or None where datagrams come from everybody."""
        return self._below.remote_addr

    def set_deadline(self, seconds: float | None) -> None:
        """Set both deadlines, ``seconds`` from now; None takes them away. Also of operations that wait now."""
        self.set_read_deadline(seconds)
        self.set_write_deadline(seconds)

    def set_read_deadline(self, seconds: float | None) -> None:
        """Set the deadline of reads, ``seconds`` from now, or None."""
        self._reader.set_deadline(deadline_after(seconds))

    def set_write_deadline(self, seconds: float | None) -> None:
        """Set the deadline of writes, ``seconds`` from now, or None."""
        self._writer.set_deadline(deadline_after(seconds))

    def __repr__(self) -> str:
        state = "closed " if self._closed else ""
        return f"<{state}{type(self).__name__} {self.network} {self.local_addr}->{self.remote_addr}>"

    def _fail(self, error: OSError, op: str) -> NoReturn:
        """Raise ``error`` as an OpError with the operation and the addresses."""
        raise_op_error(error, op, self.network, self.local_addr, self.remote_addr)

    def _late(self, op: str, written: int = 0) -> OpError:
        return deadline_exceeded(op, self.network, self.local_addr, self.remote_addr, written)

    def _closed_error(self, op: str, what: str = "the connection") -> OpError:
        return closed(op, self.network, what, self.local_addr, self.remote_addr)

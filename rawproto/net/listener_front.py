"""What Listener and AsyncListener have in common: everything but the waiting."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

from rawproto.net.failures import closed, deadline_exceeded
from rawproto.net.front import S
from rawproto.net.side import deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.errors import OpError
    from rawproto.net.stream import Acceptor, Stream

__all__ = ["ListenerFront"]

C = TypeVar("C")


class ListenerFront(Generic[C, S]):
    """Base of Listener and AsyncListener.

    Args:
        acceptor: takes the streams in.
        side: waits for the next one.
        wrap: makes the connection of a stream.
    """

    _closed: bool

    def __init__(self, acceptor: Acceptor, side: S, wrap: Callable[[Stream], C]) -> None:
        self._acceptor = acceptor
        self._side = side
        self.wrap = wrap

    @property
    def network(self) -> str:
        """The network listened on."""
        return self._acceptor.network

    @property
    def addr(self) -> Any:
        """The address listened on, with the port that was picked for port 0."""
        return self._acceptor.addr

    def set_deadline(self, seconds: float | None) -> None:
        """Set the deadline of :meth:`accept`, ``seconds`` from now, or None; also of calls that wait now."""
        self._side.set_deadline(deadline_after(seconds))

    def __repr__(self) -> str:
        state = "closed " if self._closed else ""
        return f"<{state}{type(self).__name__} {self.network} {self.addr}>"

    def _try_accept(self) -> C | None:
        """The next connection, None when there is none yet."""
        if self._closed:
            raise closed("accept", self.network, "the listener", self.addr)
        if self._side.expired:
            raise self._late()
        stream = self._acceptor.try_accept()
        return None if stream is None else self.wrap(stream)

    def _late(self) -> OpError:
        return deadline_exceeded("accept", self.network, self.addr)

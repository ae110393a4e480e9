"""Listener: the blocking face of every transport that takes connections in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError
from rawproto.net.closing import Closable
from rawproto.net.failures import closed, deadline_exceeded, raise_op_error
from rawproto.net.side import Side, deadline_after

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.net.conn import Conn
    from rawproto.net.stream import Acceptor, Stream

__all__ = ["Listener"]


class Listener(Closable):
    """Takes connections in. Several threads may wait in :meth:`accept`.

    Made by :func:`rawproto.listen`. Iteration gives connections until the listener is closed.
    """

    def __init__(self, acceptor: Acceptor, side: Side, wrap: Callable[[Stream], Conn]) -> None:
        super().__init__(side)
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

    def accept(self) -> Conn:
        """The next connection; blocks for one.

        Raises:
            DeadlineExceeded: the deadline passed.
            ClosedError: the listener is closed, perhaps during the call.
        """
        side = self._side
        if not side.enter():
            raise deadline_exceeded("accept", self.network, self.addr)
        try:
            while True:
                if self._closed:
                    raise closed("accept", self.network, "the listener", self.addr)
                if side.expired:
                    raise deadline_exceeded("accept", self.network, self.addr)
                stream = self._acceptor.try_accept()
                if stream is not None:
                    return self.wrap(stream)
                side.wait()
        except OSError as error:
            raise_op_error(error, "accept", self.network, self.addr)
        finally:
            self._leave(side)

    def set_deadline(self, seconds: float | None) -> None:
        """Set the deadline of :meth:`accept`, ``seconds`` from now, or None; also of calls that wait now."""
        self._side.set_deadline(deadline_after(seconds))

    def close(self) -> None:
        """Stop listening: every blocked accept ends with ClosedError; accepted connections live on."""
        super().close()

    def _close_below(self) -> None:
        self._acceptor.close()

    def __iter__(self) -> Iterator[Conn]:
        while True:
            try:
                conn = self.accept()
            except ClosedError:
                return
            yield conn

    def __repr__(self) -> str:
        state = "closed " if self._closed else ""
        return f"<{state}{type(self).__name__} {self.network} {self.addr}>"

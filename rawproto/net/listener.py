"""Listener: the blocking face of every transport that takes connections in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import ClosedError
from rawproto.net.closing import Closable
from rawproto.net.conn import Conn
from rawproto.net.failures import raise_op_error
from rawproto.net.listener_front import ListenerFront
from rawproto.net.side import Side

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.net.stream import Acceptor, Stream

__all__ = ["Listener"]


class Listener(ListenerFront[Conn, Side], Closable):
    """Takes connections in. Several threads may wait in :meth:`accept`.

    Made by :func:`rawproto.listen`. Iteration gives connections until the listener is closed.
    """

    def __init__(self, acceptor: Acceptor, side: Side, wrap: Callable[[Stream], Conn]) -> None:
        ListenerFront.__init__(self, acceptor, side, wrap)
        Closable.__init__(self, side)

    def accept(self) -> Conn:
        """The next connection; blocks for one.

        Raises:
            DeadlineExceeded: the deadline passed.
            ClosedError: the listener is closed, perhaps during the call.
        """
        side = self._side
        if not side.enter():
            raise self._late()
        try:
            while (conn := self._try_accept()) is None:
                side.wait()
            return conn
        except OSError as error:
            raise_op_error(error, "accept", self.network, self.addr)
        finally:
            self._leave(side)

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

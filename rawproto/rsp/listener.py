"""A port that takes connections: a queue of finished handshakes, and nothing else."""

from __future__ import annotations

from collections import Counter, deque
from typing import TYPE_CHECKING, Any

from rawproto.rsp.sources import source_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.rsp.connection import Connection

__all__ = ["Listener"]

LEAST_SHARED = 32
"""A smaller backlog is not shared out: one source may fill it."""


class Listener:
    """Connections wait here, oldest first, until the application accepts them.

    A handshake costs the listener no memory: only when the cookie returns is a connection made, and only while
    fewer than ``backlog`` wait. Beyond that the CONFIRM is ignored; the dialer repeats it, and gets in when there
    is room again. One source gets three quarters of the places at most, and no more than ``share``.
    """

    def __init__(
        self,
        port: int,
        backlog: int,
        share: int,
        admit: Callable[[Any], bool] | None,
        close: Callable[[Listener, int], None],
    ) -> None:
        self.port = port
        self.backlog = backlog
        self.closed = False
        self._admit = admit
        self._close = close
        self._share = min(share, backlog - backlog // 4 if backlog >= LEAST_SHARED else backlog)
        self._waiting: deque[tuple[Connection, Any]] = deque()
        self._sources: Counter[Any] = Counter()

    def __bool__(self) -> bool:
        """True, also while nobody waits."""
        return True

    def __len__(self) -> int:
        """Connections that wait to be accepted."""
        return len(self._waiting)

    @property
    def full(self) -> bool:
        """No further connection may wait."""
        return len(self._waiting) >= self.backlog

    def crowded(self, address: Any) -> bool:
        """No further connection from the source of ``address`` may wait: the others' places are not for it."""
        return self._sources[source_key(address)] >= self._share

    @property
    def asks(self) -> bool:
        """Whether :meth:`admits` ever says no."""
        return self._admit is not None

    def admits(self, address: Any) -> bool:
        """Whether a dialer at ``address`` may connect; asked before anything is kept for it."""
        return self._admit is None or self._admit(address)

    def put(self, connection: Connection) -> None:
        """Queue a connection whose handshake is over."""
        source = source_key(connection.address)
        self._sources[source] += 1
        self._waiting.append((connection, source))

    def accept(self) -> Connection | None:
        """The oldest waiting connection, or None."""
        if not self._waiting:
            return None
        connection, source = self._waiting.popleft()
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]
        connection.on_accepted()
        return connection

    def close(self, now: int) -> None:
        """Take no more connections; those that wait are aborted, those accepted live on."""
        if self.closed:
            return
        self.closed = True
        while self._waiting:
            self._waiting.popleft()[0].abort(now)
        self._close(self, now)

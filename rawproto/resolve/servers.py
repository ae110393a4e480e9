"""Which server to ask first: the configured order, with those that were silent lately at the end."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rawproto.resolve.config import Server

__all__ = ["ServerOrder"]

SUSPECT_SECONDS = 30.0
"""How long a server that said nothing is asked last; after that it is given its place again."""


class ServerOrder:
    """Remembers who was silent, so that a dead first server costs its wait once and not with every lookup."""

    def __init__(self) -> None:
        self._suspect: dict[Server, float] = {}
        self._turn = 0
        self._lock = threading.Lock()

    def order(self, servers: Sequence[Server], now: float, *, rotate: bool) -> list[Server]:
        """The servers in the order to ask them."""
        with self._lock:
            turn = self._turn % len(servers) if rotate else 0
            self._turn += 1
            turned = [*servers[turn:], *servers[:turn]]
            return sorted(turned, key=lambda server: self._suspect.get(server, now) > now)

    def note(self, silent: Iterable[Server], now: float) -> None:
        """Take down who said nothing in an exchange."""
        with self._lock:
            for server in silent:
                self._suspect[server] = now + SUSPECT_SECONDS
            if len(self._suspect) > 64:
                self._suspect = {server: until for server, until in self._suspect.items() if until > now}

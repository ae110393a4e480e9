"""The connections of an endpoint, by every name that a packet may give them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

from rawproto.rsp.cookie import COOKIE_LIFETIME

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.rsp.connection import Connection
    from rawproto.rsp.reasons import Reason

__all__ = ["Directory"]

MOST_RECENT = 1 << 16
"""Ended connections remembered."""
_QUOTED = 8
"""Bytes of ours that an ICMP error quotes at least (RFC 792)."""


class Directory:
    """By our identifier, by the peer's, and by the SYN while that is all there is.

    Keys that a peer chooses are bytes, whose hash is salted; ours are unpredictable anyway. The identifiers of
    connections that ended are kept as long as a cookie lives, so that a late CONFIRM does not bring one back.
    """

    __slots__ = ("_by_peer", "_dialed_from", "_dialing", "_entropy", "_recent", "connections")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self.connections: dict[int, Connection] = {}
        """By our own identifier."""
        self._by_peer: dict[bytes, Connection] = {}
        self._dialing: dict[bytes, Connection] = {}
        self._dialed_from: dict[int, Connection] = {}
        self._recent: OrderedDict[int, tuple[int, Reason]] = OrderedDict()

    def __len__(self) -> int:
        return len(self.connections)

    def __iter__(self) -> Iterator[Connection]:
        return iter(self.connections.values())

    def new_identifier(self) -> int:
        """An unpredictable identifier that no connection has."""
        while True:
            identifier = int.from_bytes(self._entropy(8), "big")
            if identifier and identifier not in self.connections:
                return identifier

    def get(self, identifier: int) -> Connection | None:
        """The connection that this side calls ``identifier``."""
        return self.connections.get(identifier)

    def by_peer(self, identifier: int) -> Connection | None:
        """The connection that the peer calls ``identifier``."""
        return self._by_peer.get(_key(identifier))

    def epitaph(self, identifier: int) -> Reason | None:
        """Why the connection ended that was called ``identifier`` not long ago, or None."""
        recent = self._recent.get(identifier)
        return None if recent is None else recent[1]

    def add(self, connection: Connection) -> None:
        """A new connection."""
        self.connections[connection.identifier] = connection

    def add_dialing(self, connection: Connection) -> None:
        """``connection`` sent its SYN."""
        self._dialing[connection.hello[:_QUOTED]] = connection
        self._dialed_from[connection.local] = connection

    def dialed_from(self, port: int) -> Connection | None:
        """The connection that was dialed from our ``port``."""
        return self._dialed_from.get(port)

    def dialed(self, connection: Connection) -> None:
        """The SYN of ``connection`` was answered."""
        self._dialing.pop(connection.hello[:_QUOTED], None)

    def add_peer(self, connection: Connection) -> None:
        """The peer has named ``connection``. The first to use a name keeps it."""
        self._by_peer.setdefault(_key(connection.peer_identifier), connection)

    def quoted(self, quoted: bytes) -> Connection | None:
        """The connection whose packet begins with ``quoted``."""
        # A SYN is known by its first bytes: they hold the CRC over its random identifier (RFC 5927 section 4.1).
        dialing = self._dialing.get(quoted[:_QUOTED])
        if dialing is not None and dialing.hello.startswith(quoted[: len(dialing.hello)]):
            return dialing
        return self._by_peer.get(quoted[8:16])

    def remove(self, connection: Connection, now: int) -> bool:
        """``connection`` is over; false when it had been removed before."""
        if self.connections.pop(connection.identifier, None) is None:
            return False
        if self._by_peer.get(key := _key(connection.peer_identifier)) is connection:
            del self._by_peer[key]
        self.dialed(connection)
        if self._dialed_from.get(connection.local) is connection:
            del self._dialed_from[connection.local]
        recent = self._recent
        recent[connection.identifier] = now + COOKIE_LIFETIME, connection.epitaph
        while recent and (len(recent) > MOST_RECENT or next(iter(recent.values()))[0] < now):
            recent.popitem(last=False)
        return True


def _key(identifier: int) -> bytes:
    return identifier.to_bytes(8, "big")

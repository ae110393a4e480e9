"""The stateless cookie: proof that a dialer receives at the address it claims, before anything is kept for it.

The listener answers a SYN with a cookie and forgets it. The cookie is a keyed hash (BLAKE2s, RFC 7693) over the
dialer's address, everything it asked for, and the time; the CONFIRM repeats all of that, so that the hash can be
computed again and compared. The connection identifier the listener proposes comes from the same hash, so that a
repeated CONFIRM names the same connection.

The key changes every minute; the one before it is still good, so a cookie lives between one and two minutes.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING, Any

from rawproto.protocol import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["COOKIE_LIFETIME", "COOKIE_SIZE", "CookieJar"]

COOKIE_SIZE = 16
ROTATION = 60 * SECOND
COOKIE_LIFETIME = 2 * ROTATION
"""No cookie is accepted that is older than this, ns."""
_KEY_SIZE = 32
_ONE = (1).to_bytes(8, "big")


class CookieJar:
    """Makes cookies and tells its own from others, keeping nothing but two keys."""

    __slots__ = ("_current", "_entropy", "_period", "_previous")

    def __init__(self, entropy: Callable[[int], bytes], now: int) -> None:
        self._entropy = entropy
        self._period = now // ROTATION
        self._current = self._new_key()
        self._previous = self._new_key()

    def _new_key(self) -> Any:
        """A hash that has taken in a fresh key and is copied for each use: half the price of keying it anew."""
        key = self._entropy(_KEY_SIZE)
        return hashlib.blake2s(key=key, digest_size=8 + COOKIE_SIZE, person=b"rspcooki")

    def make(self, context: bytes, now: int) -> tuple[int, bytes]:
        """(connection identifier, cookie) for a SYN described by ``context``."""
        self._rotate(now)
        return _derive(self._current, context)

    def make_many(self, contexts: Iterable[bytes], now: int) -> list[bytes]:
        """What :meth:`make` gives for each of ``contexts``, the identifier's 8 bytes (big-endian) and the cookie."""
        self._rotate(now)
        return [_digest(self._current, context) for context in contexts]

    def check(self, context: bytes, identifier: int | None, cookie: bytes, now: int) -> bool:
        """Whether this jar made ``cookie`` and ``identifier`` for ``context``, not too long ago.

        Without ``identifier`` the cookie alone counts.
        """
        self._rotate(now)
        for key in (self._current, self._previous):
            expected, good = _derive(key, context)
            if hmac.compare_digest(good, cookie) and identifier in (None, expected):
                return True
        return False

    def _rotate(self, now: int) -> None:
        period = now // ROTATION
        if period == self._period:
            return
        self._previous = self._current if period == self._period + 1 else self._new_key()
        self._current = self._new_key()
        self._period = period


def _derive(key: bytes, context: bytes) -> tuple[int, bytes]:
    digest = _digest(key, context)
    return int.from_bytes(digest[:8], "big"), digest[8:]


def _digest(key: Any, context: bytes) -> bytes:
    hashing = key.copy()
    hashing.update(context)
    digest: bytes = hashing.digest()
    # An identifier of zero stands for "no connection yet" on the wire.
    return digest if any(digest[:8]) else _ONE + digest[8:]

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
from typing import TYPE_CHECKING

from rawproto.protocol import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["COOKIE_LIFETIME", "COOKIE_SIZE", "CookieJar"]

COOKIE_SIZE = 16
ROTATION = 60 * SECOND
COOKIE_LIFETIME = 2 * ROTATION
"""No cookie is accepted that is older than this, ns."""
_KEY_SIZE = 32


class CookieJar:
    """Makes cookies and tells its own from others, keeping nothing but two keys."""

    __slots__ = ("_current", "_entropy", "_period", "_previous")

    def __init__(self, entropy: Callable[[int], bytes], now: int) -> None:
        self._entropy = entropy
        self._period = now // ROTATION
        self._current = entropy(_KEY_SIZE)
        self._previous = entropy(_KEY_SIZE)

    def make(self, context: bytes, now: int) -> tuple[int, bytes]:
        """(connection identifier, cookie) for a SYN described by ``context``."""
        self._rotate(now)
        return _derive(self._current, context)

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
        self._previous = self._current if period == self._period + 1 else self._entropy(_KEY_SIZE)
        self._current = self._entropy(_KEY_SIZE)
        self._period = period


def _derive(key: bytes, context: bytes) -> tuple[int, bytes]:
    digest = hashlib.blake2s(context, key=key, digest_size=8 + COOKIE_SIZE, person=b"rspcooki").digest()
    # Zero stands for "no connection yet" on the wire.
    return int.from_bytes(digest[:8], "big") or 1, digest[8:]

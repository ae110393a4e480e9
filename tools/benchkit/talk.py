"""What client and server of a benchmark say to one another: JSON objects, each behind its length.

Every connection begins with an object that says what it is for (``role``); one for a stream or for probes is nothing
but their bytes after the answer.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

from rawproto import UnexpectedEOF

from ..failure import Failure
from ..output import printable

__all__ = ["VERSION", "Talk", "Violation"]

VERSION: Final = 1
_LENGTH = struct.Struct("!I")
_MOST = 1 << 18
"""Longest object accepted: what a peer can make us hold."""


class Violation(Failure):
    """The peer does not keep to the protocol."""

    def __init__(self, message: str) -> None:
        super().__init__(f"the peer does not speak the protocol of rawproto bench: {message}")


class Talk:
    """Objects both ways on one connection.

    Args:
        conn: the connection.
        wait: seconds that one object may take to come or to go, or None.
    """

    def __init__(self, conn: Any, wait: float | None) -> None:
        self.conn = conn
        self.wait = wait

    def say(self, **words: Any) -> None:
        """Send an object."""
        body = json.dumps(words).encode("ascii")
        self.conn.set_write_deadline(self.wait)
        self.conn.write(_LENGTH.pack(len(body)) + body)

    def hear(self, *, patient: bool = False) -> dict[str, Any]:
        """The next object; with ``patient``, however long it takes.

        Raises:
            Failure: the peer told of an error, or ended the connection.
            Violation: what came is no object.
            OpError: the connection failed, or nothing came in time.
        """
        self.conn.set_read_deadline(None if patient else self.wait)
        try:
            (length,) = _LENGTH.unpack(self.conn.read_exactly(_LENGTH.size))
            if length > _MOST:
                raise Violation(f"an object of {length} bytes")
            body = self.conn.read_exactly(length)
        except UnexpectedEOF as error:
            raise Failure("the peer ended the connection in the middle of the measurement") from error
        try:
            words = json.loads(body)
        except (ValueError, RecursionError):
            words = None
        if not isinstance(words, dict):
            raise Violation("something that is no JSON object")
        if isinstance(words.get("error"), str):
            raise Failure(f"the peer says: {printable(words['error'])}")
        return words

"""What the protocols of serve and bench have in common: pieces of bounded length from a peer that may be anybody.

Each piece that comes or goes has so many seconds, none is longer than what a stranger may make us hold, JSON is an
object or a violation, and a peer that goes away or tells of an error is told of in one sentence.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar

from rawproto import UnexpectedEOF

from .failure import Failure
from .output import printable

__all__ = ["Conversation", "Violation", "told_by_peer"]


class Violation(Failure):
    """The peer does not keep to the protocol; each protocol has its own, with its name."""

    protocol: ClassVar[str] = "the protocol"

    def __init__(self, message: str) -> None:
        super().__init__(f"the peer does not speak {self.protocol}: {message}")


class Conversation:
    """Both directions of one connection.

    Args:
        conn: the connection.
        wait: seconds that one piece may take to come or to go, or None.
    """

    subject: ClassVar[str] = "conversation"
    """What is going on, for the message when it breaks off."""
    violation: ClassVar[type[Violation]] = Violation

    def __init__(self, conn: Any, wait: float | None) -> None:
        self.conn = conn
        self.wait = wait

    def send(self, data: bytes) -> None:
        """Send one piece.

        Raises:
            OpError: the connection failed, or did not take it in time.
        """
        self.conn.set_write_deadline(self.wait)
        self.conn.write(data)

    def await_piece(self, *, patient: bool = False) -> None:
        """The time for the next piece runs from here; with ``patient`` it never ends."""
        self.conn.set_read_deadline(None if patient else self.wait)

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes of a piece.

        Raises:
            Failure: the peer ended the connection.
            OpError: it failed, or they did not come in time.
        """
        try:
            return bytes(self.conn.read_exactly(size))
        except UnexpectedEOF as error:
            raise Failure(f"the peer ended the connection in the middle of the {self.subject}") from error

    def object_in(self, body: bytes) -> dict[str, Any]:
        """The JSON object that ``body`` is.

        Raises:
            Violation: it is none.
        """
        try:
            words = json.loads(body)
        except (ValueError, RecursionError):
            words = None
        if not isinstance(words, dict):
            raise self.violation("something that is no JSON object")
        return words


def told_by_peer(message: str) -> Failure:
    """An error that the peer tells of, to be raised here."""
    return Failure(f"the peer says: {printable(message)}")

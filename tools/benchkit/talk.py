"""What client and server of a benchmark say to one another: JSON objects, each behind its length.

Every connection begins with an object that says what it is for (``role``); one for a stream or for probes is nothing
but their bytes after the answer.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Final

from .. import conversation

__all__ = ["VERSION", "Talk", "Violation"]

VERSION: Final = 1
_LENGTH = struct.Struct("!I")
_MOST = 1 << 18
"""Longest object accepted: what a peer can make us hold."""


class Violation(conversation.Violation):
    """The peer does not keep to the protocol."""

    protocol = "the protocol of rawproto bench"


class Talk(conversation.Conversation):
    """Objects both ways on one connection; see :class:`Conversation`."""

    subject = "measurement"
    violation = Violation

    def say(self, **words: Any) -> None:
        """Send an object."""
        body = json.dumps(words).encode("ascii")
        self.send(_LENGTH.pack(len(body)) + body)

    def hear(self, *, patient: bool = False) -> dict[str, Any]:
        """The next object; with ``patient``, however long it takes.

        Raises:
            Failure: the peer told of an error, or ended the connection.
            Violation: what came is no object.
            OpError: the connection failed, or nothing came in time.
        """
        self.await_piece(patient=patient)
        (length,) = _LENGTH.unpack(self.take(_LENGTH.size))
        if length > _MOST:
            raise Violation(f"an object of {length} bytes")
        words = self.object_in(self.take(length))
        if isinstance(words.get("error"), str):
            raise conversation.told_by_peer(words["error"])
        return words

"""Frames of the transfer protocol over a connection (docs/transfer.md section 2)."""

from __future__ import annotations

import json
from typing import Annotated, Any, Final, TypeVar

from rawproto import Header, OpenEnum, enum8, u24

from .. import conversation

__all__ = ["CHUNK", "VERSION", "Channel", "Kind", "Violation", "word"]

VERSION: Final = 1
CHUNK: Final = 1 << 18
"""Bytes of a file in one DATA frame."""
MAX_FRAME: Final = 1 << 20
"""Longest frame accepted: what a peer can make us hold."""

T = TypeVar("T")


class Kind(OpenEnum):
    """What a frame is."""

    HELLO = 1
    START = 2
    FILE = 3
    ASK = 4
    FROM = 5
    DATA = 6
    DONE = 7
    RESULT = 8
    END = 9
    ERROR = 10


class Frame(Header):
    """What each frame begins with; ``length`` bytes follow."""

    kind: Annotated[Kind, enum8(Kind)]
    length: u24


class Violation(conversation.Violation):
    """The peer does not keep to the protocol."""

    protocol = "the transfer protocol"


class Channel(conversation.Conversation):
    """Both directions of one connection, as frames; see :class:`Conversation`."""

    subject = "transfer"
    violation = Violation

    def tell(self, kind: Kind, **words: Any) -> None:
        """Send a frame with a JSON object."""
        # Names of files that are no UTF-8 hold lone surrogates, which only \\u escapes can carry.
        body = json.dumps(words, ensure_ascii=True).encode("ascii")
        self.send(bytes(Frame(kind, len(body))) + body)

    def tell_data(self, data: bytes) -> None:
        """Send a piece of a file."""
        self.send(bytes(Frame(Kind.DATA, len(data))) + data)

    def hear(self) -> tuple[Kind, Any]:
        """The next frame: its kind, and bytes for DATA, a dict for others.

        Raises:
            Failure: the peer sent an ERROR; its words are in the message.
            Violation: what came is no frame.
            OpError: the connection failed.
        """
        self.await_piece()
        frame, _ = Frame.parse(self.take(Frame.size))
        kind = Kind(frame.kind)
        if frame.length > MAX_FRAME or not kind.is_known:
            raise Violation(f"frame of kind {int(kind)} and {frame.length} bytes")
        body = self.take(frame.length)
        if kind is Kind.DATA:
            return kind, body
        words = self.object_in(body)
        if kind is Kind.ERROR:
            raise conversation.told_by_peer(word(words, "message", str))
        return kind, words

    def pending(self) -> bool:
        """Whether something has come that was not heard yet. Does not block."""
        return not self.conn.quiet()

    def expect(self, wanted: Kind) -> dict[str, Any]:
        """The next frame, which has to be of kind ``wanted`` (not DATA)."""
        kind, words = self.hear()
        if kind is not wanted:
            raise Violation(f"{kind.name} where {wanted.name} was due")
        answer: dict[str, Any] = words
        return answer


def word(words: dict[str, Any], name: str, kind: type[T]) -> T:
    """The entry ``name``, which has to be a ``kind``; whole numbers must not be negative.

    Raises:
        Violation: it is missing, or something else.
    """
    value = words.get(name)
    # bool is an int to isinstance.
    if type(value) is not kind or (isinstance(value, int) and not 0 <= value < 1 << 63):
        raise Violation(f"{name!r} is no {kind.__name__} as it should be")
    return value

"""Why a connection was reset: the codes on the wire and the errors the application sees."""

from __future__ import annotations

from typing import Any

from rawproto.errors import ConnectionAborted, ConnectionRefused, ConnectionReset, OpError
from rawproto.wire import OpenEnum

__all__ = ["Reason", "reset_error"]


class Reason(OpenEnum):
    """Reason codes of the RESET packet (docs/rsp.md section 2.5)."""

    NONE = 0
    """The connection ended in order: everything had arrived, both ends of the stream included."""
    REFUSED = 1
    """Nobody listens on the port."""
    CLOSED = 2
    """The application closed while data was still coming."""
    ABORTED = 3
    """The application aborted the connection."""
    VIOLATION = 4
    """The peer broke the protocol."""
    UNKNOWN = 5
    """The packet answered belongs to no connection here."""
    TIMEOUT = 6
    """Nothing was heard for too long."""
    VERSION = 7
    """The version is not spoken here."""
    OVERLOAD = 8
    """No room for another connection, or for this one any more."""


_WORDS = {
    Reason.NONE: "the peer has forgotten the connection, which ended in order there",
    Reason.REFUSED: "nobody listens on that port",
    Reason.CLOSED: "the peer closed and does not read what was still coming",
    Reason.ABORTED: "the peer aborted the connection",
    Reason.VIOLATION: "the peer says this side broke the protocol",
    Reason.UNKNOWN: "the peer no longer knows this connection (it may have been restarted)",
    Reason.TIMEOUT: "the peer heard nothing for too long",
    Reason.VERSION: "the peer does not speak this version of the protocol",
    Reason.OVERLOAD: "the peer has no room for the connection",
}


def reset_error(reason: int, *, connecting: bool, local: Any, remote: Any) -> OpError:
    """The error for a connection that the peer reset."""
    code = Reason(reason)
    words = _WORDS.get(code, f"reset by the peer (reason {int(code)})")
    if connecting and code in (Reason.REFUSED, Reason.VERSION, Reason.OVERLOAD):
        return ConnectionRefused(words, op="dial", network="rsp", local=local, remote=remote)
    if code is Reason.TIMEOUT:
        return ConnectionAborted(words, network="rsp", local=local, remote=remote)
    return ConnectionReset(words, network="rsp", local=local, remote=remote)

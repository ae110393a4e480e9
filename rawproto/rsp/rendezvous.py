"""Simultaneous open: two endpoints that dial each other's port at the same time get one connection.

Both SYNs cross. The side with the *smaller* identifier yields: it answers the other's SYN with a COOKIE as a listener
would, but names the identifier of the connection it already has. The side with the larger one takes no notice of the
SYN it gets and goes on as a dialer (RFC 9293 section 3.5 joins the two in the same way, with sequence numbers).
"""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, Any

from rawproto.rsp.header import Hello, Kind
from rawproto.rsp.state import State

if TYPE_CHECKING:
    from rawproto.rsp.connection import Connection
    from rawproto.rsp.handshake import Terms

__all__ = ["Meeting", "meeting"]


class Meeting(enum.Enum):
    """What a SYN or CONFIRM means to a connection that was dialed from the port it goes to."""

    STRANGER = enum.auto()
    """It comes from somewhere else, or is our own."""
    IGNORE = enum.auto()
    """The peer will answer our SYN, or has already."""
    YIELD = enum.auto()
    """Answer it with a COOKIE."""
    CONFIRM = enum.auto()
    """It returns the COOKIE."""
    RESTARTED = enum.auto()
    """The peer dials anew: it may have forgotten the connection."""


def meeting(connection: Connection, kind: Kind, hello: Hello, terms: Terms, source: Any) -> Meeting:
    """What ``hello`` (with its ``terms``) from ``source`` means to ``connection``, which was dialed."""
    same_path = connection.address == source and connection.remote[1] == terms.source_port
    if not same_path or terms.identifier == connection.identifier:
        return Meeting.STRANGER
    if connection.state is not State.SYN_SENT:
        return Meeting.IGNORE if terms.identifier == connection.peer_identifier else Meeting.RESTARTED
    if kind is Kind.CONFIRM:
        return Meeting.CONFIRM if hello.connection == connection.identifier else Meeting.IGNORE
    return Meeting.YIELD if terms.identifier > connection.identifier else Meeting.IGNORE

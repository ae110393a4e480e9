"""The states of a connection and which may follow which, as data.

The two halves of the stream finish independently (see send_stream.py and receive_stream.py); the states here are
those of the connection as a whole. docs/rsp.md draws the diagram from this table.
"""

from __future__ import annotations

import enum

__all__ = ["FINISHED", "TRANSITIONS", "State", "StateMachine"]


class State(enum.Enum):
    """Where a connection is in its life."""

    SYN_SENT = "syn sent"
    """A SYN went out; nothing is known of the peer."""
    CONFIRMING = "confirming"
    """The cookie is being returned; data may be sent, but the listener has not been heard since."""
    ESTABLISHED = "established"
    """Both sides know of each other."""
    CLOSING = "closing"
    """The application closed; what was written is still being delivered."""
    DRAINING = "draining"
    """Both halves are finished; only a repeated end of the peer is still answered."""
    CLOSED = "closed"
    """Over, gracefully or not."""


TRANSITIONS: dict[State, frozenset[State]] = {
    State.SYN_SENT: frozenset({State.CONFIRMING, State.ESTABLISHED, State.CLOSED}),
    State.CONFIRMING: frozenset({State.ESTABLISHED, State.CLOSING, State.CLOSED}),
    State.ESTABLISHED: frozenset({State.CLOSING, State.DRAINING, State.CLOSED}),
    State.CLOSING: frozenset({State.DRAINING, State.CLOSED}),
    State.DRAINING: frozenset({State.CLOSED}),
    State.CLOSED: frozenset(),
}


FINISHED = (State.DRAINING, State.CLOSED)
"""Where nothing is left that an application could wait for: both halves are done."""


class StateMachine:
    """The current state; moves only along :data:`TRANSITIONS`."""

    __slots__ = ("current",)

    def __init__(self, start: State) -> None:
        self.current = start

    def move(self, to: State) -> None:
        """Go to ``to``; a move that the table does not have is a fault of ours and changes nothing."""
        assert to in TRANSITIONS[self.current], f"no way from {self.current.value} to {to.value}"
        self.current = to

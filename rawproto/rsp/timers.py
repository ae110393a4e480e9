"""The timers of a connection: one enumeration and one table, so that no deadline lies loose in a field."""

from __future__ import annotations

import enum

__all__ = ["Timer", "TimerTable"]


class Timer(enum.IntEnum):
    """What a connection can wait for."""

    HANDSHAKE = 0
    """Send the SYN or CONFIRM again."""
    HANDSHAKE_LIMIT = 1
    """Give the handshake up."""
    LOSS = 2
    """A packet becomes lost by time, or the probe timeout (RFC 9002 section 6.2)."""
    PACE = 3
    """The pacer lets the next packets go."""
    PERSIST = 4
    """Probe a closed window (RFC 9293 section 3.8.6.1)."""
    KEEPALIVE = 5
    """Nothing was heard for the keepalive time."""
    IDLE = 6
    """Nothing was heard for the idle timeout: the connection is dead."""
    DRAIN = 7
    """The quiet time after the close is over, or the peer's half stayed open too long."""
    DOUBT = 8
    """A peer that was questioned because of a doubtful RESET did not answer."""
    PATH = 9
    """Challenge the peer's new address again."""
    REST = 10
    """Nothing was sent or heard for a while: memory that waits for more can be given back."""


class TimerTable:
    """At most one deadline for each :class:`Timer`, in nanoseconds."""

    __slots__ = ("_first", "running")

    def __init__(self) -> None:
        self._first = 0  # no timer is due before; perhaps none is due then, as timers move and stop
        self.running: dict[Timer, int] = {}
        """The timers that run, and when they are due."""

    def set(self, timer: Timer, deadline: int) -> None:
        """Start ``timer``, or move it."""
        running = self.running
        if not running or deadline < self._first:
            self._first = deadline
        running[timer] = deadline

    def stop(self, timer: Timer) -> None:
        """Stop ``timer``; harmless when it does not run."""
        self.running.pop(timer, None)

    def stop_all(self) -> None:
        """Stop every timer."""
        self.running.clear()

    def rest(self) -> None:
        """Give back the room of timers that ran once; an emptied dict keeps it."""
        self.running = dict(self.running)

    def next(self) -> int | None:
        """When to ask :meth:`expired`: at the earliest deadline or before it; None when no timer runs."""
        return self._first if self.running else None

    def expired(self, now: int) -> list[Timer]:
        """Take out and return the timers that are due, in the order of their enumeration."""
        due = sorted(timer for timer, deadline in self.running.items() if deadline <= now)
        for timer in due:
            del self.running[timer]
        self._first = min(self.running.values(), default=0)
        return due

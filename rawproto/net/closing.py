"""Closing something that other threads are using: whoever uses it last closes it."""

from __future__ import annotations

import abc
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rawproto.net.side import Side

__all__ = ["Closable"]


class Closable(abc.ABC):
    """Base of what has sides that threads wait in.

    A descriptor must not be closed under a thread that polls it: its number may at once be somebody else's. So
    ``close`` marks the object, wakes the waiting threads, and the last of them to leave closes what is below. This
    also holds when ``close`` is called by a signal handler in the very thread that waits.
    """

    def __init__(self, *sides: Side) -> None:
        self._sides = sides
        self._closed = False
        self._finished = False

    @property
    def closed(self) -> bool:
        """Whether this side was closed."""
        return self._closed

    @abc.abstractmethod
    def _close_below(self) -> None:
        """Close what is below; called once, when no thread is in an operation."""

    def close(self) -> None:
        """Close; blocked calls end with ClosedError. Calling it again does nothing."""
        self._closed = True
        for side in self._sides:
            side.wake()
        self._finish()

    def _leave(self, side: Side) -> None:
        side.turn.release()
        if self._closed:
            self._finish()

    def _finish(self) -> None:
        while not self._finished:
            taken = []
            for side in self._sides:
                if not side.turn.acquire(blocking=False):
                    break
                taken.append(side)
            try:
                if len(taken) == len(self._sides):
                    if not self._finished:
                        self._finished = True
                        self._close_below()
                        for side in self._sides:
                            side.release()
                    return
            finally:
                for held in taken:
                    held.turn.release()
            if side.turn.locked():
                return  # whoever has the turn comes here when it leaves
            # It was given back in between, by somebody who may have found a turn taken by us: look again.

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

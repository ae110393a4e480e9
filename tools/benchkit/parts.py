"""What both sides do with the streams they hold: start, stop, and tell what moved in which time."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from .usage import Usage

if TYPE_CHECKING:
    from .stream import Stream

__all__ = ["Parts"]


class Parts:
    """The streams of one side.

    Args:
        datagrams: they are datagrams, whose end only the sender sees; that of a byte stream only the receiver.

    Attributes:
        streams: all of them, each with its connection.
    """

    def __init__(self, *, datagrams: bool) -> None:
        self.streams: list[Stream] = []
        self._datagrams = datagrams
        self._begin = Usage.now()

    def add(self, stream: Stream) -> None:
        """Take a stream in."""
        self.streams.append(stream)

    @property
    def _decisive(self) -> list[Stream]:
        return [stream for stream in self.streams if stream.sending is self._datagrams]

    @property
    def decisive(self) -> bool:
        """Whether this side is to see the end of any stream."""
        return bool(self._decisive)

    @property
    def moved(self) -> int:
        """Bytes moved by all streams so far."""
        return sum(stream.moved for stream in self.streams)

    @property
    def elapsed(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._begin.clock

    def start(self) -> None:
        """Set all streams off; the clock runs from here."""
        self._begin = Usage.now()
        for stream in self.streams:
            stream.start()

    def complete(self) -> bool:
        """Whether the streams whose end this side sees have ended."""
        return all(stream.finished.is_set() for stream in self._decisive)

    def wait(self) -> None:
        """Wait for :meth:`complete`."""
        for stream in self._decisive:
            stream.finished.wait()

    def check(self) -> None:
        """Raise what ended a stream too early."""
        for stream in self.streams:
            if stream.error is not None:
                raise stream.error

    def stop(self) -> dict[str, Any]:
        """Stop all streams; gives what was measured here: seconds, cpu in percent, and each stream."""
        end = Usage.now()
        for stream in self.streams:
            stream.stop()
        ends = [stream.ended for stream in self._decisive if stream.ended is not None]
        last = max(ends) if ends and len(ends) == len(self._decisive) else end.clock
        return {
            "seconds": last - self._begin.clock,
            "cpu": end.since(self._begin),
            "streams": [
                {"index": stream.index, "bytes": stream.moved, **stream.counters()} for stream in self.streams
            ],
        }

    def close(self) -> None:
        """Give up all connections."""
        for stream in self.streams:
            stream.close()

"""What happened in a simulation: a hash over every event, and the events themselves when they are wanted."""

from __future__ import annotations

import dataclasses
import hashlib
import zlib

__all__ = ["Event", "Record"]


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One line of a trace.

    Attributes:
        time: nanoseconds from the start.
        kind: "send", "arrive", "lose", "timer", "command", "refuse" or the user's own.
        place: the node, or the link with its direction.
        size: of the datagram in bytes, 0 where there is none.
        check: CRC-32 of the datagram.
        detail: what else is worth telling.
    """

    time: int
    kind: str
    place: str
    size: int = 0
    check: int = 0
    detail: str = ""

    def __str__(self) -> str:
        told = f"{self.time / 1e9:14.9f} {self.kind:<8} {self.place:<24}"
        if self.size:
            told += f" {self.size:5} bytes {self.check:08x}"
        return f"{told} {self.detail}".rstrip()


class Record:
    """Hashes events as they happen.

    The hash depends on nothing but the events: not on the process, the hash seed or the clock of day.

    Args:
        keep: keep the events too, in ``events``.
    """

    def __init__(self, keep: bool = False) -> None:
        self._hash = hashlib.blake2b(digest_size=16)
        self.count = 0
        self.events: list[Event] | None = [] if keep else None

    def note(self, time: int, kind: str, place: str, data: bytes = b"", detail: str = "") -> None:
        """Something happened."""
        self.count += 1
        check = zlib.crc32(data)
        self._hash.update(f"{time}|{kind}|{place}|{len(data)}|{check}|{detail}\n".encode())
        if self.events is not None:
            self.events.append(Event(time, kind, place, len(data), check, detail))

    def digest(self) -> str:
        """The hash of all events so far, as text."""
        return self._hash.hexdigest()

"""A connection as a file, for code that wants one."""

from __future__ import annotations

import io
from typing import Any, Protocol

from rawproto.errors import ConfigError

__all__ = ["ConnFile", "make_file"]


class Stream(Protocol):
    """What a file is made of: a connection's reading and writing."""

    def readinto(self, buffer: Any) -> int:
        """Read at least one byte into ``buffer``; 0 at the end of the stream."""

    def write(self, data: Any) -> int:
        """Write all of ``data``."""


class ConnFile(io.RawIOBase):
    """The raw file under :meth:`Conn.makefile`. Closing it leaves the connection open."""

    def __init__(self, conn: Stream, *, reading: bool, writing: bool) -> None:
        super().__init__()
        self._conn = conn
        self._reading = reading
        self._writing = writing

    def readable(self) -> bool:
        """Whether it was made for reading."""
        return self._reading

    def writable(self) -> bool:
        """Whether it was made for writing."""
        return self._writing

    def readinto(self, buffer: Any) -> int:
        """Read at least one byte into ``buffer``; 0 at the end of the stream."""
        return self._conn.readinto(buffer)

    def write(self, data: Any) -> int:
        """Write all of ``data``."""
        return self._conn.write(data)


def make_file(
    conn: Stream, mode: str, buffering: int, encoding: str | None, errors: str | None, newline: str | None
) -> io.IOBase:
    """The file for :meth:`Conn.makefile`; mode is of "r", "w" and "b", as of :meth:`socket.socket.makefile`."""
    if not set(mode) <= {"r", "w", "b"}:
        raise ConfigError(f"mode {mode!r}: only 'r', 'w' and 'b' make sense for a connection")
    writing = "w" in mode
    reading = "r" in mode or not writing
    raw = ConnFile(conn, reading=reading, writing=writing)
    size = io.DEFAULT_BUFFER_SIZE if buffering < 0 else buffering
    if size == 0:
        if "b" not in mode:
            raise ConfigError("an unbuffered file must be binary")
        return raw
    buffered: Any
    if reading and writing:
        buffered = io.BufferedRWPair(raw, raw, size)
    elif reading:
        buffered = io.BufferedReader(raw, size)
    else:
        buffered = io.BufferedWriter(raw, size)
    if "b" in mode:
        return buffered  # type: ignore[no-any-return]
    text: io.IOBase = io.TextIOWrapper(buffered, encoding, errors, newline)
    return text

"""System files that may change while a program runs: parsed once, parsed again when they have changed."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator

__all__ = ["WatchedFile", "fields_of"]

T = TypeVar("T")


class WatchedFile(Generic[T]):
    """The parsed content of a file, read again when its stamp (time, size, inode) differs.

    Args:
        path: the file.
        parse: makes the content of the text, or of None where the file is missing or unreadable.
    """

    def __init__(self, path: str | os.PathLike[str], parse: Callable[[str | None], T]) -> None:
        self.path = Path(path)
        self._parse = parse
        self._loaded: tuple[object, T] | None = None

    def get(self) -> T:
        """The content as of now."""
        stamp = self._stamp()
        loaded = self._loaded
        if loaded is None or loaded[0] != stamp:
            text = None
            with contextlib.suppress(OSError):
                text = self.path.read_bytes().decode(errors="surrogateescape")
            # One assignment, so that another thread sees the old pair or the new one.
            self._loaded = loaded = (stamp, self._parse(text))
        return loaded[1]

    def _stamp(self) -> object:
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_mtime_ns, status.st_size, status.st_ino


def fields_of(text: str) -> Iterator[list[str]]:
    """The blank-separated fields of each line, comments from '#' on left out, empty lines too."""
    for line in text.split("\n"):
        fields = line.partition("#")[0].split()
        if fields:
            yield fields

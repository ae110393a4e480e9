"""What became of each file."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Outcome", "Watch"]


@dataclasses.dataclass
class Outcome:
    """One file or folder.

    Attributes:
        path: as the peer and we call it.
        size: bytes of the file.
        moved: bytes that went over the wire.
        digest: SHA-256, hexadecimal; "" for folders and failures.
        unchanged: it was there already, equal.
        error: why it failed, or "".
        folder: it is a folder.
    """

    path: str
    size: int
    moved: int = 0
    digest: str = ""
    unchanged: bool = False
    error: str = ""
    folder: bool = False

    def document(self) -> dict[str, Any]:
        """For programs."""
        state = "failed" if self.error else "unchanged" if self.unchanged else "done"
        words = {"path": self.path, "size": self.size, "moved": self.moved, "state": state}
        if self.error:
            return {**words, "error": self.error}
        return {**words, "sha256": self.digest}


@dataclasses.dataclass
class Watch:
    """Who wants to see how it goes.

    Attributes:
        total: called with the numbers of files and bytes, once.
        moved: called with the path and bytes of it that are there now, and were not before.
        finished: called with every outcome.
    """

    total: Callable[[int, int], None] = lambda files, size: None
    moved: Callable[[str, int], None] = lambda path, size: None
    finished: Callable[[Outcome], None] = lambda outcome: None

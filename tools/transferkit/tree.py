"""A folder that no path leaves: each step is opened from the one before, and symbolic links are not followed."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import os
import stat
from typing import TYPE_CHECKING

from .partial import FileFailure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from types import TracebackType
    from typing import Self

__all__ = ["Entry", "Tree", "split"]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MODE = 0o777  # no set-user-ID from strangers


@dataclasses.dataclass(frozen=True)
class Entry:
    """A file or folder of a tree.

    Attributes:
        path: from the tree's root, parts joined by "/".
        folder: it is a folder.
        size: bytes.
        mode: permission bits.
        modified: time of the last change, ns since 1970.
    """

    path: str
    folder: bool
    size: int
    mode: int
    modified: int


def split(path: str) -> list[str]:
    """The parts of a path below a root.

    Raises:
        FileFailure: it is absolute, or leads upwards, or is no path.
    """
    parts = path.split("/")
    if any(part in ("", ".", "..") or "\0" in part for part in parts):
        raise FileFailure(f"{path!r} is no path inside the folder")
    try:
        os.fsencode(path)
    except UnicodeEncodeError as error:
        raise FileFailure(f"{path!r} is no file name") from error
    return parts


class Tree:
    """An open folder; a context manager."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the folder."""
        os.close(self._fd)

    def folder(self, parts: list[str], *, create: bool = False) -> int:
        """A descriptor of the folder at ``parts``, to be closed by the caller.

        Raises:
            OSError: it is not there, or is no folder (a symbolic link is none).
        """
        current = os.dup(self._fd)
        for part in parts:
            try:
                following = _open_folder(part, current, create=create)
            finally:
                os.close(current)
            current = following
        return current

    def open(self, path: str) -> int:
        """A descriptor to read the regular file at ``path`` from, to be closed by the caller."""
        *above, name = split(path)
        parent = self.folder(above)
        try:
            # Without O_NONBLOCK a pipe in the file's place would block.
            found = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=parent)
        finally:
            os.close(parent)
        if not stat.S_ISREG(os.fstat(found).st_mode):
            os.close(found)
            raise OSError(errno.EINVAL, "is no regular file", path)
        return found

    def walk(self, path: str, skipped: list[str]) -> Iterator[Entry]:
        """The file at ``path``, or the folder and all below it, folders before what is in them; "" is the root.

        What is neither file nor folder, symbolic links too, is left out and put on ``skipped``.
        """
        parts = split(path) if path else []
        if parts:
            parent = self.folder(parts[:-1])
            try:
                known = os.stat(parts[-1], dir_fd=parent, follow_symlinks=False)
            finally:
                os.close(parent)
            if not stat.S_ISDIR(known.st_mode):
                yield from _entry(path, known, skipped)
                return
            yield from _entry(path, known, skipped)
        fd = self.folder(parts)
        try:
            names = sorted(os.listdir(fd))  # noqa: PTH208 - of a descriptor
            for name in names:
                below = f"{path}/{name}" if path else name
                with contextlib.suppress(FileNotFoundError):
                    known = os.stat(name, dir_fd=fd, follow_symlinks=False)
                    if stat.S_ISDIR(known.st_mode):
                        yield from self.walk(below, skipped)
                    elif not name.startswith(".rawproto-"):
                        yield from _entry(below, known, skipped)
        finally:
            os.close(fd)


def _open_folder(name: str, parent: int, *, create: bool) -> int:
    try:
        return os.open(name, _FOLDER, dir_fd=parent)
    except FileNotFoundError:
        if not create:
            raise
    with contextlib.suppress(FileExistsError):
        os.mkdir(name, dir_fd=parent)
    return os.open(name, _FOLDER, dir_fd=parent)


def _entry(path: str, known: os.stat_result, skipped: list[str]) -> Iterator[Entry]:
    folder = stat.S_ISDIR(known.st_mode)
    if folder or stat.S_ISREG(known.st_mode):
        yield Entry(path, folder, 0 if folder else known.st_size, known.st_mode & _MODE, known.st_mtime_ns)
    else:
        skipped.append(path)

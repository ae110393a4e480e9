"""The file that crosses the link: one of the user's, or a tar of the interpreter's own standard library."""

from __future__ import annotations

import dataclasses
import os
import stat
import sysconfig
import tarfile
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ..failure import USAGE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Source", "open_source"]

# Installed packages differ from machine to machine, and the interpreter's own tests are not what it runs.
_LEFT_OUT = {"__pycache__", "dist-packages", "site-packages", "test"}
_CHUNK = 1 << 16


@dataclasses.dataclass
class Source:
    """An open file to send.

    Attributes:
        name: what it is, for people.
        size: length in bytes.
        file: its bytes; read with ``os.pread``, so that forks may share it.
    """

    name: str
    size: int
    file: IO[bytes]

    def chunks(self) -> Iterator[bytes]:
        """The file from its beginning; ends early when it was cut short meanwhile."""
        offset = 0
        while offset < self.size:
            data = os.pread(self.file.fileno(), min(_CHUNK, self.size - offset), offset)
            if not data:
                return
            offset += len(data)
            yield data


def open_source(path: Path | None) -> Source:
    """The file at ``path``, or the standard library when it is None.

    Raises:
        Failure: it is no regular file, or cannot be read.
    """
    if path is None:
        return _standard_library()
    try:
        file = path.open("rb")
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", USAGE) from error
    status = os.fstat(file.fileno())
    if not stat.S_ISREG(status.st_mode):
        file.close()
        raise Failure(f"{path} is no regular file", USAGE)
    return Source(str(path), status.st_size, file)


def _modules(root: Path) -> list[Path]:
    found: list[Path] = []
    for folder, below, names in os.walk(root):
        below[:] = sorted(set(below) - _LEFT_OUT)
        found.extend(Path(folder, name) for name in names if name.endswith(".py"))
    return sorted(found)


def _standard_library() -> Source:
    """A tar of the interpreter's modules, the same bytes each time."""
    root = Path(sysconfig.get_path("stdlib"))
    # Without a name from the start: nothing is left behind, whatever ends the program.
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by whoever sends it
    with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for path in _modules(root):
            entry = tarfile.TarInfo(f"{root.name}/{path.relative_to(root)}")
            try:
                with path.open("rb") as module:
                    entry.size = os.fstat(module.fileno()).st_size
                    archive.addfile(entry, module)
            except PermissionError:
                continue
    return Source(f"the modules of {root.name}, as a tar", file.tell(), file)

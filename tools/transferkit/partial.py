"""A file on its way in: written beside its place under another name, put there whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import stat
from typing import Any

from ..failure import Failure

__all__ = ["FileFailure", "Partial", "digest_of"]

_READ = 1 << 20


class FileFailure(Failure):
    """One file cannot be read or put in its place; the others can."""


def digest_of(descriptor: int, size: int) -> Any:
    """SHA-256 of the first ``size`` bytes, as a hash object that can go on; reads from the descriptor's beginning."""
    digest = hashlib.sha256()
    os.lseek(descriptor, 0, os.SEEK_SET)
    while size > 0:
        data = os.read(descriptor, min(size, _READ))
        if not data:
            raise FileFailure("the file became shorter while it was read")
        digest.update(data)
        size -= len(data)
    return digest


class Partial:
    """The target ``name`` in the folder ``parent`` (a descriptor that this object takes over), and what there is of it.

    Attributes:
        have: bytes there already, of this transfer or one that broke off.
        digest: SHA-256 of them.
        existing: they are a finished file of the size wanted, at the target itself.

    Raises:
        FileFailure: the target exists and must stay, or is no file, or is being written by somebody else.
    """

    def __init__(self, parent: int, name: str, size: int, *, overwrite: bool) -> None:
        self._parent = parent
        self._name = name
        # Of a fixed length: the name itself may be as long as names can be.
        self._part = f".rawproto-{hashlib.sha256(os.fsencode(name)).hexdigest()[:24]}.part"
        self._fd = -1
        self.overwrite = overwrite
        self.existing = False
        self.have = 0
        self.digest = hashlib.sha256()
        try:
            if not self._look_at_target(size):
                self._look_at_part(size)
        except BaseException:
            self.close()
            raise

    def _look_at_target(self, size: int) -> bool:
        """Whether the target exists in the size wanted, and may thus be the same file."""
        try:
            known = os.stat(self._name, dir_fd=self._parent, follow_symlinks=False)
        except FileNotFoundError:
            return False
        if not stat.S_ISREG(known.st_mode):
            raise FileFailure("exists and is no file")
        if known.st_size != size:
            if not self.overwrite:
                raise FileFailure("exists")
            return False
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._name, flags, dir_fd=self._parent)
        try:
            self.digest = digest_of(descriptor, size)
        finally:
            os.close(descriptor)
        self.have, self.existing = size, True
        return True

    def _look_at_part(self, size: int) -> None:
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
        self._fd = os.open(self._part, flags, 0o600, dir_fd=self._parent)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._fd)
            self._fd = -1
            raise FileFailure("is being written by another transfer") from error
        known = os.fstat(self._fd)
        if not stat.S_ISREG(known.st_mode):
            raise FileFailure("its place for the part that has arrived is taken")
        if 0 < known.st_size <= size:
            self.digest, self.have = digest_of(self._fd, known.st_size), known.st_size
        else:
            os.ftruncate(self._fd, 0)

    def restart(self, size: int) -> None:
        """Forget what is there: the sender has something else."""
        if self.existing:
            self.existing = False
            self._look_at_part(size)
        self.have, self.digest = 0, hashlib.sha256()
        os.lseek(self._fd, 0, os.SEEK_SET)
        os.ftruncate(self._fd, 0)

    def write(self, data: bytes) -> None:
        """Add ``data``."""
        view = memoryview(data)
        while view:
            view = view[os.write(self._fd, view) :]
        self.digest.update(data)
        self.have += len(data)

    def commit(self, mode: int, modified: int) -> None:
        """Put the file in its place, whole: with its mode and time, on the disk."""
        os.fchmod(self._fd, mode & 0o777)
        os.utime(self._fd, ns=(modified, modified))
        os.fsync(self._fd)
        if not self.overwrite and self._linked():
            os.unlink(self._part, dir_fd=self._parent)
        else:
            os.rename(self._part, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        # The names, too, are to outlive a power cut.
        os.fsync(self._parent)
        self.close()

    def _linked(self) -> bool:
        """Give the part its name where nothing has it; False where the file system has no hard links."""
        try:
            os.link(self._part, self._name, src_dir_fd=self._parent, dst_dir_fd=self._parent)
        except FileExistsError as error:
            raise FileFailure("exists") from error
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK):
                return False
            raise
        return True

    def discard(self) -> None:
        """Throw away what has arrived: it is wrong."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._part, dir_fd=self._parent)
        self.close()

    def close(self) -> None:
        """Let go; what has arrived stays for another time, if it is anything."""
        if self._fd >= 0:
            if not os.fstat(self._fd).st_size:
                with contextlib.suppress(OSError):
                    os.unlink(self._part, dir_fd=self._parent)
            os.close(self._fd)
            self._fd = -1
        if self._parent >= 0:
            os.close(self._parent)
            self._parent = -1

"""The few kernel calls of the lab that Python 3.11 has no function for.

All of them act on the calling *thread*: Linux keeps the namespaces of each thread apart, which is what lets one
process stand on several hosts at once.
"""

from __future__ import annotations

import ctypes
import os

__all__ = [
    "CLONE_NEWNET",
    "CLONE_NEWUSER",
    "PR_SET_TIMERSLACK",
    "network_namespace_id",
    "open_network_namespace",
    "prctl",
    "setns",
    "unshare",
]

# include/uapi/linux/sched.h
CLONE_NEWUSER = 0x10000000
CLONE_NEWNET = 0x40000000

# include/uapi/linux/prctl.h
PR_SET_TIMERSLACK = 29

_OWN_NETWORK = "/proc/thread-self/ns/net"
_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{call}: {os.strerror(number)}")


def unshare(flags: int) -> None:
    """Move the calling thread into new namespaces of the given kinds (unshare(2)).

    Raises:
        OSError: as the kernel says; EPERM without CAP_SYS_ADMIN, EINVAL for CLONE_NEWUSER with several threads.
    """
    _check(_libc.unshare(ctypes.c_int(flags)), "unshare")


def setns(descriptor: int, kind: int = CLONE_NEWNET) -> None:
    """Move the calling thread into the namespace behind ``descriptor`` (setns(2))."""
    _check(_libc.setns(ctypes.c_int(descriptor), ctypes.c_int(kind)), "setns")


def prctl(option: int, value: int) -> None:
    """Set one attribute of the calling thread (prctl(2))."""
    _check(_libc.prctl(ctypes.c_int(option), ctypes.c_ulong(value), 0, 0, 0), "prctl")


def open_network_namespace() -> int:
    """A descriptor of the calling thread's network namespace; it keeps the namespace alive."""
    return os.open(_OWN_NETWORK, os.O_RDONLY | os.O_CLOEXEC)


def network_namespace_id(descriptor: int) -> int:
    """The inode number that names a namespace in ``readlink /proc/*/ns/net``."""
    return os.fstat(descriptor).st_ino

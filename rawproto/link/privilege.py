"""Capabilities: what is missing, the ways to get it, and giving it up again."""

from __future__ import annotations

import ctypes
import os
import pathlib
import struct
import sys
import threading
from typing import TYPE_CHECKING, Final

from rawproto.errors import OpError, PrivilegeError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["CAPABILITIES", "drop_in_this_thread", "drop_privileges", "has_capability", "helpers", "ways_to"]

CAPABILITIES: Final = {
    "CAP_NET_BIND_SERVICE": 10,
    "CAP_NET_ADMIN": 12,
    "CAP_NET_RAW": 13,
    "CAP_SYS_ADMIN": 21,
}
"""Numbers of the capabilities that matter here (linux/capability.h)."""

_WAYS: Final = (
    """give it to a copy of the interpreter that only this virtual environment uses: python -m venv --copies .venv
    && sudo setcap {capability}+ep .venv/bin/{python}""",
    """run one command with it as an ambient capability: sudo setpriv --reuid=$USER --regid=$(id -g) --init-groups
    --inh-caps=+{short} --ambient-caps=+{short} COMMAND""",
    """work in a network namespace of your own user namespace, where you have every capability:
    unshare --user --map-root-user --net COMMAND, or rawproto.Lab in a program""",
)
_BROKER: Final = (
    "let a privileged broker open the socket, lock its filter and pass it on: "
    "sudo python -m rawproto.link.broker --help"
)

helpers: Final[dict[int, Callable[[Callable[[], None]], None]]] = {}
"""Threads that this package runs beside the program's, by native id, each with what makes it call a function and waits
until it did. The kernel lets no thread drop another's capabilities: these drop their own when the program does."""

_WAYS_TO_BECOME: Final = (
    "unset SUDO_UID and SUDO_GID to stay who you are: a user namespace with a single id has no other user to become",
    "make the user namespace with a range of ids: newuidmap and newgidmap, or unshare --map-auto",
)
_PR_SET_NO_NEW_PRIVS: Final = 38  # linux/prctl.h
_PR_CAP_AMBIENT: Final = 47
_PR_CAP_AMBIENT_CLEAR_ALL: Final = 4
_CAPABILITY_VERSION: Final = 0x20080522  # _LINUX_CAPABILITY_VERSION_3, linux/capability.h


def ways_to(capability: str) -> tuple[str, ...]:
    """The ways to get ``capability`` (such as "CAP_NET_RAW"), one sentence each, for PrivilegeError."""
    names = {
        "capability": capability.lower(),
        "short": capability.lower().removeprefix("cap_"),
        "python": f"python{sys.version_info.major}.{sys.version_info.minor}",
    }
    ways = tuple(" ".join(way.format(**names).split()) for way in _WAYS)
    return (*ways, _BROKER) if capability == "CAP_NET_RAW" else ways


def has_capability(name: str) -> bool:
    """Whether the calling thread has capability ``name`` (of :data:`CAPABILITIES`) in effect."""
    return bool(_capability_set("CapEff") >> CAPABILITIES[name] & 1)


def _capability_set(field: str, thread: str = "thread-self") -> int:
    """A capability set of a thread of this process: CapInh, CapPrm, CapEff, CapBnd or CapAmb (proc(5))."""
    where = "/proc/thread-self" if thread == "thread-self" else f"/proc/self/task/{thread}"
    for line in pathlib.Path(where, "status").read_text().splitlines():
        key, _, value = line.partition(":")
        if key == field:
            return int(value, 16)
    raise OpError(f"the kernel does not tell {field} in {where}/status", op="privileges")


def drop_privileges() -> None:
    """Give up every capability for good; under sudo become the user who called it.

    Open sockets first: dial, listen, make links. Those go on working, and so do new connections on a network that a
    listener or connection of this program keeps open. Later system calls, and programs started later, cannot get the
    privileges back. Calling it without any does nothing but make that sure. The threads of this package obey as well.

    Raises:
        PrivilegeError: under sudo, but in a user namespace that does not have the user who called it.
        OpError: the process keeps root (it was not started by sudo) and the program has other threads with
            capabilities, which the kernel lets nobody else drop; or the kernel did not obey.
    """
    user, group = _invoking_user()
    if user is None and any(map(_privileged, _strangers())):
        _end_blas_threads()
        if any(map(_privileged, _strangers())):
            raise OpError(
                "there are other threads already; drop privileges before starting them", op="privileges"
            )
    if user is not None:
        _become(user, group)
    for helper in list(helpers.values()):
        helper(drop_in_this_thread)
    drop_in_this_thread()
    if any(map(_privileged, os.listdir("/proc/self/task"))):  # noqa: PTH208
        raise OpError("a thread of the process kept a capability", op="privileges")


def _strangers() -> list[str]:
    """Native ids of the other threads, those apart that obey."""
    own = {threading.get_native_id(), *helpers}
    return [thread for thread in os.listdir("/proc/self/task") if int(thread) not in own]  # noqa: PTH208


def _privileged(thread: str) -> bool:
    try:
        return bool(_capability_set("CapPrm", thread))
    except (FileNotFoundError, ProcessLookupError):
        return False  # it has ended meanwhile


def _end_blas_threads() -> None:
    """End the idle threads that numpy's OpenBLAS starts when it is loaded, as it does itself before each fork.

    It starts others when it needs them, and they have what the thread has that needs them.
    """
    mapped = pathlib.Path("/proc/self/maps").read_text().splitlines()
    for path in {line.split(maxsplit=5)[5] for line in mapped if "openblas" in line}:
        end = getattr(ctypes.CDLL(path), "blas_thread_shutdown_", None)
        if end is not None:
            end()


def drop_in_this_thread() -> None:
    """Give up every capability of the thread that calls.

    Raises:
        OpError: the kernel did not obey.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl")
    _checked(libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "prctl")
    header = struct.pack("=Ii", _CAPABILITY_VERSION, 0)
    _checked(libc.capset(header, bytes(24)), "capset")
    if any(_capability_set(field) for field in ("CapEff", "CapPrm", "CapInh", "CapAmb")):
        raise OpError("the kernel left a capability in place", op="privileges")


def _become(user: int, group: int) -> None:
    try:
        os.setgroups([])
        os.setresgid(group, group, group)
        os.setresuid(user, user, user)  # the kernel clears all capabilities of all threads with this
    except OSError as error:
        raise PrivilegeError(f"become user {user}, who called sudo", "CAP_SETUID", _WAYS_TO_BECOME) from error


def _invoking_user() -> tuple[int | None, int]:
    """User and group that sudo was called by; (None, 0) when there is no other user to become."""
    if os.geteuid() != 0:
        return None, 0
    user, group = os.environ.get("SUDO_UID", ""), os.environ.get("SUDO_GID", "")
    if not (user.isdecimal() and group.isdecimal() and int(user)):
        return None, 0
    return int(user), int(group)


def _checked(result: int, call: str) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OpError(f"{call}: {os.strerror(number)}", op="privileges", errno=number)

"""A user namespace of one's own: how an ordinary user gets hosts to test on.

Inside it the process is root over everything that is made from there, and nobody outside. Files are still those of
the ordinary user. A network namespace is entered with it, in which loopback is up and nothing else is: the network
outside belongs to another, and a thread that left for a host could not come back to it. Raw sockets work on that
loopback.

The kernel lets a process enter only while it has a single thread, hence two ways: :func:`enter` at the very start of
a program, before numpy or anything else has started a thread, or :func:`enter_by_restart`, which runs the program
again from its beginning.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
import threading
from pathlib import Path
from typing import NoReturn

from rawproto.errors import PrivilegeError
from rawproto.lab import kernel

__all__ = [
    "WAYS",
    "can_make_networks",
    "ensure",
    "ensure_if_alone",
    "enter",
    "enter_by_restart",
    "inside",
    "why_not",
]

# Set for the program's second life; its value is the user id of the first.
_GUARD = "RAWPROTO_LAB_USERNS"

# include/uapi/linux/sockios.h, include/uapi/linux/if.h
SIOCSIFFLAGS = 0x8914
IFF_UP, IFF_RUNNING = 0x1, 0x40

WAYS = (
    "run as root",
    "allow user namespaces: user.max_user_namespaces > 0, kernel.unprivileged_userns_clone = 1 (Debian)",
    "on Ubuntu: kernel.apparmor_restrict_unprivileged_userns = 0",
    "in a container: give it CAP_SYS_ADMIN, or a seccomp profile that allows unshare",
    "use rawproto.Simulation, which needs nothing",
)


_FIRST_STEP = """\
import os, sys
sys.path.insert(0, {root!r})
from rawproto.lab import userns
userns.enter()
os.execv(sys.argv[1], sys.argv[1:])
"""


def can_make_networks() -> bool:
    """Whether this process may make network namespaces as it is. Tried, not guessed from the user id."""
    answer: list[bool] = []

    def attempt() -> None:
        # The namespace dies with this thread.
        try:
            kernel.unshare(kernel.CLONE_NEWNET)
        except OSError:
            answer.append(False)
        else:
            answer.append(True)

    trial = threading.Thread(target=attempt, name="rawproto-lab-trial")
    trial.start()
    trial.join()
    return answer[0]


def _threads() -> int:
    return sum(1 for _ in Path("/proc/self/task").iterdir())


def enter() -> None:
    """Move this single-threaded process into a user and a network namespace of its own, as root of both.

    Raises:
        PrivilegeError: the kernel refused; the message gives the ways out.
        RuntimeError: the process has several threads already; see :func:`enter_by_restart`.
    """
    threads = _threads()
    if threads > 1:
        raise RuntimeError(
            f"a user namespace can only be entered with one thread, there are {threads}; "
            "call rawproto.lab.userns.enter() before numpy is imported, or use enter_by_restart()"
        )
    uid, gid = os.geteuid(), os.getegid()
    try:
        kernel.unshare(kernel.CLONE_NEWUSER | kernel.CLONE_NEWNET)
    except OSError as error:
        raise PrivilegeError("make a user namespace", "CAP_SYS_ADMIN", WAYS) from error
    # user_namespaces(7): without privilege outside, setgroups must be denied before a group is mapped.
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1", encoding="ascii")
    _loopback_up()


def _loopback_up() -> None:
    # By ioctl (netdevice(7)), as loading pyroute2 would cost a program that only wants to enter.
    request = struct.pack("16sh14x", b"lo", IFF_UP | IFF_RUNNING)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SIOCSIFFLAGS, request)


def enter_by_restart() -> NoReturn:
    """Replace this process by a new run of the same program that enters a user namespace at its start.

    The new run must come to :func:`ensure` again; it then finds itself inside. Nothing is flushed or closed except
    the standard streams.

    Raises:
        PrivilegeError: this is the second run already.
    """
    if _GUARD in os.environ:
        raise PrivilegeError("make network namespaces inside a user namespace", "CAP_NET_ADMIN", WAYS)
    os.environ[_GUARD] = str(os.geteuid())
    sys.stdout.flush()
    sys.stderr.flush()
    # The same interpreter and arguments, behind a first step that enters while there is one thread only.
    root = str(Path(__file__).parents[2])
    command = [sys.executable, "-c", _FIRST_STEP.format(root=root), sys.executable, *sys.orig_argv[1:]]
    os.execv(sys.executable, command)  # noqa: S606 - our own program again


def ensure() -> None:
    """Make sure that network namespaces can be made, entering a user namespace where that is needed.

    Call it at the start of a program: if it is too late to enter (several threads), the program is run again from
    its beginning.

    Raises:
        PrivilegeError: neither way is open.
    """
    if can_make_networks():
        return
    reason = why_not()
    if reason is not None:
        raise PrivilegeError(f"make network namespaces ({reason})", "CAP_SYS_ADMIN", WAYS)
    if _threads() == 1:
        enter()
    else:
        enter_by_restart()


def ensure_if_alone() -> bool:
    """As :func:`ensure`, but do nothing and give False when it is too late to enter (there are several threads)."""
    if _threads() > 1:
        return False
    ensure()
    return True


def inside() -> bool:
    """Whether this program was started over inside a user namespace already."""
    return _GUARD in os.environ


def why_not() -> str | None:
    """Why no lab can be made here, as root or in a user namespace; None when one can.

    A user namespace is tried in a process of its own; this one is left as it is.
    """
    if sys.platform != "linux":
        return "network namespaces exist on Linux only"
    if can_make_networks():
        return None
    if _GUARD in os.environ:
        return "the user namespace that was entered may not make network namespaces"
    attempt = (
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        f"failed = libc.unshare({kernel.CLONE_NEWUSER}) or libc.unshare({kernel.CLONE_NEWNET})\n"
        "print(os.strerror(ctypes.get_errno()) if failed else '')\n"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and our own text
        [sys.executable, "-I", "-S", "-c", attempt], capture_output=True, text=True, check=False
    )
    if done.returncode == 0 and not done.stdout.strip():
        return None
    said = done.stdout.strip() or done.stderr.strip().splitlines()[-1:]
    return f"no privilege, and a user namespace cannot be made: {said}"

"""The undertaker of a lab: ends what was left running when the lab's process was killed.

Run as a program of its own (``python -I -S reaper.py SOCKET PARENT``), so it imports nothing of rawproto. It is told
the lab's namespaces as descriptors over a socket, then sleeps. When the parent dies without having said good-bye
(SIGKILL, SIGTERM, a crash), it kills the processes that stand in those namespaces and in no others, and ends. The
descriptors keep the inode numbers from being given to somebody else's namespaces meanwhile.

The functions are also what :class:`rawproto.lab.Lab` itself uses at its end.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
import time

__all__ = ["GOOD_BYE", "kill_all", "processes_in"]

GOOD_BYE = b"q"
# How long processes get between SIGTERM and SIGKILL, and how often they are looked at.
GRACE_SECONDS = 0.5
LOOK_SECONDS = 0.005
ROUNDS = 20


def processes_in(namespaces: frozenset[int]) -> list[int]:
    """Ids of the processes, other than this one, whose network namespace has one of these inode numbers."""
    # os, not pathlib: this program is to start in milliseconds.
    processes = [entry for entry in os.listdir("/proc") if entry.isdigit()]  # noqa: PTH208
    return [
        int(entry) for entry in processes if int(entry) != os.getpid() and _namespace_of(entry) in namespaces
    ]


def _namespace_of(process: str) -> int:
    try:
        return os.stat(f"/proc/{process}/ns/net").st_ino  # noqa: PTH116
    except OSError:  # gone, a zombie, or somebody else's
        return -1


def kill_all(namespaces: frozenset[int]) -> int:
    """End every process in ``namespaces``: SIGTERM, a moment of grace, SIGKILL. Returns how many there were.

    Children of this process are left as zombies for their owner to wait for.
    """
    ended: set[int] = set()
    for _ in range(ROUNDS):
        found = processes_in(namespaces)
        if not found:
            break
        ended.update(found)
        for process in found:
            _signal(process, namespaces, signal.SIGTERM)
            _signal(process, namespaces, signal.SIGCONT)
        _wait_until_gone(namespaces, GRACE_SECONDS)
        for process in processes_in(namespaces):
            _signal(process, namespaces, signal.SIGKILL)
        _wait_until_gone(namespaces, GRACE_SECONDS)
    return len(ended)


def _signal(process: int, namespaces: frozenset[int], number: int) -> None:
    """Send a signal, safe against the id having been given to another process meanwhile."""
    try:
        handle = os.pidfd_open(process)
    except OSError:
        return
    try:
        if _namespace_of(str(process)) in namespaces:
            signal.pidfd_send_signal(handle, number)
    except OSError:
        pass
    finally:
        os.close(handle)


def _wait_until_gone(namespaces: frozenset[int], seconds: float) -> None:
    end = time.monotonic() + seconds
    while processes_in(namespaces) and time.monotonic() < end:
        time.sleep(LOOK_SECONDS)


def _watch(control: socket.socket, parent: int) -> frozenset[int] | None:
    """Collect namespaces until the parent is gone; None when it said good-bye."""
    namespaces: set[int] = set()
    handle = os.pidfd_open(parent)
    poll = select.poll()
    poll.register(handle, select.POLLIN)
    poll.register(control, select.POLLIN)
    while True:
        ready = {descriptor for descriptor, _ in poll.poll()}
        # What was sent before the parent died is read first.
        if control.fileno() in ready:
            message, descriptors, _, _ = socket.recv_fds(control, 1, 1)
            namespaces.update(os.fstat(descriptor).st_ino for descriptor in descriptors)
            if message == GOOD_BYE:
                return None
            if not message:
                # A dying process loses its sockets before it counts as dead.
                poll.unregister(control)
        elif handle in ready:
            return frozenset(namespaces)


def main(arguments: list[str]) -> None:
    """Watch over the process ``arguments[1]`` through the socket with descriptor ``arguments[0]``."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    with socket.socket(fileno=int(arguments[0])) as control:
        left = _watch(control, int(arguments[1]))
        if left:
            kill_all(left)


if __name__ == "__main__":
    main(sys.argv[1:])

"""The processes a lab starts, and their certain end.

Whatever runs in one of the lab's namespaces when the lab closes is ended, grandchildren too: they are found by the
namespace they stand in, not by name or by what started them. Should this process itself be killed, the undertaker
(:mod:`rawproto.lab.reaper`) does the same.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Protocol

from rawproto.lab import reaper

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rawproto.lab.netns import Namespace

__all__ = ["Children"]


class Waitable(Protocol):
    """Something started that must be waited for: a Popen or a :class:`~rawproto.lab.calls.Call`."""

    def poll(self) -> int | None:
        """The exit status, or None while it runs."""

    def kill(self) -> None:
        """End it at once."""

    def wait(self) -> int:
        """Wait for the end and take the exit status."""


class Children:
    """Keeps the list of what was started in the namespaces of one lab."""

    def __init__(self) -> None:
        self._namespaces: list[Namespace] = []
        self._started: list[Waitable] = []
        self._undertaker: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None

    def watch(self, namespace: Namespace) -> None:
        """Answer for the processes of this namespace too."""
        self._namespaces.append(namespace)
        if self._control is not None:
            socket.send_fds(self._control, [b"n"], [namespace.fileno()])

    def popen(self, namespace: Namespace, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program inside ``namespace``; ``options`` are those of subprocess.Popen."""
        process: subprocess.Popen[Any] = self.start(
            namespace,
            lambda: subprocess.Popen(argv, **options),  # noqa: S603 - the user's own command
        )
        return process

    def start(self, namespace: Namespace, begin: Callable[[], Any]) -> Any:
        """Call ``begin`` inside ``namespace``; what it gives is killed and waited for at the end."""
        namespace.fileno()  # a closed one must be noticed before the undertaker is hired
        self._hire_undertaker()
        # Those that have ended and were waited for need no second burial.
        self._started = [child for child in self._started if child.poll() is None]
        child = namespace.run(begin)
        self._started.append(child)
        return child

    def forget_after_fork(self) -> None:
        """In a forked child: let go of the undertaker's line, so that the parent's death is noticed."""
        if self._control is not None:
            self._control.close()

    def _hire_undertaker(self) -> None:
        if self._control is not None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-I", "-S", reaper.__file__, str(theirs.fileno()), str(os.getpid())]
            self._undertaker = subprocess.Popen(  # noqa: S603 - our own program
                command,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,
                cwd="/",
            )
        self._control = ours
        for namespace in self._namespaces:
            socket.send_fds(ours, [b"n"], [namespace.fileno()])

    def end(self) -> int:
        """End and reap everything; returns how many processes had to be ended."""
        ended = reaper.kill_all(frozenset(namespace.ident for namespace in self._namespaces))
        for child in self._started:
            if child.poll() is None:
                child.kill()
            child.wait()
        self._started.clear()
        if self._control is not None and self._undertaker is not None:
            self._control.sendall(reaper.GOOD_BYE)
            self._control.close()
            self._undertaker.wait()
            self._control = self._undertaker = None
        return ended

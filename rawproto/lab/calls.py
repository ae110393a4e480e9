"""A Python function in a process of its own on a host.

The process is a fork: it starts with everything the caller has, so any function will do, and its result or exception
comes back pickled through a pipe.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import select
import signal
import sys
import time
import traceback
import warnings
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Call"]


class Call:
    """A function running in a process of its own; see :meth:`rawproto.lab.Host.start`.

    Attributes:
        pid: id of the process.
        name: the function's name, for messages.
    """

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], in_child: Callable[[], None]
    ) -> None:
        self.name = getattr(function, "__qualname__", repr(function))
        self._answer, give = os.pipe()
        self._received = bytearray()
        self._status: int | None = None
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            # Python 3.12 warns of forking with threads; those of the lab wait in a queue and hold no lock.
            warnings.simplefilter("ignore", DeprecationWarning)
            self.pid = os.fork()
        if self.pid == 0:
            _run(function, args, give, in_child)
        os.close(give)

    def poll(self) -> int | None:
        """The exit status (negative: ended by that signal), or None while it runs."""
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = os.waitstatus_to_exitcode(status)
        return self._status

    def wait(self) -> int:
        """Wait for the process to end; gives its exit status."""
        if self._status is None:
            self._take_answer_until_end()
            self._status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        if self._answer >= 0:
            self._drain()
            os.close(self._answer)
            self._answer = -1
        return self._status

    def _take_answer_until_end(self) -> None:
        """Read while it runs: a process whose answer nobody reads would never end."""
        handle = os.pidfd_open(self.pid)
        try:
            while handle not in select.select([handle, self._answer], [], [])[0]:
                chunk = os.read(self._answer, 1 << 16)
                self._received += chunk
                if not chunk:
                    return
        finally:
            os.close(handle)

    def kill(self) -> None:
        """End the process with SIGKILL."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGKILL)

    def terminate(self) -> None:
        """End the process with SIGTERM."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)

    def result(self, timeout: float | None = None) -> Any:
        """What the function returned; raises what it raised.

        Raises:
            TimeoutError: it has not ended within ``timeout`` seconds; it goes on running.
            LabError: the process ended without an answer, or its result cannot be pickled.
        """
        end = None if timeout is None else time.monotonic() + timeout
        while self._answer >= 0:
            left = None if end is None else max(end - time.monotonic(), 0)
            ready, _, _ = select.select([self._answer], [], [], left)
            if not ready:
                raise TimeoutError(f"{self.name} has not ended within {timeout} s")
            chunk = os.read(self._answer, 1 << 16)
            if chunk:
                self._received += chunk
            else:
                self.wait()
        if not self._received:
            raise LabError(f"{self.name} ended without an answer (exit status {self.wait()})")
        good, value, text = pickle.loads(self._received)  # noqa: S301 - from our own fork
        if good:
            return value
        if value is None:
            raise LabError(f"{self.name} failed in its process:\n{text}")
        value.add_note(f"raised in the process of {self.name}:\n{text}")
        raise value

    def _drain(self) -> None:
        while select.select([self._answer], [], [], 0)[0]:
            chunk = os.read(self._answer, 1 << 16)
            if not chunk:
                return
            self._received += chunk


def _run(
    function: Callable[..., Any], args: tuple[Any, ...], give: int, in_child: Callable[[], None]
) -> None:
    """The child's whole life; never returns."""
    status = 1
    try:
        in_child()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        try:
            answer = (True, function(*args), "")
            status = 0
        except BaseException as error:  # everything must reach the caller
            answer = (False, error, traceback.format_exc())
        with contextlib.suppress(OSError), os.fdopen(give, "wb") as pipe:
            pipe.write(_pickled(answer))
        _close_connections()
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(status)


def _close_connections() -> None:
    """Deliver what connections of the function still hold, as at the end of a program.

    The child ends without the interpreter's exit, whose handlers are the parent's. Connections are a room that this one
    does not know: when it is not loaded there are none.
    """
    connections = sys.modules.get("rawproto.net.lifecycle")
    if connections is not None:
        connections.finish()


def _pickled(answer: tuple[bool, Any, str]) -> bytes:
    try:
        data = pickle.dumps(answer)
        pickle.loads(data)  # noqa: S301 - an exception may pickle and still not come back
    except Exception:
        good, _, text = answer
        text = "its result cannot be pickled: " + traceback.format_exc() if good else text
        return pickle.dumps((False, None, text))
    return data

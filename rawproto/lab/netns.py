"""Network namespaces without a name: kept alive by this process and nothing else.

A namespace made here has no entry under /var/run/netns and no file anywhere. It lives as long as one of three
things: a descriptor of it, a thread or process in it, a socket made in it. When this process ends, however it
ends, the kernel takes the namespace apart together with its interfaces.

Each namespace has one resident thread, which never leaves it. Work that must happen inside is handed to that
thread, so the caller's own thread stays where it is.
"""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.errors import LabError, PrivilegeError
from rawproto.lab import kernel, userns

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

__all__ = ["Namespace"]

Result = TypeVar("Result")


class _Task:
    """A call on its way to the resident thread, and its outcome on the way back."""

    __slots__ = ("done", "error", "function", "result")

    def __init__(self, function: Callable[[], Any]) -> None:
        self.function = function
        self.done = threading.Event()
        self.result: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self.function()
        except BaseException as error:  # handed to the caller, whatever it is
            self.error = error
        self.done.set()


class Namespace:
    """One network namespace and its resident thread.

    Attributes:
        name: what the thread is called, for people.
        ident: inode number of the namespace, as ``readlink /proc/*/ns/net`` shows it.

    Raises:
        PrivilegeError: the kernel does not let this process make one.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._entries = threading.local()
        self._descriptor = -1
        birth = _Task(self._unshare)
        self._thread = threading.Thread(
            target=self._reside, args=(birth,), name=f"rawproto-lab-{name}", daemon=True
        )
        self._thread.start()
        birth.done.wait()
        if birth.error is not None:
            self._thread.join()
            raise birth.error
        self.ident = kernel.network_namespace_id(self._descriptor)

    def _unshare(self) -> None:
        try:
            kernel.unshare(kernel.CLONE_NEWNET)
        except PermissionError as error:
            raise PrivilegeError("make a network namespace", "CAP_SYS_ADMIN", userns.WAYS) from error
        self._descriptor = kernel.open_network_namespace()

    def _reside(self, birth: _Task) -> None:
        birth.run()
        if birth.error is not None:
            return
        while (task := self._tasks.get()) is not None:
            task.run()

    @property
    def closed(self) -> bool:
        """Whether :meth:`close` was called."""
        return self._descriptor < 0

    def fileno(self) -> int:
        """A descriptor of the namespace, good until :meth:`close`."""
        if self.closed:
            raise LabError(f"network namespace {self.name} is closed")
        return self._descriptor

    def run(self, function: Callable[[], Result]) -> Result:
        """Call ``function`` in the resident thread and give its result, or raise what it raised."""
        if self.closed:
            raise LabError(f"network namespace {self.name} is closed")
        if threading.current_thread() is self._thread:
            return function()
        task = _Task(function)
        self._tasks.put(task)
        task.done.wait()
        if task.error is not None:
            raise task.error
        result: Result = task.result
        return result

    def __enter__(self) -> Self:
        """Move the calling thread inside; sockets it opens from now on belong there. May be nested."""
        came_from: list[int] = self._entries.__dict__.setdefault("stack", [])
        descriptor = self.fileno()
        here = kernel.open_network_namespace()
        try:
            kernel.setns(descriptor)
        except OSError:
            os.close(here)
            raise
        came_from.append(here)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        here = self._entries.stack.pop()
        try:
            kernel.setns(here)
        finally:
            os.close(here)

    def close(self) -> None:
        """Let the namespace go; the kernel removes it when no socket or process is left in it."""
        if self.closed:
            return
        self._tasks.put(None)
        self._thread.join()
        os.close(self._descriptor)
        self._descriptor = -1

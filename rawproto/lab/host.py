"""A host of the lab: a network namespace with addresses, in which programs and functions run."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError
from rawproto.lab import wiring
from rawproto.lab.calls import Call
from rawproto.lab.netns import Namespace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from rawproto.addr import IP
    from rawproto.lab.children import Children
    from rawproto.lab.wiring import Port

__all__ = ["Host"]


class Host:
    """A host; made by :meth:`rawproto.lab.Lab.host`.

    ``with host:`` moves the calling thread there: sockets opened inside the block belong to the host, also after
    the block. It may be nested, and each thread enters for itself.

    Attributes:
        name: its name in the lab.
        namespace: its network namespace.
        ports: its interfaces, in the order in which they were linked.
    """

    def __init__(self, name: str, children: Children) -> None:
        self.name = name
        self._children = children
        self.namespace = Namespace(name)
        self.ports: list[Port] = []
        children.watch(self.namespace)
        wiring.loopback_up(self.namespace)

    def __repr__(self) -> str:
        addresses = ", ".join(str(address) for port in self.ports for address in port.addresses)
        return f"<Host {self.name} {addresses or 'without links'}>"

    def address(self, version: int = 4) -> str:
        """Its first address of that IP version, as text.

        Raises:
            LabError: it has none (yet).
        """
        for port in self.ports:
            for address in port.addresses:
                if address.version == version:
                    return str(address.ip)
        raise LabError(f"host {self.name} has no IPv{version} address; link it to another host first")

    @property
    def ip4(self) -> IP:
        """Its first IPv4 address."""
        from rawproto.addr import IP

        return IP(self.address(4))

    @property
    def ip6(self) -> IP:
        """Its first IPv6 address."""
        from rawproto.addr import IP

        return IP(self.address(6))

    def addresses(self) -> list[str]:
        """All its addresses but loopback, as text."""
        return [str(address.ip) for port in self.ports for address in port.addresses]

    def run(
        self,
        argv: Sequence[str],
        *,
        timeout: float | None = None,
        check: bool = False,
        input: Any = None,  # noqa: A002 - the name subprocess.run has
        **options: Any,
    ) -> subprocess.CompletedProcess[Any]:
        """Run a program on the host and wait for it; arguments as for subprocess.run.

        Raises:
            subprocess.TimeoutExpired: it took longer than ``timeout`` seconds and was killed.
            subprocess.CalledProcessError: ``check`` is true and its exit status is not 0.
        """
        if options.pop("capture_output", False):
            options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        if input is not None:
            options["stdin"] = subprocess.PIPE
        with self.popen(argv, **options) as process:
            try:
                out, err = process.communicate(input, timeout=timeout)
            except BaseException:
                process.kill()
                process.wait()
                raise
        done = subprocess.CompletedProcess(process.args, process.returncode, out, err)
        if check:
            done.check_returncode()
        return done

    def popen(self, argv: Sequence[str], **options: Any) -> subprocess.Popen[Any]:
        """Start a program on the host; ``options`` are those of subprocess.Popen.

        It ends with the lab at the latest.
        """
        return self._children.popen(self.namespace, argv, **options)

    def start(self, function: Callable[..., Any], *args: Any) -> Call:
        """Begin ``function(*args)`` in a process of its own on the host; take its result with ``.result()``.

        The process is a fork, so the function may be any, a lambda too; what it returns must be picklable.
        """
        call: Call = self._children.start(
            self.namespace, lambda: Call(function, args, self._children.forget_after_fork)
        )
        return call

    def call(self, function: Callable[..., Any], *args: Any, timeout: float | None = None) -> Any:
        """Run ``function(*args)`` in a process of its own on the host and give its result, or raise what it raised.

        Raises:
            TimeoutError: it took longer than ``timeout`` seconds and was killed.
        """
        begun = self.start(function, *args)
        try:
            return begun.result(timeout)
        except BaseException:
            begun.kill()
            raise
        finally:
            begun.wait()

    def __enter__(self) -> Self:
        self.namespace.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.namespace.__exit__(kind, value, trace)

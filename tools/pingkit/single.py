"""What is printed about one host: a line for each reply."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from .loop import Watcher
from .words import milliseconds, problem_text

if TYPE_CHECKING:
    from .echo import Problem, Reply
    from .target import Target

__all__ = ["Lines"]


class Lines(Watcher):
    """Prints as iputils' ping does.

    Args:
        version: 4 or 6.
        quiet: nothing but beginning and end.
        dots: a dot for each request and a backspace for each reply, as flood has it.
    """

    def __init__(self, version: int, *, quiet: bool, dots: bool) -> None:
        self._version = version
        self._quiet = quiet or dots
        self._dots = dots and not quiet and sys.stdout.isatty()
        self._shown = 0

    def begin(self, target: Target, size: int) -> None:
        """The first line."""
        headers = 28 if self._version == 4 else 48
        sizes = f"{size}({size + headers}) bytes of data." if self._version == 4 else f"{size} data bytes"
        click.echo(f"PING {target.name} ({target.address}) {sizes}")

    def reply(self, target: Target, number: int, reply: Reply, seconds: float | None) -> None:
        """See :class:`Watcher`."""
        if self._quiet:
            return
        who = target.address if target.name == target.address else f"{target.name} ({target.address})"
        ttl = "" if reply.ttl is None else f" ttl={reply.ttl}"
        time = "" if seconds is None else f" time={milliseconds(seconds)} ms"
        again = " (DUP!)" if seconds is None else ""
        click.echo(f"{reply.size} bytes from {who}: icmp_seq={number}{ttl}{time}{again}")

    def problem(self, target: Target, number: int, problem: Problem) -> None:
        """See :class:`Watcher`."""
        if not self._quiet:
            reporter = problem.reporter or "this host"
            click.echo(f"From {reporter} icmp_seq={number} {problem_text(problem, self._version)}")

    def refused(self, target: Target, number: int, error: OSError) -> None:
        """See :class:`Watcher`."""
        if not self._quiet:
            click.echo(f"rawproto: sending to {target.address}: {error.strerror}", err=True)

    def turn(self) -> None:
        """See :class:`Watcher`."""

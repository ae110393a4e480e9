"""What is printed about many hosts: a table, live on a terminal, once at the end when piped."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click

from .loop import Watcher
from .words import milliseconds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .target import Target

__all__ = ["TableWatcher", "table_lines"]

_REFRESH = 0.2
_MOST_ROWS = 40


def table_lines(targets: Sequence[Target], *, sweep: bool) -> list[str]:
    """The table as text; of a sweep only who answered."""
    shown = [target for target in targets if target.received or not sweep]
    width = max([len("host"), *(len(_who(target)) for target in shown)])
    lines = [f"{'host':<{width}}  {'sent':>6} {'recv':>6} {'loss':>6} {'last':>8} {'avg':>8} {'max':>8}  ms"]
    for target in shown:
        times = (target.last, target.average or None, target.most or None)
        cells = " ".join(f"{'-' if value is None else milliseconds(value):>8}" for value in times)
        lines.append(
            f"{_who(target):<{width}}  {target.sent:>6} {target.received:>6} {target.loss:>6.0%} {cells}"
        )
    answered = sum(target.received > 0 for target in targets)
    lines.append(f"{answered} of {len(targets)} hosts answered")
    return lines


def _who(target: Target) -> str:
    return target.address if target.name == target.address else f"{target.name} ({target.address})"


class TableWatcher(Watcher):
    """Keeps the table up to date on a terminal; as a context manager it puts the terminal back."""

    def __init__(self, targets: Sequence[Target], *, sweep: bool, quiet: bool) -> None:
        self._targets = targets
        self._sweep = sweep
        self._live: Any = None
        self._shown_at = 0.0
        self._quiet = quiet
        if sys.stdout.isatty() and not quiet:
            from rich.live import Live

            self._live = Live(auto_refresh=False, transient=True)

    def turn(self) -> None:
        """See :class:`Watcher`."""
        now = time.monotonic()
        if self._live is None or now - self._shown_at < _REFRESH:
            return
        self._shown_at = now
        lines = table_lines(self._targets, sweep=self._sweep)
        if len(lines) > _MOST_ROWS:
            lines = [*lines[: _MOST_ROWS - 2], "...", lines[-1]]
        from rich.text import Text

        self._live.update(Text("\n".join(lines)), refresh=True)

    def __enter__(self) -> TableWatcher:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()
        if not self._quiet:
            for line in table_lines(self._targets, sweep=self._sweep):
                click.echo(line)

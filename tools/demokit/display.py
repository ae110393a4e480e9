"""What the terminal shows while the demo runs: steps, then one live line."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.text import Text

from ..quantity import show_rate, show_size, show_span

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType
    from typing import Self

__all__ = ["Display", "Moment"]


@dataclasses.dataclass
class Moment:
    """How a transfer stands.

    Attributes:
        arrived: bytes that the receiver has.
        retransmitted: packets sent again so far.
        rtt: smoothed round trip in seconds, 0 while unknown.
    """

    arrived: int = 0
    retransmitted: int = 0
    rtt: float = 0.0


class Display:
    """Steps and progress on a terminal; plain lines when piped; nothing at all when ``quiet``.

    As a context manager it puts the terminal back whatever happens.
    """

    def __init__(self, *, quiet: bool = False, console: Console | None = None) -> None:
        self.console = Console(quiet=quiet, highlight=False) if console is None else console
        self._progress: Progress | None = None
        self._began = 0.0
        self._recent: list[tuple[float, int]] = []

    def step(self, text: str) -> None:
        """Say what is being done now."""
        self.console.print(Text.assemble(("· ", "bold"), text), soft_wrap=True)

    def begin(self, total: int) -> None:
        """The transfer of ``total`` bytes begins."""
        self._began = time.monotonic()
        self._recent = [(self._began, 0)]
        self._progress = Progress(
            TextColumn("  {task.fields[size]:>9}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  {task.fields[rate]:>12}  {task.fields[again]}"),
            console=self.console,
            transient=True,
            # On a pipe the end of the progress would be one stale line.
            disable=not self.console.is_terminal,
        )
        self._progress.add_task("", total=max(total, 1), size="", rate="", again="")
        self._progress.start()

    def show(self, moment: Moment) -> None:
        """Bring the live line up to date."""
        if self._progress is None:
            return
        now = time.monotonic()
        self._recent = [entry for entry in self._recent if now - entry[0] < 1.0][-50:] or self._recent[-1:]
        since, before = self._recent[0]
        self._recent.append((now, moment.arrived))
        rate = (moment.arrived - before) * 8 / max(now - since, 1e-3)
        rtt = f", RTT {show_span(moment.rtt)}" if moment.rtt else ""
        self._progress.update(
            self._progress.task_ids[0],
            completed=moment.arrived,
            size=show_size(moment.arrived),
            rate=show_rate(rate),
            again=f"{moment.retransmitted:,} retransmissions{rtt}",
        )

    def end(self) -> None:
        """The transfer is over."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def table(self, rows: Sequence[tuple[str, str]]) -> None:
        """Print (what, how much) in two columns; nothing is cut or wrapped, for digests are there to be copied."""
        width = max(len(what) for what, _ in rows) + 2
        self.console.print()
        for what, text in rows:
            self.console.print(Text.assemble((what.ljust(width), "bold"), text), soft_wrap=True)

    def note(self, text: str) -> None:
        """Print lines as they are."""
        self.console.print(text, markup=False, soft_wrap=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

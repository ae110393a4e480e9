"""What get and put show: a bar on a terminal, a line for each failure, a summary."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import click

from ..failure import DONE, FAILED
from ..output import emit_json
from ..quantity import show_rate, show_size, show_span
from .outcome import Outcome, Watch

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from rich.progress import Progress

__all__ = ["Display"]


class Display:
    """Collects what happens and shows it; a context manager that puts the terminal back."""

    def __init__(self, *, as_json: bool, verbose: bool) -> None:
        self.outcomes: list[Outcome] = []
        self.skipped: list[str] = []
        self._as_json = as_json
        self._verbose = verbose
        self._began = time.monotonic()
        self._progress: Progress | None = None
        self._ended = 0

    def watch(self) -> Watch:
        """What a transfer tells."""
        return Watch(self._total, self._moved, self._finished)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _total(self, files: int, size: int) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

        console = Console(stderr=True, highlight=False)
        if self._as_json or not console.is_terminal:
            return
        columns = (BarColumn(), DownloadColumn(), TransferSpeedColumn())
        name = TextColumn("{task.fields[files]} {task.description}", markup=False)
        self._progress = Progress(name, *columns, console=console, transient=True)
        self._progress.add_task("", total=size, files=f"0/{files}", count=files)
        self._progress.start()

    def _moved(self, path: str, size: int) -> None:
        if self._progress is not None:
            task = self._progress.tasks[0]
            self._progress.update(task.id, advance=size, description=path[-40:])

    def _finished(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        if self._progress is not None:
            task = self._progress.tasks[0]
            self._progress.update(task.id, files=f"{len(self.outcomes)}/{task.fields['count']}")
        if self._as_json:
            return
        if outcome.error:
            self._say(f"rawproto: {outcome.path}: {outcome.error}")
        elif self._verbose:
            self._say(f"{outcome.path}{'/' if outcome.folder else ''}{' unchanged' * outcome.unchanged}")

    def _say(self, text: str) -> None:
        if self._progress is not None:
            from rich.text import Text

            self._progress.console.print(Text(text), soft_wrap=True)
        else:
            click.echo(text, err=True)

    def close(self, conn: Any) -> int:
        """Print the summary; gives the exit status."""
        seconds = time.monotonic() - self._began
        files = [outcome for outcome in self.outcomes if not outcome.folder]
        failed = [outcome for outcome in self.outcomes if outcome.error]
        moved = sum(outcome.moved for outcome in files)
        if self._progress is not None:
            self._progress.stop()
        if self._as_json:
            emit_json(
                {
                    "network": conn.network,
                    "remote": str(conn.remote_addr),
                    "files": [outcome.document() for outcome in self.outcomes],
                    "skipped": self.skipped,
                    "bytes": moved,
                    "seconds": seconds,
                }
            )
        else:
            for path in self.skipped:
                self._say(f"rawproto: {path}: left out, neither file nor folder")
            done = len(files) - sum(1 for outcome in files if outcome.error)
            same = sum(outcome.unchanged for outcome in files)
            click.echo(
                f"{done} of {len(files)} files{f', {same} unchanged' if same else ''}; "
                f"{show_size(moved)} in {show_span(seconds)}, {show_rate(moved * 8 / max(seconds, 1e-9))}"
            )
        return FAILED if failed else DONE

"""Pictures of a connection trace: sequence against time, round trip and window."""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .trace_file import TraceFile

__all__ = ["draw", "save"]

_MEGA = 1e6


@contextlib.contextmanager
def _home_of_matplotlib() -> Iterator[None]:
    """A folder for matplotlib's font list where the home is missing or not ours, gone when done."""
    home = Path(os.environ.get("XDG_CONFIG_HOME") or Path("~").expanduser())
    if "MPLCONFIGDIR" in os.environ or os.access(home, os.W_OK):
        yield
        return
    with tempfile.TemporaryDirectory(prefix="rawproto-matplotlib-") as folder:
        os.environ["MPLCONFIGDIR"] = folder
        try:
            yield
        finally:
            del os.environ["MPLCONFIGDIR"]


def save(trace: TraceFile, path: Path) -> None:
    """Draw ``trace`` into the file ``path``; its suffix says the format (png, svg, pdf)."""
    # On a slow machine it tells that its list of fonts takes a moment: no news for who waits for a picture.
    logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)
    with _home_of_matplotlib():
        import matplotlib as mpl

        mpl.use("Agg")
        # The same trace gives the same bytes.
        with mpl.rc_context({"svg.hashsalt": "rawproto"}):
            figure = draw(trace)
            figure.savefig(path, dpi=120, metadata={"Date": None} if path.suffix == ".svg" else None)


def draw(trace: TraceFile) -> Any:
    """The figure: sequence-time with losses marked, below it round trip and window."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 8), layout="constrained")
    sequence, rtt, window = figure.subplots(3, 1, sharex=True, height_ratios=(3, 1, 1))
    figure.suptitle(trace.title or "connection trace")
    _sequence(sequence, trace)
    _metrics(rtt, trace, {"smoothed_rtt": "smoothed", "latest_rtt": "latest"}, 1.0)
    rtt.set_ylabel("RTT, ms")
    _metrics(window, trace, {"congestion_window": "congestion window", "bytes_in_flight": "in flight"}, 1e3)
    window.set_ylabel("kB")
    window.set_xlabel("seconds")
    for axes in (sequence, rtt, window):
        axes.grid(visible=True, alpha=0.3)
        if axes.get_legend_handles_labels()[0]:
            axes.legend(loc="best", fontsize="small")
    return figure


def _sequence(axes: Any, trace: TraceFile) -> None:
    fresh = [entry for entry in trace.sent if not entry[3]]
    again = [entry for entry in trace.sent if entry[3]]
    for entries, color, label, size in (
        (fresh, "tab:blue", "sent", 2),
        (again, "tab:orange", "sent again", 4),
    ):
        if entries:
            times = [entry[0] for entry in entries]
            ends = [(entry[1] + entry[2]) / _MEGA for entry in entries]
            axes.plot(times, ends, ".", color=color, label=label, markersize=size)
    if trace.acknowledged:
        times = [time for time, _ in trace.acknowledged]
        ends = [end / _MEGA for _, end in trace.acknowledged]
        axes.step(times, ends, where="post", color="tab:green", linewidth=1, label="acknowledged")
    if trace.lost:
        times = [time for time, _, _ in trace.lost]
        axes.plot(
            times, [start / _MEGA for _, start, _ in trace.lost], "x", color="tab:red", label="declared lost"
        )
    axes.set_ylabel("stream offset, MB")


def _metrics(axes: Any, trace: TraceFile, fields: dict[str, str], scale: float) -> None:
    for field, label in fields.items():
        points = [(time, data[field] / scale) for time, data in trace.metrics if field in data]
        if points:
            axes.plot(*zip(*points, strict=True), linewidth=1, label=label)

"""docs/benchmarks.md and its plots, and the table of the README, from the rows of one run."""

from __future__ import annotations

import datetime
import os
import platform
import re
import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["machine_in_words", "page_of", "table_of", "write"]

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "benchmarks.md"
IMAGES = ROOT / "docs" / "images"
README = ROOT / "README.md"

TITLES = {
    "addr": "Addresses",
    "capture": "Captures",
    "lab": "The lab",
    "link": "Links",
    "net": "Connections",
    "rsp": "RSP",
    "wire": "Headers, checksums, batches",
}
ORDER = ("wire", "capture", "link", "rsp", "net", "lab", "addr")
"""Of the rooms, for a newcomer."""
HOW_TO_READ = """\
A ratio says how many times better ours is than a rival: more of a rate, less of a time. Ours and the rivals take
turns in one run, each round gives one ratio, and the table has the median and the range of the ratios. Absolute
figures are medians, and differ up to twofold between machines and from run to run; ratios differ less. Below 1 the
rival is better."""
Document = dict[str, Any]


def figure(value: float) -> str:
    """``value`` with three significant digits, without an exponent."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def machine_in_words() -> str:
    """Processor, memory, kernel and interpreter; no names that tell whose machine it is."""
    text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    memory = re.search(r"^MemTotal:\s*(\d+)", Path("/proc/meminfo").read_text(encoding="utf-8"), re.MULTILINE)
    size = round(int(memory[1]) / (1 << 20)) if memory else 0
    kernel = ".".join(platform.release().split("-")[0].split(".")[:2])
    return (
        f"{os.cpu_count()} processors ({model[1].strip() if model else platform.machine()}), {size} GiB of memory, "
        f"Linux {kernel}, CPython {platform.python_version()}"
    )


def ratio_in_words(ratio: Document) -> str:
    """The median, and in brackets the range."""
    return f"**{figure(ratio['median'])}** [{figure(ratio['low'])} - {figure(ratio['high'])}]"


def table_of(documents: Sequence[Document]) -> str:
    """One line for each question with a promise against another program, for the README."""
    lines = ["| | how many times better, median |", "|---|---|"]
    for document in sorted(documents, key=lambda document: ORDER.index(document["room"])):
        against = [
            f"**{figure(ratio['median'])}** {ratio['rival']}"
            for ratio in document["ratios"]
            if ratio["expected"] is not None and not ratio["goal"]
        ]
        if against:
            lines.append(f"| {document['name']} | {', '.join(against)} |")
    return "\n".join(lines)


def _section(room: str, documents: Sequence[Document]) -> list[str]:
    lines = [f"## {TITLES.get(room, room)}", ""]
    if any(document["ratios"] for document in documents):
        lines += [
            f"![{TITLES.get(room, room)}: how many times better than each rival](images/bench-{room}.png)",
            "",
        ]
    lines += ["| what | how many times better | than | ours | theirs |", "|---|---|---|---|---|"]
    for document in documents:
        name, unit = document["name"], document["unit"]
        ours = f"{figure(statistics.median(document['ours']))} {unit}"
        for ratio in document["ratios"]:
            theirs = figure(statistics.median(document["rivals"][ratio["rival"]]))
            lines.append(
                f"| {name} | {ratio_in_words(ratio)} | {ratio['rival']} | {ours} | {theirs} {unit} |"
            )
        if not document["ratios"]:
            lines.append(f"| {name} | - | - | {ours} | - |")
        lines += [
            f"| {name} | - | {rival} | {ours} | not measured: {reason.replace('|', '/')} |"
            for rival, reason in document["missing"].items()
        ]
    return [*lines, ""]


def page_of(
    documents: Sequence[Document], left_out: Sequence[str], when: datetime.date, seconds: float
) -> str:
    """The whole page, in Markdown."""
    run = f"Measured on {when.isoformat()} by `make bench`, which writes this page, in {seconds / 60:.0f} minutes"
    lines = ["# Benchmarks", "", f"{run} on {machine_in_words()}.", "", HOW_TO_READ, ""]
    for room in sorted({document["room"] for document in documents}, key=ORDER.index):
        lines += _section(room, [document for document in documents if document["room"] == room])
    if left_out:
        lines += [
            "## Not measured",
            "",
            "The time of this run was up before: " + "; ".join(left_out) + ".",
            "",
        ]
    lines += ["`make bench ARGS=ROOM` measures one part and prints it.", ""]
    return "\n".join(lines)


def _plot(room: str, documents: Sequence[Document]) -> None:
    """Bars of the ratios, the range as a line, on a logarithmic axis; 1 is a draw."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot

    bars = [
        (document["name"], ratio)
        for document in documents
        for ratio in document["ratios"]
        if ratio["low"] > 0
    ]
    if not bars:
        return
    bars.reverse()
    figure_, axes = pyplot.subplots(figsize=(7, 1.0 + 0.4 * len(bars)), layout="constrained")
    middle = [ratio["median"] for _, ratio in bars]
    errors = [
        [ratio["median"] - ratio["low"] for _, ratio in bars],
        [ratio["high"] - ratio["median"] for _, ratio in bars],
    ]
    colours = ["#3f51b5" if value >= 1 else "#9e9e9e" for value in middle]
    axes.barh(range(len(bars)), [value - 1 for value in middle], left=1, height=0.6, color=colours)
    axes.errorbar(middle, range(len(bars)), xerr=errors, fmt="none", ecolor="#212121", capsize=2, linewidth=1)
    axes.set_yticks(range(len(bars)), [f"{name}\nthan {ratio['rival']}" for name, ratio in bars], fontsize=8)
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.axvline(1, color="#212121", linewidth=1)
    axes.set_xlabel("times better than the rival (1 is a draw)", fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    IMAGES.mkdir(exist_ok=True)
    figure_.savefig(IMAGES / f"bench-{room}.png", dpi=110)
    pyplot.close(figure_)


def write(documents: Sequence[Document], left_out: Sequence[str], seconds: float) -> None:
    """Write the page and its plots, and the table of the README between its marks."""
    for room in dict.fromkeys(document["room"] for document in documents):
        _plot(room, [document for document in documents if document["room"] == room])
    today = datetime.datetime.now(tz=datetime.UTC).date()
    PAGE.write_text(page_of(documents, left_out, today, seconds), encoding="utf-8")
    text = README.read_text(encoding="utf-8")
    table = f"<!-- measured -->\n{table_of(documents)}\n\n(on {machine_in_words()})\n<!-- /measured -->"
    README.write_text(
        re.sub(r"<!-- measured -->\n.*?<!-- /measured -->", lambda _: table, text, flags=re.DOTALL),
        encoding="utf-8",
    )

"""The page that `make bench` writes: ratios first, the machine in words, what could not be measured."""

from __future__ import annotations

import datetime
import socket
from typing import TYPE_CHECKING, Any

from benchmarks import page
from benchmarks.__main__ import run

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def document(name: str, expected: float | None, *, goal: bool = False) -> dict[str, Any]:
    ratio = {"rival": "other", "median": 3.0, "low": 2.0, "high": 4.5, "expected": expected, "kept": True}
    ratio["goal"] = goal
    return {
        "room": "wire",
        "name": name,
        "unit": "us",
        "better": "lower",
        "ours": [1.0, 2.0],
        "rivals": {"other": [4.5, 4.0]},
        "missing": {"third": "not installed"},
        "ratios": [ratio],
    }


def test_the_page_has_ratios_and_what_is_missing() -> None:
    text = page.page_of([document("build", 2.0)], ["wire: parse"], datetime.date(2026, 1, 2), 90)
    assert "| build | **3** [2 - 4.5] | other | 1.5 us | 4.25 us |" in text
    assert "not measured: not installed" in text
    assert "The time of this run was up before: wire: parse." in text
    assert "2026-01-02" in text


def test_the_readme_has_what_is_promised() -> None:
    table = page.table_of([document("build", 2.0), document("parse", None), document("fair", 1.0, goal=True)])
    assert "| build | **3** other |" in table
    assert "parse" not in table
    assert "fair" not in table


def test_the_machine_is_told_in_words_without_its_name() -> None:
    words = page.machine_in_words()
    assert "processors" in words
    assert "CPython" in words
    assert socket.gethostname() not in words


def test_writing_fills_page_plots_and_readme(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- measured -->\nold\n<!-- /measured -->\nbehind\n")
    for name, value in {
        "PAGE": tmp_path / "benchmarks.md",
        "IMAGES": tmp_path / "images",
        "README": readme,
    }.items():
        monkeypatch.setattr(page, name, value)
    page.write([document("build", 2.0)], [], 60)
    assert (tmp_path / "benchmarks.md").read_text().startswith("# Benchmarks")
    assert (tmp_path / "images" / "bench-wire.png").read_bytes().startswith(b"\x89PNG")
    assert "old" not in readme.read_text()
    assert readme.read_text().startswith("before\n<!-- measured -->\n| |")
    assert readme.read_text().endswith("<!-- /measured -->\nbehind\n")


def test_no_row_begins_when_the_time_is_up() -> None:
    left_out: list[str] = []
    assert list(run(["addr"], 1, "", minutes=1e-9, left_out=left_out)) == []
    assert left_out
    assert all(text.startswith("addr: ") for text in left_out)

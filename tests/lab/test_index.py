"""The index of the reliability catalogue (tests/rsp/SCENARIOS.md) is whole, and names tests that exist."""

from __future__ import annotations

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
INDEX = (TESTS / "rsp" / "SCENARIOS.md").read_text(encoding="utf-8")
LINES = {"A": 14, "B": 15, "C": 23, "D": 11, "E": 14, "F": 23, "I": 15}


def defined() -> set[str]:
    """Names of all test functions and classes."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in TESTS.rglob("test_*.py"))
    return set(re.findall(r"^\s*(?:async )?(?:def|class) ([Tt]est\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("section", LINES)
def test_every_line_of_the_catalogue_is_there(section: str) -> None:
    cells = [row.split("|")[1] for row in INDEX.splitlines() if row.startswith("| ")]
    named = {name.strip() for cell in cells for name in cell.split(",")}
    assert [f"{section}{n}" for n in range(1, LINES[section] + 1) if f"{section}{n}" not in named] == []


def test_every_test_it_names_exists() -> None:
    names = defined()
    missing = []
    for quoted in re.findall(r"`([^`]+)`", INDEX):
        for part in quoted.split("::"):
            name = re.sub(r"\[.*\]$", "", part)
            if name.endswith(".py"):
                places = [TESTS.parent / name, TESTS / "rsp" / name]
                if not any(place.exists() for place in places):
                    missing.append(name)
            elif re.match(r"[Tt]est[_A-Z]", name) and not any(fnmatch(each, name) for each in names):
                missing.append(name)
    assert missing == []

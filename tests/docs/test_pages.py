"""Every code block of README and docs is run: each page as a whole, on hosts of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import blocks
import pytest

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]

# How many blocks of a page may be shown and not run; each of them says why.
NOT_RUN: dict[str, int] = {"README.md": 1, "soak.md": 2, "tutorial.md": 1}


def run(page: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(HERE / "run_page.py"), str(page)],
        capture_output=True,
        text=True,
        check=False,
        timeout=1700,
    )


@pytest.mark.netns
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_does_what_the_page_says(page: Path) -> None:
    if not any(block.language in blocks.RUN for block in blocks.blocks_of(page)):
        pytest.skip("no code on this page")
    done = run(page)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_has_a_known_language_and_few_are_not_run(page: Path) -> None:
    found = list(blocks.blocks_of(page))
    assert {block.language for block in found} <= {*blocks.RUN, "text", ""}
    left = [block for block in found if block.reason]
    assert len(left) <= NOT_RUN.get(page.name, 0), [f"{block.line}: {block.reason}" for block in left]
    assert all(len(block.reason.split()) >= 4 for block in left)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_command_hides_in_an_indented_block(page: Path) -> None:
    text = re.sub(r"<!--.*?-->", lambda found: "\n" * found[0].count("\n"), page.read_text(), flags=re.DOTALL)
    fenced, wrong, blank = False, [], True
    for number, line in enumerate(text.splitlines(), start=1):
        fenced ^= line.strip().startswith("```")
        if not fenced and blank and re.match(r" {4}(?!\s*([-*]|```))", line):
            wrong.append(number)
        blank = not line.strip()
    assert wrong == []


def test_the_files_of_a_page_are_the_examples() -> None:
    for page in PAGES:
        files: dict[str, str] = {}
        for block in blocks.blocks_of(page):
            if block.title:
                files[block.title] = blocks.continued(files.get(block.title, ""), block.text)
        for title, text in files.items():
            example = ROOT / "docs" / "examples" / title
            if example.exists():
                assert text == example.read_text(), f"{page.name} and {example.name} differ"


@pytest.mark.netns
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("```python\nassert False, 'so'\n```\n", "so"),
        ("```python\nprint(1 + 1)\n```\n\n<!-- prints -->\n```text\n3\n```\n", "the page shows\n3"),
        ("```console\n$ echo one\ntwo\n```\n", "the page shows\ntwo"),
        ("```console\n$ false\n```\n", "exit status 1"),
        ("```sh\ntrue\nfalse\n```\n", "exit status 1"),
        ("<!-- setup\nraise RuntimeError('hidden')\n-->\n```python\n```\n", "hidden"),
        ("<!-- run: pytest -->\n```python\ndef test_it():\n    assert 1 == 2\n```\n", "exit status 1"),
    ],
)
def test_a_page_that_is_wrong_is_told(tmp_path: Path, text: str, complaint: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text)
    done = run(page)
    assert done.returncode != 0
    assert complaint in done.stderr


@pytest.mark.parametrize(
    ("expected", "printed", "figures", "verdict"),
    [
        ("a 1", "a 2", True, True),
        ("a 1", "a 2", False, False),
        ("a  12.5 ms", "a 3.25 ms", True, True),
        ("a 891 ms; 12Mbit/s", "a 1.08 s; 900 kbit/s", True, True),
        ("a 891 ms", "a 891 bytes", True, False),
        ("a 891 ms", "a 1.08 s", False, False),
        ("a 1", "b 1", True, False),
        ("one\n...\nthree", "one\ntwo\ntwo\nthree", False, True),
        ("one\n...\nthree", "one\nthree", False, True),
        ("one ... three", "one two three", False, True),
        ("one", "one\ntwo", False, False),
    ],
)
def test_output_agrees(expected: str, printed: str, figures: bool, verdict: bool) -> None:
    assert blocks.agrees(expected, printed, figures=figures) is verdict

"""The code blocks of a page, and what the page says about running them.

A block is run as its language and title say. A comment on the line before its fence says more, unseen by readers:

    <!-- run: WORDS -->     ``on=b`` host b instead of a; ``background`` in a process of its own, until the page ends;
                            ``root`` in the repository instead of an empty folder; ``figures`` numbers of the output and
                            their units of time and rate may differ; ``pytest`` the block is tests; ``apart`` with
                            names of its own;
                            ``waits=FILE`` what is put in the background is ready when there is FILE, not when a
                            socket is open; ``needs=PROGRAM`` only where that is installed; ``status=1`` of the last
    <!-- prints -->         this block is what the python block before it prints; ``<!-- prints figures -->`` likewise
    <!-- not run: REASON -->

A comment ``<!-- setup`` ... ``-->`` holds Python that is run before the next block. Lines of ``...`` in expected output
stand for any lines, ``...`` in a line for anything.
"""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN = {"python", "console", "sh", "toml", "lua"}
"""Languages that are run or checked; ``text`` and fences without a language are no code."""

DOCS = Path(__file__).resolve().parents[2] / "docs"
_INCLUDED = re.compile(r'--8<-- "([\w./]+)"')
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>[\w+-]*)(?P<rest>[^\n`]*)$")
_COMMENT = re.compile(r"^ *<!-- (?P<word>run:|not run:|prints)(?P<words>.*?)-->$")
_FIGURE = re.compile(r"(?<![\w.])[0-9a-f]{16,}(?!\w)|\d[\d,]*(\.\d+)?")
# A slower machine's milliseconds are seconds, and its megabits kilobits.
_UNIT = re.compile(r"\b0 ?(?:[num]?s\b|[kMG]?bit/s)")


@dataclasses.dataclass
class Block:
    """One fenced block.

    Attributes:
        line: of its first line of content, from 1.
        language: the word behind the fence.
        title: the file that it is (a part of).
        text: the content.
        words: what the comment before it says.
        reason: why it is not run.
        prints: whether it is what the block before it prints.
        setup: Python to run before it.
    """

    line: int
    language: str
    title: str
    text: str
    words: frozenset[str]
    reason: str = ""
    prints: bool = False
    setup: str = ""

    def word(self, key: str, default: str) -> str:
        """The value of ``key=value`` among the words."""
        return next((word.partition("=")[2] for word in self.words if word.startswith(f"{key}=")), default)


def blocks_of(page: Path) -> Iterator[Block]:
    """Every fenced block of a Markdown page, in order."""
    lines = iter(enumerate(page.read_text(encoding="utf-8").splitlines(), start=1))
    comment, setup = None, ""
    for _, line in lines:
        if line.strip() == "<!-- setup":
            setup += "".join(f"{text}\n" for text in _until(lines, "-->"))
        elif (found := _COMMENT.match(line)) is not None:
            comment = found
        elif (fence := _FENCE.match(line)) is not None:
            yield _block(lines, fence, comment, setup)
            comment, setup = None, ""
        elif line.strip():
            comment = None


def _until(lines: Iterator[tuple[int, str]], end: str) -> Iterator[str]:
    for _, line in lines:
        if line.strip() == end:
            return
        yield line


def _block(
    lines: Iterator[tuple[int, str]], fence: re.Match[str], comment: re.Match[str] | None, setup: str
) -> Block:
    content, indent, first = "", len(fence["indent"]), 0
    for number, line in lines:
        first = first or number
        if line.strip() == "```":
            break
        included = _INCLUDED.fullmatch(line)
        content += (
            f"{line[indent:]}\n" if included is None else (DOCS / included[1]).read_text(encoding="utf-8")
        )
    title = re.search(r'title="([^"]*)"', fence["rest"])
    word, words = (comment["word"], comment["words"].strip()) if comment else ("", "")
    return Block(
        line=first,
        language=fence["language"],
        title=title[1] if title else "",
        text=content,
        words=frozenset() if word == "not run:" else frozenset(words.split()),
        reason=words if word == "not run:" else "",
        prints=word == "prints",
        setup=setup,
    )


def continued(before: str, piece: str) -> str:
    """A file that has begun with ``before``, with ``piece`` behind it, two empty lines between."""
    return f"{before}\n\n{piece}" if before else piece


def commands_of(text: str) -> list[tuple[str, str]]:
    """(command, expected output) of a console block; a command goes on behind a backslash."""
    found: list[list[str]] = []
    for line in text.splitlines(keepends=True):
        if line.startswith(("$ ", "# ")):
            found.append([line[2:], ""])
        elif found and not found[-1][1] and found[-1][0].endswith("\\\n"):
            found[-1][0] += line
        elif found:
            found[-1][1] += line
    return [(command, output) for command, output in found]


def agrees(expected: str, printed: str, *, figures: bool) -> bool:
    """Whether ``printed`` is what the page shows; with ``figures`` numbers, their units and widths may differ."""
    return _pattern(expected, figures=figures).fullmatch(_plain(printed, figures=figures)) is not None


def _plain(text: str, *, figures: bool) -> str:
    lines = (line.rstrip() for line in text.strip("\n").splitlines())
    if figures:
        lines = (re.sub(r"[ \t]+", " ", _UNIT.sub("0", _FIGURE.sub("0", line))).strip() for line in lines)
    return "".join(f"{line}\n" for line in lines)


def _pattern(expected: str, *, figures: bool) -> re.Pattern[str]:
    parts = []
    for line in _plain(expected, figures=figures).splitlines():
        if line.strip() == "...":
            parts.append(r"(?:.*\n)*?")
        else:
            parts.append(".*".join(re.escape(piece) for piece in line.split("...")) + r"\n")
    return re.compile("".join(parts))

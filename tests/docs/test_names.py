"""What the pages name is there: files, modules and their names, options of the tools, the ends of links."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import blocks
import click
import pytest
from rawproto_tools.main import command as program

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *(ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]

_FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_FILE = re.compile(r"`([\w./-]+\.(?:py|c|md|toml))`")
_METHOD = re.compile(r"`([\w./-]+\.py)`[^`,]*, `(\w+(?:\.\w+)?)`")
_DOTTED = re.compile(r"(?<![\w./-])(?:rawproto|rawproto_tools|benchmarks)(?:\.[A-Za-z_]\w*)+(?![\w/-])")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)

on_every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)


@functools.cache
def prose(page: Path) -> str:
    """The page without what is run or hidden."""
    return _COMMENT.sub("", _FENCED.sub("", page.read_text(encoding="utf-8")))


def found(page: Path, name: str) -> Path | None:
    """The file that a page means: in the repository, beside the page, or in the package."""
    places = (ROOT / name, page.parent / name, ROOT / "rawproto" / name)
    return next((place for place in places if place.exists()), None)


def resolve(dotted: str) -> Any:
    """The module, or the thing in it, that a dotted name stands for."""
    words = dotted.split(".")
    for length in range(len(words), 0, -1):
        module = ".".join(words[:length])
        if length == 1 or _is_module(module):
            return functools.reduce(getattr, words[length:], importlib.import_module(module))
    raise AssertionError(dotted)


def _is_module(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def anchors(page: Path) -> Iterator[str]:
    """The names that the headings of a page have in links."""
    text = _FENCED.sub("", page.read_text(encoding="utf-8"))
    for heading in _HEADING.findall(text):
        plain = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
        yield re.sub(r"[\s-]+", "-", plain)


@on_every_page
def test_the_files_it_names_are_there(page: Path) -> None:
    own = {block.title for block in blocks.blocks_of(page) if block.title}
    named = set(_FILE.findall(prose(page))) - own
    assert [name for name in sorted(named) if found(page, name) is None] == []


@on_every_page
def test_the_names_behind_a_file_are_in_it(page: Path) -> None:
    for name, what in _METHOD.findall(prose(page)):
        place = found(page, name)
        assert place is not None, name
        module = ".".join(place.relative_to(ROOT).with_suffix("").parts)
        functools.reduce(getattr, what.split("."), importlib.import_module(module))


@on_every_page
def test_the_dotted_names_stand_for_something(page: Path) -> None:
    for dotted in set(_DOTTED.findall(prose(page))):
        if dotted.rpartition(".")[2] not in {"md", "py"}:
            resolve(dotted)


@on_every_page
def test_links_lead_somewhere(page: Path) -> None:
    wrong = []
    for target in _LINK.findall(prose(page)):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        place = (page.parent / file) if file else page
        if not place.exists() or (anchor and anchor not in set(anchors(place))):
            wrong.append(target)
    assert wrong == []


def test_the_options_of_each_tool_are_its_own() -> None:
    context = click.Context(program, info_name="rawproto")
    wrong = []
    for section in re.split(r"^## ", prose(ROOT / "docs" / "tools.md"), flags=re.MULTILINE)[1:]:
        heading, _, text = section.partition("\n")
        commands = [program.get_command(context, name) for name in heading.split(", ")]
        assert all(commands), heading
        known = {"--help", "--json"}.union(*(options_of(command) for command in commands))
        code = re.findall(r"`([^`]+)`", text)
        wrong += [
            f"{heading}: {word}"
            for piece in code
            if piece.startswith(("-", *(f"rawproto {name} " for name in heading.split(", "))))
            for word in re.findall(r"(?<![\w-])--?[A-Za-z][\w-]*", piece)
            if word not in known
        ]
    assert wrong == []


def options_of(command: click.Command | None) -> set[str]:
    """The options of a command and of the commands below it."""
    assert command is not None
    own = {text for parameter in command.params for text in (*parameter.opts, *parameter.secondary_opts)}
    below = command.commands.values() if isinstance(command, click.Group) else ()
    return own.union(*(options_of(inner) for inner in below))


def test_every_tool_has_its_place_among_the_tools() -> None:
    text = prose(ROOT / "docs" / "tools.md")
    headings = {name for line in re.findall(r"^## (.+)$", text, re.MULTILINE) for name in line.split(", ")}
    commands = set(program.list_commands(click.Context(program)))
    assert headings <= commands
    assert [name for name in commands - headings if f"rawproto {name} " not in text] == []

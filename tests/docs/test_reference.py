"""The reference has every public name, and every public name has a docstring."""

from __future__ import annotations

import inspect
import pkgutil
from pathlib import Path

import pytest
import reference

import rawproto

DOCS = Path(__file__).resolve().parents[2] / "docs"


def test_every_room_has_a_page_and_a_place_in_the_menu() -> None:
    rooms = {module.name for module in pkgutil.iter_modules(rawproto.__path__) if module.name[0] != "_"}
    assert set(reference.ROOMS) == rooms
    menu = (DOCS.parent / "mkdocs.yml").read_text()
    assert all(f"reference/{room}.md" in menu for room in rooms)


def test_every_name_of_rawproto_is_in_a_room() -> None:
    names = {name for room in reference.ROOMS for name, _ in reference.members(room)}
    assert set(rawproto.__all__) <= names


@pytest.mark.parametrize("room", reference.ROOMS)
def test_every_public_name_has_an_entry_and_a_docstring(room: str) -> None:
    text = reference.page(room)
    missing = []
    for name, value in reference.members(room):
        assert f"\n## {name}\n" in text
        if reference.documented(value) and not reference.own_doc(value):
            missing.append(name)
        if inspect.isclass(value):
            for below, member in reference.methods(value):
                assert f"\n### {name}.{below}\n" in text
                if not reference.own_doc(member):
                    missing.append(f"{name}.{below}")
    assert missing == []


def test_a_docstring_becomes_markdown() -> None:
    text = reference.markdown(
        "Do ``this`` with :class:`rawproto.Conn`.\n\nSo::\n\n    a < b\n\nArgs:\n    n: bytes,\n        at most.\n"
    )
    assert "Do `this` with `Conn`." in text
    assert "```text\n\n    a < b" in text
    assert "**Args**" in text
    assert "- `n`: bytes,\n  at most." in text

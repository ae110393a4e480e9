"""docs/screens.py: what it draws, and that the screens of the README are there."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
import screens

ROOT = Path(__file__).parents[2]


def test_a_screen_shows_the_text_and_asks_nobody_for_fonts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screens, "IMAGES", tmp_path)
    screens.draw("some", "rawproto some", "one <line>\n\x1b[31mred\x1b[0m\n")
    picture = (tmp_path / "screen-some.svg").read_text()
    shown = "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")
    assert "$ rawproto some" in shown
    assert "one <line>" in shown
    assert "red" in shown
    assert "url(" not in re.sub(r"url\(#[\w-]+\)", "", picture)


@pytest.mark.parametrize("name", ["demo", "ping", "bench", "ladder"])
def test_the_screens_are_there(name: str) -> None:
    picture = (ROOT / "docs" / "images" / f"screen-{name}.svg").read_text()
    shown = "".join(ElementTree.fromstring(picture).itertext()).replace("\xa0", " ")
    assert f"$ rawproto {'dump' if name == 'ladder' else name}" in shown
    assert "Traceback" not in shown

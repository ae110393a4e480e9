"""docs/rsp.md says what the code does: diagrams, states and constants are compared."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from rawproto.rsp.header import Kind
from rawproto.rsp.reasons import Reason

if TYPE_CHECKING:
    from types import ModuleType

DOCS = Path(__file__).parents[2] / "docs"


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("docs_generated", DOCS / "generated.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_diagrams_and_states_are_those_of_the_code() -> None:
    text = (DOCS / "rsp.md").read_text()
    assert generator().filled(text) == text, "run: python docs/generated.py"


def test_every_kind_and_reason_is_in_its_table() -> None:
    text = (DOCS / "rsp.md").read_text()
    for kind in Kind:
        assert f"| {int(kind) & 0xF} | {kind.name} |" in text
    for reason in Reason:
        assert f"| {int(reason)} | {reason.name} |" in text

"""docs/rsp.md says what the code does: diagrams, states and constants are compared."""

from __future__ import annotations

from pathlib import Path

import generated

from rawproto.rsp.header import Kind
from rawproto.rsp.reasons import Reason

DOCS = Path(__file__).parents[2] / "docs"


def test_diagrams_and_states_are_those_of_the_code() -> None:
    text = (DOCS / "rsp.md").read_text()
    assert generated.filled(text) == text, "run: python docs/generated.py"


def test_every_kind_and_reason_is_in_its_table() -> None:
    text = (DOCS / "rsp.md").read_text()
    for kind in Kind:
        assert f"| {int(kind) & 0xF} | {kind.name} |" in text
    for reason in Reason:
        assert f"| {int(reason)} | {reason.name} |" in text

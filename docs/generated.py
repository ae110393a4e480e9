"""Fill in the parts of the documentation that are made from the code: header diagrams and the table of states.

``python docs/generated.py`` rewrites ``docs/rsp.md``; a test holds that nothing is left to rewrite.
"""

from __future__ import annotations

import re
from pathlib import Path

from rawproto.rsp import header
from rawproto.rsp.state import TRANSITIONS, State

PAGE = Path(__file__).with_name("rsp.md")


def state_table() -> str:
    """Every state, what it means and what may follow."""
    lines = ["| state | meaning | may become |", "|---|---|---|"]
    meanings = _meanings()
    for state, following in TRANSITIONS.items():
        after = ", ".join(sorted(to.value for to in following)) or "-"
        lines.append(f"| {state.value} | {meanings[state]} | {after} |")
    return "\n".join(lines)


def _meanings() -> dict[State, str]:
    """The sentence below each state in its module."""
    source = Path(__import__("rawproto.rsp.state", fromlist=["state"]).__file__).read_text()
    found = re.findall(r'^    ([A-Z_]+) = "[^"]+"\n    """(.+?)"""', source, re.MULTILINE)
    return {State[name]: sentence.rstrip(".") for name, sentence in found}


def filled(text: str) -> str:
    """``text`` with every generated part brought up to date."""

    def diagram(match: re.Match[str]) -> str:
        layout = getattr(header, match[1]).diagram()
        return f"<!-- diagram:{match[1]} -->\n```\n{layout.rstrip()}\n```\n<!-- /diagram -->"

    text = re.sub(r"<!-- diagram:(\w+) -->\n.*?<!-- /diagram -->", diagram, text, flags=re.DOTALL)
    table = f"<!-- states -->\n{state_table()}\n<!-- /states -->"
    return re.sub(r"<!-- states -->\n.*?<!-- /states -->", lambda _: table, text, flags=re.DOTALL)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text()))

"""What type checkers see of the lazy packages: ``python tests/stubs.py`` makes each ``__init__.pyi`` from its table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import rawproto
from rawproto import wire

ROOT = Path(__file__).resolve().parent.parent
WHENCE = '"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""'


def stub(names: dict[str, str], more: str = "") -> str:
    """A stub that re-exports each name from its module."""
    lines = [f"from {module} import {name} as {name}" for name, module in sorted(names.items())]
    return "\n".join([WHENCE, "", *lines, "", "__all__: list[str]", more])


def stubs() -> dict[Path, str]:
    """The text of each stub by its path, before ruff sorts it."""
    below = {name: f"rawproto.wire.{module}" for name, module in wire._MODULE_OF.items()}
    return {
        ROOT / "rawproto/__init__.pyi": stub(
            {**rawproto._MODULE_OF, "aio": "rawproto"}, "__version__: str\n"
        ),
        ROOT / "rawproto/wire/__init__.pyi": stub(below),
    }


if __name__ == "__main__":
    for path, text in stubs().items():
        path.write_text(text)
        for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
            subprocess.run([str(Path(sys.executable).with_name("ruff")), *command, str(path)], check=True)

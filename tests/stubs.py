"""What type checkers see of the lazy packages: ``python tests/stubs.py`` makes each ``__init__.pyi`` from its table."""

from __future__ import annotations

import importlib
import subprocess
import sys
from importlib.util import resolve_name
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WHENCE = '"""Made by tests/stubs.py from the table in __init__.py: what type checkers see."""'


def packages() -> list[str]:
    """Every package of ours whose names are loaded when asked for."""
    found = []
    for path in sorted((ROOT / "rawproto").rglob("__init__.py")):
        name = ".".join(path.parent.relative_to(ROOT).parts)
        if hasattr(importlib.import_module(name), "_HOMES"):
            found.append(name)
    return found


def homes(package: str) -> dict[str, str]:
    """Public name to the whole name of the module it is in."""
    pairs = [
        (name, resolve_name(module, package))
        for module, names in importlib.import_module(package)._HOMES.items()
        for name in names.split()
    ]
    assert len(dict(pairs)) == len(pairs), f"a name of {package} stands in two places"
    if package == "rawproto":
        pairs.append(("aio", "rawproto"))
    return dict(pairs)


def path_of(package: str) -> Path:
    """Where the stub of a package stands."""
    return ROOT.joinpath(*package.split("."), "__init__.pyi")


def stub(package: str) -> str:
    """A stub that re-exports each name from its module, before ruff sorts it."""
    lines = [f"from {module} import {name} as {name}" for name, module in sorted(homes(package).items())]
    more = ["__version__: str"] if package == "rawproto" else []
    return "\n".join([WHENCE, "", *lines, "", "__all__: list[str]", *more, ""])


if __name__ == "__main__":
    for package in packages():
        path = path_of(package)
        path.write_text(stub(package))
        for command in (["check", "--fix", "--quiet"], ["format", "--quiet"]):
            subprocess.run([str(Path(sys.executable).with_name("ruff")), *command, str(path)], check=True)

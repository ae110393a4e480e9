"""The house rules that a machine can hold: arrows point down, the pure rooms stay pure, the lazy exports are true."""

from __future__ import annotations

import ast
import dataclasses
import functools
import importlib
import re
import tomllib
from typing import TYPE_CHECKING

import pytest

import rawproto
from tests import stubs

if TYPE_CHECKING:
    from pathlib import Path

ROOT = stubs.ROOT
HOMES = stubs.homes("rawproto")

# What each room may import at all, besides itself: "architecture.md", the table of rooms.
_GROUND = {"_face", "errors"}
_FLOOR_5 = _GROUND | {"addr", "resolve", "wire", "protocol", "rsp", "link"}
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "_face": set(),
    "addr": _GROUND,
    "resolve": _GROUND | {"addr"},
    "wire": _GROUND | {"addr"},
    "protocol": _GROUND | {"addr", "wire"},
    "rsp": _GROUND | {"addr", "wire", "protocol"},
    "link": _GROUND | {"addr", "wire"},
    "net": _FLOOR_5,
    "lab": _FLOOR_5,
    "aio": {"errors", "net"},
}
PURE = ("errors", "addr", "wire", "protocol", "rsp")

# Sockets, clocks, threads and the system's randomness, whole modules of them.
IMPURE = {
    "_socket", "_thread", "asyncio", "concurrent", "multiprocessing", "secrets", "select", "selectors", "signal",
    "socket", "socketserver", "ssl", "subprocess", "threading", "time", "uuid",
}  # fmt: skip
# Names to avoid in modules that are fine otherwise, as imported and as used.
IMPURE_NAME = re.compile(r"os\.(urandom|getrandom)|random\.(?!Random$)\w+")
IMPURE_USE = re.compile(
    r"os\.(urandom|getrandom)$|(datetime|date)\.(\w+\.)*(now|utcnow|today)$|random\.(?!Random\b)|"
    r"(np|numpy)\.random\.(?!(BitGenerator|Generator|PCG64|Philox|SeedSequence|default_rng)\b)"
)
UNSEEDED = re.compile(r"(random\.)?Random|((np|numpy)\.random\.)?default_rng")


@dataclasses.dataclass(frozen=True)
class Arrow:
    """One import, of a module or of a name in it."""

    module: str
    target: str
    line: int
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


class _Imports(ast.NodeVisitor):
    """Collects the imports of a module, wherever they stand, and whether only a type checker sees them."""

    def __init__(self, module: str, package: str) -> None:
        self.module = module
        self.package = package
        self.found: list[Arrow] = []
        self._typing_only = False

    def _add(self, target: str, line: int) -> None:
        self.found.append(Arrow(self.module, target, line, self._typing_only))

    def visit_If(self, node: ast.If) -> None:
        before = self._typing_only
        self._typing_only = before or "TYPE_CHECKING" in ast.dump(node.test)
        for child in node.body:
            self.visit(child)
        self._typing_only = before
        for child in node.orelse:
            self.visit(child)

    def visit_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            self._add(alias.name, node.lineno)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        base = node.module or ""
        if node.level:
            parts = self.package.split(".")
            front = ".".join(parts[: len(parts) - node.level + 1])
            base = f"{front}.{base}" if base else front
        for alias in node.names:
            self._add(f"{base}.{alias.name}", node.lineno)


def modules_of(folder: str) -> dict[str, Path]:
    """Every module of a package of ours, by dotted name."""
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        found[".".join(parts)] = path
    return found


@functools.cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports_of(module: str, path: Path) -> list[Arrow]:
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    walk = _Imports(module, package)
    walk.visit(tree_of(path))
    return [dataclasses.replace(arrow, target=resolve_export(arrow.target)) for arrow in walk.found]


def resolve_export(target: str) -> str:
    """``rawproto.IP`` stands for what its room defines: ``rawproto.addr.IP``."""
    front, _, name = target.rpartition(".")
    return f"{HOMES[name]}.{name}" if front == "rawproto" and name in HOMES else target


def room_of(target: str) -> str | None:
    """The room that ``rawproto.room...`` lies in; None for what is not ours."""
    parts = target.split(".")
    return parts[1] if parts[0] == "rawproto" and len(parts) > 1 else None


def outside(name: str) -> list[Arrow]:
    """Imports by one of our modules of what is not ours, type checking apart."""
    arrows = imports_of(name, LIBRARY[name])
    return [arrow for arrow in arrows if not arrow.typing_only and not arrow.target.startswith("rawproto")]


LIBRARY = modules_of("rawproto")
ALL_ARROWS = [arrow for name, path in LIBRARY.items() for arrow in imports_of(name, path)]


def test_every_room_is_in_the_table() -> None:
    rooms = {room_of(name) for name in LIBRARY} - {None}
    assert rooms == set(ARROWS)


def test_arrows_point_down() -> None:
    wrong = []
    for arrow in ALL_ARROWS:
        room, target = room_of(arrow.module), room_of(arrow.target)
        if room is None or target is None or target == room or arrow.target == "rawproto.__version__":
            continue
        if target not in ARROWS[room]:
            wrong.append(str(arrow))
    assert wrong == []


def test_the_table_has_no_circle() -> None:
    seen: set[str] = set()
    while len(seen) < len(ARROWS):
        ready = {room for room, below in ARROWS.items() if room not in seen and below <= seen}
        assert ready, f"a circle among {set(ARROWS) - seen}"
        seen |= ready


def _imported_modules(name: str) -> set[str]:
    """Our modules that importing ``name`` imports at once."""
    wanted = set()
    for arrow in _top_level(name):
        target = arrow.target
        while target and target not in LIBRARY:
            target = target.rpartition(".")[0]
        if target and target not in ("rawproto", name):
            wanted.add(target)
    return wanted


def _top_level(name: str) -> list[Arrow]:
    """Imports outside functions, type checking apart."""
    inside = {
        line
        for node in ast.walk(tree_of(LIBRARY[name]))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    arrows = imports_of(name, LIBRARY[name])
    return [arrow for arrow in arrows if not arrow.typing_only and arrow.line not in inside]


def test_modules_import_in_no_circle() -> None:
    below = {name: _imported_modules(name) for name in LIBRARY}
    done: set[str] = set()
    while len(done) < len(below):
        ready = {name for name, needs in below.items() if name not in done and needs <= done}
        assert ready, f"modules import one another in a circle: {sorted(set(below) - done)}"
        done |= ready


def _reached(room: str) -> set[str]:
    """Our modules that those of ``room`` import, functions included, at any remove."""
    todo = [name for name in LIBRARY if room_of(name) == room]
    seen: set[str] = set()
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        for arrow in imports_of(name, LIBRARY[name]):
            target = arrow.target
            while target not in LIBRARY and "." in target:
                target = target.rpartition(".")[0]
            if not arrow.typing_only and target in LIBRARY and target != "rawproto":
                todo.append(target)
    return seen


def _attribute_chain(node: ast.expr) -> str:
    """``a.b.c`` as written; "" when it does not start at a name."""
    parts = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _impure_uses(tree: ast.Module) -> list[str]:
    """Uses of clocks and randomness through modules that are fine otherwise."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and IMPURE_USE.match(chain := _attribute_chain(node)):
            found.append(f"{node.lineno}: {chain}")
        elif isinstance(node, ast.Call) and not node.args and not node.keywords:
            chain = _attribute_chain(node.func)
            found.extend([f"{node.lineno}: {chain}() without a seed"] if UNSEEDED.fullmatch(chain) else [])
    return found


@pytest.mark.parametrize("room", PURE)
def test_pure_rooms_reach_no_socket_clock_thread_or_randomness(room: str) -> None:
    wrong = []
    for name in sorted(_reached(room)):
        wrong.extend(
            str(arrow)
            for arrow in outside(name)
            if arrow.target.partition(".")[0] in IMPURE or IMPURE_NAME.fullmatch(arrow.target)
        )
        wrong.extend(f"{name}:{use}" for use in _impure_uses(tree_of(LIBRARY[name])))
    assert wrong == []


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.urandom(8)",
        "import random\nrandom.random()",
        "import random\nrandom.Random()",
        "import numpy as np\nnp.random.random(3)",
        "import numpy as np\nnp.random.default_rng()",
        "import datetime\ndatetime.datetime.now()",
    ],
)
def test_the_walk_sees_impure_uses(code: str) -> None:
    assert _impure_uses(ast.parse(code)) != []


@pytest.mark.parametrize(
    "code", ["import random\nrandom.Random(7).random()", "import numpy as np\nnp.random.default_rng(7)"]
)
def test_the_walk_lets_seeded_randomness_pass(code: str) -> None:
    assert _impure_uses(ast.parse(code)) == []


def _exports_of_stub(path: Path) -> set[tuple[str, str]]:
    """(module, name) of each name that a stub re-exports."""
    found = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                assert alias.asname == alias.name, f"{alias.name} is not re-exported (write: as {alias.name})"
                found.add((node.module or "", alias.name))
    return found


@pytest.mark.parametrize("package", stubs.packages())
def test_type_checkers_see_the_names_of_a_lazy_package(package: str) -> None:
    table = {(module, name) for name, module in stubs.homes(package).items()}
    assert table == _exports_of_stub(stubs.path_of(package)), "run: python tests/stubs.py"


@pytest.mark.parametrize("package", stubs.packages())
def test_the_table_of_a_lazy_package_is_sorted(package: str) -> None:
    table: dict[str, str] = importlib.import_module(package)._HOMES
    assert list(table) == sorted(table)
    for names in table.values():
        assert names.split() == sorted(names.split())


@pytest.mark.parametrize("package", stubs.packages())
def test_every_name_of_a_lazy_package_is_there_and_public_in_its_home(package: str) -> None:
    face = importlib.import_module(package)
    for name in face.__all__:
        home = importlib.import_module(stubs.homes(package)[name])
        assert name in home.__all__
        assert getattr(face, name) is getattr(home, name)
        assert name in dir(face)


def test_no_export_has_the_name_of_a_module_beside_it() -> None:
    # Importing the module would put it in the place of what is exported.
    wrong = []
    for package in (name for name, path in LIBRARY.items() if path.name == "__init__.py"):
        below = {name.rpartition(".")[2] for name in LIBRARY if name.rpartition(".")[0] == package}
        exported = getattr(importlib.import_module(package), "__all__", [])
        wrong += [f"{package}.{name}" for name in below.intersection(exported)]
    assert wrong == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = rawproto.no_such_name


def test_every_package_is_installed() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = set(project["tool"]["setuptools"]["packages"])
    ours = {name for name, path in {**LIBRARY, **modules_of("tools")}.items() if path.name == "__init__.py"}
    assert listed == {name.replace("tools", "rawproto_tools", 1) for name in ours}


def test_tools_use_the_public_face_only() -> None:
    wrong = []
    for name, path in modules_of("tools").items():
        for arrow in imports_of(name, path):
            parts = arrow.target.split(".")
            if parts[0] == "rawproto" and any(p.startswith("_") and p != "__version__" for p in parts):
                wrong.append(str(arrow))
    assert wrong == []


def test_the_changelog_tells_everything_once_and_under_its_kind() -> None:
    # Here and not among the documentation's: a merge of two branches brings entries back.
    lines = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8").splitlines()
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    entries = [line for line in lines if line.startswith("- ")]
    assert len(set(entries)) == len(entries)
    for number, line in enumerate(lines):
        if line.startswith("### "):
            assert line.removeprefix("### ") in kinds
        if line.startswith("- "):
            above = [before for before in lines[:number] if re.match("##+ ", before)]
            assert any(before.startswith("### ") for before in above), line

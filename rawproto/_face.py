"""A package's face: its public names, each loaded from its own module when it is first asked for (PEP 562).

So importing a package costs next to nothing, and brings in neither numpy nor a socket for those who want an address.
Type checkers read the same names in the package's ``__init__.pyi``, which ``python tests/stubs.py`` makes from the
table.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

__all__ = ["face"]


def face(
    package: str, homes: Mapping[str, str], *, modules: Collection[str] = ()
) -> tuple[list[str], Callable[[str], Any], Callable[[], list[str]]]:
    """The ``__all__``, ``__getattr__`` and ``__dir__`` of a package.

    Args:
        package: its ``__name__``.
        homes: module, relative to the package (".mask"), and the names in it, with spaces between them.
        modules: modules beside it that are loaded when asked for, too, as ``package.module``.
    """
    home_of = {name: module for module, names in homes.items() for name in names.split()}

    def load(name: str) -> Any:
        if name in modules:
            return importlib.import_module(f".{name}", package)
        module = home_of.get(name)
        if module is None:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(module, package), name)
        setattr(sys.modules[package], name, value)
        return value

    def names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of, *modules})

    return sorted(home_of), load, names

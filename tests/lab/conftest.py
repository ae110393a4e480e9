"""Helpers of the lab's tests: what exists on this machine, counted."""

from __future__ import annotations

import dataclasses
import importlib
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


@dataclasses.dataclass(frozen=True)
class Inventory:
    """What a lab could leave behind."""

    interfaces: frozenset[str]
    descriptors: int
    threads: int
    children: frozenset[int]


def _namespaces() -> Iterable[str]:
    for entry in Path("/proc").glob("[0-9]*/task/*/ns/net"):
        try:
            yield str(entry.readlink())
        except OSError:
            continue


def _children() -> Iterable[int]:
    for entry in Path("/proc/self/task").glob("*/children"):
        yield from map(int, entry.read_text().split())


def take_inventory() -> Inventory:
    """Interfaces, descriptors, threads and children of this process."""
    return Inventory(
        frozenset(entry.name for entry in Path("/sys/class/net").iterdir()),
        sum(1 for _ in Path("/proc/self/fd").iterdir()),
        threading.active_count(),
        frozenset(_children()),
    )


@pytest.fixture
def inventory() -> Callable[[], Inventory]:
    return take_inventory


def namespaces_left(idents: Iterable[int]) -> list[int]:
    """Those of the namespaces that some thread on this machine still stands in."""
    seen = set(_namespaces())
    return [ident for ident in idents if f"net:[{ident}]" in seen]


@pytest.fixture
def wait_until_left_by_all() -> Callable[[list[int]], list[int]]:
    """Wait, at most ten seconds, until nobody stands in the namespaces; gives those that are still stood in."""

    def wait(idents: list[int]) -> list[int]:
        end = time.monotonic() + 10
        while (left := namespaces_left(idents)) and time.monotonic() < end:
            time.sleep(0.01)
        return left

    return wait


@pytest.fixture
def load_interop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The conditions of quic-interop-runner (interop.py beside this file)."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("interop")


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    """Seeds that a condition is run with: few, and a hundred in the long profile."""
    return range(100 if request.config.getoption("--long") else 1)

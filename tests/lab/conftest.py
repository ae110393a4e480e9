"""Helpers of the lab's tests: what exists on this machine, counted."""

from __future__ import annotations

import dataclasses
import gc
import importlib
import socket
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from rawproto import Host


@dataclasses.dataclass(frozen=True)
class Inventory:
    """What a lab could leave behind."""

    interfaces: frozenset[str]
    descriptors: int
    threads: int
    children: frozenset[int]

    def more_than(self, before: Inventory) -> dict[str, Any]:
        """What there is now and was not before, by name; what earlier tests left may go meanwhile."""
        new = {
            "interfaces": self.interfaces - before.interfaces,
            "descriptors": max(0, self.descriptors - before.descriptors),
            "threads": max(0, self.threads - before.threads),
            "children": self.children - before.children,
        }
        return {name: value for name, value in new.items() if value}


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
    gc.collect()
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
    """Wait, at most a minute, until nobody stands in the namespaces; gives those that are still stood in."""

    def wait(idents: list[int]) -> list[int]:
        end = time.monotonic() + 60
        while (left := namespaces_left(idents)) and time.monotonic() < end:
            time.sleep(0.01)
        return left

    return wait


def send_and_answer(a: Host, b: Host, version: int = 4) -> str:
    """A datagram from a to b and one back, each sent once; gives the source that b saw."""
    family = socket.AF_INET6 if version == 6 else socket.AF_INET
    with b:
        far = socket.socket(family, socket.SOCK_DGRAM)
    with far:
        with a:
            near = socket.socket(family, socket.SOCK_DGRAM)
        with near:
            for end in (far, near):
                end.settimeout(60)
            far.bind((b.address(version), 0))
            near.sendto(b"there", (b.address(version), far.getsockname()[1]))
            _, source = far.recvfrom(10)
            far.sendto(b"back", source)
            assert near.recv(10) == b"back"
            return str(source[0])


@pytest.fixture
def exchange() -> Callable[..., str]:
    return send_and_answer


@pytest.fixture
def load_interop(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The conditions of quic-interop-runner (interop.py beside this file)."""
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    return importlib.import_module("interop")


@pytest.fixture
def seeds(request: pytest.FixtureRequest) -> range:
    """Seeds that a condition is run with: few, and a hundred in the long profile."""
    return range(100 if request.config.getoption("--long") else 1)

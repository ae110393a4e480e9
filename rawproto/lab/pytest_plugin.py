"""The pytest plugin of the lab: fixtures ``lab`` and ``simulation``, marker ``netns``.

A test that carries the marker or uses the fixture needs network namespaces. As root they are simply made. As an
ordinary user the whole run moves into a user namespace of its own; the ini setting ``rawproto_userns`` says when:

- ``auto`` (default): when the collected tests include one that needs it. Usually threads are running by then, so
  the run starts over once, inside;
- ``early``: at the very start, which saves the second start;
- ``off``: never.

Where neither way is open such tests are skipped with the reason; ``--require-netns`` makes that a failure.

What passed through the relays of the fixture ``lab`` is captured, up to :data:`CAPTURE_LIMIT` a link. When the test
fails, the report names the files, which stay with pytest's other temporary files; else they go.
"""

from __future__ import annotations

import contextlib
import functools
import os
import pwd
import shutil
from typing import TYPE_CHECKING

import pytest

from rawproto.errors import PrivilegeError
from rawproto.lab import userns

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from rawproto.lab.lab import Lab
    from rawproto.lab.simulation import Simulation

__all__: list[str] = []

_MODES = ("auto", "early", "off")
_FIXTURES = frozenset({"lab"})

CAPTURE_LIMIT = 4 << 20
"""Bytes of packets a link: enough to see what went wrong, little enough to be written for every test."""
_failed = pytest.StashKey[bool]()
_lab = pytest.StashKey["tuple[Lab, Path]"]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare ``--require-netns`` and ``rawproto_userns``."""
    group = parser.getgroup("rawproto", "rawproto: labs of network namespaces")
    group.addoption(
        "--require-netns",
        action="store_true",
        help="fail, instead of skipping, where network namespaces cannot be made",
    )
    group.addoption(
        "--simulation-seed", type=int, default=0, help="seed of the fixture simulation (default 0)"
    )
    group.addoption(
        "--lab-capture",
        choices=("failed", "all", "off"),
        default="failed",
        help="whose captures of the links of the fixture lab are kept (default: those of failed tests)",
    )
    parser.addini(
        "rawproto_userns",
        "when an ordinary user's run enters a user namespace: auto (when a test needs it), early, off",
        default="auto",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Declare the marker, for projects with strict markers."""
    config.addinivalue_line(
        "markers", "netns: needs Linux network namespaces (as root, or through a user namespace)"
    )


def _mode(config: pytest.Config) -> str:
    mode = str(config.getini("rawproto_userns"))
    if mode not in _MODES:
        raise pytest.UsageError(f"rawproto_userns = {mode!r}: it is one of {', '.join(_MODES)}")
    return mode


def pytest_load_initial_conftests(early_config: pytest.Config) -> None:
    """In mode ``early``, enter while the run has a single thread."""
    if _mode(early_config) == "early":
        _keep_user_name()
        try:
            userns.ensure_if_alone()
        except PrivilegeError:
            pass  # each test that needs it says so


def _keep_user_name() -> None:
    """Inside a user namespace everybody is root: keep pytest away from the temporary folder of the real one."""
    if os.geteuid() != 0:
        with contextlib.suppress(KeyError):
            os.environ["LOGNAME"] = pwd.getpwuid(os.geteuid()).pw_name


def _needs_namespaces(item: pytest.Item) -> bool:
    fixtures = getattr(item, "fixturenames", ())
    return item.get_closest_marker("netns") is not None or not _FIXTURES.isdisjoint(fixtures)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In mode ``auto``, start over inside a user namespace when a test needs that and it can be had."""
    worker = hasattr(config, "workerinput")  # a child of pytest-xdist cannot start over
    if _mode(config) != "auto" or worker or not any(map(_needs_namespaces, items)):
        return
    if userns.can_make_networks() or userns.inside() or userns.why_not() is not None:
        return
    _keep_user_name()
    if userns.ensure_if_alone():
        return
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture is not None:
        capture.stop_global_capturing()
    userns.enter_by_restart()


@functools.cache
def _why_not_here() -> str | None:
    if userns.can_make_networks():
        return None
    return (
        userns.why_not()
        or "this run did not enter a user namespace (setting rawproto_userns, or pytest-xdist)"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail with ``--require-netns``, what needs namespaces where there are none."""
    if not _needs_namespaces(item):
        return
    reason = _why_not_here()
    if reason is None:
        return
    if item.config.getoption("--require-netns"):
        pytest.fail(f"network namespaces are required (--require-netns): {reason}", pytrace=False)
    pytest.skip(f"needs network namespaces: {reason}")


@pytest.fixture
def simulation(request: pytest.FixtureRequest) -> Simulation:
    """A :class:`rawproto.Simulation` of the test's own, seeded by ``--simulation-seed``.

    When the test fails, the report says how to repeat it and where the simulation stood.
    """
    from rawproto.lab.simulation import Simulation

    made = Simulation(request.config.getoption("--simulation-seed"))
    request.node.add_report_section("setup", "simulation", f"--simulation-seed={made.seed}")
    return made


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Name the captures in the report of a test that failed."""
    report = yield
    if report.failed:
        item.stash[_failed] = True
        if _lab in item.stash and report.when != "teardown":
            report.sections.append(("lab: what passed on its links", _told(*item.stash[_lab])))
    return report


def _told(lab: Lab, folder: Path) -> str:
    """A line for each link: where its capture is, or why there is none."""
    lines = []
    for link in lab.links:
        paths = [
            path for path in folder.glob("*.pcapng") if path.stem.endswith(f"-{link.a.name}-{link.b.name}")
        ]
        where = (
            " ".join(map(str, sorted(paths))) or "a bare cable, not captured (relay=True puts a relay in it)"
        )
        lines.append(f"{link.a.name} - {link.b.name}: {where}")
    return "\n".join(lines) or "the lab has no links"


@pytest.fixture
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An empty :class:`rawproto.Lab` of the test's own, taken apart after the test."""
    from rawproto.lab.lab import Lab

    keep = request.config.getoption("--lab-capture")
    if keep == "off":
        with Lab(request.node.name) as made:
            yield made
        return
    folder = tmp_path_factory.mktemp("lab")
    try:
        with Lab(request.node.name, captures=folder, capture_limit=CAPTURE_LIMIT) as made:
            request.node.stash[_lab] = made, folder
            yield made
    finally:
        if keep == "failed" and not request.node.stash.get(_failed, False):
            shutil.rmtree(folder, ignore_errors=True)

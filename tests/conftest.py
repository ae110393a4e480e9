"""Options of the whole suite."""

from __future__ import annotations

import signal

import hypothesis
import pytest

# The same examples in every run, and no verdict by the clock: machines that share their cores must not fail a test.
hypothesis.settings.register_profile(
    "rawproto",
    deadline=None,
    derandomize=True,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],  # it looks at the clock as well
)
hypothesis.settings.load_profile("rawproto")

# A shell starts what it puts into the background with SIGINT ignored, and programs inherit that: those that the tests
# start would then not end on Ctrl-C.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="run the long profiles too (marker long)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="a long profile: run with --long")
    for item in items:
        if item.get_closest_marker("long"):
            item.add_marker(skip)

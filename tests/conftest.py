"""Options of the whole suite."""

import pytest


def pytest_addoption(parser):
    parser.addoption(
        "--long", action="store_true", help="run the long profiles of property and endurance tests"
    )


def pytest_collection_modifyitems(config, items):
    if config.getoption("--long"):
        return
    skip = pytest.mark.skip(reason="long profile: run with --long")
    for item in items:
        if "long" in item.keywords:
            item.add_marker(skip)

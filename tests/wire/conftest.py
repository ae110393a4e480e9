"""Shared by the tests of the wire room."""

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def by_hand():
    """The helpers of ``fragment_tools.py``; importlib mode puts no test folder on the path."""
    path = Path(__file__).with_name("fragment_tools.py")
    spec = importlib.util.spec_from_file_location("fragment_tools", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module

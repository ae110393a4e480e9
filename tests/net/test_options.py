"""What type checkers are told of dial and listen is what they take."""

import inspect

import pytest

import rawproto
from rawproto import aio
from rawproto.net.options import DialOptions, ListenOptions


def keywords(function):
    parameters = inspect.signature(function).parameters.values()
    return {parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY}


@pytest.mark.parametrize(("name", "options"), [("dial", DialOptions), ("listen", ListenOptions)])
def test_both_faces_take_the_options_that_are_declared(name, options):
    assert keywords(getattr(rawproto, name)) == keywords(getattr(aio, name)) == set(options.__annotations__)

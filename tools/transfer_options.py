"""What serve, get and put have in common on the command line."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from .output import json_option
from .quantity import SPAN
from .transport import dial_options, network_option, with_port

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["DEFAULT_PORT", "client_options", "server_address"]

DEFAULT_PORT = 1201
"""Beside the port of the daytime example."""


def client_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """The options that get and put share: all that :func:`~rawproto_tools.transferkit.client.ask` takes."""
    for option in (
        json_option,
        dial_options,
        click.option("--overwrite", is_flag=True, help="Replace files that exist and differ."),
        click.option("-v", "--verbose", is_flag=True, help="Name each file on stderr when it is done."),
        click.option(
            "-w",
            "--wait",
            type=SPAN,
            default="30s",
            show_default=True,
            help="Give up after this long without a word from the server.",
        ),
        network_option,
    ):
        function = option(function)
    return function


def server_address(text: str) -> str:
    """``text`` with the default port where it names none."""
    return with_port(text, DEFAULT_PORT)

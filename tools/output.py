"""What a tool prints: text for people, one JSON document a line for programs."""

from __future__ import annotations

import json
import math
import threading
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EventLog", "emit_json", "json_option", "plain", "printable", "wants_json"]


def json_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """The ``--json`` option that every tool has."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")(function)


def wants_json(arguments: list[str]) -> bool:
    """Whether the command line asks for JSON; known even when the command line is otherwise wrong."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def emit_json(document: Any) -> None:
    """Print ``document`` as JSON on one line."""
    click.echo(json.dumps(plain(document), ensure_ascii=False, allow_nan=False))


class EventLog:
    """Events of several threads, a line each: text for people, an object for programs."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json
        self._lock = threading.Lock()

    def event(self, name: str, text: str, **words: Any) -> None:
        """Tell of one."""
        with self._lock:
            if self.as_json:
                emit_json({"event": name, **words})
            else:
                click.echo(text)


def plain(value: Any) -> Any:
    """``value`` in terms that JSON knows: numbers that are none become null, addresses and paths their text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, bytes | bytearray | memoryview):
        return plain(value.item())  # a numpy scalar
    return str(value)


def printable(text: str) -> str:
    """``text`` of a peer without what could drive the terminal."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)

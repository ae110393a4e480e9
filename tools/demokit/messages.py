"""How the two processes of the demo tell the third how it goes: lines of JSON through a pipe."""

from __future__ import annotations

import json
import os
import select
from typing import Any

__all__ = ["Mailbox", "Reporter"]


class Reporter:
    """The writing end, in a process of the lab."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def say(self, **fields: Any) -> None:
        """Tell ``fields``. Short enough that the kernel takes it whole (PIPE_BUF)."""
        os.write(self._descriptor, json.dumps(fields).encode() + b"\n")


class Mailbox:
    """The reading end of several reporters, each known by a name."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._writers: dict[str, int] = {}
        self._partial: dict[int, bytes] = {}

    def reporter(self, name: str) -> Reporter:
        """A reporter to hand to a process that is forked next."""
        reader, writer = os.pipe()
        self._names[reader] = name
        self._partial[reader] = b""
        self._writers[name] = writer
        return Reporter(writer)

    def sealed(self, name: str) -> None:
        """The process called ``name`` runs: only it holds the writing end from now on."""
        os.close(self._writers.pop(name))

    def collect(self, seconds: float) -> list[tuple[str, dict[str, Any]]]:
        """What was said by whom, waiting at most ``seconds`` for something."""
        heard: list[tuple[str, dict[str, Any]]] = []
        for reader in select.select(list(self._names), [], [], seconds)[0]:
            data = os.read(reader, 1 << 16)
            if not data:
                os.close(reader)
                del self._names[reader]
                continue
            *lines, self._partial[reader] = (self._partial[reader] + data).split(b"\n")
            heard.extend((self._names[reader], json.loads(line)) for line in lines)
        return heard

    def close(self) -> None:
        """Give all descriptors back."""
        for descriptor in (*self._names, *self._writers.values()):
            os.close(descriptor)
        self._names.clear()
        self._writers.clear()

"""Bad networks on one machine: hosts in network namespaces, links that lose and delay, a virtual-time simulator."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto.lab.host import Host as Host
    from rawproto.lab.lab import Lab as Lab

_MODULE_OF = {
    "Host": "rawproto.lab.host",
    "Lab": "rawproto.lab.lab",
}

__all__ = sorted(_MODULE_OF)


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is None:
        raise AttributeError(f"module 'rawproto.lab' has no attribute {name!r}")
    value = getattr(importlib.import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULE_OF})

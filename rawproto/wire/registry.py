"""Which header a protocol number announces."""

from __future__ import annotations

import weakref
from typing import Any

__all__ = ["BUILT_IN", "HEADERS", "is_declared", "register"]

# The built-in headers live in modules of their own and are loaded when a packet asks for them.
BUILT_IN: dict[int, tuple[str, str]] = {
    0: ("rawproto.wire.ipv6_ext", "HopByHop"),
    1: ("rawproto.wire.icmp", "ICMP"),
    4: ("rawproto.wire.ipv4", "IPv4"),
    6: ("rawproto.wire.tcp", "TCP"),
    17: ("rawproto.wire.udp", "UDP"),
    41: ("rawproto.wire.ipv6", "IPv6"),
    43: ("rawproto.wire.ipv6_ext", "Routing"),
    44: ("rawproto.wire.ipv6_ext", "Fragment"),
    58: ("rawproto.wire.icmpv6", "ICMPv6"),
    60: ("rawproto.wire.ipv6_ext", "DestinationOptions"),
}


# Headers declared by users. Weak: a class that nobody has any more announces nothing.
_declared: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()


class _Headers(dict[int, Any]):
    """Number to built-in header class, loaded when asked for; else to a declared one, else to None."""

    __slots__ = ()

    def __missing__(self, number: int) -> Any:
        if number not in BUILT_IN:
            return _declared.get(number)
        import importlib

        module, name = BUILT_IN[number]
        found = self[number] = getattr(importlib.import_module(module), name)
        return found


HEADERS = _Headers()


def register(number: int, header: Any) -> None:
    """Bind ``header`` to a protocol number; a number of a built-in header stays with it, else the last one wins."""
    if number not in BUILT_IN:
        _declared[number] = header


def is_declared(header: Any) -> bool:
    """Whether a header is bound to its number by a user: numbers for experiments are shared by many protocols."""
    return header.protocol_number not in BUILT_IN

"""IPv6 zones: the kernel's scope numbers and the interface names that people write (RFC 4007 section 11).

The one place of this room that asks the kernel, and only when an endpoint is turned into a socket's tuple or made
from one. It asks through libc, so that the answer is that of the calling thread's network namespace.
"""

from __future__ import annotations

import functools
from typing import Any

from rawproto.errors import AddrError

__all__ = ["scope_id", "zone_name"]

_IF_NAMESIZE = 16  # <net/if.h>, the terminating NUL included


@functools.cache
def _libc() -> Any:
    import ctypes

    return ctypes.CDLL(None)


def scope_id(zone: str) -> int:
    """The scope number of a zone, which is an interface name or a decimal number; 0 for the empty zone.

    Raises:
        AddrError: no interface has this name.
    """
    if not zone:
        return 0
    index = 0
    encoded = zone.encode(errors="surrogateescape")
    if len(encoded) < _IF_NAMESIZE and b"\0" not in encoded:
        index = int(_libc().if_nametoindex(encoded))
    if not index and zone.isascii() and zone.isdigit() and len(zone) < 11:
        index = int(zone)
    if not index or index > 0xFFFFFFFF:
        raise AddrError("no network interface has this name", zone)
    return index


def zone_name(scope: int) -> str:
    """The interface name of a scope number, its decimal text when there is no such interface, "" for 0."""
    if not scope:
        return ""
    import ctypes

    buffer = ctypes.create_string_buffer(_IF_NAMESIZE)
    if not _libc().if_indextoname(ctypes.c_uint(scope), buffer):
        return str(scope)
    return buffer.value.decode(errors="surrogateescape")

"""The wire format of netlink: messages to the kernel and the attributes in them (netlink(7)).

Numbers are in the machine's order unless a protocol says otherwise; everything is padded to four bytes.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["ERROR", "HEADER", "REQUEST", "attribute", "attributes", "message", "nested"]

HEADER: Final = struct.Struct("=IHHII")
"""struct nlmsghdr (linux/netlink.h): length with this header, type, flags, sequence number, port."""

REQUEST: Final = 0x01
"""NLM_F_REQUEST: the flag of every message to the kernel."""
ERROR: Final = 2
"""NLMSG_ERROR: the type of an answer that begins with a negated errno, or with 0 for "done"."""

_ATTRIBUTE: Final = struct.Struct("=HH")  # struct nlattr: length with this header, type
_NESTED: Final = 0x8000  # NLA_F_NESTED


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A message with its header, to the kernel."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


def attribute(kind: int, value: bytes) -> bytes:
    """An attribute, padded."""
    return _ATTRIBUTE.pack(_ATTRIBUTE.size + len(value), kind) + value + bytes(-len(value) % 4)


def nested(kind: int, *inner: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | _NESTED, b"".join(inner))


def attributes(data: bytes) -> dict[int, bytes]:
    """The attributes in ``data`` by their type; what comes after a broken one is left out."""
    found = {}
    start = 0
    while start + _ATTRIBUTE.size <= len(data):
        length, kind = _ATTRIBUTE.unpack_from(data, start)
        if length < _ATTRIBUTE.size:
            break
        found[kind] = data[start + _ATTRIBUTE.size : start + length]
        start += -(-length // 4) * 4
    return found

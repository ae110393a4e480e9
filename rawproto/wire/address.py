"""Addresses in fields: whatever the user has, as the IP that a field of 4 or 16 bytes holds."""

from __future__ import annotations

from typing import Any

from rawproto.addr import IP
from rawproto.errors import EncodeError

__all__ = ["IP", "to_ip"]


def to_ip(value: Any, size: int, header: str, field: str) -> IP:
    """``value`` (text, bytes or any address object) as an IP of ``size`` bytes, or EncodeError."""
    try:
        address = value if type(value) is IP else IP(value)
    except (TypeError, ValueError) as error:
        raise EncodeError(f"{value!r} is no address ({error})", header, field) from None
    if len(address) == size:
        return address
    raise EncodeError(f"{address} has {len(address)} bytes, the field {size}", header, field)

"""RSP packets inside captures: told by their check, so that no port or number needs to be agreed on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto import DecodeError
from rawproto.rsp.checks import sound
from rawproto.rsp.header import COMMON_SIZE, LAYOUTS, Common, Data, Kind, RSPFlags

if TYPE_CHECKING:
    from rawproto import Header

__all__ = ["data_of", "flags_of", "read_rsp"]

_KIND = 4


def read_rsp(data: bytes, *, certain: bool, whole: bool = True) -> tuple[Header, bytes] | None:
    """The header of an RSP packet and what follows it; None where the bytes are none.

    Args:
        data: the packet.
        certain: its place says that it is RSP, so that a wrong check makes it a damaged one.
        whole: all of the packet was captured, so that its check can be computed.
    """
    if len(data) < COMMON_SIZE or data[_KIND] not in LAYOUTS:
        return None
    # Inside UDP a connection may do without (check 0); a place that says RSP is then what tells.
    good = whole and sound(data)
    if not good and not certain:
        return None
    try:
        header, rest = LAYOUTS[data[_KIND]].parse(data)
    except DecodeError:
        return None
    return header, rest


def data_of(header: Header, rest: bytes) -> tuple[int, int] | None:
    """First offset and length of the stream that an RSP packet carries; None when it can carry none."""
    if isinstance(header, Data):
        return (header.offset, len(rest)) if header.kind == Kind.DATA else None
    if isinstance(header, Common) and header.kind == Kind.ACK and header.flags.CARRIES_DATA:
        ranges = 8 * getattr(header, "ranges", 0)
        if len(rest) >= ranges + 8:
            return int.from_bytes(rest[ranges : ranges + 8], "big"), len(rest) - ranges - 8
    return None


def flags_of(header: Common) -> list[str]:
    """Names of the flags that are set."""
    return list(RSPFlags(header.flags))

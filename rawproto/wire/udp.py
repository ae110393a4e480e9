"""The UDP header (RFC 768)."""

from __future__ import annotations

from typing import Annotated

from rawproto.wire.field import Checksum
from rawproto.wire.header import Header
from rawproto.wire.types import length16, u16

__all__ = ["UDP"]


class UDP(Header, protocol=17):
    """The UDP header.

    A checksum of 0 means that there is none; a computed one that happens to be 0 is sent as 0xffff (RFC 768). Over
    IPv6 there must be one (RFC 8200 section 8.1).
    """

    sport: u16
    dport: u16
    length: Annotated[int | None, length16("packet")] = None
    checksum: Annotated[int | None, u16, Checksum(pseudo=True, zero="absent")] = None

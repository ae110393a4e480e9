"""The IPv6 header (RFC 8200 section 3)."""

from __future__ import annotations

from typing import Annotated, Any

from rawproto.wire.field import NextProtocol
from rawproto.wire.header import Header
from rawproto.wire.protocols import IPProtocol
from rawproto.wire.types import Constant, Overlay, bits, declare, enum8, ip6, length16, u8

__all__ = ["IPv6"]


class IPv6(Header, protocol=41):
    """The IPv6 header; ``dscp`` and ``ecn`` are views of the traffic class."""

    version: Annotated[int, bits(4), Constant(6)] = declare(default=6, kw_only=True)
    traffic_class: Annotated[int, bits(8)] = declare(default=0, kw_only=True)
    flow_label: Annotated[int, bits(20)] = declare(default=0, kw_only=True)
    payload_length: Annotated[int | None, length16("payload")] = declare(default=None, kw_only=True)
    next_header: Annotated[int | None, enum8(IPProtocol), NextProtocol()] = declare(
        default=None, kw_only=True
    )
    hop_limit: u8 = declare(default=64, kw_only=True)
    src: ip6
    dst: ip6
    dscp: Annotated[int, bits(6), Overlay(4)] = declare(default=None)
    ecn: Annotated[int, bits(2), Overlay(10)] = declare(default=None)

    @staticmethod
    def _addresses(header: Any, _outer: bytes | None) -> bytes:
        return header.src + header.dst  # type: ignore[no-any-return]

"""What a raw socket received: one shape for IPv4 and IPv6."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from rawproto.addr import IPAddr
    from rawproto.wire import IPv4, IPv6

__all__ = ["ChecksumState", "Received"]


class ChecksumState(enum.Enum):
    """What is known about the checksum of the payload (the IP header's own is checked by the kernel)."""

    VALID = "valid"
    BAD = "bad"
    UNCHECKED = "unchecked"
    """The protocol has none that the socket knows, its sender computed none, or hardware is still to fill it in."""


class Received(NamedTuple):
    """One datagram, without its IP header.

    Attributes:
        payload: the bytes above the IP header (above the extension headers on IPv6).
        source: sender.
        destination: local address it was sent to.
        interface: name of the interface it came in by, "" where the kernel did not tell.
        ttl: TTL (IPv4) or hop limit (IPv6) on arrival.
        tos: TOS octet (IPv4) or traffic class (IPv6): DSCP in the upper six bits, ECN in the lower two.
        flow_label: IPv6 flow label, 0 on IPv4.
        timestamp: arrival time by the kernel's clock, nanoseconds since the epoch, or None where there is none.
        checksum: state of the payload's checksum.
        version: 4 or 6.
        protocol: IP protocol number.
        raw_header: the IPv4 header as it arrived, options included; b"" on IPv6, where the kernel keeps it.
    """

    payload: bytes
    source: IPAddr
    destination: IPAddr
    interface: str
    ttl: int
    tos: int
    flow_label: int
    timestamp: int | None
    checksum: ChecksumState
    version: int
    protocol: int
    raw_header: bytes

    @property
    def ecn(self) -> int:
        """ECN codepoint, 0 to 3 (RFC 3168 section 5)."""
        return self.tos & 3

    @property
    def dscp(self) -> int:
        """Differentiated services codepoint, 0 to 63 (RFC 2474 section 3)."""
        return self.tos >> 2

    @property
    def header(self) -> IPv4 | IPv6:
        """The IP header: parsed on IPv4; on IPv6 put together again from what the kernel told."""
        from rawproto.wire import IPv4, IPv6

        if self.version == 4:
            return IPv4.parse(self.raw_header)[0]
        return IPv6(
            self.source.ip,
            self.destination.ip,
            next_header=self.protocol,
            hop_limit=self.ttl,
            traffic_class=self.tos,
            flow_label=self.flow_label,
            payload_length=len(self.payload),
        )

"""An ICMP error as a typed value, tied to the datagram of ours that it quotes."""

from __future__ import annotations

import dataclasses
import enum
from typing import Any

__all__ = ["ICMPError", "ICMPErrorKind"]


class ICMPErrorKind(enum.Enum):
    """What an ICMP or ICMPv6 error means, whatever the family (RFC 792, RFC 4443 section 3)."""

    NETWORK_UNREACHABLE = "network unreachable"
    HOST_UNREACHABLE = "host unreachable"
    PROTOCOL_UNREACHABLE = "protocol unreachable"
    PORT_UNREACHABLE = "port unreachable"
    PROHIBITED = "administratively prohibited"
    PACKET_TOO_BIG = "packet too big"
    TIME_EXCEEDED = "time exceeded"
    REASSEMBLY_TIME_EXCEEDED = "fragment reassembly time exceeded"
    PARAMETER_PROBLEM = "parameter problem"
    OTHER = "other"


@dataclasses.dataclass(frozen=True, slots=True)
class ICMPError:
    """One ICMP error message.

    Attributes:
        kind: what it says.
        type: ICMP type as on the wire.
        code: ICMP code as on the wire.
        version: 4 or 6, the family of the message.
        reporter: address of the router or host that sent it, or None where unknown.
        destination: where our datagram was going.
        mtu: next-hop MTU of PACKET_TOO_BIG in bytes of the IP datagram, 0 when not given.
        quoted: the quoted bytes of our datagram, from behind its IP header on (may be short or empty).
    """

    kind: ICMPErrorKind
    type: int
    code: int
    version: int
    reporter: Any
    destination: Any
    mtu: int = 0
    quoted: bytes = b""

    @property
    def is_hard(self) -> bool:
        """Whether it says that trying again is no use: nobody speaks the protocol, or nobody listens on the port.

        So RFC 1122 section 4.2.3.9 divides them; all others are soft and pass by themselves. A protocol takes even a
        hard one as soft once a connection stands, for it can be forged (RFC 5927 section 5.2).
        """
        return self.kind in (ICMPErrorKind.PROTOCOL_UNREACHABLE, ICMPErrorKind.PORT_UNREACHABLE)

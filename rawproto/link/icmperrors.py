"""What ICMP error messages mean, and reading one that came on a raw ICMP socket.

The other way to learn of errors, the socket's own error queue (:mod:`rawproto.link.errqueue`), tells of those that the
kernel could match to a socket. A raw socket of protocol 1 or 58 gets them all, those about other programs too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rawproto.addr import IP, IPAddr
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

if TYPE_CHECKING:
    from rawproto.link.received import Received

__all__ = ["error_kind", "read_error"]

_KINDS: Final = {
    # (version, type, code); RFC 792, RFC 1122 section 3.2.2.1, RFC 1812 section 5.2.7.1
    (4, 3, 0): ICMPErrorKind.NETWORK_UNREACHABLE,
    (4, 3, 1): ICMPErrorKind.HOST_UNREACHABLE,
    (4, 3, 2): ICMPErrorKind.PROTOCOL_UNREACHABLE,
    (4, 3, 3): ICMPErrorKind.PORT_UNREACHABLE,
    (4, 3, 4): ICMPErrorKind.PACKET_TOO_BIG,
    (4, 3, 5): ICMPErrorKind.HOST_UNREACHABLE,
    (4, 3, 6): ICMPErrorKind.NETWORK_UNREACHABLE,
    (4, 3, 7): ICMPErrorKind.HOST_UNREACHABLE,
    (4, 3, 8): ICMPErrorKind.HOST_UNREACHABLE,
    (4, 3, 9): ICMPErrorKind.PROHIBITED,
    (4, 3, 10): ICMPErrorKind.PROHIBITED,
    (4, 3, 11): ICMPErrorKind.NETWORK_UNREACHABLE,
    (4, 3, 12): ICMPErrorKind.HOST_UNREACHABLE,
    (4, 3, 13): ICMPErrorKind.PROHIBITED,
    (4, 3, 14): ICMPErrorKind.PROHIBITED,
    (4, 3, 15): ICMPErrorKind.PROHIBITED,
    (4, 11, 0): ICMPErrorKind.TIME_EXCEEDED,
    (4, 11, 1): ICMPErrorKind.REASSEMBLY_TIME_EXCEEDED,
    # RFC 4443 section 3
    (6, 1, 0): ICMPErrorKind.NETWORK_UNREACHABLE,
    (6, 1, 1): ICMPErrorKind.PROHIBITED,
    (6, 1, 2): ICMPErrorKind.NETWORK_UNREACHABLE,
    (6, 1, 3): ICMPErrorKind.HOST_UNREACHABLE,
    (6, 1, 4): ICMPErrorKind.PORT_UNREACHABLE,
    (6, 1, 5): ICMPErrorKind.PROHIBITED,
    (6, 1, 6): ICMPErrorKind.NETWORK_UNREACHABLE,
    (6, 2, 0): ICMPErrorKind.PACKET_TOO_BIG,
    (6, 3, 0): ICMPErrorKind.TIME_EXCEEDED,
    (6, 3, 1): ICMPErrorKind.REASSEMBLY_TIME_EXCEEDED,
    # An unrecognised next header is IPv6's way to say that nobody speaks the protocol (RFC 4443 section 3.4).
    (6, 4, 1): ICMPErrorKind.PROTOCOL_UNREACHABLE,
}
_PARAMETER_PROBLEM: Final = {4: 12, 6: 4}
_ERRORS: Final = frozenset({3, 4, 5, 11, 12})
_FIRST_INFORMATIONAL: Final = 128
_HEADER: Final = 8  # of an error message, before the quote


def error_kind(version: int, icmp_type: int, code: int) -> ICMPErrorKind:
    """What an ICMP (version 4) or ICMPv6 (version 6) error message of this type and code means."""
    kind = _KINDS.get((version, icmp_type, code))
    if kind is None:
        parameter = icmp_type == _PARAMETER_PROBLEM[version]
        kind = ICMPErrorKind.PARAMETER_PROBLEM if parameter else ICMPErrorKind.OTHER
    return kind


def read_error(message: Received) -> tuple[int, ICMPError] | None:
    """The IP protocol that the datagram was of, and the error; None for what is no ICMP error message.

    Args:
        message: what came on a raw socket of protocol 1 (IPv4) or 58 (IPv6).
    """
    data = message.payload
    header = 20 if message.version == 4 else 40
    if len(data) < _HEADER + header or not _is_error(message.version, data[0]):
        return None
    quoted = data[_HEADER:]
    if message.version == 4:
        header = (quoted[0] & 15) * 4
        protocol, destination = quoted[9], quoted[16:20]
        mtu = int.from_bytes(data[6:8], "big")  # RFC 1191 section 4
    else:
        protocol, destination = quoted[6], quoted[24:40]
        mtu = int.from_bytes(data[4:8], "big")  # RFC 4443 section 3.2
    if quoted[0] >> 4 != message.version or header < 20:
        return None
    kind = error_kind(message.version, data[0], data[1])
    error = ICMPError(
        kind=kind,
        type=data[0],
        code=data[1],
        version=message.version,
        reporter=IPAddr(message.source.ip, message.source.zone),
        destination=IPAddr(IP(destination)),
        mtu=mtu if kind is ICMPErrorKind.PACKET_TOO_BIG else 0,
        quoted=quoted[header:],
    )
    return protocol, error


def _is_error(version: int, icmp_type: int) -> bool:
    """Whether messages of this type quote a datagram (RFC 1122 section 3.2.2; RFC 4443 section 2.1)."""
    return icmp_type in _ERRORS if version == 4 else icmp_type < _FIRST_INFORMATIONAL

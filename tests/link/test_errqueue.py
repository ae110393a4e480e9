"""What ICMP types and codes mean, both families, and which of them are hard."""

import pytest

from rawproto.link.icmperrors import error_kind
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

# RFC 792, RFC 1812 section 5.2.7.1; RFC 4443 section 3
MEANINGS = [
    (4, 3, 0, ICMPErrorKind.NETWORK_UNREACHABLE, False),
    (4, 3, 1, ICMPErrorKind.HOST_UNREACHABLE, False),
    (4, 3, 2, ICMPErrorKind.PROTOCOL_UNREACHABLE, True),
    (4, 3, 3, ICMPErrorKind.PORT_UNREACHABLE, True),
    (4, 3, 4, ICMPErrorKind.PACKET_TOO_BIG, False),
    (4, 3, 13, ICMPErrorKind.PROHIBITED, False),
    (4, 11, 0, ICMPErrorKind.TIME_EXCEEDED, False),
    (4, 11, 1, ICMPErrorKind.REASSEMBLY_TIME_EXCEEDED, False),
    (4, 12, 0, ICMPErrorKind.PARAMETER_PROBLEM, False),
    (4, 3, 200, ICMPErrorKind.OTHER, False),
    (4, 99, 0, ICMPErrorKind.OTHER, False),
    (6, 1, 0, ICMPErrorKind.NETWORK_UNREACHABLE, False),
    (6, 1, 1, ICMPErrorKind.PROHIBITED, False),
    (6, 1, 3, ICMPErrorKind.HOST_UNREACHABLE, False),
    (6, 1, 4, ICMPErrorKind.PORT_UNREACHABLE, True),
    (6, 2, 0, ICMPErrorKind.PACKET_TOO_BIG, False),
    (6, 3, 0, ICMPErrorKind.TIME_EXCEEDED, False),
    (6, 4, 0, ICMPErrorKind.PARAMETER_PROBLEM, False),
    (6, 4, 1, ICMPErrorKind.PROTOCOL_UNREACHABLE, True),
]


@pytest.mark.parametrize(("version", "icmp_type", "code", "kind", "is_hard"), MEANINGS)
def test_meanings(version, icmp_type, code, kind, is_hard):
    assert error_kind(version, icmp_type, code) is kind
    assert ICMPError(kind, icmp_type, code, version, None, None).is_hard is is_hard

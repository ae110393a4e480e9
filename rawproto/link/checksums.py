"""Whether the checksum of a payload that a raw socket received is right.

A raw socket sees datagrams before the protocol's own receiver looks at them, and also those that this host sent to
itself: there the network device was to fill the checksum in, and on the way to ourselves there is none.
"""

from __future__ import annotations

from typing import Final

from rawproto.link.received import ChecksumState
from rawproto.wire.sums import checksum, ones_complement_sum, pseudo_header

__all__ = ["checksum_state"]

_ICMP, _IGMP, _TCP, _UDP, _ICMPV6 = 1, 2, 6, 17, 58
_SHORTEST: Final = {_TCP: 20, _UDP: 8}
_PLACE: Final = {_TCP: 16, _UDP: 6}  # of the checksum (RFC 9293 section 3.1, RFC 768)


def checksum_state(
    version: int, protocol: int, source: bytes, destination: bytes, payload: bytes
) -> ChecksumState:
    """What can be said of the checksum in ``payload``.

    Known are those of ICMP (RFC 792), IGMP (RFC 9776 section 4.1), TCP (RFC 9293 section 3.1), UDP (RFC 768, RFC 8200
    section 8.1) and ICMPv6, which the kernel itself drops when it is wrong (RFC 3542 section 3.1).

    Args:
        version: 4 or 6.
        protocol: IP protocol number.
        source: packed address of the sender.
        destination: packed address it was sent to.
        payload: the bytes above the IP header.
    """
    if protocol == _ICMPV6:
        return ChecksumState.VALID if version == 6 else ChecksumState.UNCHECKED
    if protocol in (_ICMP, _IGMP):
        if version == 6:
            return ChecksumState.UNCHECKED
        return ChecksumState.BAD if checksum(payload) else ChecksumState.VALID
    if protocol not in _PLACE:
        return ChecksumState.UNCHECKED
    if len(payload) < _SHORTEST[protocol]:
        return ChecksumState.BAD
    if protocol == _UDP:
        length = int.from_bytes(payload[4:6], "big")
        if not _SHORTEST[_UDP] <= length <= len(payload):
            return ChecksumState.BAD
        payload = payload[:length]
        if payload[6:8] == b"\0\0":
            # None was computed: allowed on IPv4, an error on IPv6.
            return ChecksumState.UNCHECKED if version == 4 else ChecksumState.BAD
    return _transport_state(protocol, source, destination, payload)


def _transport_state(protocol: int, source: bytes, destination: bytes, payload: bytes) -> ChecksumState:
    outer = ones_complement_sum(pseudo_header(source, destination, protocol, len(payload)))
    if ones_complement_sum(payload, outer) == 0xFFFF:
        return ChecksumState.VALID
    place = _PLACE[protocol]
    # What waits for hardware to add the rest holds the sum of the pseudo header (CHECKSUM_PARTIAL, linux/skbuff.h).
    found = int.from_bytes(payload[place : place + 2], "big")
    return ChecksumState.UNCHECKED if found == outer else ChecksumState.BAD

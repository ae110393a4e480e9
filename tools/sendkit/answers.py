"""Which packet answers which: the reply to a datagram, or the ICMP error about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rawproto import ICMP, TCP, UDP, Datagram, DecodeError, ICMPv6, IPv4, IPv6

if TYPE_CHECKING:
    from ..packetkit.decode import Decoded

__all__ = ["answers"]

_REPLIES: Final[dict[type, dict[int, tuple[int, ...]]]] = {
    ICMP: {8: (0,), 10: (9,), 13: (14,), 15: (16,), 17: (18,), 42: (43,)},
    ICMPv6: {128: (129,), 130: (131, 143), 133: (134,), 135: (136,), 139: (140,), 160: (161,)},
}
_NUMBERED: Final[dict[type, tuple[int, ...]]] = {ICMP: (8, 13, 15, 17, 42), ICMPv6: (128, 160)}
_QUOTED: Final = 8
"""Bytes behind the IP header that every ICMP error quotes (RFC 792)."""


def answers(request: bytes, arrived: Decoded) -> str | None:
    """How ``arrived`` answers the datagram ``request``: "reply", "error", or not at all (None).

    A reply comes from where the request went (from anywhere, when that was a group) and fits it: ports exchanged,
    type and number of ICMP; of other protocols any packet of the same number will do.
    """
    ip = arrived.ip
    if ip is None or arrived.packet.data == request:
        return None
    if _is_error_about(request, arrived):
        return "error"
    try:
        asked = Datagram.parse(request, quoted=True)
    except DecodeError:
        return None
    mine: Any = asked.headers[0]
    if type(ip) is not type(mine) or ip.dst != mine.src or not _from_there(mine.dst, ip.src):
        return None
    return "reply" if _fits(asked, arrived) else None


def _from_there(asked: Any, source: Any) -> bool:
    return bool(asked == source or asked.is_multicast or (bytes(asked)[-1:] == b"\xff" and len(asked) == 4))


def _fits(asked: Datagram, arrived: Decoded) -> bool:
    inner: Any = asked.headers[1] if len(asked.headers) > 1 else None
    if isinstance(inner, TCP | UDP):
        back = next((header for header in arrived.headers if type(header) is type(inner)), None)
        return back is not None and (back.sport, back.dport) == (inner.dport, inner.sport)
    if isinstance(inner, ICMP | ICMPv6):
        return _icmp_fits(inner, next((h for h in arrived.headers if type(h) is type(inner)), None))
    return _number(asked.headers[0]) == _number(arrived.headers[0])


def _icmp_fits(asked: Any, back: Any) -> bool:
    if back is None or int(back.type) not in _REPLIES[type(asked)].get(int(asked.type), ()):
        return False
    if int(asked.type) not in _NUMBERED[type(asked)]:
        return True
    return bool((asked.ident, asked.seq) == (back.ident, back.seq))


def _number(header: Any) -> int:
    if isinstance(header, IPv4):
        return int(header.protocol or 0)
    return int(header.next_header or 0) if isinstance(header, IPv6) else -1


def _is_error_about(request: bytes, arrived: Decoded) -> bool:
    """Whether it is an ICMP error that quotes ``request``."""
    icmp: Any = next((header for header in arrived.headers if isinstance(header, ICMP | ICMPv6)), None)
    if icmp is None or not icmp.is_error:
        return False
    quoted = arrived.payload
    if request[0] >> 4 == 4:
        start, end = (request[0] & 15) * 4, 20
        # The parts of the header that routers leave alone: protocol, addresses.
        same = quoted[9:10] == request[9:10] and quoted[12:end] == request[12:end]
    else:
        start = 40
        same = quoted[6:7] == request[6:7] and quoted[8:40] == request[8:40]
    return same and quoted[start : start + _QUOTED] == request[start : start + _QUOTED]

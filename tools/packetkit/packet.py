"""One packet of a capture, wherever it comes from, from its IP header on."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from rawproto import LinkType

__all__ = ["Packet", "network_of"]

_VLAN: Final = {0x8100, 0x88A8}  # IEEE 802.1Q and 802.1ad
_IP: Final = {0x0800, 0x86DD}
_WORD: Final = struct.Struct("!H")
_LOOP: Final = 108  # OpenBSD's variant of NULL, in the tcpdump.org registry
_BARE: Final = {int(LinkType.RAW), int(LinkType.IPV4), int(LinkType.IPV6), int(LinkType.USER0)}


class Packet(NamedTuple):
    """A packet, without the link's header.

    Attributes:
        data: what was kept, from the IP header on.
        time: nanoseconds since the epoch; None where the file does not say.
        interface: the name of the interface, "" where unknown.
        length: bytes from the IP header on as they were on the wire.
        direction: "in", "out" or "".
        is_ip: whether it is IPv4 or IPv6; of others only the type is known.
        checked: whether its checksums can be judged; those that hardware is still to fill in cannot.
        comments: from the file.
    """

    data: bytes
    time: int | None
    interface: str = ""
    length: int = 0
    direction: str = ""
    is_ip: bool = True
    checked: bool = True
    comments: tuple[str, ...] = ()

    @property
    def is_whole(self) -> bool:
        """Whether nothing was cut off."""
        return len(self.data) >= self.length


def network_of(data: bytes, linktype: int) -> tuple[int, bool]:
    """Where the link's header ends, and whether IP follows.

    Headers known are those of Ethernet with VLAN tags, Linux' cooked captures, and BSD's loopback.
    """
    if linktype in _BARE:
        return 0, bool(data) and data[0] >> 4 in (4, 6)
    if linktype in (LinkType.NULL, _LOOP):
        return 4, len(data) > 4 and data[4] >> 4 in (4, 6)
    if linktype == LinkType.LINUX_SLL:
        return 16, _type_at(data, 14) in _IP
    if linktype == LinkType.LINUX_SLL2:
        return 20, _type_at(data, 0) in _IP
    if linktype == LinkType.ETHERNET:
        place = 12
        while _type_at(data, place) in _VLAN:
            place += 4
        return place + 2, _type_at(data, place) in _IP
    return 0, False


def _type_at(data: bytes, place: int) -> int:
    return int(_WORD.unpack_from(data, place)[0]) if len(data) >= place + 2 else 0

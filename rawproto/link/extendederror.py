"""What the kernel writes beside an entry of a socket's error queue (IP_RECVERR in ip(7), IPV6_RECVERR in ipv6(7)).

A ``struct sock_extended_err`` (linux/errqueue.h), followed by the sockaddr of who reported the error::

    u32 errno; u8 origin; u8 type; u8 code; u8 pad; u32 info; u32 data;
"""

from __future__ import annotations

import socket
import struct
import sys
from typing import Final, NamedTuple

from rawproto.link.linux import SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6, SO_EE_ORIGIN_LOCAL

__all__ = ["ExtendedError"]

_LAYOUT: Final = struct.Struct("=IBBBxI4s")
# struct sock_ee_data_rfc4884, in the place of data: where the extensions begin in the quote, and flags.
_EXTENSIONS: Final = struct.Struct("=HBx")
_EXTENSIONS_BROKEN: Final = 1


class ExtendedError(NamedTuple):
    """An entry of the error queue, without the datagram that it quotes.

    Attributes:
        errno: what the socket's next call would fail with.
        origin: who says so: SO_EE_ORIGIN_* of linux/errqueue.h.
        type: of the ICMP message.
        code: of the ICMP message.
        info: for a datagram that was too big, the MTU.
        data: four bytes whose meaning depends on the origin.
        reporter: the sockaddr of who reported it, as the kernel has it; b"" when there is none.
    """

    errno: int
    origin: int
    type: int
    code: int
    info: int
    data: bytes
    reporter: bytes

    @classmethod
    def parse(cls, control: bytes) -> ExtendedError | None:
        """The error in the data of an IP_RECVERR or IPV6_RECVERR control message; None when it is too short."""
        if len(control) < _LAYOUT.size:
            return None
        number, origin, icmp_type, code, info, data = _LAYOUT.unpack_from(control)
        return cls(number, origin, icmp_type, code, info, data, control[_LAYOUT.size :])

    @property
    def is_local(self) -> bool:
        """This host's own kernel refused the datagram; nothing came from the network."""
        return self.origin == SO_EE_ORIGIN_LOCAL

    @property
    def is_icmp(self) -> bool:
        """An ICMP or ICMPv6 message says so."""
        return self.origin in (SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6)

    @property
    def number(self) -> int:
        """``data`` as a number."""
        return int.from_bytes(self.data, sys.byteorder)

    @property
    def extensions_at(self) -> int:
        """Where the ICMP extensions begin in the quote (RFC 4884, with IP_RECVERR_RFC4884); 0 when there are none."""
        place, flags = _EXTENSIONS.unpack(self.data)
        return 0 if flags & _EXTENSIONS_BROKEN else int(place)

    @property
    def address(self) -> str:
        """The IP address of the reporter as text, without a zone; "" when there is none."""
        family = int.from_bytes(self.reporter[:2], sys.byteorder)
        if family == socket.AF_INET and len(self.reporter) >= 8:
            return socket.inet_ntop(socket.AF_INET, self.reporter[4:8])
        if family == socket.AF_INET6 and len(self.reporter) >= 24:
            return socket.inet_ntop(socket.AF_INET6, self.reporter[8:24])
        return ""

"""What the kernel tells of received UDP messages: segment size, ECN mark, arrival time.

A message of joined datagrams is up to 64 KiB, so there are few of them in a call, and their control messages are
nearly always the same bytes: each different run of bytes is parsed once.
"""

from __future__ import annotations

import dataclasses
import socket
import sys
from typing import TYPE_CHECKING, Final

from rawproto.addr import UDPAddr
from rawproto.link import linux
from rawproto.link.control import TIMESTAMP, messages, nanoseconds

if TYPE_CHECKING:
    from rawproto.link.sockaddr import AddressCodec
    from rawproto.link.tables import ReceiveTable

__all__ = ["SEGMENT_SIZE", "SegmentControl", "Told"]

SEGMENT_SIZE: Final = (linux.SOL_UDP, linux.UDP_GRO)
_TRAFFIC_CLASS: Final = {(socket.IPPROTO_IP, socket.IP_TOS), (socket.IPPROTO_IPV6, linux.IPV6_TCLASS)}
_INFO4: Final = (socket.IPPROTO_IP, linux.IP_PKTINFO)
_INFO6: Final = (socket.IPPROTO_IPV6, linux.IPV6_PKTINFO)
_REMEMBERED: Final = 1024


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Told:
    """Of one message; the same control messages give the same object.

    Attributes:
        segment: bytes of each datagram in it but the last, 0 for a single datagram.
        ecn: ECN codepoint.
        destination: the local address it was sent to.
        time: arrival, nanoseconds since the epoch, 0 when it was not asked for.
    """

    segment: int
    ecn: int
    destination: UDPAddr
    time: int


class SegmentControl:
    """Reads the control rows of a receive table.

    Args:
        table: the table.
        local: the address bound to; its ip may be None.
        codec: the socket's addresses.
    """

    def __init__(self, table: ReceiveTable, local: UDPAddr, codec: AddressCodec) -> None:
        self._table = table
        self._local = local
        self._codec = codec
        self._known: dict[bytes, Told] = {}

    def read(self, count: int) -> list[Told]:
        """What was told of each of the first ``count`` messages."""
        control = self._table.control[:count].tobytes()
        width = self._table.control.shape[1]
        lengths = self._table.control_lengths[:count].tolist()
        return [self.told(control[row * width : row * width + length]) for row, length in enumerate(lengths)]

    def told(self, control: bytes) -> Told:
        """What the control messages ``control`` say."""
        told = self._known.get(control)
        if told is None:
            told = self._parse(control)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[control] = told
        return told

    def _parse(self, control: bytes) -> Told:
        segment = ecn = time = 0
        destination = self._local
        for kind, start, size in messages(control, len(control)):
            data = control[start : start + size]
            if kind == SEGMENT_SIZE:
                segment = int.from_bytes(data[:4], sys.byteorder)
            elif kind in _TRAFFIC_CLASS:
                ecn = int.from_bytes(data, sys.byteorder) & 3
            elif kind == TIMESTAMP:
                time = nanoseconds(data)
            elif kind == _INFO4:  # struct in_pktinfo: interface, local address, destination
                destination = self._sent_to(data[8:12], 0)
            elif kind == _INFO6:  # struct in6_pktinfo: destination, interface
                destination = self._sent_to(data[:16], int.from_bytes(data[16:20], sys.byteorder))
        return Told(segment, ecn, destination, time)

    def _sent_to(self, ip: bytes, scope: int) -> UDPAddr:
        if self._local.ip is not None:
            return self._local
        host = self._codec.address_of_ip(ip, scope)
        return UDPAddr(host.ip, self._local.port, host.zone)

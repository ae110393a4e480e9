"""One datagram from a raw socket with everything the kernel tells of it."""

from __future__ import annotations

import socket
import struct
from typing import TYPE_CHECKING, Final

from rawproto.link import linux
from rawproto.link.checksums import checksum_state
from rawproto.link.control import nanoseconds, space
from rawproto.link.received import ChecksumState, Received

if TYPE_CHECKING:
    from rawproto.addr import IPAddr
    from rawproto.link.raw import RawLink

__all__ = ["ArrivalReader"]

_LONGEST: Final = 65_535
# Timestamps of both kinds, and the four messages of IPv6.
_CONTROL: Final = space(16, 48, 4, 20, 4, 4)
_INT: Final = struct.Struct("@i")
_INFO6: Final = struct.Struct("@16sI")  # struct in6_pktinfo: destination, interface (ipv6(7))


class ArrivalReader:
    """Reads datagrams one by one; never blocks."""

    def __init__(self, link: RawLink, protocol: int) -> None:
        self._link = link
        self._socket = link.socket
        self._codec = link.codec
        self._counters = link.counters
        self._protocol = protocol
        self._buffer = bytearray(_LONGEST)
        self._buffers = [self._buffer]
        self._view = memoryview(self._buffer)
        self._read = self._read_ipv4 if link.codec.version == 4 else self._read_ipv6

    def read(self) -> Received:
        """The next datagram; raises BlockingIOError when there is none, OSError when an ICMP error is pending."""
        while True:
            try:
                size, control, _, name = self._socket.recvmsg_into(
                    self._buffers, _CONTROL, socket.MSG_DONTWAIT
                )
            except BlockingIOError:
                self._link.queue_was_empty()
                raise
            if not self._link.passes(self._view[:size]):
                continue
            source: IPAddr = self._codec.from_tuple(name)
            arrived = self._read(size, control, source)
            if arrived is None:
                self._counters.malformed += 1
                continue
            self._counters.received += 1
            self._counters.received_bytes += len(arrived.payload)
            if arrived.checksum is ChecksumState.BAD:
                self._counters.bad_checksum += 1
            return arrived

    def _read_ipv4(self, size: int, control: list[tuple[int, int, bytes]], source: IPAddr) -> Received | None:
        buffer = self._buffer
        length = (buffer[0] & 15) * 4
        if size < 20 or not 20 <= length <= size:
            return None
        header = bytes(buffer[:length])
        payload = bytes(self._view[length:size])
        timestamp, interface = None, ""
        for level, kind, data in control:
            if kind == linux.SCM_TIMESTAMPNS and level == socket.SOL_SOCKET:
                timestamp = nanoseconds(data)
            elif kind == linux.IP_PKTINFO and level == socket.IPPROTO_IP:
                interface = self._codec.interface(_INT.unpack_from(data)[0])
        return Received(
            payload,
            source,
            self._codec.address_of_ip(header[16:20]),
            interface,
            header[8],
            header[1],
            0,
            timestamp,
            checksum_state(4, self._protocol, header[12:16], header[16:20], payload),
            4,
            self._protocol,
            header,
        )

    def _read_ipv6(self, size: int, control: list[tuple[int, int, bytes]], source: IPAddr) -> Received | None:
        timestamp, interface = None, ""
        ttl = tos = flow = 0
        destination = self._link.local_addr
        for level, kind, data in control:
            if level == socket.SOL_SOCKET:
                if kind == linux.SCM_TIMESTAMPNS:
                    timestamp = nanoseconds(data)
            elif kind == linux.IPV6_HOPLIMIT:
                ttl = _INT.unpack(data)[0]
            elif kind == linux.IPV6_TCLASS:
                tos = _INT.unpack(data)[0]
            elif kind == linux.IPV6_FLOWINFO:
                flow = int.from_bytes(data, "big") & 0xFFFFF
            elif kind == linux.IPV6_PKTINFO:
                ip, index = _INFO6.unpack(data)
                interface = self._codec.interface(index)
                destination = self._codec.address_of_ip(ip, index)
        payload = bytes(self._view[:size])
        assert source.ip is not None
        state = checksum_state(6, self._protocol, source.ip, destination.ip or bytes(16), payload)
        return Received(
            payload, source, destination, interface, ttl, tos, flow, timestamp, state, 6, self._protocol, b""
        )

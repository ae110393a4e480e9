"""The kinds of probes. All probes of a trace have the addresses, ports and checksums that routers choose a path by.

This is Paris traceroute's idea (Augustin et al., IMC 2006): what tells probes apart must not make them another flow.
Each kind keeps its number where it changes nothing of that, and within what the shortest quote holds where it can:
UDP in the payload, ICMP in the sequence number with a payload that balances the checksum, TCP in the sequence number,
RSP in the identifier, which changes the check at the beginning of the packet.
"""

from __future__ import annotations

import os
import socket
import struct
from typing import TYPE_CHECKING, ClassVar, Final

from rawproto import ICMP, TCP, DecodeError, ICMPv6, IPv4, IPv6
from rawproto.rsp.checks import fill_one
from rawproto.rsp.config import DEFAULT_PROTOCOL
from rawproto.rsp.header import Common, Hello, Kind

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["METHODS", "Probes"]

_NUMBER: Final = struct.Struct("!HH")


class Probes:
    """Makes the probes of one trace and knows them again.

    Attributes:
        kind: type of socket, raw or not.
        protocol: IP protocol number.
        raw_needed: there is no way without a raw socket.
        header: bytes of the transport header that the kernel makes.
        least: bytes that a probe has at least.
    """

    raw_needed: ClassVar[bool] = False
    header: ClassVar[int] = 0
    least: ClassVar[int] = 4
    default_port: ClassVar[int] = 0

    def __init__(self, version: int, port: int | None) -> None:
        self.version = version
        self.port = self.default_port if port is None else port
        self.source = self.destination = ""
        self.source_port = 0

    def open(self) -> tuple[socket.SocketKind, int]:
        """The type of socket and protocol to try first."""
        raise NotImplementedError

    def build(self, number: int, size: int) -> bytes:
        """Probe ``number``, with ``size`` bytes behind the IP header."""
        raise NotImplementedError

    def number_quoted(self, quoted: bytes) -> int | None:
        """Which probe an error quotes."""
        raise NotImplementedError

    def number_answered(self, data: bytes) -> int | None:
        """Which probe a packet of the destination answers; None when it answers none."""
        raise NotImplementedError


class UDPProbes(Probes):
    """UDP to a port where nobody should listen."""

    header = 8
    default_port = 33434

    def __init__(self, version: int, port: int | None) -> None:
        super().__init__(version, port)
        self._mark = int.from_bytes(os.urandom(2), "big")

    def open(self) -> tuple[socket.SocketKind, int]:
        return socket.SOCK_DGRAM, socket.IPPROTO_UDP

    def build(self, number: int, size: int) -> bytes:
        # A number and its complement sum up to the same for every number: one UDP checksum for all of a size.
        balanced = struct.pack("!HHH", self._mark, number, ~number & 0xFFFF)
        return balanced.ljust(max(size - self.header, len(balanced)), b"\0")

    def number_quoted(self, quoted: bytes) -> int | None:
        if len(quoted) < _NUMBER.size:
            return None
        mark, number = _NUMBER.unpack_from(quoted)
        return int(number) if mark == self._mark else None

    def number_answered(self, data: bytes) -> int | None:
        return self.number_quoted(data)  # an echo service; others cannot be told apart


class ICMPProbes(Probes):
    """Echo requests."""

    least = 10

    def __init__(self, version: int, port: int | None) -> None:
        super().__init__(version, port)
        self._ident = int.from_bytes(os.urandom(2), "big")
        self._header: type[ICMP] | type[ICMPv6] = ICMP if version == 4 else ICMPv6
        self._request, self._reply = (8, 0) if version == 4 else (128, 129)

    def open(self) -> tuple[socket.SocketKind, int]:
        # The unprivileged kind is enough, and hears only what is for it.
        return socket.SOCK_DGRAM, socket.IPPROTO_ICMP if self.version == 4 else socket.IPPROTO_ICMPV6

    def build(self, number: int, size: int) -> bytes:
        balance = (~number & 0xFFFF).to_bytes(2, "big")
        echo = self._header(type=self._request, ident=self._ident, seq=number)
        return bytes(echo / balance.ljust(max(size - 8, 2), b"\0"))

    def number_quoted(self, quoted: bytes) -> int | None:
        return int.from_bytes(quoted[6:8], "big") if len(quoted) >= 8 and quoted[0] == self._request else None

    def number_answered(self, data: bytes) -> int | None:
        raw = self._strip(data)
        return int.from_bytes(raw[6:8], "big") if len(raw) >= 8 and raw[0] == self._reply else None

    def _strip(self, data: bytes) -> bytes:
        """Without the IPv4 header that a raw socket gives, too."""
        return data[(data[0] & 15) * 4 :] if self.version == 4 and data and data[0] >> 4 == 4 else data


class _RawProbes(Probes):
    """Probes that the kernel has no socket for."""

    raw_needed = True

    def _payload(self, data: bytes) -> bytes:
        return data[(data[0] & 15) * 4 :] if self.version == 4 and data else data


class TCPProbes(_RawProbes):
    """TCP SYN, as of a connection to a port that is open in most firewalls."""

    least = 20
    default_port = 80

    def __init__(self, version: int, port: int | None) -> None:
        super().__init__(version, port)
        self._first = int.from_bytes(os.urandom(2), "big") << 16

    def open(self) -> tuple[socket.SocketKind, int]:
        return socket.SOCK_RAW, socket.IPPROTO_TCP

    def build(self, number: int, size: int) -> bytes:
        # The checksum differs from probe to probe: no router hashes that of TCP, which differs in every flow.
        sequence = (self._first + (number << 16)) & 0xFFFFFFFF
        segment = TCP(sport=self.source_port, dport=self.port, seq=sequence, flags="SYN")
        # The IP header is the kernel's; this one is there for the checksum.
        outer = IPv4 if self.version == 4 else IPv6
        whole = outer(src=self.source, dst=self.destination) / segment / bytes(max(size - 20, 0))
        return bytes(whole)[20 if self.version == 4 else 40 :]

    def number_quoted(self, quoted: bytes) -> int | None:
        if len(quoted) < 8 or quoted[:4] != _NUMBER.pack(self.source_port, self.port):
            return None
        return self._number(int.from_bytes(quoted[4:8], "big"))

    def _number(self, sequence: int) -> int:
        return (sequence - self._first >> 16) & 0xFFFF

    def number_answered(self, data: bytes) -> int | None:
        try:
            segment, _ = TCP.parse(self._payload(data))
        except DecodeError:
            return None
        if (segment.sport, segment.dport) != (self.port, self.source_port):
            return None
        # A reset acknowledges the data of a SYN, too: up to 64 KiB, below the number.
        return self._number(segment.ack - 1)


class RSPProbes(_RawProbes):
    """RSP SYN: what RSP itself will meet on the way."""

    least = Hello.size
    default_port = 1200

    def __init__(self, version: int, port: int | None) -> None:
        super().__init__(version, port)
        self._first = int.from_bytes(os.urandom(6), "big") << 16
        self._by_check: dict[bytes, int] = {}

    def open(self) -> tuple[socket.SocketKind, int]:
        return socket.SOCK_RAW, DEFAULT_PROTOCOL

    def build(self, number: int, size: int) -> bytes:
        padding = bytes(max(size - Hello.size, 0))
        hello = Hello(
            kind=Kind.SYN,
            port=self.port,
            connection=0,
            source_port=self.source_port,
            max_datagram=1200,
            features=2,
            identifier=self._first | number,
            window=1,
            option_length=len(padding),
        )
        packet = bytes(hello) + padding
        packet = fill_one(packet)
        self._by_check[packet[:4]] = number
        return packet

    def number_quoted(self, quoted: bytes) -> int | None:
        return self._by_check.get(quoted[:4])

    def number_answered(self, data: bytes) -> int | None:
        try:
            answer, _ = Common.parse(self._payload(data))
        except DecodeError:
            return None
        mine = answer.connection >> 16 == self._first >> 16
        return answer.connection & 0xFFFF if mine and answer.kind in (Kind.COOKIE, Kind.RESET) else None


METHODS: dict[str, Callable[[int, int | None], Probes]] = {
    "udp": UDPProbes,
    "icmp": ICMPProbes,
    "tcp": TCPProbes,
    "rsp": RSPProbes,
}

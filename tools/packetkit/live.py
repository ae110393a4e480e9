"""Packets off the wire: a packet socket with a ring that kernel and program share (packet(7), TPACKET_V3).

What is seen begins at the IP header, whatever the link. No call into the kernel is made for a packet, so that a
capture keeps up with what this machine can send and receive.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import socket
import struct
from typing import TYPE_CHECKING, Final, TypeAlias

from rawproto import PrivilegeError
from rawproto.link.linux import (
    ETH_P_ALL,
    ETH_P_IP,
    ETH_P_IPV6,
    PACKET_IGNORE_OUTGOING,
    PACKET_OUTGOING,
    PACKET_STATISTICS,
    SOL_PACKET,
)
from rawproto.link.options import attach_filter
from rawproto.link.privilege import ways_to

from ..failure import FAILED, USAGE, Failure
from .packet import Packet
from .vocabulary import near

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Self, SupportsBytes

__all__ = ["LOSING", "Arrival", "Capture", "interface_names"]

# linux/if_packet.h
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_VERSION = 1, 5, 10
PACKET_MR_PROMISC: Final = 1
TPACKET_V3: Final = 2
_TP_STATUS_USER, LOSING, _TP_STATUS_CSUMNOTREADY = 1, 4, 8

_REQUEST: Final = struct.Struct("@7I")  # struct tpacket_req3
_STATISTICS: Final = struct.Struct("@3I")  # struct tpacket_stats_v3: packets with drops, drops, freezes
_BLOCK: Final = struct.Struct("@8x3I")  # of struct tpacket_block_desc: status, packets, offset of the first
# struct tpacket3_hdr and of struct sockaddr_ll: next, seconds, nanoseconds, kept, length, status, offset of the
# data; interface and packet type
_FRAME: Final = struct.Struct("@6IH22x4xiHB")
_ADDRESS: Final = struct.Struct("@HHiHBB8s")  # struct sockaddr_ll
_MEMBERSHIP: Final = struct.Struct("@iHH8s")

_BLOCK_SIZE: Final = 1 << 20
_SECOND: Final = 1_000_000_000
_RETIRE: Final = 20
"""Milliseconds after which a block that is not full is handed over."""

# Loads of what the kernel knows beside the packet (linux/filter.h); loopback shows each packet twice, going and coming.
_INSTRUCTION: Final = struct.Struct("=HBBI")
_PRELUDE: Final = b"".join(
    _INSTRUCTION.pack(*code)
    for code in (
        (0x28, 0, 0, 0xFFFFF01C),  # the hardware type
        (0x15, 0, 2, 772),  # ARPHRD_LOOPBACK
        (0x28, 0, 0, 0xFFFFF004),  # the packet type
        (0x15, 3, 0, PACKET_OUTGOING),
        (0x28, 0, 0, 0xFFFFF000),  # the protocol
        (0x15, 2, 0, ETH_P_IP),
        (0x15, 1, 0, ETH_P_IPV6),
        (0x06, 0, 0, 0),
        (0x00, 0, 0, 0),  # what follows may count on an empty accumulator
    )
)
_ACCEPT: Final = _INSTRUCTION.pack(0x06, 0, 0, 0xFFFFFFFF)


Arrival: TypeAlias = tuple[bytes, int, int, int, int, int]
"""A packet as the ring holds it: bytes, nanoseconds, length on the wire, interface index, packet type, status."""


class Capture:
    """IP packets of one interface or all, each direction once.

    Args:
        interface: the name of one, or None for all.
        program: classic BPF that sees packets from the IP header on.
        incoming: leave out what this host sends.
        promiscuous: take what is for other hosts, too; for one interface.
        blocks: MiB of the ring.

    Raises:
        PrivilegeError: without CAP_NET_RAW.
        Failure: there is no such interface.
        FilterError: the kernel refuses the program.
    """

    def __init__(
        self,
        interface: str | None = None,
        program: SupportsBytes | None = None,
        *,
        incoming: bool = False,
        promiscuous: bool = False,
        blocks: int = 16,
    ) -> None:
        index = 0 if interface is None else _index(interface)
        try:
            self._sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, 0)
        except PermissionError as error:
            ways = ways_to("CAP_NET_RAW")
            raise PrivilegeError("open a packet socket", "CAP_NET_RAW", ways) from error
        try:
            attach_filter(self._sock, _PRELUDE + (_ACCEPT if program is None else bytes(program)))
            if incoming:
                self._sock.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
            self._ring = _ring(self._sock, blocks)
            if promiscuous and index:
                member = _MEMBERSHIP.pack(index, PACKET_MR_PROMISC, 0, b"")
                self._sock.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, member)
            _bind(self._sock, index)
        except BaseException:
            self._sock.close()
            raise
        self._blocks = blocks
        self._next = 0
        self._names: dict[int, str] = {}
        self._poll = select.poll()
        self._poll.register(self._sock.fileno(), select.POLLIN | select.POLLERR)
        self.received = 0
        self.dropped = 0

    def wait(self, seconds: float | None) -> bool:
        """Whether packets wait, or come within ``seconds``; None waits for good.

        Raises:
            Failure: the interface has gone down.
        """
        for _, event in self._poll.poll(None if seconds is None else max(int(seconds * 1000 + 0.999), 0)):
            if event & select.POLLERR:
                number = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                if number:
                    raise Failure(f"the capture ended: {os.strerror(number)}", FAILED)
            return True
        return False

    def arrivals(self) -> Iterator[Arrival]:
        """The packets that wait now, at most one round of the ring."""
        ring = self._ring
        for _ in range(self._blocks):
            base = self._next * _BLOCK_SIZE
            status, count, offset = _BLOCK.unpack_from(ring, base)
            if not status & _TP_STATUS_USER:
                return
            place = base + offset
            for _ in range(count):
                step, seconds, nanoseconds, kept, length, flags, start, index, _, kind = _FRAME.unpack_from(
                    ring, place
                )
                begin = place + start
                yield ring[begin : begin + kept], seconds * _SECOND + nanoseconds, length, index, kind, flags
                place += step
            # Written last: from here on the block is the kernel's again.
            ring[base + 8 : base + 12] = b"\0\0\0\0"
            self._next = (self._next + 1) % self._blocks

    def packets(self) -> Iterator[Packet]:
        """The same with names in place of numbers."""
        return map(self.packet_of, self.arrivals())

    def packet_of(self, arrival: Arrival) -> Packet:
        """An arrival in the form that everything else here takes."""
        data, time, length, index, kind, status = arrival
        return Packet(
            data,
            time,
            self.name_of(index),
            length,
            "out" if kind == PACKET_OUTGOING else "in",
            checked=not status & _TP_STATUS_CSUMNOTREADY,
        )

    def name_of(self, index: int) -> str:
        """The name of interface ``index``, also after it has gone."""
        if index not in self._names:
            try:
                self._names[index] = socket.if_indextoname(index)
            except OSError:
                self._names[index] = f"#{index}"
        return self._names[index]

    def count(self) -> int:
        """Bring ``received`` and ``dropped`` up to date; gives the packets dropped since the last call."""
        taken, lost, _ = _STATISTICS.unpack(
            self._sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, _STATISTICS.size)
        )
        self.received += taken - lost
        self.dropped += lost
        return int(lost)

    def close(self) -> None:
        """Give the socket and the ring back."""
        self._ring.close()
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def interface_names() -> list[str]:
    """The interfaces of this host."""
    return [name for _, name in socket.if_nameindex()]


def _index(name: str) -> int:
    try:
        return socket.if_nametoindex(name)
    except OSError:
        raise Failure(f"no interface is called {name!r}{near(name, interface_names())}", USAGE) from None


def _bind(sock: socket.socket, index: int) -> None:
    """Begin to capture; Python's own bind knows no "every interface"."""
    address = _ADDRESS.pack(socket.AF_PACKET, socket.htons(ETH_P_ALL), index, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(sock.fileno(), address, len(address)):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _ring(sock: socket.socket, blocks: int) -> mmap.mmap:
    sock.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V3)
    frame = 2048
    request = _REQUEST.pack(_BLOCK_SIZE, blocks, frame, _BLOCK_SIZE // frame * blocks, _RETIRE, 0, 0)
    sock.setsockopt(SOL_PACKET, PACKET_RX_RING, request)
    return mmap.mmap(sock.fileno(), _BLOCK_SIZE * blocks, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)

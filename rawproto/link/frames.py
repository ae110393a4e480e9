"""The sending half of the packet link: batches with IP headers of our own, straight to the next hop.

It has a socket to itself, which receives nothing. On Ethernet the frame's header is written with the IP header, so
that the kernel is told no address with each packet and has none to look up.
"""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from rawproto.errors import PrivilegeError
from rawproto.link import linux, options
from rawproto.link.ipheaders import HeaderWriter
from rawproto.link.nexthop import NextHops
from rawproto.link.privilege import ways_to
from rawproto.link.sender import Sender

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.link.base import LinkStats
    from rawproto.link.interfaces import Interfaces
    from rawproto.wire.batch import Transmit

__all__ = ["FrameSender", "open_packet_socket"]

_ETHERNET: Final = 1  # ARPHRD_ETHER, linux/if_arp.h


def open_packet_socket(kind: int) -> socket.socket:
    """A non-blocking packet socket that gets nothing until it is bound; raises PrivilegeError without CAP_NET_RAW."""
    try:
        return socket.socket(socket.AF_PACKET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    except PermissionError as error:
        raise PrivilegeError("open a packet socket", "CAP_NET_RAW", ways_to("CAP_NET_RAW")) from error


class FrameSender:
    """Sends past the IP stack what can go there; used by one thread at a time.

    Args:
        protocol: IP protocol number.
        source: packed address to send from.
        interface: name of the interface.
        interfaces: questions about the interfaces of the namespace.
        network: the link's name, for errors.
        stats: counters to keep.
        clear_pending: called to take a pending error off the link.
        send_buffer: bytes to ask for the socket's send buffer.

    Raises OSError when the interface cannot be bound to.
    """

    def __init__(
        self,
        protocol: int,
        source: bytes,
        interface: str,
        interfaces: Interfaces,
        *,
        network: str,
        stats: LinkStats,
        clear_pending: Callable[[], None],
        send_buffer: int,
    ) -> None:
        is_ethernet = interfaces.hardware_address(interface)[0] == _ETHERNET
        self._sock = open_packet_socket(socket.SOCK_RAW if is_ethernet else socket.SOCK_DGRAM)
        try:
            options.set_buffer(self._sock, socket.SO_SNDBUF, send_buffer)
            self._sock.setsockopt(linux.SOL_PACKET, linux.PACKET_QDISC_BYPASS, 1)
            self._sock.bind((interface, 0))
        except BaseException:
            self._sock.close()
            raise
        self._stats = stats
        self._sender = Sender(self._sock.fileno(), network, stats, clear_pending)
        self._writer = HeaderWriter(protocol, source)
        self.hops = NextHops(4 if len(source) == 4 else 6, interface, interfaces, is_ethernet=is_ethernet)

    @property
    def header_size(self) -> int:
        """Bytes of an IP header."""
        return self._writer.size

    def fileno(self) -> int:
        """The socket to wait on for room; -1 once closed."""
        return self._sock.fileno()

    def send(self, transmit: Transmit) -> int | None:
        """As :meth:`Link.send`; None when the batch has to go the ordinary way."""
        destination, batch = transmit.destination, transmit.batch
        hop = self.hops.of(destination)
        if hop is None or not len(batch.head):
            return None
        packets = self._writer.wrap(batch, bytes(destination.ip), transmit.ecn, hop.frame_header)
        if self._writer.longest > hop.mtu:
            return None
        before = self._stats.sent
        taken = self._sender.send(packets, hop.sockaddr, destination)
        # The link counts what is above its own headers.
        added = self._writer.size + len(hop.frame_header)
        self._stats.sent_bytes -= (self._stats.sent - before) * added
        return taken

    def take_errors(self) -> list[OSError]:
        """Errors of single datagrams since the last call."""
        return self._sender.take_errors()

    def close(self) -> None:
        """Give the sockets back."""
        self._sender.close()
        self._sock.close()
        self.hops.close()

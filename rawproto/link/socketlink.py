"""What the links on a kernel socket share: opening, sending, errors, counters, closing."""

from __future__ import annotations

import copy
import errno
import socket
from typing import TYPE_CHECKING, Any, Final

from rawproto.errors import ClosedError, OpError
from rawproto.link import linux, options
from rawproto.link.base import Link, LinkStats
from rawproto.link.errqueue import ErrorQueue
from rawproto.link.interfaces import Interfaces
from rawproto.link.probe import PathProbe
from rawproto.link.screen import Screen
from rawproto.link.sender import Scatter, Sender
from rawproto.link.sources import SourceList
from rawproto.link.tables import MAX_MESSAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import SupportsBytes

    from rawproto.link.sockaddr import AddressCodec
    from rawproto.link.tables import ReceiveTable
    from rawproto.wire.batch import Batch, ReceivedBatch, Transmit
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["RECEIVE_BUFFER", "SEND_BUFFER", "SocketLink"]

RECEIVE_BUFFER: Final = 8 << 20
"""Bytes asked for the socket's receive buffer: 6 ms at 10 Gbit/s, about one turn of another process on the CPU."""
SEND_BUFFER: Final = 1 << 20

# Pending errors to clear in one receive; each was caused by a datagram of ours, so there can be many.
_PENDING_LIMIT: Final = 64


class SocketLink(Link):
    """A link over one kernel socket of one family.

    Subclasses open the socket and turn what :meth:`_arrivals` left in their table into batches.

    Args:
        sock: the open socket, with its filter already attached; the link owns it from here on.
        version: 4 or 6.
        network: the link's name.
        codec: the socket's addresses.
        stats: counters to share with another link.
        error_queue: of another socket, where that gets this one's ICMP errors.
    """

    _table: ReceiveTable

    def __init__(
        self,
        sock: socket.socket,
        version: int,
        network: str,
        codec: AddressCodec,
        *,
        stats: LinkStats | None = None,
        error_queue: ErrorQueue | None = None,
    ) -> None:
        self._sock = sock
        self._fd = sock.fileno()
        self._version = version
        self._network = network
        self._codec = codec
        self._interfaces = Interfaces(self._fd)
        self._stats = LinkStats() if stats is None else stats
        self._drops_seen = options.kernel_drops(sock)
        self._error_queue = error_queue or ErrorQueue(sock, version, self._stats, codec)
        self._sender = self._make_sender()
        self._scatter: Scatter | None = None
        self._ecn = 0
        self._last_destination: Any = None
        self._last_sockaddr = b""
        self._last_name: tuple[Any, ...] = ()
        self._used = 0
        # Datagrams to take in one call; the table may have room for more.
        self._at_once = MAX_MESSAGES
        self._local_addr: Any = None
        self._screen: Screen | None = None
        # Made now, while the thread is in the namespace of the link.
        self._probe = PathProbe(version)

    def _make_sender(self) -> Sender:
        return Sender(self._fd, self._network, self._stats, self._error_queue.drain)

    @property
    def network(self) -> str:
        """The link's name, as in "ip4:253" or "udp6"."""
        return self._network

    @property
    def local_addr(self) -> Any:
        """The address the link is bound to; its ip is None when it takes datagrams to every local address."""
        return self._local_addr

    def send(self, transmit: Transmit) -> int:
        """See :meth:`Link.send`; raises AddrError for a destination of the other family."""
        if transmit.ecn != self._ecn:
            self._set_ecn(transmit.ecn)
        destination = transmit.destination
        if destination is not self._last_destination:
            self._last_sockaddr = self._codec.encode(destination)
            self._last_name = self._codec.to_tuple(self._last_sockaddr)
            self._last_destination = destination
        batch = transmit.batch
        if batch.data is not None and self._send_one(batch.data):
            return 1
        return self._sender.send(batch, self._last_sockaddr, destination)

    def _send_one(self, data: bytes) -> bool:
        """Send one datagram without a table; false, and nothing done, where the kernel has a word to say about it."""
        try:
            self._sock.sendto(data, socket.MSG_DONTWAIT, self._last_name)
        except OSError:
            return False
        self._stats.sent += 1
        self._stats.sent_bytes += len(data)
        return True

    def send_each(self, batch: Batch, destinations: Sequence[Any]) -> int:
        """See :meth:`Link.send_each`; what goes back where it came from costs no address objects."""
        if not isinstance(destinations, SourceList):
            return super().send_each(batch, destinations)
        if self._ecn:
            self._set_ecn(0)
        if self._scatter is None:
            self._scatter = Scatter(self._fd, self._network, self._stats, self._error_queue.drain)
        return self._scatter.send_each(batch, destinations.names)

    def _set_ecn(self, ecn: int) -> None:
        """Mark what is sent from now on; one system call whenever the mark changes, none otherwise."""
        try:
            if self._version == 4:
                self._sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, ecn)
            else:
                self._sock.setsockopt(socket.IPPROTO_IPV6, linux.IPV6_TCLASS, ecn)
        except OSError as error:
            raise self._closed("send") from error
        self._ecn = ecn

    def _arrivals(self) -> int:
        """Receive into the table; the number of datagrams, 0 when none waits."""
        table = self._table
        table.reset(self._used)
        # So many are reset before the next call, should this one not come back.
        most = self._used = min(self._at_once, table.slots)
        for _ in range(_PENDING_LIMIT):
            count = linux.recvmmsg(self._fd, table.address, most, socket.MSG_DONTWAIT)
            if count >= 0:
                self._used = count
                return count
            number = -count
            if number == errno.EAGAIN:
                break
            if number == errno.EBADF:
                raise self._closed("receive")
            # An ICMP error is pending; it belongs to errors(), not to what arrives.
            self._error_queue.drain()
        self._used = 0
        self.queue_was_empty()
        return 0

    def queue_was_empty(self) -> None:
        """Nothing waits: after a while nothing can be here any more that only an earlier filter let in."""
        if self._screen is not None and self._screen.is_done():
            self._screen.close()
            self._screen = None

    def passes(self, shown: bytes | bytearray | memoryview) -> bool:
        """Whether an arrival, with the bytes that a filter sees of it, passes the filter that is in place now.

        The kernel has seen to that, but not for what came before the filter was swapped; what fails is counted.
        """
        if self._screen is None or self._screen.passes(shown):
            return True
        self._stats.filtered += 1
        return False

    def set_filter(self, program: SupportsBytes | None) -> None:
        """Replace the packet filter; call it from the thread that receives.

        There is no moment without a filter, and nothing that only the old one passed is received afterwards.
        """
        self._swap_filter(program, program)

    def _swap_filter(self, program: SupportsBytes | None, screening: SupportsBytes | None) -> None:
        """Attach ``program``; what is here already has to pass ``screening``, which sees the bytes of arrivals only."""
        screen = None if screening is None else Screen(screening)
        try:
            options.attach_filter(self._sock, program)
        except BaseException:
            if screen is not None:
                screen.close()
            raise
        if self._screen is not None:
            self._screen.close()
        self._screen = screen

    def _screened(self, batch: ReceivedBatch, shown: Iterable[bytes], kept: Sequence[int]) -> ReceivedBatch:
        """The datagrams of ``batch`` that pass the screen.

        ``shown`` are the bytes that a filter sees of each arrival, ``kept`` the arrivals that ``batch`` consists of.
        """
        assert self._screen is not None
        passing = {index for index, data in enumerate(shown) if self._screen.passes(data)}
        chosen = [place for place, index in enumerate(kept) if index in passing]
        self._stats.filtered += len(kept) - len(chosen)
        return batch if len(chosen) == len(kept) else batch.take(chosen)

    def errors(self) -> list[ICMPError]:
        """See :meth:`Link.errors`. ``quoted`` begins behind the headers that are the link's own."""
        return self._error_queue.take()

    def send_errors(self) -> list[OSError]:
        """See :meth:`Link.send_errors`; each is an OpError with the kernel's errno and the destination."""
        return self._sender.take_errors()

    def stats(self) -> LinkStats:
        """See :meth:`Link.stats`."""
        if self._fd >= 0:
            drops = options.kernel_drops(self._sock)
            # The kernel's counter is 32 bits wide and wraps.
            self._stats.kernel_drops += (drops - self._drops_seen) & 0xFFFFFFFF
            self._drops_seen = drops
        return copy.copy(self._stats)

    def fileno(self) -> int:
        """See :meth:`Link.fileno`; -1 once closed."""
        return self._fd

    def close(self) -> None:
        """See :meth:`Link.close`."""
        if self._fd >= 0:
            self.stats()
            self._fd = -1
            self._sender.close()
            if self._scatter is not None:
                self._scatter.close()
            self._sock.close()
            self._probe.close()
            if self._screen is not None:
                self._screen.close()

    @property
    def socket(self) -> socket.socket:
        """The kernel socket, for options of its own; reading from it takes datagrams away from the link."""
        return self._sock

    @property
    def error_queue(self) -> ErrorQueue:
        """Where the socket's ICMP errors are read."""
        return self._error_queue

    @property
    def codec(self) -> AddressCodec:
        """The addresses of the socket."""
        return self._codec

    def path_mtu(self, destination: Any) -> int:
        """MTU in bytes, IP header included, of the path to ``destination`` as far as the kernel knows it.

        Raises OpError when there is no route.
        """
        return self._probe.mtu(destination.sockaddr(self._version), destination)

    def ask_for_transmit_times(self) -> None:
        """Have the kernel note when each datagram leaves from now on; :meth:`transmit_times` gives them."""
        options.ask_for_transmit_times(self._sock)

    def transmit_times(self) -> dict[int, int]:
        """When datagrams left, in nanoseconds since the epoch, by their number since the asking; each is told once."""
        return self._error_queue.take_times()

    @property
    def counters(self) -> LinkStats:
        """The live counters; :meth:`stats` gives a copy with those of the kernel brought up to date."""
        return self._stats

    def _closed(self, operation: str) -> OpError:
        return ClosedError("the link is closed", op=operation, network=self._network, local=self._local_addr)

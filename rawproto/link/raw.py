"""The raw IP link: datagrams of one protocol number straight above IPv4 or IPv6 (raw(7))."""

from __future__ import annotations

import contextlib
import socket
import sys
from typing import TYPE_CHECKING, Final

import numpy as np

from rawproto.addr import IPAddr
from rawproto.errors import ConfigError
from rawproto.link import linux, options
from rawproto.link.control import TIMESTAMP, ControlReader, control_messages, read_timestamps, space
from rawproto.link.examined import ExaminedLink
from rawproto.link.interfaces import Interfaces
from rawproto.link.ipheaders import PLAIN, compact
from rawproto.link.opening import adopt, bind, connect, drain, open_raw
from rawproto.link.repeats import Repeats
from rawproto.link.sockaddr import AddressCodec
from rawproto.link.socketlink import RECEIVE_BUFFER, SEND_BUFFER
from rawproto.link.sources import Sources
from rawproto.link.tables import ReceiveTable
from rawproto.wire.batch import ReceivedBatch
from rawproto.wire.bpf import AfterIPv4, BPFProgram

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import SupportsBytes

    from numpy.typing import NDArray

    from rawproto.link.options import MTUDiscovery

__all__ = ["RawLink"]

_IPV4_HEADER: Final = 20
_IPV6_HEADER: Final = 40
_LONGEST: Final = 65_535
_PLAIN_START: Final = bytes((PLAIN,))
_SLOT: Final = 1600  # a packet of 1500 bytes, in whole cache lines, an odd number of them
_ECN_BITS: Final = 3
_ECN: Final = np.uint8(_ECN_BITS)  # of the TOS octet (RFC 3168 section 5)
_TRAFFIC_CLASS: Final = (socket.IPPROTO_IPV6, linux.IPV6_TCLASS)
_PACKET_INFO: Final = (socket.IPPROTO_IPV6, linux.IPV6_PKTINFO)


def _placed(program: SupportsBytes | None, version: int) -> SupportsBytes | None:
    """``program``, its header moved behind the IPv4 header where that is what the socket shows first."""
    if version == 4 and isinstance(program, BPFProgram):
        return program.at(AfterIPv4())
    return program


class RawLink(ExaminedLink):
    """Datagrams of one IP protocol, IPv4 or IPv6, the kernel writing and reading the IP header.

    Args:
        protocol: IP protocol number, 1 to 255.
        version: 4 or 6.
        local: the local IPAddr to send from and to receive for; None (or no ip in it): every one.
        remote: receive from this IPAddr only.
        filter: classic BPF program; ``bytes(filter)`` is an array of ``struct sock_filter``. On IPv4 it sees the
            datagram from the IP header on, on IPv6 from behind it: that is how the kernel runs it. A program of
            ``Header.filter`` that names no base is moved to where the header is.
        interface: receive from and send through this interface only.
        header_included: what is sent begins with its own IP header.
        receive_buffer: bytes to ask for the socket's receive buffer; likewise ``send_buffer``.
        mtu_discovery: what becomes of datagrams too large, see :func:`rawproto.link.options.set_mtu_discovery`.
        timestamps: ask the kernel for arrival times.
        details: ask the kernel for everything it can tell of each arrival (for :class:`RawSocket`).
        slots: datagrams of one receive at most.
        sock: an open raw socket to use, as :mod:`rawproto.link.broker` gives it.

    Raises:
        PrivilegeError: without CAP_NET_RAW.
        OpError: the address or interface is not of this host.
        FilterError: the kernel refuses the filter.
    """

    def __init__(
        self,
        protocol: int,
        *,
        version: int = 4,
        local: IPAddr | None = None,
        remote: IPAddr | None = None,
        filter: SupportsBytes | None = None,  # noqa: A002 - the public name
        interface: str | None = None,
        header_included: bool = False,
        receive_buffer: int = RECEIVE_BUFFER,
        send_buffer: int = SEND_BUFFER,
        mtu_discovery: MTUDiscovery = "probe",
        timestamps: bool = False,
        details: bool = False,
        slots: int = 64,
        sock: socket.socket | None = None,
    ) -> None:
        if version not in (4, 6):
            raise ConfigError(f"version is 4 or 6, not {version}")
        network = f"ip{version}:{protocol}"
        sock = open_raw(protocol, version, network) if sock is None else adopt(sock, protocol, version)
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            if filter is not None:
                options.attach_filter(sock, _placed(filter, version))
            options.set_buffer(sock, socket.SO_RCVBUF, receive_buffer)
            options.set_buffer(sock, socket.SO_SNDBUF, send_buffer)
            options.set_mtu_discovery(sock, version, mtu_discovery)
            if header_included:
                options.include_header(sock, version)
            codec = AddressCodec(version, Interfaces(sock.fileno()), ports=False)
            bind(sock, version, network, local, interface)
            if remote is not None:
                connect(sock, version, network, remote)
            super().__init__(sock, version, network, codec)
            undo.callback(super().close)
            self._local_addr = IPAddr(None) if local is None else local
            self._bound = self._local_addr.ip is not None
            self._control = self._ask_for_control(timestamps, slots, details)
            drain(sock)
            self._path = self._interfaces.path(self._local_addr.ip, interface)
            undo.pop_all()

    def set_filter(self, program: SupportsBytes | None) -> None:
        """See :meth:`SocketLink.set_filter`."""
        super().set_filter(_placed(program, self._version))

    def _ask_for_control(self, timestamps: bool, slots: int, details: bool) -> ControlReader | None:
        """Make the receive table, and switch on what cannot be read from the IP header."""
        wanted: dict[tuple[int, int], int] = {}
        if timestamps:
            self._sock.setsockopt(socket.SOL_SOCKET, linux.SO_TIMESTAMPNS, 1)
            wanted[TIMESTAMP] = 16
        for message in control_messages(self._version, bound=self._bound, details=details):
            self._sock.setsockopt(message.level, message.option, 1)
            wanted[message.level, message.kind] = message.size
        self._table = ReceiveTable(slots, _SLOT, self._codec.size, space(*wanted.values()))
        self._header_size = _IPV4_HEADER if self._version == 4 else 0
        self._repeats = Repeats(self._table, self._header_size)
        self._sources = Sources(self._table, self._codec)
        return ControlReader(self._table, wanted) if wanted else None

    @property
    def max_datagram_size(self) -> int:
        """The MTU less the IP header; of an unbound link that of the narrowest interface."""
        # The length field of IPv4 counts the header, that of IPv6 does not: both end at 65,535.
        if self._version == 4:
            return min(self._path.mtu(), _LONGEST) - _IPV4_HEADER
        return min(self._path.mtu() - _IPV6_HEADER, _LONGEST)

    def receive(self) -> Sequence[ReceivedBatch]:
        """See :meth:`Link.receive`; rows begin behind the IP header."""
        count = self._arrivals()
        if not count:
            return ()
        if count == 1 and self._control is None and self._screen is None and self._version == 4:
            single = self._single()
            if single is not None:
                return (single,)
        return self._batches(count)

    def _good(
        self, rows: NDArray[np.uint8], lengths: NDArray[np.int64]
    ) -> tuple[ReceivedBatch, Sequence[int], bool]:
        """See :meth:`ExaminedLink._good`: on IPv4 a header may make no sense, IPv6 ones are the kernel's."""
        count = len(rows)
        kept: Sequence[int] = range(count)
        if self._control is not None:
            self._control.load(count)
        if self._version == 6:
            batch = self._ipv6_batch(rows, lengths)
            return batch, kept, batch.timestamps is None
        is_plain = bool((rows[:, 0] == PLAIN).all())
        if not is_plain:
            rows, lengths, kept = compact(rows, lengths)
        batch = self._ipv4_batch(rows, lengths)
        if len(kept) < count:
            self._stats.malformed += count - len(kept)
            batch = batch.take(kept)
        return batch, kept, is_plain and batch.timestamps is None

    def _single(self) -> ReceivedBatch | None:
        """The batch of the only packet when that is a plain one."""
        first = self._table.first()
        if first is None or not first[0].startswith(_PLAIN_START):
            return None
        packet, _, name = first
        destination = self._local_addr if self._bound else self._codec.address_of_ip(packet[16:20])
        data = packet[_IPV4_HEADER:]
        self._stats.received += 1
        self._stats.received_bytes += len(data)
        return ReceivedBatch.arrival(
            data, self._codec.decode(name), mark=packet[1] & _ECN_BITS, destination=destination
        )

    def _ipv4_batch(self, rows: NDArray[np.uint8], lengths: NDArray[np.int64]) -> ReceivedBatch:
        """The payloads of IPv4 packets with headers of 20 bytes, or made to look so."""
        source, sources = self._sources.read(len(rows))
        return ReceivedBatch(
            rows[:, _IPV4_HEADER:],
            lengths - _IPV4_HEADER,
            source=source,
            sources=sources,
            destination=self._local_addr if self._bound else self._common_destination(rows),
            ecn=rows[:, 1] & _ECN,
            timestamps=None if self._control is None else read_timestamps(self._control),
        )

    def _ipv6_batch(self, rows: NDArray[np.uint8], lengths: NDArray[np.int64]) -> ReceivedBatch:
        """IPv6 payloads, with what the kernel tells about their headers in control messages."""
        source, sources = self._sources.read(len(rows))
        control = self._control
        assert control is not None
        traffic_class = control.column(_TRAFFIC_CLASS, np.uint32)
        destination: IPAddr | None = self._local_addr
        if not self._bound:
            destination = None
            info = control.column(_PACKET_INFO, np.uint8)
            if info is not None and (len(info) == 1 or (info == info[0]).all()):
                packed = info[0].tobytes()
                scope = int.from_bytes(packed[16:], sys.byteorder)
                destination = self._codec.address_of_ip(packed[:16], scope)
        return ReceivedBatch(
            rows,
            lengths,
            source=source,
            sources=sources,
            destination=destination,
            ecn=None if traffic_class is None else (traffic_class[:, 0] & 3).astype(np.uint8),
            timestamps=read_timestamps(control),
        )

    def _common_destination(self, rows: NDArray[np.uint8]) -> IPAddr | None:
        """The one address that all IPv4 packets were sent to, or None when there are several."""
        column = rows[:, 16:20]
        if len(rows) > 1 and not (column == column[0]).all():
            return None
        return self._codec.address_of_ip(column[0].tobytes())

"""The UDP link: the same datagrams inside UDP, with segmentation offload both ways (UDP_SEGMENT, UDP_GRO; udp(7))."""

from __future__ import annotations

import contextlib
import socket
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from rawproto.addr import UDPAddr
from rawproto.errors import ConfigError
from rawproto.link import linux, options
from rawproto.link.control import TIMESTAMP, ControlMessage, space
from rawproto.link.interfaces import Interfaces
from rawproto.link.opening import bind, open_udp
from rawproto.link.repeats import Repeats
from rawproto.link.segmentcontrol import SEGMENT_SIZE, SegmentControl
from rawproto.link.segments import SegmentSender, group_length
from rawproto.link.sockaddr import AddressCodec
from rawproto.link.socketlink import RECEIVE_BUFFER, SEND_BUFFER, SocketLink
from rawproto.link.sources import Sources
from rawproto.link.tables import ReceiveTable
from rawproto.wire.batch import ReceivedBatch

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import SupportsBytes

    from numpy.typing import NDArray

    from rawproto.link.control import Kind
    from rawproto.link.options import MTUDiscovery
    from rawproto.link.segmentcontrol import Told
    from rawproto.link.sender import Sender

__all__ = ["UDPLink"]

_OVERHEAD: Final = {4: 28, 6: 48}  # IP and UDP headers
# What one IP datagram holds above the UDP header: IPv6's length field leaves out the IP header (RFC 8200 section 3).
_LIMIT: Final = {4: 65_507, 6: 65_527}
_SLOT: Final = 65_600  # a datagram of any size, in whole cache lines, an odd number of them
# Datagrams to take in one call: a stream that the kernel does not join is one batch of at most so many.
_SLOTS: Final = 256
# Messages of joined datagrams to take in one call: as many as stay in a processor's own cache until they are read.
_JOINED_AT_ONCE: Final = 8
_MESSAGES_AT_ONCE: Final = 4  # likewise on the way out: 176 segments of 1472 bytes
_UDP_HEADER: Final = struct.Struct("!4H")  # source port, destination port, length, checksum (RFC 768)
_KNOWN: Final = 256  # batches of joined datagrams to remember
# TOS octet or traffic class, and the address that a datagram was sent to.
_MESSAGES: Final = {
    4: (
        ControlMessage(socket.IPPROTO_IP, linux.IP_RECVTOS, socket.IP_TOS, 1),
        ControlMessage(socket.IPPROTO_IP, linux.IP_PKTINFO, linux.IP_PKTINFO, 12),
    ),
    6: (
        ControlMessage(socket.IPPROTO_IPV6, linux.IPV6_RECVTCLASS, linux.IPV6_TCLASS, 4),
        ControlMessage(socket.IPPROTO_IPV6, linux.IPV6_RECVPKTINFO, linux.IPV6_PKTINFO, 20),
    ),
}


class UDPLink(SocketLink):
    """Datagrams inside UDP, IPv4 or IPv6.

    Args:
        local: the local UDPAddr; None (or no ip in it) takes datagrams to every address, port 0 picks a free one.
        version: 4 or 6; None takes that of ``local``, and 4 when that has no ip.
        filter: classic BPF program, as for :class:`RawLink`; it sees the datagram from the UDP header on. With one
            the kernel joins no datagrams on arrival, and ``kernel_drops`` counts what the filter refuses too.
        interface: receive from and send through this interface only.
        receive_buffer: bytes to ask for the socket's receive buffer; likewise ``send_buffer``.
        mtu_discovery: what becomes of datagrams too large, see :func:`rawproto.link.options.set_mtu_discovery`.
        timestamps: ask the kernel for arrival times; datagrams that the kernel joined share one.
        offload: use segmentation offload where the kernel has it.

    Raises:
        OpError: the address or port cannot be had.
        FilterError: the kernel refuses the filter.
    """

    def __init__(
        self,
        local: UDPAddr | None = None,
        *,
        version: int | None = None,
        filter: SupportsBytes | None = None,  # noqa: A002 - the public name
        interface: str | None = None,
        receive_buffer: int = RECEIVE_BUFFER,
        send_buffer: int = SEND_BUFFER,
        mtu_discovery: MTUDiscovery = "probe",
        timestamps: bool = False,
        offload: bool = True,
    ) -> None:
        local = UDPAddr(None, 0) if local is None else local
        version = _version(local, version)
        network = f"udp{version}"
        sock = open_udp(version, network)
        with contextlib.ExitStack() as undo:
            undo.callback(sock.close)
            self._offload = offload and _has_offload(sock)
            # The kernel would show a filter only the first of joined datagrams.
            self._joins = self._offload and filter is None
            options.attach_filter(sock, filter)
            options.set_buffer(sock, socket.SO_RCVBUF, receive_buffer)
            options.set_buffer(sock, socket.SO_SNDBUF, send_buffer)
            options.set_mtu_discovery(sock, version, mtu_discovery)
            codec = AddressCodec(version, Interfaces(sock.fileno()), ports=True)
            bind(sock, version, network, local, interface)
            super().__init__(sock, version, network, codec)
            undo.callback(super().close)
            self._local_addr = UDPAddr(local.ip, sock.getsockname()[1], local.zone)
            self._control = self._ask_for_control(timestamps)
            self._path = self._interfaces.path(local.ip, interface)
            undo.pop_all()

    def _make_sender(self) -> Sender:
        if not self._offload:
            return super()._make_sender()
        return SegmentSender(
            self._fd, self._network, self._stats, self._error_queue.drain, _LIMIT[self._version]
        )

    def _ask_for_control(self, timestamps: bool) -> SegmentControl:
        """Make the receive table, and switch on what the kernel shall tell of each message."""
        wanted: dict[Kind, int] = {}
        if self._joins:
            self._sock.setsockopt(linux.SOL_UDP, linux.UDP_GRO, 1)
            wanted[SEGMENT_SIZE] = 4
        if timestamps:
            self._sock.setsockopt(socket.SOL_SOCKET, linux.SO_TIMESTAMPNS, 1)
            wanted[TIMESTAMP] = 16
        traffic_class, packet_info = _MESSAGES[self._version]
        # Bound to an address, all comes to that one; what is not asked for costs nothing with each datagram.
        is_bound = self._local_addr.ip is not None
        for message in (traffic_class,) if is_bound else (traffic_class, packet_info):
            self._sock.setsockopt(message.level, message.option, 1)
            wanted[message.level, message.kind] = message.size
        self._table = ReceiveTable(_SLOTS, _SLOT, self._codec.size, space(*wanted.values()))
        self._sources = Sources(self._table, self._codec)
        self._repeats = Repeats(self._table, 0)
        self._known: dict[tuple[int, int, Told, bytes], ReceivedBatch] = {}
        self._timestamps = timestamps
        return SegmentControl(self._table, self._local_addr, self._codec)

    def set_filter(self, program: SupportsBytes | None) -> None:
        """See :meth:`SocketLink.set_filter`.

        Raises ConfigError on a link that was opened with offload and without a filter: joined datagrams that already
        wait could not be told apart any more.
        """
        if self._joins:
            raise ConfigError("to swap filters, open the UDP link with a filter or with offload=False")
        super().set_filter(program)

    @property
    def max_datagram_size(self) -> int:
        """The MTU less IP and UDP headers; of an unbound link that of the narrowest interface."""
        return min(self._path.mtu() - _OVERHEAD[self._version], _LIMIT[self._version])

    def batch_size(self, size: int) -> int:
        """See :meth:`Link.batch_size`; whole messages of as many segments as the kernel cuts, 64 KiB each at most."""
        if not self._offload:
            return super().batch_size(size)
        return _MESSAGES_AT_ONCE * group_length(size, _LIMIT[self._version])

    def receive(self) -> Sequence[ReceivedBatch]:
        """See :meth:`Link.receive`; datagrams that the kernel joined are one batch."""
        count = self._arrivals()
        if not count:
            return ()
        if count == 1 and self._screen is None and (single := self._single()) is not None:
            return (single,)
        if self._screen is None and (batch := self._repeats.match(count)) is not None:
            self._stats.received += count
            self._stats.received_bytes += int(batch.head_lengths[0]) * count
            return (batch,)
        lengths = self._table.lengths[:count].tolist()
        told = self._control.read(count)
        is_joined = any(one.segment for one in told)
        self._at_once = _JOINED_AT_ONCE if is_joined else _SLOTS
        batches = self._joined(lengths, told) if is_joined else [self._plain(lengths, told)]
        if self._screen is None:
            self._stats.received_bytes += sum(lengths)
        else:
            batches = [kept for kept in map(self._screened_batch, batches) if len(kept)]
            self._stats.received_bytes += sum(int(batch.head_lengths.sum()) for batch in batches)
        self._stats.received += sum([len(batch.head) for batch in batches])
        return batches

    def _single(self) -> ReceivedBatch | None:
        """The batch of the only message when that is one datagram and nothing special."""
        first = self._table.first()
        if first is None or self._timestamps:
            return None
        data, control, name = first
        told = self._control.told(control)
        if 0 < told.segment < len(data):
            return None
        self._stats.received += 1
        self._stats.received_bytes += len(data)
        self._at_once = _SLOTS
        source = self._codec.decode(name)
        return ReceivedBatch.arrival(data, source, mark=told.ecn, destination=told.destination)

    def _screened_batch(self, batch: ReceivedBatch) -> ReceivedBatch:
        """What the screen lets through; a filter sees datagrams from the UDP header on (here without checksum)."""
        port = self._local_addr.port
        shown = (
            _UDP_HEADER.pack(batch.source_of(index).port, port, _UDP_HEADER.size + len(data), 0) + data
            for index, data in enumerate(batch)
        )
        return self._screened(batch, shown, range(len(batch)))

    def _plain(self, lengths: list[int], told: list[Told]) -> ReceivedBatch:
        """The batch of messages that are one datagram each."""
        count = len(lengths)
        source, sources = self._sources.read(count)
        destination: UDPAddr | None = told[0].destination
        if any(one.destination != destination for one in told):
            destination = None
        batch = ReceivedBatch(
            self._table.buffer[:count],
            np.array(lengths, dtype=np.int64),
            source=source,
            sources=sources,
            destination=destination,
            ecn=np.array([one.ecn for one in told], dtype=np.uint8),
            timestamps=self._times([one.time for one in told]),
        )
        if not self._timestamps and self._screen is None:
            # What longer control messages left behind in their rows would make the next ones look different.
            self._table.control[:] = self._table.control[0]
            self._repeats.remember(batch)
        return batch

    def _joined(self, lengths: list[int], told: list[Told]) -> list[ReceivedBatch]:
        """A batch of each message.

        Nearly every message is as long as the last one in its slot, cut at the same size and from the same sender:
        then the batch over that slot, a view, is the same too.
        """
        names = self._table.names[: len(lengths)].tobytes()
        width = len(names) // len(lengths)
        batches = []
        for index, (length, one) in enumerate(zip(lengths, told, strict=True)):
            key = (index, length, one, names[index * width : (index + 1) * width])
            batch = self._known.get(key)
            if batch is None:
                batch = self._cut(index, length, one)
                if len(self._known) >= _KNOWN:
                    self._known.clear()
                self._known[key] = batch
            batches.append(batch)
        return batches

    def _cut(self, index: int, length: int, told: Told) -> ReceivedBatch:
        """The batch of message ``index``: ``length`` bytes, cut at the size the kernel told."""
        size = told.segment or max(length, 1)
        count = max(-(-length // size), 1)
        begin = index * self._table.slot_size
        lengths = np.full(count, size, dtype=np.int64)
        lengths[-1] = length - (count - 1) * size
        batch = ReceivedBatch(
            self._table.flat[begin : begin + count * size].reshape(count, size),
            lengths,
            source=self._sources.one(index),
            destination=told.destination,
            ecn=np.full(count, told.ecn, dtype=np.uint8),
            timestamps=self._times([told.time] * count),
        )
        for column in (batch.head_lengths, batch.ecn, batch.timestamps):
            if column is not None:
                column.flags.writeable = False
        return batch

    def _times(self, times: list[int]) -> NDArray[np.int64] | None:
        return np.array(times, dtype=np.int64) if self._timestamps else None


def _version(local: UDPAddr, version: int | None) -> int:
    """The family to open: that asked for, or that of the address."""
    if version is None:
        return 6 if local.ip is not None and len(local.ip) == 16 else 4
    if version not in (4, 6):
        raise ConfigError(f"version is 4, 6 or None, not {version}")
    return version


def _has_offload(sock: socket.socket) -> bool:
    """Whether the kernel knows UDP_SEGMENT and UDP_GRO (Linux 5.0)."""
    try:
        sock.getsockopt(linux.SOL_UDP, linux.UDP_SEGMENT)
        sock.getsockopt(linux.SOL_UDP, linux.UDP_GRO)
    except OSError:
        return False
    return True

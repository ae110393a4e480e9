"""The packet link: the same datagrams as the raw link, past the IP stack, on a packet socket (packet(7)).

Packets leave with headers of our own making and without routing, netfilter or a queueing discipline, and are taken
before the IP stack sees them. A raw socket goes along: it tells the kernel that somebody speaks the protocol (or it
would answer every packet with "protocol unreachable"), gets the ICMP errors, and takes what has no way past the
stack: destinations whose hardware address is not known yet or that are on this host, and datagrams above the MTU.
"""

from __future__ import annotations

import select
import socket
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from rawproto.errors import ConfigError, OpError, PrivilegeError
from rawproto.link import linux, options
from rawproto.link.ipheaders import HeaderWriter, ipv4_faults, ipv6_faults
from rawproto.link.nexthop import NextHops
from rawproto.link.privilege import ways_to
from rawproto.link.raw import RawLink, compact
from rawproto.link.socketlink import RECEIVE_BUFFER, SEND_BUFFER, SocketLink
from rawproto.link.socketlink import select as select_rows
from rawproto.link.tables import ReceiveTable
from rawproto.wire.batch import ReceivedBatch, Transmit

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import SupportsBytes

    from numpy.typing import NDArray

    from rawproto.addr import IPAddr
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["PacketLink"]

_SLOT: Final = 1600
_ERROR_ROOM: Final = 256 << 10  # of the raw socket, which receives nothing but ICMP errors
_INSTRUCTION: Final = struct.Struct("=HBBI")
_REJECT: Final = _INSTRUCTION.pack(0x06, 0, 0, 0)
_ACCEPT: Final = _INSTRUCTION.pack(0x06, 0, 0, 0xFFFFFFFF)
_LOAD_BYTE, _LOAD_WORD, _LOAD_CONSTANT, _IF_EQUAL = 0x30, 0x20, 0x00, 0x15  # linux/bpf_common.h
_PLAIN: Final = 0x45
_ECN: Final = np.uint8(3)
_NO_ADDRESSES: Final = {772, 65_534, 768, 776}  # ARPHRD_LOOPBACK, _NONE, _TUNNEL, _SIT (linux/if_arp.h)


class PacketLink(SocketLink):
    """Datagrams of one IP protocol on one interface, faster than :class:`RawLink`.

    Args:
        protocol: IP protocol number, 1 to 255.
        local: the IPAddr to send from and to receive for; it decides the IP version.
        interface: the interface; None takes the one that has ``local``.
        filter: classic BPF program; it sees packets from the IP header on, of this protocol and to ``local`` only.
        receive_buffer: bytes to ask for the socket's receive buffer; likewise ``send_buffer``.
        slots: datagrams of one receive at most.

    Raises:
        PrivilegeError: without CAP_NET_RAW.
        ConfigError: ``local`` is missing, or of no interface here.
        OpError: the interface cannot be bound to.
        FilterError: the kernel refuses the filter.
    """

    def __init__(
        self,
        protocol: int,
        *,
        local: IPAddr,
        interface: str | None = None,
        filter: SupportsBytes | None = None,  # noqa: A002 - the public name
        receive_buffer: int = RECEIVE_BUFFER,
        send_buffer: int = SEND_BUFFER,
        slots: int = 64,
    ) -> None:
        if local is None or local.ip is None:
            raise ConfigError("a packet link needs the local address to send from")
        version = 4 if len(local.ip) == 4 else 6
        self._raw = RawLink(
            protocol,
            version=version,
            local=local,
            filter=_REJECT,
            send_buffer=send_buffer,
            receive_buffer=_ERROR_ROOM,
        )
        try:
            interfaces = linux.Interfaces(self._raw.fileno())
            name = interface or interfaces.of_address(bytes(local.ip))
            if name is None:
                raise ConfigError(f"no interface here has {local}; name one")
            self._prelude = prelude(protocol, bytes(local.ip))
            sock = self._open(name, filter, receive_buffer, send_buffer)
        except BaseException:
            self._raw.close()
            raise
        super().__init__(
            sock,
            version,
            f"packet{version}:{protocol}",
            self._raw.codec,
            stats=self._raw.counters,
            error_queue=self._raw.error_queue,
        )
        self._local_addr = local
        self._table = ReceiveTable(slots, _SLOT, 0, 0)
        self._path = self._interfaces.path(None, name)
        kind, _ = interfaces.hardware_address(name)
        self._interface = interfaces.index(name)
        self._hops = NextHops(version, self._interface, has_addresses=kind not in _NO_ADDRESSES)
        self._writer = HeaderWriter(protocol, bytes(local.ip))
        self._poll = select.epoll()
        self._poll.register(sock.fileno(), select.EPOLLIN)
        self._poll.register(self._raw.fileno(), 0)  # errors are told unasked

    def _open(
        self, interface: str, program: SupportsBytes | None, receive_buffer: int, send_buffer: int
    ) -> socket.socket:
        """A packet socket that gets nothing before its filter is in place: it is bound last."""
        version = self._raw.codec.version
        protocol = linux.ETH_P_IP if version == 4 else linux.ETH_P_IPV6
        kind = socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
        try:
            sock = socket.socket(socket.AF_PACKET, kind, 0)
        except PermissionError as error:
            raise PrivilegeError("open a packet socket", "CAP_NET_RAW", ways_to("CAP_NET_RAW")) from error
        try:
            options.attach_filter(sock, self._prelude + (_ACCEPT if program is None else bytes(program)))
            options.set_buffer(sock, socket.SO_RCVBUF, receive_buffer)
            options.set_buffer(sock, socket.SO_SNDBUF, send_buffer)
            sock.setsockopt(linux.SOL_PACKET, linux.PACKET_IGNORE_OUTGOING, 1)
            sock.setsockopt(linux.SOL_PACKET, linux.PACKET_QDISC_BYPASS, 1)
            sock.bind((interface, protocol))
        except OSError as error:
            sock.close()
            if isinstance(error, OpError):
                raise
            reason = f"{interface}: {error.strerror}"
            raise OpError(reason, op="bind", network=f"packet{version}", errno=error.errno) from error
        except BaseException:
            sock.close()
            raise
        return sock

    @property
    def max_datagram_size(self) -> int:
        """The interface's MTU less the IP header."""
        return self._raw.max_datagram_size

    def send(self, transmit: Transmit) -> int:
        """See :meth:`Link.send`."""
        if self._fd < 0:
            raise self._closed("send")
        destination, batch = transmit.destination, transmit.batch
        self._codec.encode(destination)
        hop = self._hops.of(destination)
        if hop is None or not len(batch) or int(batch.lengths.max()) > self.max_datagram_size:
            return self._raw.send(transmit)
        packets = self._writer.wrap(batch, bytes(destination.ip), transmit.ecn)
        before = self._stats.sent
        taken = self._sender.send(packets, hop, destination)
        # The link counts what is above its own headers.
        self._stats.sent_bytes -= (self._stats.sent - before) * self._writer.size
        return taken

    def receive(self) -> Sequence[ReceivedBatch]:
        """See :meth:`Link.receive`; rows begin behind the IP header."""
        count = self._arrivals()
        if not count:
            return ()
        lengths = self._table.lengths[:count].astype(np.int64)
        rows = self._table.rows(count, max(int(lengths.max()), self._writer.size))
        shown = None
        if self._screen is not None:
            shown = [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]
        kept: Sequence[int] = range(count)
        faulty, totals = self._faulty(rows, lengths)
        if self._version == 4 and not (rows[:, 0] == _PLAIN).all():
            rows, totals, _ = compact(rows, totals)
        batch = self._batch(rows, totals)
        if faulty is not None:
            kept = np.flatnonzero(~faulty).tolist()
            batch = select_rows(batch, kept)
        if shown is not None:
            batch = self._screened(batch, shown, kept)
        self._stats.received += len(batch)
        self._stats.received_bytes += int(batch.head_lengths.sum())
        return (batch,) if len(batch) else ()

    def _faulty(
        self, rows: NDArray[np.uint8], lengths: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_] | None, NDArray[np.int64]]:
        """Which packets the IP stack would not take (None: all are good), counted, and the lengths of all."""
        totals, faults = (ipv4_faults if self._version == 4 else ipv6_faults)(rows, lengths)
        faulty: NDArray[np.bool_] | None = None
        for name, mask in faults.items():
            if mask.any():
                fresh = mask if faulty is None else mask & ~faulty
                setattr(self._stats, name, getattr(self._stats, name) + int(fresh.sum()))
                faulty = mask if faulty is None else mask | faulty
        return faulty, totals

    def _batch(self, rows: NDArray[np.uint8], totals: NDArray[np.int64]) -> ReceivedBatch:
        """The payloads of good packets."""
        if self._version == 4:
            addresses, marks = rows[:, 12:16], rows[:, 1]
        else:  # version 4 bits, traffic class 8 bits (RFC 8200 section 3)
            addresses, marks = rows[:, 8:24], rows[:, 1] >> np.uint8(4)
        source = sources = None
        if len(rows) == 1 or (addresses == addresses[0]).all():
            source = self._address(addresses[0])
        else:
            sources = [self._address(address) for address in addresses]
        size = self._writer.size
        return ReceivedBatch(
            rows[:, size:],
            totals - size,
            source=source,
            sources=sources,
            destination=self._local_addr,
            ecn=marks & _ECN,
        )

    def _address(self, packed: NDArray[np.uint8]) -> IPAddr:
        return self._codec.address_of_ip(packed.tobytes(), self._interface)

    def set_filter(self, program: SupportsBytes | None) -> None:
        """See :meth:`SocketLink.set_filter`; as the constructor's filter."""
        super().set_filter(self._prelude + (_ACCEPT if program is None else bytes(program)))

    def errors(self) -> list[ICMPError]:
        """See :meth:`Link.errors`."""
        return self._raw.errors()

    def send_errors(self) -> list[OSError]:
        """See :meth:`Link.send_errors`."""
        return self._sender.take_errors() + self._raw.send_errors()

    def fileno(self) -> int:
        """See :meth:`Link.fileno`; an epoll descriptor over both sockets."""
        return -1 if self._fd < 0 else self._poll.fileno()

    def close(self) -> None:
        """See :meth:`Link.close`."""
        if self._fd >= 0:
            super().close()
            self._poll.close()
            self._raw.close()
            self._hops.close()


def prelude(protocol: int, local: bytes) -> bytes:
    """The head of a filter: only packets of ``protocol`` to ``local`` get to the instructions that follow it."""
    place, first = (9, 16) if len(local) == 4 else (6, 24)
    words = [int.from_bytes(local[start : start + 4], "big") for start in range(0, len(local), 4)]
    # Each pair of instructions loads and compares; from the last comparison the way leads over the refusal.
    to_refusal = 2 * len(words)
    code = [_INSTRUCTION.pack(_LOAD_BYTE, 0, 0, place), _INSTRUCTION.pack(_IF_EQUAL, 0, to_refusal, protocol)]
    for index, word in enumerate(words):
        is_last = index == len(words) - 1
        to_refusal -= 2
        code.append(_INSTRUCTION.pack(_LOAD_WORD, 0, 0, first + 4 * index))
        code.append(_INSTRUCTION.pack(_IF_EQUAL, int(is_last), to_refusal, word))
    # What follows may count on an empty accumulator.
    code += [_REJECT, _INSTRUCTION.pack(_LOAD_CONSTANT, 0, 0, 0)]
    return b"".join(code)

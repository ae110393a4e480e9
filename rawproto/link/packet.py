"""The packet link: the same datagrams as the raw link, past the IP stack, on a packet socket (packet(7)).

Packets leave with headers of our own making and without routing, netfilter or a queueing discipline, and are copied
to us before the IP stack sees them. A raw socket goes along: it tells the kernel that somebody speaks the protocol (or
it would answer every packet with "protocol unreachable"), gets the ICMP errors, and takes what has no way past the
stack: destinations whose hardware address is not known yet or that are on this host, and datagrams above the MTU.

The IP stack gets its copy of what arrives all the same, and drops it after routing it: a quarter of what a packet
costs. A rule at the interface's ingress hook comes after the copy for us and spares the stack, and takes the packets
away from everybody else on the host: an exclusive link makes one for as long as it is open.

Memory-mapped rings (PACKET_RX_RING, PACKET_TX_RING) were measured and are not used: between hosts on one machine they
carry 10 to 20 % less than sendmmsg and recvmmsg.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from rawproto.errors import ConfigError, OpError, RawprotoError
from rawproto.link import linux, options
from rawproto.link.examined import ExaminedLink
from rawproto.link.frames import FrameSender, open_packet_socket
from rawproto.link.ingress import IngressRule
from rawproto.link.interfaces import Interfaces
from rawproto.link.ipheaders import PLAIN, compact, ipv4_faults, ipv6_faults
from rawproto.link.raw import RawLink
from rawproto.link.repeats import Repeats
from rawproto.link.sender import is_writable
from rawproto.link.socketlink import RECEIVE_BUFFER, SEND_BUFFER
from rawproto.link.tables import ReceiveTable
from rawproto.wire.batch import ReceivedBatch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import SupportsBytes

    from numpy.typing import NDArray

    from rawproto.addr import IPAddr
    from rawproto.wire.batch import Transmit
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["PacketLink"]

_SLOT: Final = 1600
_ERROR_ROOM: Final = 256 << 10  # of the raw socket, which receives nothing but ICMP errors
_INSTRUCTION: Final = struct.Struct("=HBBI")
_REJECT: Final = _INSTRUCTION.pack(0x06, 0, 0, 0)
_ACCEPT: Final = _INSTRUCTION.pack(0x06, 0, 0, 0xFFFFFFFF)
# linux/bpf_common.h; the packet's EtherType is an extension (SKF_AD_PROTOCOL, linux/filter.h)
_LOAD_BYTE, _LOAD_HALF, _LOAD_WORD, _LOAD_CONSTANT, _IF_EQUAL = 0x30, 0x28, 0x20, 0x00, 0x15
_ETHERTYPE: Final = 0xFFFFF000
_ECN: Final = np.uint8(3)


class PacketLink(ExaminedLink):
    """Datagrams of one IP protocol on one interface, faster than :class:`RawLink`.

    Args:
        protocol: IP protocol number, 1 to 255.
        local: the IPAddr to send from and to receive for; it decides the IP version.
        interface: the interface; None takes the one that has ``local``.
        filter: classic BPF program; it sees packets from the IP header on, of this protocol and to ``local`` only.
        receive_buffer: bytes to ask for the socket's receive buffer; likewise ``send_buffer``.
        slots: datagrams of one receive at most.
        exclusive: keep what comes for this protocol and address from the IP stack and all its sockets, which is
            faster; needs CAP_NET_ADMIN and nftables in the kernel.

    Raises:
        PrivilegeError: without CAP_NET_RAW, or CAP_NET_ADMIN for an exclusive link.
        ConfigError: ``local`` is missing, or of no interface here.
        OpError: the interface cannot be bound to, or cannot be had to ourselves.
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
        exclusive: bool = False,
    ) -> None:
        if local is None or local.ip is None:
            raise ConfigError("a packet link needs the local address to send from")
        version = 4 if len(local.ip) == 4 else 6
        packed = bytes(local.ip)
        self._protocol = protocol
        network = f"packet{version}:{protocol}"
        self._raw = RawLink(
            protocol,
            version=version,
            local=local,
            filter=_REJECT,
            send_buffer=send_buffer,
            receive_buffer=_ERROR_ROOM,
        )
        with contextlib.ExitStack() as undo:
            undo.callback(self._raw.close)
            interfaces = Interfaces(self._raw.fileno())
            name = interface or interfaces.of_address(packed)
            if name is None:
                raise ConfigError(f"no interface here has {local}; name one")
            with naming(name, network):
                self._frames = FrameSender(
                    protocol,
                    packed,
                    name,
                    interfaces,
                    network=network,
                    stats=self._raw.counters,
                    clear_pending=self._raw.error_queue.drain,
                    send_buffer=send_buffer,
                )
                undo.callback(self._frames.close)
                code = prelude(protocol, packed) + (_ACCEPT if filter is None else bytes(filter))
                sock = open_receiver(name, code, receive_buffer)
                undo.callback(sock.close)
            self._rule = IngressRule(name, protocol, packed) if exclusive else None
            if self._rule is not None:
                undo.callback(self._rule.close)
            super().__init__(
                sock,
                version,
                network,
                self._raw.codec,
                stats=self._raw.counters,
                error_queue=self._raw.error_queue,
            )
            undo.callback(super().close)
            self._local_addr = local
            self._table = ReceiveTable(slots, _SLOT, 0, 0)
            self._path = self._interfaces.path(None, name)
            self._interface = interfaces.index(name)
            self._header_size = self._frames.header_size
            self._repeats = Repeats(self._table, self._header_size)
            self._poll = select.epoll()
            undo.callback(self._poll.close)
            self._poll.register(sock.fileno(), select.EPOLLIN)
            self._poll.register(self._raw.fileno(), 0)  # errors are told unasked
            undo.pop_all()
        self._is_waiting_for_room = False

    @property
    def max_datagram_size(self) -> int:
        """The interface's MTU less the IP header."""
        return self._raw.max_datagram_size

    def send(self, transmit: Transmit) -> int:
        """See :meth:`Link.send`."""
        if self._fd < 0:
            raise self._closed("send")
        destination = transmit.destination
        self._codec.encode(destination)
        self._wait_for_room(False)
        taken = self._frames.send(transmit)
        if taken is None:
            return self._raw.send(transmit)
        if taken < len(transmit.batch.head):
            self._wait_for_room(True)
        return taken

    def _wait_for_room(self, wanted: bool) -> None:
        """Have the descriptor, which stands for several sockets, tell of room for sending, or not any more.

        Only while that is wanted: a socket that somebody waits on is told of every packet that left.
        """
        if wanted and not self._is_waiting_for_room:
            self._poll.register(self._frames.fileno(), select.EPOLLOUT)
        elif self._is_waiting_for_room and not wanted:
            self._poll.unregister(self._frames.fileno())
        self._is_waiting_for_room = wanted

    def receive(self) -> Sequence[ReceivedBatch]:
        """See :meth:`Link.receive`; rows begin behind the IP header."""
        count = self._arrivals()
        if not count:
            if self._is_waiting_for_room and is_writable(self._frames.fileno()):
                self._wait_for_room(False)
            return ()
        return self._batches(count)

    def _good(
        self, rows: NDArray[np.uint8], lengths: NDArray[np.int64]
    ) -> tuple[ReceivedBatch, Sequence[int], bool]:
        """See :meth:`ExaminedLink._good`: what the IP stack would take."""
        faulty, totals = self._faulty(rows, lengths)
        is_plain = self._version == 6 or bool((rows[:, 0] == PLAIN).all())
        if not is_plain:
            rows, totals, _ = compact(rows, totals)
        batch = self._batch(rows, totals)
        if faulty is None:
            return batch, range(len(rows)), is_plain
        kept = np.flatnonzero(~faulty).tolist()
        return batch.take(kept), kept, False

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
        size = self._header_size
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
        code = _ACCEPT if program is None else bytes(program)
        packed = bytes(self._local_addr.ip)
        self._swap_filter(
            prelude(self._protocol, packed) + code,
            prelude(self._protocol, packed, of_arrivals=True) + code,
        )

    def errors(self) -> list[ICMPError]:
        """See :meth:`Link.errors`."""
        return self._raw.errors()

    def send_errors(self) -> list[OSError]:
        """See :meth:`Link.send_errors`."""
        return self._frames.take_errors() + self._raw.send_errors()

    def fileno(self) -> int:
        """See :meth:`Link.fileno`; an epoll descriptor over all sockets.

        After a send that took fewer than all it is readable, too, when there is room again, until the next call.
        """
        return -1 if self._fd < 0 else self._poll.fileno()

    def close(self) -> None:
        """See :meth:`Link.close`."""
        if self._fd >= 0:
            super().close()
            self._poll.close()
            if self._rule is not None:
                self._rule.close()
            self._raw.close()
            self._frames.close()


def open_receiver(interface: str, code: bytes, receive_buffer: int) -> socket.socket:
    """The receiving socket: it gets nothing before its filter is in place, for it is bound last."""
    sock = open_packet_socket(socket.SOCK_DGRAM)
    try:
        options.attach_filter(sock, code)
        options.set_buffer(sock, socket.SO_RCVBUF, receive_buffer)
        sock.setsockopt(linux.SOL_PACKET, linux.PACKET_IGNORE_OUTGOING, 1)
        # A socket for one EtherType is served behind the ingress hook, one for all of them before it.
        sock.bind((interface, linux.ETH_P_ALL))
    except BaseException:
        sock.close()
        raise
    return sock


@contextlib.contextmanager
def naming(interface: str, network: str) -> Iterator[None]:
    """Say which interface it was that refused."""
    try:
        yield
    except RawprotoError:
        raise
    except OSError as error:
        reason = f"{interface}: {error.strerror}"
        raise OpError(reason, op="bind", network=network, errno=error.errno) from error


def prelude(protocol: int, local: bytes, *, of_arrivals: bool = False) -> bytes:
    """The head of a filter: only packets of ``protocol`` to ``local`` get to the instructions that follow it.

    ``of_arrivals``: it is for packets that the kernel let in already, whose EtherType is settled and not told any more.
    """
    ethertype, place, first = (linux.ETH_P_IP, 9, 16) if len(local) == 4 else (linux.ETH_P_IPV6, 6, 24)
    words = [int.from_bytes(local[start : start + 4], "big") for start in range(0, len(local), 4)]
    wanted = [(_LOAD_BYTE, place, protocol)]
    wanted += [(_LOAD_WORD, first + 4 * index, word) for index, word in enumerate(words)]
    if not of_arrivals:
        wanted.insert(0, (_LOAD_HALF, _ETHERTYPE, ethertype))
    code = []
    # Each pair of instructions loads and compares; from the last comparison the way leads over the refusal.
    for left, (load, offset, value) in zip(reversed(range(len(wanted))), wanted, strict=True):
        code.append(_INSTRUCTION.pack(load, 0, 0, offset))
        code.append(_INSTRUCTION.pack(_IF_EQUAL, int(left == 0), 2 * left, value))
    # What follows may count on an empty accumulator.
    code += [_REJECT, _INSTRUCTION.pack(_LOAD_CONSTANT, 0, 0, 0)]
    return b"".join(code)

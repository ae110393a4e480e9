"""A raw IP socket for people: one datagram at a time, everything the kernel tells of it, nothing lost in silence."""

from __future__ import annotations

import errno
import select
from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from rawproto.errors import ClosedError, ConnectionRefused, DeadlineExceeded, OpError
from rawproto.link.arrival import ArrivalReader
from rawproto.link.causes import DatagramError, SentLog
from rawproto.link.raw import RawLink
from rawproto.link.rawsend import SingleSender
from rawproto.link.waiting import Waiter
from rawproto.wire.batch import Batch, Transmit

if TYPE_CHECKING:
    import socket
    from collections.abc import Buffer, Sequence  # type: ignore[attr-defined,unused-ignore]
    from types import TracebackType
    from typing import Self, SupportsBytes

    from rawproto.addr import IPAddr
    from rawproto.link.base import LinkStats
    from rawproto.link.received import Received
    from rawproto.wire.batch import ReceivedBatch
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["RawSocket"]

_REMEMBERED: Final = 1024


class RawSocket:
    """Datagrams of one IP protocol over IPv4 or IPv6, sent and received one by one or in batches.

    Calls block until they can go on, the deadline passes or another thread closes the socket. One thread may send
    while another receives.

    Args:
        protocol: IP protocol number, 1 to 255.
        version: 4 or 6.
        local: address to send from and receive for; None: every one.
        remote: receive from this address only, and send there when ``send`` names none.
        header_included: what is sent begins with its own IP header.
        filter: classic BPF program, see :class:`RawLink`.
        interface: use this interface only.
        over_mtu: what becomes of a datagram with its own header that is larger than the MTU: "refuse" (OpError with
            EMSGSIZE) or "fragment" (by the library; without a header the kernel does it).
        transmit_timestamps: ask the kernel when each datagram left, see :meth:`transmit_times`.
        receive_buffer: bytes to ask for the socket's receive buffer.
        sock: an open raw socket to use, as :mod:`rawproto.link.broker` gives it.

    Raises:
        PrivilegeError: without CAP_NET_RAW.
        OpError: the address or interface is not of this host, or there is no route to ``remote``.
        FilterError: the kernel refuses the filter.
    """

    def __init__(
        self,
        protocol: int,
        *,
        version: int = 4,
        local: IPAddr | None = None,
        remote: IPAddr | None = None,
        header_included: bool = False,
        filter: SupportsBytes | None = None,  # noqa: A002 - the public name
        interface: str | None = None,
        over_mtu: Literal["refuse", "fragment"] = "refuse",
        transmit_timestamps: bool = False,
        receive_buffer: int = 1 << 20,
        sock: socket.socket | None = None,
    ) -> None:
        self._link = RawLink(
            protocol,
            version=version,
            local=local,
            remote=remote,
            filter=filter,
            interface=interface,
            header_included=header_included,
            receive_buffer=receive_buffer,
            mtu_discovery="kernel" if header_included or over_mtu == "refuse" else "off",
            timestamps=True,
            details=True,
            sock=sock,
        )
        self._sock = self._link.socket
        self._version = version
        self._remote = remote
        self._arrivals = ArrivalReader(self._link, protocol)
        self._reading = Waiter(self._link.fileno(), select.POLLIN, self._read_error)
        self._writing = Waiter(self._link.fileno(), select.POLLOUT, self._write_error)
        self._log = SentLog(version, header_included=header_included)
        self._failed: deque[DatagramError] = deque(maxlen=_REMEMBERED)
        self._sending = SingleSender(
            self._link,
            self._log,
            fragments=over_mtu == "fragment" and header_included,
            collect=self._collect,
            describe=self._write_error,
        )
        if transmit_timestamps:
            self._link.ask_for_transmit_times()

    # What goes out

    def send(
        self,
        payload: Buffer,
        to: IPAddr | None = None,
        *,
        ttl: int | None = None,
        tos: int | None = None,
    ) -> None:
        """Send one datagram; blocks while the kernel's queue is full.

        Args:
            payload: the bytes above the IP header, or with ``header_included`` from it on.
            to: destination; may be left out on a socket with a ``remote``.
            ttl: TTL or hop limit of this datagram instead of the socket's.
            tos: TOS octet or traffic class of this datagram instead of the socket's.

        Raises:
            OpError: the kernel refused it; ``errno`` says why: EMSGSIZE too large, ENETUNREACH or EHOSTUNREACH no
                route, EPERM a firewall, ENETDOWN the interface is down, ENOBUFS a queue on the way is full.
            DeadlineExceeded: the queue stayed full.
            ClosedError: the socket is closed.
        """
        while not self.try_send(payload, to, ttl=ttl, tos=tos):
            self._writing.wait()

    def try_send(
        self, payload: Buffer, to: IPAddr | None = None, *, ttl: int | None = None, tos: int | None = None
    ) -> bool:
        """As :meth:`send`, but False instead of blocking while the kernel's queue is full; for event loops."""
        return self._sending.try_send(payload, self._destination(to), ttl, tos)

    def send_batch(self, payloads: Sequence[bytes] | Batch, to: IPAddr | None = None) -> int:
        """Send many datagrams to one destination in few system calls; returns how many are settled.

        Fewer than all means that the queue is full. A datagram refused for its own sake counts as settled and is
        in :meth:`send_errors`.
        """
        destination = self._destination(to)
        self._log.remember_batch(destination)
        batch = payloads if isinstance(payloads, Batch) else Batch.from_datagrams(payloads)
        return self._link.send(Transmit(batch, destination))

    def _destination(self, to: IPAddr | None) -> IPAddr:
        destination = self._remote if to is None else to
        if destination is None:
            raise OpError("no destination", op="write", network=self.network, errno=errno.EDESTADDRREQ)
        return destination

    def send_errors(self) -> list[OSError]:
        """Errors of single datagrams of batches since the last call (the newest 64)."""
        return self._link.send_errors()

    # What comes in

    def receive(self) -> Received:
        """The next datagram; blocks until there is one.

        Raises DeadlineExceeded (nothing is lost), ClosedError, or on a socket with a ``remote`` ConnectionRefused
        when that host says it does not speak the protocol.
        """
        while True:
            self._reading.wait()
            arrived = self.receive_nowait()
            if arrived is not None:
                return arrived

    def receive_batch(self) -> Sequence[ReceivedBatch]:
        """The datagrams waiting now; blocks until there is one. The arrays are good until the next receive."""
        while True:
            self._reading.wait()
            batches = self._link.receive()
            if batches:
                return batches
            self._collect()
            self._raise_refusal()

    def receive_nowait(self) -> Received | None:
        """The next datagram, or None when none waits; for event loops. Raises as :meth:`receive`."""
        try:
            return self._arrivals.read()
        except BlockingIOError:
            self._collect()
        except OSError as error:
            if self._link.fileno() < 0:
                raise self._read_error(ClosedError, "use of a closed socket") from error
            self._collect()
        self._raise_refusal()
        return None

    def transmit_times(self) -> dict[int, int]:
        """When datagrams left, nanoseconds since the epoch by the count of the send (from 0); since the last call."""
        self._collect()
        return self._link.transmit_times()

    # What went wrong

    def errors(self) -> list[DatagramError]:
        """ICMP errors since the last call, each with the datagram that caused it.

        What quotes nothing that was sent here is forged or another socket's: counted in ``icmp_ignored``, no more.
        """
        self._collect()
        taken = list(self._failed)
        self._failed.clear()
        return taken

    def explain(self, error: ICMPError) -> DatagramError | None:
        """``error``, which came some other way, with the datagram of this socket that caused it; None when none did.

        Such errors come from raw ICMP sockets, see :func:`rawproto.link.icmperrors.read_error`.
        """
        return self._log.explain(error)

    def _collect(self) -> None:
        """Take the link's ICMP errors over, each with its datagram."""
        for error in self._link.errors():
            explained = self._log.explain(error)
            if explained is not None:
                self._failed.append(explained)
            else:
                self._link.counters.icmp_errors -= 1
                self._link.counters.icmp_ignored += 1

    def _raise_refusal(self) -> None:
        """On a socket with a remote a hard error ends the wait; any other stays for :meth:`errors`."""
        if self._remote is None:
            return
        for error in self._failed:
            if error.is_hard:
                self._failed.remove(error)
                raise self._read_error(ConnectionRefused, error.kind.value)

    def _read_error(self, kind: type[OpError], reason: str) -> OpError:
        number = {DeadlineExceeded: errno.ETIMEDOUT, ConnectionRefused: errno.ECONNREFUSED}.get(kind)
        return kind(
            reason, op="read", network=self.network, local=self.local_addr, remote=self._remote, errno=number
        )

    def _write_error(
        self, kind: type[OpError], reason: str, remote: IPAddr | None = None, number: int | None = None
    ) -> OpError:
        number = errno.ETIMEDOUT if kind is DeadlineExceeded else number
        remote = remote or self._remote
        return kind(
            reason, op="write", network=self.network, local=self.local_addr, remote=remote, errno=number
        )

    # What it is

    @property
    def network(self) -> str:
        """As in "ip4:253"."""
        return self._link.network

    @property
    def local_addr(self) -> IPAddr:
        """The address bound to; its ip is None when there is none. With a remote, the one chosen by the kernel."""
        if self._remote is not None and self._link.fileno() >= 0:
            chosen: IPAddr = self._link.codec.from_tuple(self._sock.getsockname())
            return chosen
        address: IPAddr = self._link.local_addr
        return address

    @property
    def remote_addr(self) -> IPAddr | None:
        """The one address talked to, or None."""
        return self._remote

    def path_mtu(self, destination: IPAddr) -> int:
        """MTU in bytes of the path to ``destination`` as far as the kernel knows it."""
        return self._link.path_mtu(destination)

    def set_filter(self, program: SupportsBytes | None) -> None:
        """Replace the packet filter; nothing that only the old one let in is received afterwards."""
        self._link.set_filter(program)

    def set_deadline(self, seconds: float | None) -> None:
        """Let blocked and future calls end ``seconds`` from now; None takes the deadline off."""
        self._reading.set_deadline(seconds)
        self._writing.set_deadline(seconds)

    def set_read_deadline(self, seconds: float | None) -> None:
        """As :meth:`set_deadline`, for receiving only."""
        self._reading.set_deadline(seconds)

    def set_write_deadline(self, seconds: float | None) -> None:
        """As :meth:`set_deadline`, for sending only."""
        self._writing.set_deadline(seconds)

    def stats(self) -> LinkStats:
        """Counters: sent, received, kernel drops, truncated, bad checksums and the rest."""
        return self._link.stats()

    def fileno(self) -> int:
        """The descriptor: readable when a datagram or an error waits; -1 once closed."""
        return self._link.fileno()

    def close(self) -> None:
        """Close; every blocked call ends with ClosedError. Calling it again does nothing."""
        self._reading.close()
        self._writing.close()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

"""Go's IPConn: ``dial_ip`` and ``listen_ip`` above IP itself."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING

from rawproto.errors import AddrError, OpError
from rawproto.link.networks import parse_network
from rawproto.link.rawsocket import RawSocket

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined,unused-ignore]
    from types import TracebackType
    from typing import Self

    from rawproto.addr import IPAddr
    from rawproto.link.base import LinkStats
    from rawproto.link.causes import DatagramError

__all__ = ["IPConn", "dial_ip", "listen_ip"]


def dial_ip(network: str, local: IPAddr | None, remote: IPAddr) -> IPConn:
    """A connection to ``remote``: only what comes from there is read, and there is what is written sent.

    Args:
        network: "ip4:icmp", "ip6:58", "ip:253", ...; without a version it is that of ``remote``.
        local: address to send from; None lets the kernel choose.
        remote: the peer.

    Raises:
        UnknownNetworkError, AddrError: the network's name or the addresses do not fit.
        PrivilegeError: without CAP_NET_RAW.
        OpError: ``local`` is not of this host, or there is no route.
    """
    if remote is None or remote.ip is None:
        raise AddrError("an address to dial is missing", network)
    version, protocol = parse_network(network)
    version = version or _version_of(remote)
    _check_family(version, remote, local)
    return IPConn(RawSocket(protocol, version=version, local=local, remote=remote), network)


def listen_ip(network: str, local: IPAddr | None = None) -> IPConn:
    """A connection that takes datagrams from everybody.

    Args:
        network: as for :func:`dial_ip`; without a version it is that of ``local``, and 4 without an address.
        local: address to receive for; None: every one.

    Raises:
        UnknownNetworkError, AddrError, PrivilegeError, OpError: as :func:`dial_ip`.
    """
    version, protocol = parse_network(network)
    version = version or _version_of(local)
    _check_family(version, local)
    return IPConn(RawSocket(protocol, version=version, local=local), network)


def _version_of(address: IPAddr | None) -> int:
    return 6 if address is not None and address.ip is not None and address.ip.to4() is None else 4


def _check_family(version: int, *addresses: IPAddr | None) -> None:
    for address in addresses:
        if address is not None and address.ip is not None and _version_of(address) != version:
            raise AddrError(f"not an IPv{version} address", str(address))


class IPConn:
    """Datagrams of one IP protocol, read and written without their IP headers.

    One thread may read while another writes; closing from any thread ends blocked calls with ClosedError.
    """

    network: str

    def __init__(self, sock: RawSocket, network: str) -> None:
        self._sock = sock
        self.network = network

    @property
    def raw(self) -> RawSocket:
        """The socket below, for header fields, batches and filters."""
        return self._sock

    @property
    def local_addr(self) -> IPAddr:
        """Own address; its ip is None when it takes datagrams to every local address."""
        return self._sock.local_addr

    @property
    def remote_addr(self) -> IPAddr | None:
        """The peer of a dialled connection, else None."""
        return self._sock.remote_addr

    def read(self, n: int = -1) -> bytes:
        """The payload of the next datagram, at most ``n`` bytes of it (the rest is discarded); n < 0 is all.

        Raises DeadlineExceeded (nothing is lost), ClosedError, ConnectionRefused (the peer of a dialled connection
        does not speak the protocol).
        """
        return self.read_from(n)[0]

    def read_from(self, n: int = -1) -> tuple[bytes, IPAddr]:
        """As :meth:`read`, with the sender's address."""
        arrived = self._sock.receive()
        payload = arrived.payload if n < 0 else arrived.payload[:n]
        return payload, arrived.source

    def write(self, data: Buffer) -> int:
        """Send one datagram to the peer of a dialled connection; returns its length.

        Raises OpError: EDESTADDRREQ on a connection that was not dialled, else as :meth:`RawSocket.send`.
        """
        payload = bytes(data)
        self._sock.send(payload)
        return len(payload)

    def write_to(self, data: Buffer, to: IPAddr) -> int:
        """Send one datagram to ``to``; returns its length. Only on a connection that was not dialled, as in Go."""
        self.check_write_to(to)
        payload = bytes(data)
        self._sock.send(payload, to)
        return len(payload)

    def check_write_to(self, to: IPAddr) -> None:
        """Refuse (OpError, EISCONN) what :meth:`write_to` refuses: an address where a peer was dialled."""
        if self._sock.remote_addr is not None:
            raise OpError(
                "use of write_to with a dialled connection",
                op="write",
                network=self.network,
                local=self.local_addr,
                remote=to,
                errno=errno.EISCONN,
            )

    def errors(self) -> list[DatagramError]:
        """ICMP errors since the last call, each with the datagram that caused it."""
        return self._sock.errors()

    def stats(self) -> LinkStats:
        """Counters, see :class:`LinkStats`."""
        return self._sock.stats()

    def set_deadline(self, seconds: float | None) -> None:
        """Let blocked and future calls end ``seconds`` from now; None takes the deadline off."""
        self._sock.set_deadline(seconds)

    def set_read_deadline(self, seconds: float | None) -> None:
        """As :meth:`set_deadline`, for reading only."""
        self._sock.set_read_deadline(seconds)

    def set_write_deadline(self, seconds: float | None) -> None:
        """As :meth:`set_deadline`, for writing only."""
        self._sock.set_write_deadline(seconds)

    def fileno(self) -> int:
        """The descriptor to wait on; -1 once closed."""
        return self._sock.fileno()

    def close(self) -> None:
        """Close; calling it again does nothing."""
        self._sock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

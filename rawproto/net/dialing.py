"""dial and listen: a connection or a listener of any transport, by the network's name."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any, overload

from rawproto.errors import ConfigError, DeadlineExceeded
from rawproto.net.conn import Conn
from rawproto.net.failures import raise_op_error
from rawproto.net.listener import Listener
from rawproto.net.networks import Network, endpoints, folded, parse_network
from rawproto.net.packets import dial_packets, is_packet_network, listen_packets, only_streams
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.side import FdSide
from rawproto.net.tcp import TCPAcceptor, TCPStream, bound_socket, listening_socket

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

    from rawproto.addr import ACL
    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.networks import StreamNetwork, UDPNetwork
    from rawproto.net.stream import Stream
    from rawproto.net.udp import UDPConn

__all__ = [
    "admission",
    "check_config",
    "check_context",
    "dial",
    "dial_tcp",
    "fair_share",
    "host_of",
    "listen",
    "listen_tcp",
    "tcp_conn",
]

TCP_NETWORKS = ("tcp", "tcp4", "tcp6")
FAIR_SHARE = 2.0
"""Seconds of a dial's timeout that an address gets at least while others are left to try, as in Go."""


@overload
def dial(
    network: StreamNetwork,
    address: str | PortAddr,
    *,
    timeout: float | None = None,
    local: str | PortAddr | None = None,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    config: Any | None = None,
) -> Conn: ...
@overload
def dial(
    network: UDPNetwork, address: str | PortAddr, *, timeout: float | None = None, local: Any = None
) -> UDPConn: ...
@overload
def dial(
    network: str,
    address: Any,
    *,
    timeout: float | None = None,
    local: Any = None,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    config: Any | None = None,
) -> Any: ...
def dial(
    network: str,
    address: Any,
    *,
    timeout: float | None = None,
    local: Any = None,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    config: Any | None = None,
) -> Any:
    """Connect to ``address``: a Conn; a UDPConn on UDP; an IPConn on IP.

    Args:
        network: "tcp", "rsp" (on IP itself), "rsp+udp", "udp", each with 4 or 6 behind it to choose the family; or
            IP and a protocol, "ip4:253", "ip6:ipv6-icmp", "ip:icmp".
        address: "host:port" or an endpoint ("host" or an IPAddr on IP); the addresses of a name are tried one
            after the other by the connections, the first is taken by UDP and IP.
        timeout: seconds for everything, name lookup apart; None leaves it to the transport.
        local: the local endpoint; None leaves it to the system.
        tls: a client context, True for the default one (system certificates), None for no TLS.
        server_hostname: the name to ask for (SNI) and to find in the certificate; by default the host of ``address``.
        config: an RSPConfig; for RSP only.

    Raises:
        UnknownNetworkError, AddrError, DNSError: no such network, no address, name not found.
        ConfigError: an option that means nothing on this network.
        ConnectionRefused: nothing listens there.
        DeadlineExceeded: no answer in time.
        TLSError: the TLS handshake failed.
        PrivilegeError: the network needs a capability that is missing.
    """
    if is_packet_network(network):
        only_streams(network, tls=tls, server_hostname=server_hostname, config=config)
        return dial_packets(network, address, local)
    net = parse_network(network)
    check_config(net, config)
    stop = None if timeout is None else time.monotonic() + timeout
    candidates = endpoints(net, address)
    source = None if local is None else endpoints(net, local, passive=True)[0]
    for index, remote in enumerate(candidates):
        try:
            conn = _dial_one(net, source, remote, fair_share(stop, len(candidates) - index), config)
            break
        except OSError as error:
            if index == len(candidates) - 1:
                raise_op_error(error, "dial", network, source, remote)
    if tls is None or tls is False:
        return conn
    return _secure(conn, tls, server_hostname or host_of(address), stop)


@overload
def listen(
    network: StreamNetwork,
    address: str | PortAddr,
    *,
    backlog: int = 128,
    tls: ssl.SSLContext | None = None,
    acl: ACL | None = None,
    config: Any | None = None,
) -> Listener: ...
@overload
def listen(network: UDPNetwork, address: str | PortAddr) -> UDPConn: ...
@overload
def listen(
    network: str,
    address: Any,
    *,
    backlog: int = 128,
    tls: ssl.SSLContext | None = None,
    acl: ACL | None = None,
    config: Any | None = None,
) -> Any: ...
def listen(
    network: str,
    address: Any,
    *,
    backlog: int = 128,
    tls: ssl.SSLContext | None = None,
    acl: ACL | None = None,
    config: Any | None = None,
) -> Any:
    """Listen on ``address``: a Listener; on UDP and IP a UDPConn or IPConn that takes datagrams from everybody.

    An empty host is every address, port 0 picks a free one.

    Args:
        network: as of :func:`dial`.
        address: the local endpoint.
        backlog: connections that may wait to be accepted.
        tls: a server context. Handshakes of accepted connections run in the background; the first read or write
            of a connection waits for its own.
        acl: asked before any state is kept for a peer.
        config: an RSPConfig; for RSP only.

    Raises:
        UnknownNetworkError, AddrError, DNSError: no such network, no address, name not found.
        ConfigError: an option that means nothing on this network.
        OpError: the address is in use or not of this host.
        PrivilegeError: the network, or the port, needs a capability that is missing.
    """
    if is_packet_network(network):
        only_streams(network, tls=tls, acl=acl, config=config)
        return listen_packets(network, address)
    net = parse_network(network)
    check_config(net, config)
    if tls is not None:
        check_context(tls)
    local = endpoints(net, address, passive=True)[0]
    permits = admission(acl)
    try:
        if net.transport == "tcp":
            acceptor = TCPAcceptor(listening_socket(net, local, backlog), network, permits)
            side = FdSide(acceptor.fileno(), POLLIN)
            listener = Listener(acceptor, side, tcp_conn)
        else:
            from rawproto.net.rsp_blocking import listen_rsp

            listener = listen_rsp(net, local, backlog, permits, config)
    except OSError as error:
        raise_op_error(error, "listen", network, local)
    if tls is not None:
        from rawproto.net.handshakes import securing

        listener.wrap = securing(listener.wrap, tls)
    return listener


def dial_tcp(network: str, laddr: str | PortAddr | None, raddr: str | PortAddr) -> Conn:
    """Connect to ``raddr`` over TCP from ``laddr`` (None: any), as Go's DialTCP. Errors as of :func:`dial`."""
    parse_network(network, TCP_NETWORKS)
    conn: Conn = dial(network, raddr, local=laddr)
    return conn


def listen_tcp(network: str, laddr: str | PortAddr | None) -> Listener:
    """Listen on ``laddr`` (None: every address, a free port), as Go's ListenTCP. Errors as of :func:`listen`."""
    parse_network(network, TCP_NETWORKS)
    listener: Listener = listen(network, ":0" if laddr is None else laddr)
    return listener


def admission(acl: ACL | None) -> Callable[[Any], bool] | None:
    """The question that a transport asks about a peer's endpoint; None when everybody may come."""
    if acl is None:
        return None
    return lambda address: address.ip is not None and acl.permits(folded(address).ip)


def tcp_conn(stream: Stream) -> Conn:
    """The blocking face of a TCP stream."""
    assert isinstance(stream, TCPStream)
    return Conn(stream, FdSide(stream.fileno(), POLLIN), FdSide(stream.fileno(), POLLOUT))


def _dial_one(
    net: Network, source: PortAddr | None, remote: PortAddr, timeout: float | None, config: Any
) -> Conn:
    if net.transport != "tcp":
        from rawproto.net.rsp_blocking import dial_rsp

        return dial_rsp(net, source, remote, timeout, config)
    sock = bound_socket(source, remote)
    try:
        sock.settimeout(timeout)
        sock.connect(remote.sockaddr(4 if sock.family == socket.AF_INET else 6))
        return tcp_conn(TCPStream(sock, net.name, remote))
    except BaseException:
        sock.close()
        raise


def fair_share(stop: float | None, left: int) -> float | None:
    """Seconds for the next of ``left`` addresses, as Go divides a dial's timeout among them."""
    if stop is None:
        return None
    remaining = stop - time.monotonic()
    if remaining <= 0:
        raise DeadlineExceeded("deadline exceeded")
    return min(remaining, max(remaining / left, FAIR_SHARE))


def check_config(net: Network, config: Any) -> None:
    """Refuse a config where there is nothing to configure."""
    if config is not None and net.transport == "tcp":
        raise ConfigError(f"config is for RSP: {net.name} has nothing to configure")


def check_context(tls: object) -> None:
    """Refuse, before anything is opened, what cannot be a server's TLS context."""
    from rawproto.net.tls import checked_context

    checked_context(tls)


def host_of(address: str | PortAddr) -> str:
    """The host of "host:port", without a zone: what a TLS certificate is asked for."""
    from rawproto.addr.hostport import split_host_port

    return split_host_port(str(address))[0].partition("%")[0]


def _secure(conn: Conn, tls: ssl.SSLContext | bool, hostname: str, stop: float | None) -> Conn:
    from rawproto.net.tls import client_stream

    try:
        secured = conn.over(lambda below: client_stream(below, tls, hostname))
        if stop is not None:
            secured.set_deadline(stop - time.monotonic())
        secured.handshake()
        secured.set_deadline(None)
    except BaseException:
        conn.abort()
        raise
    return secured

"""dial and listen: a connection or a listener of any transport, by the network's name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, overload

from rawproto.net import packets
from rawproto.net.conn import Conn
from rawproto.net.listener import Listener
from rawproto.net.lookups import looked_up
from rawproto.net.networks import parse_network
from rawproto.net.plans import DialPlan, ListenPlan, dial_plan, listen_plan
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.side import FdSide
from rawproto.net.tcp import TCPAcceptor, TCPStream, connecting
from rawproto.net.udp import UDPConn
from rawproto.net.udp_socket import UDPSocket

if TYPE_CHECKING:
    import ssl
    from typing import Unpack

    from rawproto.addr import ACL
    from rawproto.addr.endpoints import PortAddr
    from rawproto.link.ipconn import IPConn
    from rawproto.net.networks import StreamNetwork, UDPNetwork
    from rawproto.net.options import DialOptions, ListenOptions, TransportOptions
    from rawproto.net.stream import Stream

__all__ = ["dial", "dial_tcp", "dial_udp", "listen", "listen_tcp", "listen_udp"]

TCP_NETWORKS = ("tcp", "tcp4", "tcp6")


@overload
def dial(network: StreamNetwork, address: str | PortAddr, **options: Unpack[DialOptions]) -> Conn: ...
@overload
def dial(
    network: UDPNetwork,
    address: str | PortAddr,
    *,
    timeout: float | None = None,
    local: str | PortAddr | None = None,
) -> UDPConn: ...
@overload
def dial(network: str, address: Any, *, local: Any = None, **options: Unpack[TransportOptions]) -> Any: ...
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
        timeout: seconds for everything (a name lookup counts, and has a limit of its own); None leaves it to the
            transport.
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
    if packets.is_packet_network(network):
        packets.only_streams(network, tls=tls, server_hostname=server_hostname, config=config)
        return _packet_conn(looked_up(packets.dialled(network, address, local)))
    options = (timeout, tls, server_hostname, config)
    plan = looked_up(dial_plan(network, address, local, *options))
    for index, remote in enumerate(plan.targets):
        try:
            conn = _dial_one(plan, remote, plan.share(index))
            break
        except OSError as error:
            plan.failed(index, error)
    if plan.tls is None:
        return conn
    with plan.securing(conn) as secured:
        secured.handshake()
    return secured


@overload
def listen(network: StreamNetwork, address: str | PortAddr, **options: Unpack[ListenOptions]) -> Listener: ...
@overload
def listen(network: UDPNetwork, address: str | PortAddr) -> UDPConn: ...
@overload
def listen(network: str, address: Any, **options: Unpack[ListenOptions]) -> Any: ...
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
    if packets.is_packet_network(network):
        packets.only_streams(network, tls=tls, acl=acl, config=config)
        return _packet_conn(looked_up(packets.listening(network, address)))
    plan = looked_up(listen_plan(network, address, backlog=backlog, tls=tls, acl=acl, config=config))
    listener = plan.opened(_listen_tcp, _listen_rsp)
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


def dial_udp(network: str, laddr: str | PortAddr | None, raddr: str | PortAddr) -> UDPConn:
    """A UDP socket connected to ``raddr``, bound to ``laddr`` (None: any), as Go's DialUDP."""
    return UDPConn(looked_up(packets.dialled_udp(network, raddr, laddr)))


def listen_udp(network: str, laddr: str | PortAddr | None) -> UDPConn:
    """A UDP socket bound to ``laddr`` (None: every address, a free port), as Go's ListenUDP."""
    return UDPConn(looked_up(packets.listening_udp(network, laddr)))


def _dial_one(plan: DialPlan, remote: PortAddr, timeout: float | None) -> Conn:
    if plan.network.transport != "tcp":
        from rawproto.net.rsp_blocking import dial_rsp

        return dial_rsp(plan, remote, timeout)
    with connecting(plan.source, remote) as (sock, target):
        sock.settimeout(timeout)
        sock.connect(target)
        return _tcp_conn(TCPStream(sock, plan.network.name, remote))


def _listen_tcp(acceptor: TCPAcceptor) -> Listener:
    return Listener(acceptor, FdSide(acceptor.fileno(), POLLIN), _tcp_conn)


def _listen_rsp(plan: ListenPlan) -> Listener:
    from rawproto.net.rsp_blocking import listen_rsp

    return listen_rsp(plan)


def _tcp_conn(stream: Stream) -> Conn:
    assert isinstance(stream, TCPStream)
    return Conn(stream, FdSide(stream.fileno(), POLLIN), FdSide(stream.fileno(), POLLOUT))


def _packet_conn(sock: UDPSocket | IPConn) -> UDPConn | IPConn:
    return UDPConn(sock) if isinstance(sock, UDPSocket) else sock

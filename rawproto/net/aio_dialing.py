"""dial and listen for asyncio."""

# ruff: noqa: ASYNC109 - timeouts: the same words as the blocking dial

from __future__ import annotations

import asyncio
import socket
import time
from typing import TYPE_CHECKING, Any, overload

from rawproto.net.aio_conn import AsyncConn
from rawproto.net.aio_listener import AsyncListener
from rawproto.net.aio_side import AsyncFdSide
from rawproto.net.dialing import admission, check_config, check_context, fair_share, host_of
from rawproto.net.failures import raise_op_error
from rawproto.net.networks import Network, async_endpoints, parse_network
from rawproto.net.packets import async_dial_packets, async_listen_packets, is_packet_network, only_streams
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.tcp import TCPAcceptor, TCPStream, bound_socket, listening_socket

if TYPE_CHECKING:
    import ssl

    from rawproto.addr import ACL
    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.aio_packets import AsyncPacketConn
    from rawproto.net.networks import StreamNetwork, UDPNetwork
    from rawproto.net.stream import Stream

__all__ = ["dial", "listen"]


@overload
async def dial(
    network: StreamNetwork,
    address: str | PortAddr,
    *,
    timeout: float | None = None,
    local: str | PortAddr | None = None,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    config: Any | None = None,
) -> AsyncConn: ...
@overload
async def dial(
    network: UDPNetwork, address: str | PortAddr, *, timeout: float | None = None, local: Any = None
) -> AsyncPacketConn: ...
@overload
async def dial(
    network: str,
    address: Any,
    *,
    timeout: float | None = None,
    local: Any = None,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    config: Any | None = None,
) -> Any: ...
async def dial(
    network: str,
    address: Any,
    *,
    timeout: float | None = None,
    local: Any = None,
    tls: ssl.SSLContext | bool | None = None,
    server_hostname: str | None = None,
    config: Any | None = None,
) -> Any:
    """Connect to ``address``; arguments and errors as of :func:`rawproto.dial`. A PacketConn on UDP and IP."""
    if is_packet_network(network):
        only_streams(network, tls=tls, server_hostname=server_hostname, config=config)
        return await async_dial_packets(network, address, local)
    net = parse_network(network)
    check_config(net, config)
    stop = None if timeout is None else time.monotonic() + timeout
    candidates = await async_endpoints(net, address)
    source = None if local is None else (await async_endpoints(net, local, passive=True))[0]
    for index, remote in enumerate(candidates):
        try:
            conn = await _dial_one(net, source, remote, fair_share(stop, len(candidates) - index), config)
            break
        except OSError as error:
            if index == len(candidates) - 1:
                raise_op_error(error, "dial", network, source, remote)
    if tls is None or tls is False:
        return conn
    return await _secure(conn, tls, server_hostname or host_of(address), stop)


@overload
async def listen(
    network: StreamNetwork,
    address: str | PortAddr,
    *,
    backlog: int = 128,
    tls: ssl.SSLContext | None = None,
    acl: ACL | None = None,
    config: Any | None = None,
) -> AsyncListener: ...
@overload
async def listen(network: UDPNetwork, address: str | PortAddr) -> AsyncPacketConn: ...
@overload
async def listen(
    network: str,
    address: Any,
    *,
    backlog: int = 128,
    tls: ssl.SSLContext | None = None,
    acl: ACL | None = None,
    config: Any | None = None,
) -> Any: ...
async def listen(
    network: str,
    address: Any,
    *,
    backlog: int = 128,
    tls: ssl.SSLContext | None = None,
    acl: ACL | None = None,
    config: Any | None = None,
) -> Any:
    """Listen on ``address``; arguments and errors as of :func:`rawproto.listen`. A PacketConn on UDP and IP."""
    if is_packet_network(network):
        only_streams(network, tls=tls, acl=acl, config=config)
        return await async_listen_packets(network, address)
    net = parse_network(network)
    check_config(net, config)
    if tls is not None:
        check_context(tls)
    local = (await async_endpoints(net, address, passive=True))[0]
    permits = admission(acl)
    try:
        if net.transport == "tcp":
            acceptor = TCPAcceptor(listening_socket(net, local, backlog), network, permits)
            listener = AsyncListener(acceptor, AsyncFdSide(acceptor.fileno(), POLLIN), tcp_conn)
        else:
            from rawproto.net.rsp_aio import listen_rsp

            listener = listen_rsp(net, local, backlog, permits, config)
    except OSError as error:
        raise_op_error(error, "listen", network, local)
    if tls is not None:
        from rawproto.net.handshakes import async_securing

        listener.wrap = async_securing(listener.wrap, tls)
    return listener


def tcp_conn(stream: Stream) -> AsyncConn:
    """The asyncio face of a TCP stream."""
    assert isinstance(stream, TCPStream)
    return AsyncConn(stream, AsyncFdSide(stream.fileno(), POLLIN), AsyncFdSide(stream.fileno(), POLLOUT))


async def _dial_one(
    net: Network,
    source: PortAddr | None,
    remote: PortAddr,
    timeout: float | None,
    config: Any,
) -> AsyncConn:
    if net.transport != "tcp":
        from rawproto.net.rsp_aio import dial_rsp

        return await dial_rsp(net, source, remote, timeout, config)
    sock = bound_socket(source, remote)
    try:
        sock.setblocking(False)
        target = remote.sockaddr(4 if sock.family == socket.AF_INET else 6)
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(sock, target)
        return tcp_conn(TCPStream(sock, net.name, remote))
    except BaseException:
        sock.close()
        raise


async def _secure(
    conn: AsyncConn, tls: ssl.SSLContext | bool, hostname: str, stop: float | None
) -> AsyncConn:
    from rawproto.net.tls import client_stream

    try:
        secured = conn.over(lambda below: client_stream(below, tls, hostname))
        if stop is not None:
            secured.set_deadline(stop - time.monotonic())
        await secured.handshake()
        secured.set_deadline(None)
    except BaseException:
        conn.abort()
        raise
    return secured

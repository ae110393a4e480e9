"""dial and listen for asyncio."""

# ruff: noqa: ASYNC109 - timeouts: the same words as the blocking dial

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, overload

from rawproto.net import packets
from rawproto.net.aio_conn import AsyncConn
from rawproto.net.aio_listener import AsyncListener
from rawproto.net.aio_packets import AsyncPacketConn, packet_conn
from rawproto.net.aio_side import AsyncFdSide
from rawproto.net.lookups import async_looked_up
from rawproto.net.plans import DialPlan, ListenPlan, dial_plan, listen_plan
from rawproto.net.poller import POLLIN, POLLOUT
from rawproto.net.tcp import TCPAcceptor, TCPStream, connecting

if TYPE_CHECKING:
    import ssl
    from typing import Unpack

    from rawproto.addr import ACL
    from rawproto.addr.endpoints import PortAddr
    from rawproto.net.networks import StreamNetwork, UDPNetwork
    from rawproto.net.options import DialOptions, ListenOptions, TransportOptions
    from rawproto.net.stream import Stream

__all__ = ["dial", "listen"]


@overload
async def dial(
    network: StreamNetwork, address: str | PortAddr, **options: Unpack[DialOptions]
) -> AsyncConn: ...
@overload
async def dial(
    network: UDPNetwork,
    address: str | PortAddr,
    *,
    timeout: float | None = None,
    local: str | PortAddr | None = None,
) -> AsyncPacketConn: ...
@overload
async def dial(
    network: str, address: Any, *, local: Any = None, **options: Unpack[TransportOptions]
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
    if packets.is_packet_network(network):
        packets.only_streams(network, tls=tls, server_hostname=server_hostname, config=config)
        return packet_conn(await async_looked_up(packets.dialled(network, address, local)))
    options = (timeout, tls, server_hostname, config)
    plan = await async_looked_up(dial_plan(network, address, local, *options))
    for index, remote in enumerate(plan.targets):
        try:
            conn = await _dial_one(plan, remote, plan.share(index))
            break
        except OSError as error:
            plan.failed(index, error)
    if plan.tls is None:
        return conn
    with plan.securing(conn) as secured:
        await secured.handshake()
    return secured


@overload
async def listen(
    network: StreamNetwork, address: str | PortAddr, **options: Unpack[ListenOptions]
) -> AsyncListener: ...
@overload
async def listen(network: UDPNetwork, address: str | PortAddr) -> AsyncPacketConn: ...
@overload
async def listen(network: str, address: Any, **options: Unpack[ListenOptions]) -> Any: ...
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
    if packets.is_packet_network(network):
        packets.only_streams(network, tls=tls, acl=acl, config=config)
        return packet_conn(await async_looked_up(packets.listening(network, address)))
    steps = listen_plan(network, address, backlog=backlog, tls=tls, acl=acl, config=config)
    listener = (await async_looked_up(steps)).opened(_listen_tcp, _listen_rsp)
    if tls is not None:
        from rawproto.net.handshakes import async_securing

        listener.wrap = async_securing(listener.wrap, tls)
    return listener


async def _dial_one(plan: DialPlan, remote: PortAddr, timeout: float | None) -> AsyncConn:
    if plan.network.transport != "tcp":
        from rawproto.net.rsp_aio import dial_rsp

        return await dial_rsp(plan, remote, timeout)
    with connecting(plan.source, remote) as (sock, target):
        sock.setblocking(False)
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_connect(sock, target)
        return _tcp_conn(TCPStream(sock, plan.network.name, remote))


def _listen_tcp(acceptor: TCPAcceptor) -> AsyncListener:
    return AsyncListener(acceptor, AsyncFdSide(acceptor.fileno(), POLLIN), _tcp_conn)


def _listen_rsp(plan: ListenPlan) -> AsyncListener:
    from rawproto.net.rsp_aio import listen_rsp

    return listen_rsp(plan)


def _tcp_conn(stream: Stream) -> AsyncConn:
    assert isinstance(stream, TCPStream)
    return AsyncConn(stream, AsyncFdSide(stream.fileno(), POLLIN), AsyncFdSide(stream.fileno(), POLLOUT))

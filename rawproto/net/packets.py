"""dial and listen where every datagram stands for itself: UDP, and IP with a protocol number of one's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import ConfigError
from rawproto.net.failures import raise_op_error
from rawproto.net.networks import UDP_NETWORKS, Network, async_endpoints, endpoints, parse_network
from rawproto.net.udp import UDPConn
from rawproto.net.udp_socket import UDPSocket, udp_socket

if TYPE_CHECKING:
    from rawproto.addr import IPAddr
    from rawproto.addr.endpoints import PortAddr
    from rawproto.link.ipconn import IPConn
    from rawproto.net.aio_packets import AsyncPacketConn

__all__ = [
    "async_dial_packets",
    "async_listen_packets",
    "dial_packets",
    "dial_udp",
    "is_packet_network",
    "listen_packets",
    "listen_udp",
    "only_streams",
    "open_udp",
]

_IP_FAMILIES = ("ip", "ip4", "ip6")


def is_packet_network(network: str) -> bool:
    """Whether ``network`` is UDP, or IP with a protocol behind a colon."""
    return network in UDP_NETWORKS or (":" in network and network.partition(":")[0] in _IP_FAMILIES)


def only_streams(network: str, **given: Any) -> None:
    """Refuse options that mean something for connections only.

    Raises:
        ConfigError: one of them was given.
    """
    for name, value in given.items():
        if value is not None and value is not False:
            raise ConfigError(f"{name} is for connections: {network} has none")


def dial_packets(network: str, address: Any, local: Any) -> UDPConn | IPConn:
    """What :func:`rawproto.dial` gives for UDP ("host:port") and IP ("host")."""
    if network in UDP_NETWORKS:
        return dial_udp(network, local, address)
    from rawproto.link.ipconn import dial_ip

    return dial_ip(network, None if local is None else ip_addr(network, local), ip_addr(network, address))


def listen_packets(network: str, address: Any) -> UDPConn | IPConn:
    """What :func:`rawproto.listen` gives for UDP and IP; an empty host is every address."""
    if network in UDP_NETWORKS:
        return listen_udp(network, address)
    from rawproto.link.ipconn import listen_ip

    return listen_ip(network, ip_addr(network, address) if address else None)


async def async_dial_packets(network: str, address: Any, local: Any) -> AsyncPacketConn:
    """:func:`dial_packets` for an event loop."""
    from rawproto.net.aio_packets import AsyncPacketConn
    from rawproto.net.ip_socket import IPSocket

    if network in UDP_NETWORKS:
        net = parse_network(network, UDP_NETWORKS)
        remote = (await async_endpoints(net, address))[0]
        source = None if local is None else (await async_endpoints(net, local, passive=True))[0]
        return AsyncPacketConn(open_udp(net, "dial", source, remote))
    from rawproto.link.ipconn import dial_ip

    origin = None if local is None else await async_ip_addr(network, local)
    return AsyncPacketConn(IPSocket(dial_ip(network, origin, await async_ip_addr(network, address))))


async def async_listen_packets(network: str, address: Any) -> AsyncPacketConn:
    """:func:`listen_packets` for an event loop."""
    from rawproto.net.aio_packets import AsyncPacketConn
    from rawproto.net.ip_socket import IPSocket

    if network in UDP_NETWORKS:
        net = parse_network(network, UDP_NETWORKS)
        local = (await async_endpoints(net, address, passive=True))[0]
        return AsyncPacketConn(open_udp(net, "listen", local, None))
    from rawproto.link.ipconn import listen_ip

    return AsyncPacketConn(
        IPSocket(listen_ip(network, await async_ip_addr(network, address) if address else None))
    )


async def async_ip_addr(network: str, address: Any) -> IPAddr:
    """:func:`ip_addr` for an event loop."""
    if not isinstance(address, str):
        return address  # type: ignore[no-any-return]
    from rawproto.resolve.functions import default_async_resolver

    return await default_async_resolver().resolve_ip_addr(network.partition(":")[0], address)


def ip_addr(network: str, address: Any) -> IPAddr:
    """An address without a port, looked up where it is a name."""
    if not isinstance(address, str):
        return address  # type: ignore[no-any-return]
    from rawproto import resolve

    return resolve.resolve_ip_addr(network.partition(":")[0], address)


def dial_udp(network: str, laddr: str | PortAddr | None, raddr: str | PortAddr) -> UDPConn:
    """A UDP socket connected to ``raddr``, bound to ``laddr`` (None: any), as Go's DialUDP."""
    net = parse_network(network, UDP_NETWORKS)
    remote = endpoints(net, raddr)[0]
    local = None if laddr is None else endpoints(net, laddr, passive=True)[0]
    return UDPConn(open_udp(net, "dial", local, remote))


def listen_udp(network: str, laddr: str | PortAddr | None) -> UDPConn:
    """A UDP socket bound to ``laddr`` (None: every address, a free port), as Go's ListenUDP."""
    net = parse_network(network, UDP_NETWORKS)
    return UDPConn(open_udp(net, "listen", endpoints(net, laddr, passive=True)[0], None))


def open_udp(net: Network, op: str, local: PortAddr | None, remote: PortAddr | None) -> UDPSocket:
    """A UDP socket, errors being those of ``op``."""
    try:
        return UDPSocket(udp_socket(net, local, remote), net.name, remote)
    except OSError as error:
        raise_op_error(error, op, net.name, local, remote)

"""Sockets whose every datagram stands for itself (UDP, and IP with a protocol): look up, then open one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import ConfigError
from rawproto.net.candidates import candidates, local_endpoint
from rawproto.net.failures import raise_op_error
from rawproto.net.lookups import Lookup
from rawproto.net.networks import UDP_NETWORKS, Network, parse_network
from rawproto.net.udp_socket import UDPSocket, udp_socket

if TYPE_CHECKING:
    from rawproto.addr import IPAddr
    from rawproto.addr.endpoints import PortAddr
    from rawproto.link.ipconn import IPConn
    from rawproto.net.lookups import Lookups

__all__ = ["dialled", "dialled_udp", "is_packet_network", "listening", "listening_udp", "only_streams"]

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


def dialled(network: str, address: Any, local: Any) -> Lookups[UDPSocket | IPConn]:
    """The socket for :func:`rawproto.dial` on UDP ("host:port") and IP ("host")."""
    if network in UDP_NETWORKS:
        return (yield from dialled_udp(network, address, local))
    from rawproto.link.ipconn import dial_ip

    remote = yield from _ip_addr(network, address)
    return dial_ip(network, None if local is None else (yield from _ip_addr(network, local)), remote)


def listening(network: str, address: Any) -> Lookups[UDPSocket | IPConn]:
    """The socket for :func:`rawproto.listen` on UDP and IP; an empty host is every address."""
    if network in UDP_NETWORKS:
        return (yield from listening_udp(network, address))
    from rawproto.link.ipconn import listen_ip

    return listen_ip(network, (yield from _ip_addr(network, address)) if address else None)


def dialled_udp(network: str, address: str | PortAddr, local: str | PortAddr | None) -> Lookups[UDPSocket]:
    """A UDP socket connected to ``address``, bound to ``local`` where that is given."""
    net = parse_network(network, UDP_NETWORKS)
    remote = (yield from candidates(net, address))[0]
    return _open_udp(net, "dial", (yield from local_endpoint(net, local)), remote)


def listening_udp(network: str, address: str | PortAddr | None) -> Lookups[UDPSocket]:
    """A UDP socket bound to ``address``; None is every address and a free port."""
    net = parse_network(network, UDP_NETWORKS)
    return _open_udp(net, "listen", (yield from candidates(net, address, passive=True))[0], None)


def _ip_addr(network: str, address: Any) -> Lookups[IPAddr]:
    """An address without a port, looked up where it is a name."""
    if isinstance(address, str):
        address = yield Lookup("resolve_ip_addr", network.partition(":")[0], address)
    return address  # type: ignore[no-any-return]


def _open_udp(net: Network, op: str, local: PortAddr | None, remote: PortAddr | None) -> UDPSocket:
    try:
        return UDPSocket(udp_socket(net, local, remote), net.name, remote)
    except OSError as error:
        raise_op_error(error, op, net.name, local, remote)

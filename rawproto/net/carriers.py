"""What carries RSP: the link for a network's name, and the addresses that a link and its users know it by."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.addr.endpoints import IPAddr, RSPAddr, UDPAddr
from rawproto.errors import ConfigError
from rawproto.net.candidates import version_of

if TYPE_CHECKING:
    from rawproto.addr.endpoints import PortAddr
    from rawproto.addr.ip import IP
    from rawproto.link.base import Link
    from rawproto.net.networks import Network
    from rawproto.rsp.config import RSPConfig

__all__ = ["dial_source", "link_address", "local_address", "open_link", "overhead"]


def open_link(network: Network, version: int, local: PortAddr | None, config: RSPConfig) -> Link:
    """The link that carries ``network``.

    Raises:
        PrivilegeError: a raw or packet socket without the capability.
        OpError: the address cannot be had.
    """
    if network.transport == "rsp+udp":
        from rawproto.link import UDPLink

        bound = None if local is None else UDPAddr(local.ip, local.port, local.zone)
        return UDPLink(bound, version=version, receive_buffer=config.receive_buffer)
    host = None if local is None or local.ip is None else IPAddr(local.ip, local.zone)
    if config.link != "raw":
        from rawproto.link import PacketLink

        if host is None:
            raise ConfigError(f"link={config.link!r} needs the local address to listen on")
        exclusive, room = config.link == "exclusive", config.receive_buffer
        return PacketLink(config.protocol, local=host, receive_buffer=room, exclusive=exclusive)
    from rawproto.link import RawLink

    return RawLink(config.protocol, version=version, local=host, receive_buffer=config.receive_buffer)


def overhead(network: Network, version: int) -> int:
    """Bytes of the headers below RSP: IP's, and UDP's where it is inside."""
    return (20 if version == 4 else 40) + (8 if network.transport == "rsp+udp" else 0)


def link_address(network: Network, remote: PortAddr) -> IPAddr | UDPAddr:
    """Where the link sends to for ``remote``."""
    if network.transport == "rsp+udp":
        return UDPAddr(remote.ip, remote.port, remote.zone)
    return IPAddr(remote.ip, remote.zone)


def dial_source(
    network: Network, source: PortAddr | None, remote: PortAddr, config: RSPConfig
) -> PortAddr | None:
    """The local endpoint to open a link for: a packet link must know the address it sends from.

    Raises:
        OSError: there is no route to ``remote``. The link could not tell: to it that is one more lost packet.
    """
    if source is not None and source.ip is not None:
        return source
    ip, zone = _route_source(remote)
    if network.transport != "rsp" or config.link == "raw":
        return source
    return RSPAddr(ip, 0 if source is None else source.port, zone)


def local_address(link: Link, remote: Any, port: int) -> RSPAddr:
    """This host's address as ``remote`` sees it: the link's own, or the one that the route goes out with."""
    bound = link.local_addr
    if bound.ip is not None and not bound.ip.is_unspecified:
        return RSPAddr(bound.ip, port, bound.zone)
    try:
        ip, zone = _route_source(remote)
    except OSError:
        ip, zone = None, ""
    return RSPAddr(ip, port, zone)


def _route_source(remote: Any) -> tuple[IP | None, str]:
    """The address that packets to ``remote`` leave with, and its zone; OSError without a route."""
    import socket

    version = version_of(remote.ip)
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    target = UDPAddr(remote.ip, 9, remote.zone).sockaddr(version)  # discard; connecting sends nothing
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.connect(target)
        found = UDPAddr.from_sockaddr(probe.getsockname())
    return found.ip, found.zone

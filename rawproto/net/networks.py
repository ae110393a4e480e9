"""Network names ("tcp", "rsp+udp6", ...) and the endpoints that an address text stands for."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from rawproto.addr.endpoints import PortAddr, RSPAddr, TCPAddr, UDPAddr
from rawproto.addr.hostport import split_host_port
from rawproto.addr.ip import IP
from rawproto.errors import AddrError, UnknownNetworkError

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "STREAM_NETWORKS",
    "UDP_NETWORKS",
    "Network",
    "StreamNetwork",
    "UDPNetwork",
    "async_endpoints",
    "endpoints",
    "folded",
    "parse_network",
    "version_of",
]

StreamNetwork: TypeAlias = Literal[
    "tcp", "tcp4", "tcp6", "rsp", "rsp4", "rsp6", "rsp+udp", "rsp+udp4", "rsp+udp6"
]
UDPNetwork: TypeAlias = Literal["udp", "udp4", "udp6"]

STREAM_NETWORKS: tuple[str, ...] = get_args(StreamNetwork)
UDP_NETWORKS: tuple[str, ...] = get_args(UDPNetwork)

_ADDR_TYPES: dict[str, type[PortAddr]] = {"tcp": TCPAddr, "udp": UDPAddr, "rsp": RSPAddr, "rsp+udp": RSPAddr}


@dataclasses.dataclass(frozen=True, slots=True)
class Network:
    """A network name taken apart.

    Attributes:
        name: as given, "rsp+udp4".
        transport: "tcp", "udp", "rsp" or "rsp+udp".
        version: 4 or 6, or 0 for either.
    """

    name: str
    transport: str
    version: int

    @property
    def addr_type(self) -> type[PortAddr]:
        """The class of the network's endpoints."""
        return _ADDR_TYPES[self.transport]

    def for_ip(self, ip: IP | None) -> str:
        """The name with its version spelled out for ``ip``: "rsp" becomes "rsp4" for an IPv4 address."""
        if self.version or ip is None:
            return self.name
        return f"{self.name}{version_of(ip)}"


def parse_network(name: str, known: Sequence[str] = STREAM_NETWORKS) -> Network:
    """Take a network name apart.

    Raises:
        UnknownNetworkError: it is not among ``known``.
    """
    if name not in known:
        every = (*known, *UDP_NETWORKS, "ip:protocol", "ip4:protocol", "ip6:protocol")
        raise UnknownNetworkError(str(name), every if known is STREAM_NETWORKS else tuple(known))
    version = int(name[-1]) if name[-1] in "46" else 0
    return Network(name, name.rstrip("46"), version)


def version_of(ip: IP | None) -> int:
    """4 for an address with a 4-byte form, else 6."""
    return 4 if ip is not None and ip.to4() is not None else 6


def folded(address: Any) -> Any:
    """``address`` with an IPv4-mapped IPv6 address in its 4-byte form, as dual-stack sockets report IPv4 peers."""
    ip = address.ip
    if ip is None or len(ip) == 4:
        return address
    four = ip.to4()
    return address if four is None else type(address)(four, address.port)


def endpoints(network: Network, address: str | PortAddr | None, *, passive: bool = False) -> list[PortAddr]:
    """The endpoints that ``address`` stands for, best first, at least one.

    Args:
        network: chooses the family and the class of the endpoints.
        address: "host:port", with a name or literal and a number or service; an endpoint; None for ":0".
        passive: it is an address of this host: an empty host means every address, where it otherwise means
            this host itself.

    Raises:
        AddrError: no address, or none of the network's family.
        DNSError: the name was not found.
    """
    name = name_of(address)
    if name is None:
        return arranged(network, address, passive=passive)
    from rawproto import resolve

    return arranged(network, address, resolve.lookup_ip(name, ip_family(network)), passive=passive)


async def async_endpoints(
    network: Network, address: str | PortAddr | None, *, passive: bool = False
) -> list[PortAddr]:
    """:func:`endpoints` for an event loop: what has to be asked for is asked for without a thread."""
    name = name_of(address)
    if name is None:
        return arranged(network, address, passive=passive)
    from rawproto.resolve.functions import default_async_resolver

    found = await default_async_resolver().lookup_ip(name, ip_family(network))
    return arranged(network, address, found, passive=passive)


def name_of(address: str | PortAddr | None) -> str | None:
    """The name in ``address`` that has to be looked up; None where there is a literal, or no host.

    Raises:
        AddrError: ``address`` is no "host:port".
    """
    if address is None or isinstance(address, PortAddr):
        return None
    host = split_host_port(address)[0]
    text, percent, _ = host.partition("%")
    if not host or ":" in text or percent:
        return None
    try:
        IP(text)
    except AddrError:
        return host
    return None


def ip_family(network: Network) -> str:
    """What to look a name up for: "ip", "ip4" or "ip6"."""
    return f"ip{network.version}" if network.version else "ip"


def arranged(
    network: Network, address: str | PortAddr | None, found: Sequence[IP] = (), *, passive: bool
) -> list[PortAddr]:
    """:func:`endpoints` once the addresses of its name are ``found``."""
    if address is None:
        address = ":0"
    kind = network.addr_type
    if isinstance(address, PortAddr):
        candidates = [kind(address.ip, address.port, address.zone)]
    else:
        host, service = split_host_port(address)
        port = _port(network, service)
        hosts: list[tuple[IP | None, str]] = [(ip, "") for ip in found]
        hosts = hosts or [_literal(host)]
        candidates = [kind(ip, port, zone) for ip, zone in hosts]
    if not passive:
        candidates = [_reachable(network, endpoint) for endpoint in candidates]
    suitable = [endpoint for endpoint in candidates if _suits(network, endpoint)]
    if not suitable:
        raise AddrError(f"no address of the family of {network.name}", str(address))
    return suitable


def _suits(network: Network, endpoint: PortAddr) -> bool:
    if endpoint.ip is None or not network.version:
        return True
    return version_of(endpoint.ip) == network.version


def _reachable(network: Network, endpoint: PortAddr) -> PortAddr:
    """Dialling "every address" goes to this host: over IPv4 unless the network or the address says IPv6."""
    ip = endpoint.ip
    if ip is not None and not ip.is_unspecified:
        return endpoint
    six = network.version == 6 or (ip is not None and version_of(ip) == 6)
    return type(endpoint)(IP("::1" if six else "127.0.0.1"), endpoint.port)


def _port(network: Network, service: str) -> int:
    if service.isascii() and service.isdigit() and len(service) < 6 and int(service) < 65536:
        return int(service)
    from rawproto import resolve

    # RSP has no services of its own in the registry: it shares those of TCP.
    return int(resolve.lookup_port("udp" if network.transport == "udp" else "tcp", service))


def _literal(host: str) -> tuple[IP | None, str]:
    """Address and zone of a host that is no name."""
    if not host:
        return None, ""
    text, percent, zone = host.partition("%")
    ip = IP(text)
    if percent and (not zone or ip.to4() is not None):
        raise AddrError("a zone belongs to an IPv6 address and is not empty", host, len(text))
    return ip, zone

"""The endpoints that an address text stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.addr.endpoints import PortAddr
from rawproto.addr.hostport import split_host_port
from rawproto.addr.ip import IP
from rawproto.errors import AddrError
from rawproto.net.lookups import Lookup

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.net.lookups import Lookups
    from rawproto.net.networks import Network

__all__ = ["candidates", "folded", "local_endpoint", "version_of"]


def candidates(
    network: Network, address: str | PortAddr | None, *, passive: bool = False
) -> Lookups[list[PortAddr]]:
    """The endpoints that ``address`` stands for, best first, at least one.

    Args:
        network: chooses the family and the class of the endpoints.
        address: "host:port", with a name or literal and a number or service; an endpoint; None for ":0".
        passive: it is an address of this host: an empty host means every address, where it otherwise means
            this host itself.

    Raises:
        AddrError: no address, or none of the network's family.
    """
    name = _name_in(address)
    addresses = () if name is None else (yield Lookup("lookup_ip", name, network.ip_family))
    found = _endpoints(network, ":0" if address is None else address, addresses)
    if not passive:
        found = [_reachable(network, endpoint) for endpoint in found]
    suitable = [endpoint for endpoint in found if _suits(network, endpoint)]
    if not suitable:
        raise AddrError(
            f"{network.name} takes IPv{network.version} addresses, and here is none", str(address)
        )
    return suitable


def local_endpoint(network: Network, address: str | PortAddr | None) -> Lookups[PortAddr | None]:
    """The endpoint of this host that ``address`` stands for; None, for the system's choice, stays None."""
    if address is None:
        return None
    return (yield from candidates(network, address, passive=True))[0]


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


def _name_in(address: str | PortAddr | None) -> str | None:
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


def _endpoints(network: Network, address: str | PortAddr, found: Sequence[IP]) -> list[PortAddr]:
    """``address`` as endpoints of the network's kind, once the addresses of its name are ``found``."""
    kind = network.addr_type
    if isinstance(address, PortAddr):
        return [kind(address.ip, address.port, address.zone)]
    host, service = split_host_port(address)
    port = _port(network, service)
    hosts: list[tuple[IP | None, str]] = [(ip, "") for ip in found] or [_literal(host)]
    return [kind(ip, port, zone) for ip, zone in hosts]


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
    from rawproto.resolve.functions import lookup_port

    # Unlike a name's, this lookup asks nobody: a local table, or a small file. An event loop need not wait for it.
    return lookup_port(network.name, service)


def _literal(host: str) -> tuple[IP | None, str]:
    """Address and zone of a host that is no name."""
    if not host:
        return None, ""
    text, percent, zone = host.partition("%")
    ip = IP(text)
    if percent and (not zone or ip.to4() is not None):
        raise AddrError("a zone belongs to an IPv6 address and is not empty", host, len(text))
    return ip, zone

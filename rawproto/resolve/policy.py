"""What each lookup means, for the blocking and the asyncio resolver alike: Go's rules, sans-IO.

Each method is a generator in the manner of :mod:`rawproto.resolve.plans`; a literal, a port or a name of the hosts
file ends it before it has asked anything, and dnspython is not loaded until something is asked.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Generator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.addr.endpoints import IPAddr, RSPAddr, TCPAddr, UDPAddr
from rawproto.addr.hostport import split_host_port
from rawproto.addr.ip import IP
from rawproto.errors import AddrError, ConfigError, DNSError, UnknownNetworkError
from rawproto.resolve.config import ResolvConf, parse_resolv_conf, server_of
from rawproto.resolve.files import WatchedFile
from rawproto.resolve.hosts import Hosts
from rawproto.resolve.names import absolute, is_domain_name, literal, no_such_host, reverse_name
from rawproto.resolve.networks import RSP_NETWORKS, TCP_NETWORKS, UDP_NETWORKS, parse_ip_network
from rawproto.resolve.records import MX, NS, SRV, order_mx, order_srv
from rawproto.resolve.services import Protocols, Services
from rawproto.resolve.sort import sort_addresses
from rawproto.resolve.sources import sources_of

if TYPE_CHECKING:
    import os

    from rawproto.resolve.message import Question
    from rawproto.resolve.plans import Found, Outcome

__all__ = ["Policy", "Steps"]

T = TypeVar("T")
Steps = Generator["Sequence[Question]", "Sequence[Outcome]", T]
"""A lookup in steps: yields questions, is sent outcomes, returns what was looked up."""

_TYPES = {"ip": ("A", "AAAA"), "ip4": ("A",), "ip6": ("AAAA",)}
_UNSPECIFIED6 = IP("::")
_UNSPECIFIED4 = IP("0.0.0.0")  # noqa: S104 - Go's substitute for "::", not something to bind


class Policy:
    """The settings of a resolver and the meaning of its lookups; arguments as of :class:`Resolver`."""

    def __init__(
        self,
        nameservers: Sequence[object] | None,
        port: int,
        hosts: str | os.PathLike[str] | Mapping[str, Any] | None,
        services: str | os.PathLike[str] | Mapping[str, int] | None,
        search: Sequence[str] | None,
        ndots: int | None,
        conf: str | os.PathLike[str],
    ) -> None:
        if isinstance(nameservers, str):
            raise ConfigError(f"nameservers is a list of addresses, not the text {nameservers!r}")
        if nameservers is not None and not nameservers:
            raise ConfigError("nameservers is empty; leave it out to follow the system's")
        self._hosts = Hosts(hosts)
        self._services = Services(services)
        self._protocols = Protocols()
        self._search = None if search is None else tuple(absolute(suffix) for suffix in search)
        self._ndots = ndots
        self._fixed: ResolvConf | None = None
        self._file: WatchedFile[ResolvConf] = WatchedFile(conf, parse_resolv_conf)
        if nameservers is not None:
            self._fixed = ResolvConf(tuple(server_of(server, port) for server in nameservers))
        self._rng = random.SystemRandom()

    def config(self) -> ResolvConf:
        """The configuration to ask servers by, as of now."""
        return self._fixed or self._file.get()

    def _names(self) -> tuple[Sequence[str], int]:
        """Search list and ndots."""
        config = self.config()
        search = config.search if self._search is None else self._search
        return search, config.ndots if self._ndots is None else self._ndots

    # -- ports and protocols: no lookup leaves the host

    def port(self, network: str, service: str) -> int:
        """The port of a service; see :meth:`Services.port`."""
        return self._services.port(network, service)

    def protocol(self, name: str) -> int:
        """The number of an IP protocol; see :meth:`Protocols.number`."""
        return self._protocols.number(name)

    # -- addresses of names

    def host(self, name: str) -> Steps[list[str]]:
        """The addresses of a name as text; a literal is given back as it came."""
        if literal(name) is not None:
            return [name]
        return [str(address) for address in (yield from self._addresses(name, "ip"))]

    def ip(self, name: str, network: str) -> Steps[list[IP]]:
        """The addresses of a name as IP."""
        family = parse_ip_network(network, self._protocols).family
        addresses = yield from self._filtered(name, family)
        return [address.ip for address in addresses if address.ip is not None]

    def _addresses(self, name: str, family: str) -> Steps[list[IPAddr]]:
        """A literal's address, or those of a name from the hosts file or the DNS, in the order to try them."""
        found = literal(name)
        if found is not None:
            return [IPAddr(*found)]
        addresses = [
            address for address in self._hosts.addresses(name) if family == "ip" or _is_of(family, address)
        ]
        if not addresses:
            if not is_domain_name(name):
                raise no_such_host(name)
            from rawproto.resolve import plans

            answer = yield from plans.ask_addresses(name, _TYPES[family], *self._names())
            addresses = [IPAddr(ip) for ip in plans.addresses_of(answer)]
        addresses = list(dict.fromkeys(addresses))
        if len(addresses) < 2:
            return addresses
        order = sort_addresses([_ip(address) for address in addresses], sources_of(addresses))
        return [addresses[index] for index in order]

    def _filtered(self, name: str, family: str) -> Steps[list[IPAddr]]:
        """The addresses of a family; AddrError where a literal is of the other one."""
        addresses = yield from self._addresses(name, family)
        if [address.ip for address in addresses] == [_UNSPECIFIED6]:
            # "::" stands for every address of the host, and on some hosts only IPv4 works (golang/go#18806).
            addresses.append(IPAddr(_UNSPECIFIED4))
        suitable = [address for address in addresses if family == "ip" or _is_of(family, address)]
        if not suitable:
            raise AddrError(f"no suitable address found for {family}", name)
        return suitable

    # -- names and records

    def cname(self, name: str) -> Steps[str]:
        """The canonical name: the end of the CNAME chain, or the name itself; the same on every path."""
        known = self._hosts.canonical(name)
        if known is not None:
            return absolute(known)
        found = yield from self._plan(lambda plans: plans.ask_name(name, *self._names()))
        return found.canonical

    def addr(self, ip: IP | str) -> Steps[list[str]]:
        """The names of an address, from the hosts file or PTR records."""
        try:
            address = IP(ip)
        except AddrError:
            raise DNSError("unrecognized address", str(ip)) from None
        names = self._hosts.names(IPAddr(address.to4() or address))
        if names:
            return list(dict.fromkeys(names))
        try:
            found = yield from self._records(reverse_name(address), "PTR")
        except DNSError as error:
            error.name = str(ip)
            raise
        return self._valid(found.records, str(ip), lambda record: record)

    def mx(self, name: str) -> Steps[list[MX]]:
        """MX records, best first."""
        found = yield from self._records(name, "MX")
        return order_mx(self._valid(found.records, name, lambda record: record.host), self._rng)

    def ns(self, name: str) -> Steps[list[NS]]:
        """NS records."""
        found = yield from self._records(name, "NS")
        return self._valid(found.records, name, lambda record: record.host)

    def txt(self, name: str) -> Steps[list[str]]:
        """TXT records, the strings of each joined."""
        found = yield from self._records(name, "TXT")
        return list(found.records)

    def srv(self, service: str, proto: str, name: str) -> Steps[tuple[str, list[SRV]]]:
        """The canonical name and the SRV records of ``_service._proto.name``, best first."""
        full = f"_{service}._{proto}.{name}" if service or proto else name
        found = yield from self._records(full, "SRV")
        return found.canonical, order_srv(
            self._valid(found.records, full, lambda record: record.target), self._rng
        )

    def texts(self, name: str, rdtype: str) -> Steps[list[str]]:
        """Records of any type, the CNAME chain before them, as ``dig +short`` prints them."""
        from dns.exception import DNSException
        from dns.rdatatype import from_text, is_metatype

        try:
            known = not is_metatype(from_text(rdtype))
        except (DNSException, ValueError):
            known = False
        if not known:
            raise ConfigError(f"a record type is one such as A, MX or TXT, not {rdtype!r}")
        if rdtype.upper() == "PTR" and literal(name) is not None:
            name = reverse_name(IP(name.partition("%")[0]))
        found = yield from self._records(name, rdtype.upper())
        return [rdata.to_text() for rdata in found.rdatas]

    def _records(self, name: str, rdtype: str) -> Steps[Found]:
        return (yield from self._plan(lambda plans: plans.ask_records(name, rdtype, *self._names())))

    def _plan(self, make: Callable[[Any], Steps[Found]]) -> Steps[Found]:
        from rawproto.resolve import plans

        return (yield from make(plans))

    def _valid(self, records: Sequence[Any], name: str, target: Callable[[Any], str]) -> list[Any]:
        """The records whose target is a host name; other texts could be crafted to do harm (CVE-2021-33195)."""
        valid = [record for record in records if is_domain_name(target(record))]
        if not valid:
            raise DNSError("the answer holds no valid name", name)
        return valid

    # -- addresses with ports

    def ip_addr(self, network: str, address: str) -> Steps[IPAddr]:
        """The endpoint of an address or name without a port; "" is every address."""
        family = parse_ip_network(network, self._protocols).family
        if not address:
            return IPAddr(None)
        addresses = yield from self._filtered(address, family)
        return _preferred(addresses, family == "ip" and ":" in address)

    def tcp_addr(self, network: str, address: str) -> Steps[TCPAddr]:
        """The TCP endpoint of ``host:port``."""
        return (yield from self._one(TCPAddr, network or "tcp", TCP_NETWORKS, address))

    def udp_addr(self, network: str, address: str) -> Steps[UDPAddr]:
        """The UDP endpoint of ``host:port``."""
        return (yield from self._one(UDPAddr, network or "udp", UDP_NETWORKS, address))

    def rsp_addr(self, network: str, address: str) -> Steps[RSPAddr]:
        """The RSP endpoint of ``host:port``; a service's name is looked up among those of TCP."""
        return (yield from self._one(RSPAddr, network or "rsp", RSP_NETWORKS, address))

    def addrs(self, network: str, address: str) -> Steps[list[Any]]:
        """Every endpoint of ``host:port``, in the order to try them: what a dialer goes through."""
        for kind, networks in ((TCPAddr, TCP_NETWORKS), (UDPAddr, UDP_NETWORKS), (RSPAddr, RSP_NETWORKS)):
            if network in networks:
                port, addresses = yield from self._all(network, networks, address)
                return [kind(address.ip, port, address.zone) for address in addresses]
        raise UnknownNetworkError(network, (*TCP_NETWORKS, *UDP_NETWORKS, *RSP_NETWORKS))

    def _all(self, network: str, known: Sequence[str], address: str) -> Steps[tuple[int, list[IPAddr]]]:
        """Port and addresses of ``host:port``: the network is judged first, then the port, then the host."""
        if network not in known:
            raise UnknownNetworkError(network, tuple(known))
        if not address:
            return 0, [IPAddr(None)]
        host, service = split_host_port(address)
        port = self.port(network, service)
        if not host:
            return port, [IPAddr(None)]
        return port, (yield from self._filtered(host, _family(network)))

    def _one(self, kind: Callable[..., T], network: str, known: Sequence[str], address: str) -> Steps[T]:
        port, addresses = yield from self._all(network, known, address)
        # A literal in brackets asks for IPv6, everything else for IPv4 where there is one (Go's forResolve).
        chosen = _preferred(addresses, _family(network) == "ip" and "[" in address)
        return kind(chosen.ip, port, chosen.zone)


def _family(network: str) -> str:
    return f"ip{network[-1]}" if network[-1] in "46" else "ip"


def _is_of(family: str, address: IPAddr) -> bool:
    return len(_ip(address)) == (4 if family == "ip4" else 16)


def _ip(address: IPAddr) -> IP:
    assert address.ip is not None
    return address.ip


def _preferred(addresses: Sequence[IPAddr], six: bool) -> IPAddr:
    """The first address of the family asked for, or the first at all."""
    return next((one for one in addresses if one.ip is not None and (len(one.ip) == 16) == six), addresses[0])

"""The resolver whose methods block, and the settings that both resolvers have."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from rawproto.errors import ConfigError
from rawproto.resolve.blocking import BlockingDriver
from rawproto.resolve.cache import Cache
from rawproto.resolve.engine import Engine
from rawproto.resolve.policy import Policy

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping, Sequence

    from rawproto.addr.endpoints import IPAddr, RSPAddr, TCPAddr, UDPAddr
    from rawproto.addr.ip import IP
    from rawproto.resolve.policy import Steps
    from rawproto.resolve.records import MX, NS, SRV

__all__ = ["BaseResolver", "Resolver"]

T = TypeVar("T")


class BaseResolver:
    """Settings, and the lookups that never wait.

    Args:
        nameservers: addresses of the servers to ask, in order, with ``:port`` where it is not ``port``; None follows
            the system's resolv.conf.
        port: the servers' port where they name none.
        timeout: seconds for a whole lookup, over all servers, retries and names of the search list.
        hosts: path of a hosts file, a mapping of names to addresses, or None for none.
        services: path of a services file, a mapping of "name" or "name/protocol" to ports, or None for the built-in
            table, which also stands in for a missing file.
        search: suffixes for short names; None takes those of resolv.conf, and none when ``nameservers`` are given.
        ndots: names with at least so many dots are asked for as they are first; None takes resolv.conf's, or 1.
        cache: whether to keep answers for as long as their TTL says; a :class:`~rawproto.resolve.cache.Cache` to
            share one.
        conf: path of resolv.conf. It and the other files are read again when they change.

    Raises:
        ConfigError: a server that is no address, a timeout that is not positive.
    """

    def __init__(
        self,
        nameservers: Sequence[object] | None = None,
        port: int = 53,
        timeout: float = 5.0,
        *,
        hosts: str | os.PathLike[str] | Mapping[str, Any] | None = "/etc/hosts",
        services: str | os.PathLike[str] | Mapping[str, int] | None = "/etc/services",
        search: Sequence[str] | None = None,
        ndots: int | None = None,
        cache: bool | Cache = True,
        conf: str | os.PathLike[str] = "/etc/resolv.conf",
    ) -> None:
        if not timeout > 0:
            raise ConfigError(f"timeout is a number of seconds above 0, not {timeout}")
        self.timeout = timeout
        self._policy = Policy(nameservers, port, hosts, services, search, ndots, conf)
        kept = cache if isinstance(cache, Cache) else Cache() if cache else None
        self._engine = Engine(self._policy, kept)
        self._make_driver()

    def _make_driver(self) -> None:
        """Make what asks the questions; each resolver has its own kind."""
        raise NotImplementedError

    def clear_cache(self) -> None:
        """Forget all answers."""
        if self._engine.cache is not None:
            self._engine.cache.clear()


class Resolver(BaseResolver):
    """Looks up names, addresses, services and records; its methods block and may be called from many threads.

    Each takes ``timeout`` for a deadline of its own, in seconds. A literal never goes to a server. Arguments as of
    :class:`BaseResolver`.

    Raises (all lookups of names):
        DNSError: ``is_not_found`` when the name, or the record asked for, does not exist.
        DNSTimeoutError: nobody answered in time; also a TimeoutError.
    """

    def _make_driver(self) -> None:
        self._driver = BlockingDriver(self._engine.start, self._engine.finish)

    def _run(self, steps: Steps[T], timeout: float | None) -> T:
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        try:
            questions = next(steps)
            while True:
                outcomes = self._engine.known(questions, time.monotonic())
                missing = [question for question in questions if question not in outcomes]
                if missing:
                    outcomes.update(zip(missing, self._driver.ask(missing, deadline), strict=True))
                questions = steps.send([outcomes[question] for question in questions])
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    def lookup_port(self, network: str, service: str) -> int:
        """The port of a service on "tcp", "udp" or "rsp" (with "4" or "6", too); "" is 0, a number is itself.

        Raises:
            UnknownNetworkError: the service is a name and the network is another one.
            AddrError: an unknown name, or a number outside 0 to 65535.
        """
        return self._policy.port(network, service)

    def lookup_protocol(self, name: str) -> int:
        """The number of an IP protocol by its name, as in "icmp".

        Raises:
            AddrError: no such name.
        """
        return self._policy.protocol(name)

    def lookup_host(self, name: str, *, timeout: float | None = None) -> list[str]:
        """The addresses of a host as text, in the order to try them (RFC 6724); a literal comes back as given."""
        return self._run(self._policy.host(name), timeout)

    def lookup_ip(self, name: str, network: str = "ip", *, timeout: float | None = None) -> list[IP]:
        """The addresses of a host, in the order to try them; ``network`` is "ip", "ip4" or "ip6".

        Raises:
            UnknownNetworkError: another network.
            AddrError: a literal of the other family.
            DNSError: no answer, or none with such an address.
        """
        return self._run(self._policy.ip(name, network), timeout)

    def lookup_cname(self, name: str, *, timeout: float | None = None) -> str:
        """The canonical name of a host, with a final dot: the end of its CNAME chain, or the name itself.

        It does not matter whether the host has addresses.
        """
        return self._run(self._policy.cname(name), timeout)

    def lookup_addr(self, ip: IP | str, *, timeout: float | None = None) -> list[str]:
        """The names of an address: from the hosts file, else its PTR records, which have a final dot."""
        return self._run(self._policy.addr(ip), timeout)

    def lookup_mx(self, name: str, *, timeout: float | None = None) -> list[MX]:
        """The mail exchangers of a domain, best first; equals in random order."""
        return self._run(self._policy.mx(name), timeout)

    def lookup_ns(self, name: str, *, timeout: float | None = None) -> list[NS]:
        """The name servers of a zone."""
        return self._run(self._policy.ns(name), timeout)

    def lookup_txt(self, name: str, *, timeout: float | None = None) -> list[str]:
        """The TXT records of a name, the strings of each joined; bytes that are no UTF-8 are surrogate-escaped."""
        return self._run(self._policy.txt(name), timeout)

    def lookup_srv(
        self, service: str, proto: str, name: str, *, timeout: float | None = None
    ) -> tuple[str, list[SRV]]:
        """The canonical name and SRV records of ``_service._proto.name``, best first, weights drawn (RFC 2782).

        With ``service`` and ``proto`` both empty ``name`` is looked up as it is.
        """
        return self._run(self._policy.srv(service, proto, name), timeout)

    def lookup_records(self, name: str, type: str, *, timeout: float | None = None) -> list[str]:  # noqa: A002
        """Records of any type in the zone file's notation, the CNAME chain before them, as ``dig +short`` prints.

        An address in place of the name of a PTR lookup stands for its reverse name.

        Raises:
            ConfigError: no such type.
        """
        return self._run(self._policy.texts(name, type), timeout)

    def resolve_ip_addr(self, network: str, address: str, *, timeout: float | None = None) -> IPAddr:
        """The endpoint of an address or name without a port on "ip", "ip4" or "ip6" (with ":protocol", too)."""
        return self._run(self._policy.ip_addr(network, address), timeout)

    def resolve_tcp_addr(self, network: str, address: str, *, timeout: float | None = None) -> TCPAddr:
        """The endpoint of ``host:port`` on "tcp", "tcp4" or "tcp6"; without a host ``ip`` is None."""
        return self._run(self._policy.tcp_addr(network, address), timeout)

    def resolve_udp_addr(self, network: str, address: str, *, timeout: float | None = None) -> UDPAddr:
        """The endpoint of ``host:port`` on "udp", "udp4" or "udp6"; without a host ``ip`` is None."""
        return self._run(self._policy.udp_addr(network, address), timeout)

    def resolve_rsp_addr(self, network: str, address: str, *, timeout: float | None = None) -> RSPAddr:
        """The endpoint of ``host:port`` on "rsp" or "rsp+udp", with "4" or "6" or without; services as of TCP."""
        return self._run(self._policy.rsp_addr(network, address), timeout)

    def resolve_addrs(
        self, network: str, address: str, *, timeout: float | None = None
    ) -> list[TCPAddr] | list[UDPAddr] | list[RSPAddr]:
        """Every endpoint of ``host:port``, in the order to try them: what a dialer goes through."""
        return self._run(self._policy.addrs(network, address), timeout)

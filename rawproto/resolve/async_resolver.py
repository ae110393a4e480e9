"""The resolver whose methods are coroutines."""

# ruff: noqa: ASYNC109 - the timeout is a lookup's own: when it passes, the error names the lookup and the server

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, TypeVar

from rawproto.resolve.aio import AsyncDriver
from rawproto.resolve.resolver import BaseResolver

if TYPE_CHECKING:
    from rawproto.addr.endpoints import IPAddr, RSPAddr, TCPAddr, UDPAddr
    from rawproto.addr.ip import IP
    from rawproto.resolve.policy import Steps
    from rawproto.resolve.records import MX, NS, SRV

__all__ = ["AsyncResolver"]

T = TypeVar("T")


class AsyncResolver(BaseResolver):
    """:class:`~rawproto.resolve.resolver.Resolver` with coroutines for methods.

    No threads: the event loop itself watches the sockets. A cancelled lookup is gone at once, its sockets closed,
    unless another lookup waits for the same question. One resolver may serve several loops.
    """

    def _make_driver(self) -> None:
        self._drivers: dict[asyncio.AbstractEventLoop, AsyncDriver] = {}

    def _driver(self) -> AsyncDriver:
        """The driver of the running loop."""
        loop = asyncio.get_running_loop()
        driver = self._drivers.get(loop)
        if driver is None:
            # A driver holds its loop, so those of loops that are over have to be dropped by hand.
            self._drivers = {one: kept for one, kept in self._drivers.items() if not one.is_closed()}
            driver = self._drivers[loop] = AsyncDriver(self._engine.start, self._engine.finish)
        return driver

    async def _run(self, steps: Steps[T], timeout: float | None) -> T:
        clock = asyncio.get_running_loop().time
        deadline = clock() + (self.timeout if timeout is None else timeout)
        try:
            questions = next(steps)
            while True:
                outcomes = self._engine.known(questions, clock())
                missing = [question for question in questions if question not in outcomes]
                if missing:
                    outcomes.update(zip(missing, await self._driver().ask(missing, deadline), strict=True))
                questions = steps.send([outcomes[question] for question in questions])
        except StopIteration as stop:
            return stop.value  # type: ignore[no-any-return]

    async def lookup_port(self, network: str, service: str) -> int:
        """The port of a service; see :meth:`Resolver.lookup_port`."""
        return self._policy.port(network, service)

    async def lookup_protocol(self, name: str) -> int:
        """The number of an IP protocol; see :meth:`Resolver.lookup_protocol`."""
        return self._policy.protocol(name)

    async def lookup_host(self, name: str, *, timeout: float | None = None) -> list[str]:
        """The addresses of a host as text, in the order to try them (RFC 6724); a literal comes back as given."""
        return await self._run(self._policy.host(name), timeout)

    async def lookup_ip(self, name: str, network: str = "ip", *, timeout: float | None = None) -> list[IP]:
        """The addresses of a host, in the order to try them; ``network`` is "ip", "ip4" or "ip6".

        Raises:
            UnknownNetworkError: another network.
            AddrError: a literal of the other family.
            DNSError: no answer, or none with such an address.
        """
        return await self._run(self._policy.ip(name, network), timeout)

    async def lookup_cname(self, name: str, *, timeout: float | None = None) -> str:
        """The canonical name of a host, with a final dot: the end of its CNAME chain, or the name itself.

        It does not matter whether the host has addresses.
        """
        return await self._run(self._policy.cname(name), timeout)

    async def lookup_addr(self, ip: IP | str, *, timeout: float | None = None) -> list[str]:
        """The names of an address: from the hosts file, else its PTR records, which have a final dot."""
        return await self._run(self._policy.addr(ip), timeout)

    async def lookup_mx(self, name: str, *, timeout: float | None = None) -> list[MX]:
        """The mail exchangers of a domain, best first; equals in random order."""
        return await self._run(self._policy.mx(name), timeout)

    async def lookup_ns(self, name: str, *, timeout: float | None = None) -> list[NS]:
        """The name servers of a zone."""
        return await self._run(self._policy.ns(name), timeout)

    async def lookup_txt(self, name: str, *, timeout: float | None = None) -> list[str]:
        """The TXT records of a name, the strings of each joined; bytes that are no UTF-8 are surrogate-escaped."""
        return await self._run(self._policy.txt(name), timeout)

    async def lookup_srv(
        self, service: str, proto: str, name: str, *, timeout: float | None = None
    ) -> tuple[str, list[SRV]]:
        """The canonical name and SRV records of ``_service._proto.name``, best first, weights drawn (RFC 2782).

        With ``service`` and ``proto`` both empty ``name`` is looked up as it is.
        """
        return await self._run(self._policy.srv(service, proto, name), timeout)

    async def lookup_records(self, name: str, type: str, *, timeout: float | None = None) -> list[str]:  # noqa: A002
        """Records of any type in the zone file's notation, the CNAME chain before them, as ``dig +short`` prints.

        An address in place of the name of a PTR lookup stands for its reverse name.

        Raises:
            ConfigError: no such type.
        """
        return await self._run(self._policy.texts(name, type), timeout)

    async def resolve_ip_addr(self, network: str, address: str, *, timeout: float | None = None) -> IPAddr:
        """The endpoint of an address or name without a port on "ip", "ip4" or "ip6" (with ":protocol", too)."""
        return await self._run(self._policy.ip_addr(network, address), timeout)

    async def resolve_tcp_addr(self, network: str, address: str, *, timeout: float | None = None) -> TCPAddr:
        """The endpoint of ``host:port`` on "tcp", "tcp4" or "tcp6"; without a host ``ip`` is None."""
        return await self._run(self._policy.tcp_addr(network, address), timeout)

    async def resolve_udp_addr(self, network: str, address: str, *, timeout: float | None = None) -> UDPAddr:
        """The endpoint of ``host:port`` on "udp", "udp4" or "udp6"; without a host ``ip`` is None."""
        return await self._run(self._policy.udp_addr(network, address), timeout)

    async def resolve_rsp_addr(self, network: str, address: str, *, timeout: float | None = None) -> RSPAddr:
        """The endpoint of ``host:port`` on "rsp" or "rsp+udp", with "4" or "6" or without; services as of TCP."""
        return await self._run(self._policy.rsp_addr(network, address), timeout)

    async def resolve_addrs(
        self, network: str, address: str, *, timeout: float | None = None
    ) -> list[TCPAddr] | list[UDPAddr] | list[RSPAddr]:
        """Every endpoint of ``host:port``, in the order to try them: what a dialer goes through."""
        return await self._run(self._policy.addrs(network, address), timeout)

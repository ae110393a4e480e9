"""Routers of the lab, and the routes that lead across them."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rawproto.lab import wiring
from rawproto.lab.host import Host
from rawproto.lab.switch import Switch

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rawproto.lab.children import Children
    from rawproto.lab.links import LabLink
    from rawproto.lab.wiring import Port

__all__ = ["Router", "set_routes"]


class Router(Host):
    """A host that forwards; made by :meth:`rawproto.Lab.router`."""

    def __init__(self, name: str, children: Children) -> None:
        super().__init__(name, children)
        wiring.allow_forwarding(self.namespace)


def set_routes(hosts: Sequence[Host], links: Sequence[LabLink]) -> None:
    """Give every host the routes to the networks it has no interface in, over the fewest routers."""
    neighbours = {host.name: list(_neighbours(host, links)) for host in hosts}
    for host in hosts:
        if isinstance(host, Switch):
            continue
        known = {address.network for port in host.ports for address in port.addresses}
        for router, gateways in _routers_from(host, neighbours):
            for port in router.ports:
                for address in port.addresses:
                    gateway = gateways.get(address.version)
                    if address.network in known or address.is_link_local or gateway is None:
                        continue
                    known.add(address.network)
                    wiring.add_route(host.namespace, str(address.network), gateway)


def _neighbours(host: Host, links: Sequence[LabLink]) -> Iterator[tuple[Host, Port]]:
    """The hosts that share a network with ``host``, with their interfaces there."""
    for link in links:
        for near, far, port in ((link.a, link.b, link.b_port), (link.b, link.a, link.a_port)):
            if near is not host:
                continue
            if isinstance(far, Switch):
                yield from (pair for pair in _neighbours(far, links) if pair[0] is not host)
            else:
                yield far, port


def _routers_from(
    host: Host, neighbours: dict[str, list[tuple[Host, Port]]]
) -> Iterator[tuple[Host, dict[int, str]]]:
    """Routers by distance, each with the first gateway, by IP version, on the way there from ``host``."""
    seen = {host.name}
    ways: deque[tuple[Host, dict[int, str]]] = deque([(host, {})])
    while ways:
        place, gateways = ways.popleft()
        for far, port in neighbours[place.name]:
            if far.name in seen or not isinstance(far, Router):
                continue
            seen.add(far.name)
            first = gateways or {
                address.version: str(address.ip) for address in port.addresses if not address.is_link_local
            }
            yield far, first
            ways.append((far, first))

"""The system's resolver configuration (resolv.conf(5))."""

from __future__ import annotations

import dataclasses
import os

from rawproto.errors import AddrError, ConfigError
from rawproto.resolve.names import absolute, literal

__all__ = ["DEFAULT_NAMESERVERS", "ResolvConf", "Server", "parse_resolv_conf", "server_of"]

DNS_PORT = 53
_MAX_NAMESERVERS = 3  # MAXNS of <resolv.h>
_MAX_NDOTS = 15  # RES_MAXNDOTS

Server = tuple[str, int]
"""A name server for the socket module: address text (with a zone where it has one) and port."""

DEFAULT_NAMESERVERS: tuple[Server, ...] = (("127.0.0.1", DNS_PORT), ("::1", DNS_PORT))


@dataclasses.dataclass(frozen=True, slots=True)
class ResolvConf:
    """What resolv.conf says, or its defaults.

    Attributes:
        servers: whom to ask, in order.
        search: suffixes for short names, each with a final dot.
        ndots: names with at least so many dots are tried as they are first.
        timeout: seconds before the next server is asked.
        attempts: rounds over the servers.
        rotate: begin each lookup at another server.
        use_tcp: ask over TCP only.
    """

    servers: tuple[Server, ...] = DEFAULT_NAMESERVERS
    search: tuple[str, ...] = ()
    ndots: int = 1
    timeout: float = 5.0
    attempts: int = 2
    rotate: bool = False
    use_tcp: bool = False


def parse_resolv_conf(text: str | None) -> ResolvConf:
    """Parse resolv.conf; what cannot be understood is skipped, as every resolver does."""
    servers: list[Server] = []
    search: list[str] | None = None
    options: dict[str, int | bool] = {}
    for line in (text or "").splitlines():
        if line.startswith((";", "#")):
            continue
        keyword, *values = line.split() or [""]
        if keyword == "nameserver" and values and len(servers) < _MAX_NAMESERVERS:
            if literal(values[0]) is not None:
                servers.append((values[0], DNS_PORT))
        elif keyword == "domain" and values:
            search = [absolute(values[0])]
        elif keyword == "search":
            search = [absolute(value) for value in values if value != "."]
        elif keyword == "options":
            for value in values:
                options.update(_option(value))
    if search is None:
        search = _own_domain()
    return ResolvConf(tuple(servers) or DEFAULT_NAMESERVERS, tuple(search), **options)  # type: ignore[arg-type]


def _option(text: str) -> dict[str, int | bool]:
    name, _, value = text.partition(":")
    if name == "rotate":
        return {"rotate": True}
    if name in ("use-vc", "usevc", "tcp"):
        return {"use_tcp": True}
    if name not in ("ndots", "timeout", "attempts") or not (value.isascii() and value.isdigit()):
        return {}
    number = int(value[:9])
    return {name: min(number, _MAX_NDOTS) if name == "ndots" else max(number, 1)}


def _own_domain() -> list[str]:
    """The domain of this host's name: the search list where resolv.conf names none."""
    _, dot, domain = os.uname().nodename.partition(".")
    return [absolute(domain)] if dot and domain.strip(".") else []


def server_of(value: object, port: int) -> Server:
    """The server of an address, ``address:port`` text, an IP or an endpoint.

    Raises:
        ConfigError: neither; a name server is given by address.
    """
    text = str(value)
    own = getattr(value, "port", None)
    if isinstance(own, int):
        text = str(getattr(value, "ip", ""))
        zone = getattr(value, "zone", "")
        text, port = f"{text}%{zone}" if zone else text, own
    elif literal(text) is None:
        text, port = _host_and_port(text, port)
    if literal(text) is None or not 0 < port < 65536:
        raise ConfigError(f"a name server is an IP address with an optional port, not {value!r}")
    return text, port


def _host_and_port(text: str, port: int) -> Server:
    from rawproto.addr.hostport import split_host_port

    try:
        host, number = split_host_port(text)
    except AddrError:
        return text, port
    return host, int(number) if number.isascii() and number.isdigit() and len(number) < 6 else 0

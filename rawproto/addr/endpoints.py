"""Where a datagram or a connection comes from or goes to: IPAddr, TCPAddr, UDPAddr and RSPAddr.

They are keys of hot tables, so the hash is computed once, when the value is made.
"""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING, Any, ClassVar

from rawproto.addr.hostport import join_host_port, split_host_port
from rawproto.addr.ip import IP
from rawproto.addr.zone import scope_id, zone_name
from rawproto.errors import AddrError

if TYPE_CHECKING:
    import ipaddress
    from collections.abc import Callable
    from typing import Self

__all__ = ["IPAddr", "PortAddr", "RSPAddr", "TCPAddr", "UDPAddr"]


def _ip_and_zone(ip: Any, zone: str) -> tuple[IP | None, str]:
    """What the constructors take for ``ip``, as IP or None, and the zone that an ipaddress value brought along."""
    if ip is None or ip.__class__ is IP:
        return ip, zone
    scope = getattr(ip, "scope_id", None)
    if isinstance(scope, str) and scope:
        return IP(ip.packed), zone or scope
    if isinstance(ip, (str, bytes)) and not ip:
        return None, zone  # Go's empty IP, the same as nil
    return IP(ip), zone


def _split_zone(host: str) -> tuple[IP | None, str]:
    """A literal with an optional zone; the zone is for IPv6 only, not empty, and starts at the first '%'."""
    if not host:
        return None, ""
    address, percent, zone = host.partition("%")
    try:
        ip = IP(address)
    except AddrError as error:
        raise AddrError(error.reason, host, error.position) from None
    if percent and (not zone or len(ip) == 4 or ip.to4() is not None):
        raise AddrError("a zone belongs to an IPv6 address and is not empty", host, len(address))
    return ip, zone


class _Endpoint:
    """Equality, order and hash of the four; two of different classes are never equal."""

    __slots__ = ("_hash",)

    network: ClassVar[str]
    _hash: int

    def _key(self) -> tuple[Any, ...]:
        raise NotImplementedError

    def __hash__(self) -> int:
        return self._hash

    def __lt__(self, other: object) -> bool:
        return _ordered(operator.lt, self, other)

    def __le__(self, other: object) -> bool:
        return _ordered(operator.le, self, other)

    def __gt__(self, other: object) -> bool:
        return _ordered(operator.gt, self, other)

    def __ge__(self, other: object) -> bool:
        return _ordered(operator.ge, self, other)

    def _order(self) -> tuple[Any, ...]:
        ip, *rest = self._key()
        return (ip or b"", *rest)

    def __reduce__(self) -> tuple[object, ...]:
        # By the constructor: a hash of text or bytes is another one in another process.
        return type(self), self._key()


def _ordered(compare: Callable[[Any, Any], bool], one: _Endpoint, other: object) -> bool:
    if not isinstance(other, _Endpoint) or other.__class__ is not one.__class__:
        return NotImplemented  # type: ignore[no-any-return]
    return bool(compare(one._order(), other._order()))


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class IPAddr(_Endpoint):
    """A host as an endpoint of IP itself.

    Attributes:
        ip: the address, or None for every address.
        zone: the IPv6 zone, an interface name or number, or "".
    """

    network: ClassVar[str] = "ip"

    ip: IP | None
    zone: str = ""

    def __post_init__(self) -> None:
        ip, zone = self.ip, self.zone
        if ip is not None and ip.__class__ is not IP:
            ip, zone = _ip_and_zone(ip, zone)
            object.__setattr__(self, "ip", ip)
            object.__setattr__(self, "zone", zone)
        object.__setattr__(self, "_hash", hash((ip, zone)))

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, IPAddr)
        return self.ip == other.ip and self.zone == other.zone

    __hash__ = _Endpoint.__hash__

    def _key(self) -> tuple[Any, ...]:
        return self.ip, self.zone

    @classmethod
    def parse(cls, text: str) -> Self:
        """The endpoint of a literal such as ``10.0.0.1`` or ``fe80::1%eth0``; names are not looked up."""
        return cls(*_split_zone(text))

    def __str__(self) -> str:
        host = "" if self.ip is None else str(self.ip)
        return f"{host}%{self.zone}" if self.zone else host

    def __repr__(self) -> str:
        return _repr(self, self.ip, (), self.zone)

    def sockaddr(self, version: int | None = None) -> tuple[Any, ...]:
        """The tuple for a raw socket, port 0; see :meth:`PortAddr.sockaddr`."""
        return _sockaddr(self.ip, 0, self.zone, version)

    @classmethod
    def from_sockaddr(cls, address: tuple[Any, ...]) -> Self:
        """The endpoint of a tuple that the socket module gave; the port is dropped."""
        ip, _, zone = _from_sockaddr(address)
        return cls(ip, zone)

    def to_ipaddress(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The address with its zone for :mod:`ipaddress`.

        Raises:
            AddrError: ``ip`` is None, or an IPv4 address has a zone.
        """
        import ipaddress

        if self.ip is None or (self.zone and len(self.ip) == 4):
            raise AddrError("ipaddress has no such value", str(self))
        if not self.zone:
            return self.ip.to_ipaddress()
        return ipaddress.IPv6Address(f"{self.ip.to_ipaddress()}%{self.zone}")


@dataclasses.dataclass(frozen=True, slots=True, eq=False, repr=False)
class PortAddr(_Endpoint):
    """An endpoint with a port; base of TCPAddr, UDPAddr and RSPAddr, never made itself.

    Attributes:
        ip: the address, or None for every address.
        port: the port; its range is checked when a socket is to use it.
        zone: the IPv6 zone, an interface name or number, or "".
    """

    ip: IP | None
    port: int
    zone: str = ""

    def __post_init__(self) -> None:
        ip, zone = self.ip, self.zone
        if ip is not None and ip.__class__ is not IP:
            ip, zone = _ip_and_zone(ip, zone)
            object.__setattr__(self, "ip", ip)
            object.__setattr__(self, "zone", zone)
        object.__setattr__(self, "_hash", hash((ip, self.port, zone)))

    def __eq__(self, other: object) -> bool:
        if other.__class__ is not self.__class__:
            return NotImplemented
        assert isinstance(other, PortAddr)
        return self.port == other.port and self.ip == other.ip and self.zone == other.zone

    __hash__ = _Endpoint.__hash__

    def _key(self) -> tuple[Any, ...]:
        return self.ip, self.port, self.zone

    @classmethod
    def parse(cls, text: str) -> Self:
        """The endpoint of ``address:port`` with a literal address (or none) and a decimal port.

        Raises:
            AddrError: anything else; names are not looked up here.
        """
        host, port = split_host_port(text)
        ip, zone = _split_zone(host)
        if not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
            raise AddrError("a port is a decimal number up to 65535", text, len(text) - len(port))
        return cls(ip, int(port), zone)

    def __str__(self) -> str:
        host = "" if self.ip is None else str(self.ip)
        return join_host_port(f"{host}%{self.zone}" if self.zone else host, self.port)

    def __repr__(self) -> str:
        return _repr(self, self.ip, (self.port,), self.zone)

    def sockaddr(self, version: int | None = None) -> tuple[Any, ...]:
        """The tuple for the socket module: ``(host, port)``, or ``(host, port, 0, scope)`` for IPv6.

        Args:
            version: 4 or 6, the family of the socket. None takes IPv4 wherever the address has a 4-byte form; with
                6 an IPv4 address is given in its mapped form.

        Raises:
            AddrError: an IPv6 address for an IPv4 socket, a port out of range, a zone that is no interface.
        """
        return _sockaddr(self.ip, self.port, self.zone, version)

    @classmethod
    def from_sockaddr(cls, address: tuple[Any, ...]) -> Self:
        """The endpoint of a tuple that the socket module gave; a scope number becomes an interface name."""
        ip, port, zone = _from_sockaddr(address)
        return cls(ip, port, zone)


class TCPAddr(PortAddr):
    """A TCP endpoint; attributes as of :class:`PortAddr`."""

    __slots__ = ()
    network: ClassVar[str] = "tcp"


class UDPAddr(PortAddr):
    """A UDP endpoint; attributes as of :class:`PortAddr`."""

    __slots__ = ()
    network: ClassVar[str] = "udp"


class RSPAddr(PortAddr):
    """An endpoint of the Reliable Stream Protocol; attributes as of :class:`PortAddr`."""

    __slots__ = ()
    network: ClassVar[str] = "rsp"


def _repr(endpoint: _Endpoint, ip: IP | None, middle: tuple[int, ...], zone: str) -> str:
    address = None if ip is None else repr(ip)[3:-1]  # the text in quotes, as the constructor takes it
    parts = [str(address), *map(str, middle), *([repr(zone)] if zone else [])]
    return f"{type(endpoint).__name__}({', '.join(parts)})"


def _sockaddr(ip: IP | None, port: int, zone: str, version: int | None) -> tuple[Any, ...]:
    if not 0 <= port <= 0xFFFF:
        raise AddrError(f"a port is a number from 0 to 65535, not {port}")
    if version not in (None, 4, 6):
        raise AddrError(f"an IP version is 4 or 6, not {version}")
    if ip is None:
        # The socket module takes "" for every address of the socket's own family.
        return ("::", port, 0, scope_id(zone)) if version == 6 else ("", port)
    four = ip.to4()
    if four is not None and version != 6:
        return str(four), port
    if version == 4:
        raise AddrError(f"{ip} is no IPv4 address")
    host = str(ip.to16()) if four is None else f"::ffff:{four}"
    return host, port, 0, scope_id(zone)


def _from_sockaddr(address: tuple[Any, ...]) -> tuple[IP | None, int, str]:
    try:
        host, port, *rest = address
        host, _, zone = host.partition("%")
        ip = IP(host) if host else None
        if len(rest) > 1 and rest[1]:
            zone = zone_name(rest[1])
    except (TypeError, ValueError, AttributeError) as error:
        if isinstance(error, AddrError):
            raise
        raise AddrError(f"not a socket address of IP: {address!r}") from None
    return ip, int(port), zone

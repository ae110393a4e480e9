"""A network: an address and a mask, Go's ``net.IPNet``."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from rawproto.addr.ip import IP
from rawproto.addr.mask import IPMask, cidr_mask
from rawproto.addr.text import MAPPED_PREFIX, parse_packed
from rawproto.errors import AddrError

if TYPE_CHECKING:
    import ipaddress

__all__ = ["IPNet", "parse_cidr"]

_DIGITS = frozenset("0123456789")


@functools.total_ordering
@dataclasses.dataclass(frozen=True, slots=True)
class IPNet:
    """A network, by an address in it and a mask.

    The address may carry host bits; :meth:`contains` and ``in`` do not look at them. As in Go, an IPv4 network
    contains the mapped form of its addresses, ``::/0`` contains no IPv4 address, and of a 16-byte mask on an IPv4
    address the last 4 bytes count. An IPv6 address with a 4-byte mask is no usable network: it contains nothing.

    Attributes:
        ip: the address; text and bytes are taken too.
        mask: the mask; text and bytes are taken too.
    """

    ip: IP
    mask: IPMask

    def __post_init__(self) -> None:
        if self.ip.__class__ is not IP:
            object.__setattr__(self, "ip", IP(self.ip))
        if self.mask.__class__ is not IPMask:
            object.__setattr__(self, "mask", IPMask(self.mask))

    @classmethod
    def parse(cls, text: str) -> IPNet:
        """The network of a text such as ``10.1.2.3/8``, host bits cleared; errors as of :func:`parse_cidr`."""
        return parse_cidr(text)[1]

    def contains(self, ip: IP | str | Any) -> bool:
        """Whether the network has this address, in either form of IPv4."""
        number, bits = self._number_and_mask()
        probe = ip if ip.__class__ is IP else IP(ip)
        four = bytes(probe)
        if len(four) == 16 and four.startswith(MAPPED_PREFIX):
            four = four[12:]
        if len(four) != len(number):
            return False
        mask = int.from_bytes(bits)
        return int.from_bytes(number) & mask == int.from_bytes(four) & mask

    __contains__ = contains

    def _number_and_mask(self) -> tuple[bytes, bytes]:
        """Address and mask brought to one length, or two empty strings when they cannot be."""
        number: bytes = self.ip.to4() or self.ip
        bits: bytes = self.mask
        if len(number) == 4 and len(bits) == 16:
            bits = bits[12:]
        return (number, bits) if len(number) == len(bits) else (b"", b"")

    def __str__(self) -> str:
        number, bits = self._number_and_mask()
        if not number:
            return "<nil>"
        ones, length = IPMask(bits).size()
        return f"{IP(number)}/{ones}" if length else f"{IP(number)}/{bits.hex()}"

    def __repr__(self) -> str:
        return f"IPNet({self.ip!r}, {self.mask!r})"

    def __lt__(self, other: object) -> bool:
        if other.__class__ is not IPNet:
            return NotImplemented
        assert isinstance(other, IPNet)
        return (self.ip, self.mask) < (other.ip, other.mask)

    def prefix(self) -> tuple[IP, int]:
        """The address, IPv4 in 4 bytes and host bits kept, and the prefix length.

        Raises:
            AddrError: the mask is not contiguous or does not fit the address.
        """
        number, bits = self._number_and_mask()
        ones, length = IPMask(bits).size() if number else (0, 0)
        if not length:
            raise AddrError(
                f"{self.ip}/{self.mask} has no prefix length: its mask is not contiguous or does not fit"
            )
        return IP(number), ones

    def to_ipaddress(self) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
        """The same network for :mod:`ipaddress`, host bits cleared.

        Raises:
            AddrError: a mask that is not contiguous, which :mod:`ipaddress` cannot express.
        """
        import ipaddress

        number, ones = self.prefix()
        if len(number) == 4:
            return ipaddress.IPv4Network((bytes(number), ones), strict=False)
        return ipaddress.IPv6Network((bytes(number), ones), strict=False)

    def to_netaddr(self) -> Any:
        """The same network as a ``netaddr.IPNetwork``, host bits kept; errors as of :meth:`to_ipaddress`."""
        import netaddr

        number, ones = self.prefix()
        return netaddr.IPNetwork(f"{number}/{ones}")

    @classmethod
    def of(cls, network: Any) -> IPNet:
        """The network that a value of another kind names.

        Args:
            network: an IPNet, a text with or without a prefix length, an IP, or a network or address of
                :mod:`ipaddress` or ``netaddr``.

        Raises:
            AddrError: anything else.
        """
        if isinstance(network, cls):
            return network
        if isinstance(network, str):
            if "/" in network:
                return parse_cidr(network)[1]
            network = IP(network)
        if hasattr(network, "prefixlen"):  # both libraries' networks; netaddr's keeps host bits in .ip
            first = getattr(network, "network_address", None) or network.network
            return cls(IP(first), cidr_mask(network.prefixlen, 32 if network.version == 4 else 128))
        ip = network if isinstance(network, IP) else IP(network)
        return cls(ip, cidr_mask(8 * len(ip), 8 * len(ip)))


def parse_cidr(text: str) -> tuple[IP, IPNet]:
    """Parse ``address/prefix``: give the address and the network, its host bits cleared.

    The address is a full one and the prefix length a decimal number, leading zeros allowed. With an address in
    IPv4-mapped text the prefix counts 128 bits.

    Raises:
        AddrError: showing the text with a caret at the place.
    """
    if not isinstance(text, str):
        raise AddrError(f"parse_cidr takes text, not {type(text).__name__}")
    address, slash, prefix = text.partition("/")
    if not slash:
        raise AddrError("a network is an address, '/' and a prefix length", text, len(text))
    try:
        ip = IP(parse_packed(address))
    except AddrError as error:
        raise AddrError(error.reason, text, error.position or 0) from None
    bits = 8 * len(ip)
    start = len(address) + 1
    bad = next((i for i, character in enumerate(prefix) if character not in _DIGITS), None)
    if bad is not None or not prefix:
        raise AddrError("a prefix length is a decimal number", text, start + (bad or 0))
    # The length test comes first: int() of a very long text is slow, and past 4,300 digits an error.
    if len(prefix.lstrip("0")) > 3 or int(prefix) > bits:
        raise AddrError(f"the prefix length is above {bits}", text, start)
    mask = cidr_mask(int(prefix), bits)
    return ip, IPNet(ip.mask(mask), mask)

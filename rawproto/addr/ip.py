"""An IP address as a value: Go's ``net.IP``, immutable."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.addr.mask import IPMask
from rawproto.addr.text import MAPPED_PREFIX, format4, format6, parse_packed
from rawproto.errors import AddrError

if TYPE_CHECKING:
    import ipaddress
    from typing import Self

__all__ = ["IP", "ipv4", "parse_ip"]

_new = bytes.__new__
_LOOPBACK6 = bytes(15) + b"\1"
_BROADCAST = b"\xff\xff\xff\xff"


class IP(bytes):
    """An IPv4 or IPv6 address: 4 or 16 bytes in network order.

    ``==``, hash and order are those of the bytes, so the two forms of one IPv4 address (4 bytes, or 16 with the
    prefix ``::ffff:0:0/96``) differ; :meth:`equal` crosses them. Dotted text gives 4 bytes, text with a colon 16.
    The properties have Go's meaning, which is not that of :mod:`ipaddress`, and see through the mapped form.

    Args:
        value: text, 4 or 16 bytes, an address of :mod:`ipaddress` or ``netaddr``, or another IP.

    Raises:
        AddrError: for any other value; it shows a faulty text with a caret at the place.
    """

    __slots__ = ()

    def __new__(cls, value: str | bytes | bytearray | memoryview | Any) -> Self:  # noqa: D102
        if value.__class__ is str:
            return _new(cls, parse_packed(value)) if cls is not IP else parse_ip(value)  # type: ignore[return-value]
        packed = value if isinstance(value, bytes) else _packed_of(value)
        if len(packed) == 4 or len(packed) == 16:
            return _new(cls, packed)
        raise AddrError(f"an IP address has 4 or 16 bytes, not {len(packed)}")

    def __str__(self) -> str:
        if len(self) == 4:
            a, b, c, d = self
            return f"{_DECIMAL[a]}.{_DECIMAL[b]}.{_DECIMAL[c]}.{_DECIMAL[d]}"
        return format4(self[12:]) if self.startswith(MAPPED_PREFIX) else format6(self)

    def __repr__(self) -> str:
        # The mapped form keeps its prefix here, so that the repr evaluates to an equal value.
        text = str(self)
        return f"IP('::ffff:{text}')" if len(self) == 16 and "." in text else f"IP('{text}')"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __int__(self) -> int:
        return int.from_bytes(self)

    @property
    def version(self) -> int:
        """4 or 6, by length: the mapped form is an IPv6 address on the wire."""
        return 4 if len(self) == 4 else 6

    def to4(self) -> IP | None:
        """The 4-byte form, or None for an IPv6 address that is not IPv4-mapped."""
        if len(self) == 4:
            return self
        return _new(IP, self[12:]) if self.startswith(MAPPED_PREFIX) else None

    def to16(self) -> IP:
        """The 16-byte form; an IPv4 address becomes ``::ffff:a.b.c.d``."""
        return self if len(self) == 16 else _new(IP, MAPPED_PREFIX + self)

    def equal(self, other: IP | bytes) -> bool:
        """Whether both are the same address, whatever the form."""
        return self == other or _to16(self) == _to16(other)

    def mask(self, mask: IPMask | bytes) -> IP:
        """The address with the bits outside ``mask`` cleared.

        As in Go, a 4-byte mask makes 4 bytes of the mapped form, and a 16-byte mask works on a 4-byte address when
        its first 12 bytes are all ones.

        Raises:
            AddrError: lengths that do not fit otherwise.
        """
        address, bits = bytes(self), bytes(mask)
        if len(bits) == 16 and len(address) == 4 and bits.startswith(b"\xff" * 12):
            bits = bits[12:]
        if len(bits) == 4 and len(address) == 16 and address.startswith(MAPPED_PREFIX):
            address = address[12:]
        if len(bits) != len(address):
            raise AddrError(
                f"a mask of {len(bits)} bytes does not fit {self}, an address of {len(address)} bytes"
            )
        masked = int.from_bytes(address) & int.from_bytes(bits)
        return _new(IP, masked.to_bytes(len(address)))

    def default_mask(self) -> IPMask | None:
        """The mask of the address's class (RFC 791 section 3.2), or None for IPv6.

        Classes D and E get a class C mask, as in Go.
        """
        four = self.to4()
        if four is None:
            return None
        ones = 1 if four[0] < 0x80 else 2 if four[0] < 0xC0 else 3
        return IPMask(b"\xff" * ones + bytes(4 - ones))

    @property
    def is_unspecified(self) -> bool:
        """0.0.0.0 or ``::``."""
        return not any(self.to4() or self)

    @property
    def is_loopback(self) -> bool:
        """127.0.0.0/8 or ``::1``."""
        four = self.to4()
        return four[0] == 127 if four is not None else self == _LOOPBACK6

    @property
    def is_private(self) -> bool:
        """10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 (RFC 1918) or fc00::/7 (RFC 4193), nothing else."""
        four = self.to4()
        if four is None:
            return self[0] & 0xFE == 0xFC
        return (
            four[0] == 10 or (four[0] == 172 and four[1] & 0xF0 == 16) or (four[0] == 192 and four[1] == 168)
        )

    @property
    def is_multicast(self) -> bool:
        """224.0.0.0/4 or ff00::/8."""
        four = self.to4()
        return four[0] & 0xF0 == 0xE0 if four is not None else self[0] == 0xFF

    @property
    def is_interface_local_multicast(self) -> bool:
        """A multicast address of scope 1 (RFC 4291 section 2.7); no IPv4 address is one."""
        return len(self) == 16 and self[0] == 0xFF and self[1] & 0x0F == 1

    @property
    def is_link_local_multicast(self) -> bool:
        """224.0.0.0/24 or an IPv6 multicast address of scope 2, whatever its flags."""
        four = self.to4()
        return four[:3] == b"\xe0\0\0" if four is not None else self[0] == 0xFF and self[1] & 0x0F == 2

    @property
    def is_link_local_unicast(self) -> bool:
        """169.254.0.0/16 or fe80::/10."""
        four = self.to4()
        if four is not None:
            return four[:2] == b"\xa9\xfe"
        return self[0] == 0xFE and self[1] & 0xC0 == 0x80

    @property
    def is_global_unicast(self) -> bool:
        """Everything but unspecified, loopback, multicast, link-local and 255.255.255.255: private space is in."""
        return not (
            self.to4() == _BROADCAST
            or self.is_unspecified
            or self.is_loopback
            or self.is_multicast
            or self.is_link_local_unicast
        )

    def to_ipaddress(self) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
        """The same address for :mod:`ipaddress`: IPv4Address for 4 bytes, IPv6Address for 16."""
        import ipaddress

        return ipaddress.IPv4Address(bytes(self)) if len(self) == 4 else ipaddress.IPv6Address(bytes(self))

    def to_netaddr(self) -> Any:
        """The same address as a ``netaddr.IPAddress``, of version 4 for 4 bytes and 6 for 16."""
        import netaddr

        return netaddr.IPAddress(int(self), self.version)


def _to16(value: bytes) -> bytes:
    return MAPPED_PREFIX + value if len(value) == 4 else value


def _packed_of(value: Any) -> bytes:
    """The bytes of what is neither ``str`` nor ``bytes`` itself."""
    if isinstance(value, str):
        return parse_packed(str(value))
    packed = getattr(value, "packed", None)  # ipaddress and netaddr both have it
    if isinstance(packed, bytes):
        if getattr(value, "scope_id", None):
            raise AddrError("an IP holds no zone; IPAddr does", str(value), str(value).index("%"))
        return packed
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise AddrError(f"an IP address is text or 4 or 16 bytes, not {type(value).__name__}") from None


# Programs meet the same few addresses again and again. IP is immutable, so one parse serves them all; the memo is
# emptied when it is full, which bounds it at about three megabytes.
_known: dict[str, IP] = {}
_KNOWN_MAX = 16_384
_DECIMAL = tuple(map(str, range(256)))


def parse_ip(text: str) -> IP:
    """Parse an IPv4 address in dotted form or an IPv6 address, without a zone.

    Raises:
        AddrError: showing the text with a caret at the place.
    """
    if text.__class__ is not str:
        return _parse_other(text)
    known = _known.get(text)
    if known is not None:
        return known
    ip = _new(IP, parse_packed(text))
    if len(_known) >= _KNOWN_MAX:
        _known.clear()
    _known[text] = ip
    return ip


def _parse_other(text: Any) -> IP:
    """``parse_ip`` of what is no plain ``str``: a subclass of it, or a mistake."""
    if not isinstance(text, str):
        raise AddrError(f"parse_ip takes text, not {type(text).__name__}")
    return parse_ip(str.__str__(text))


def ipv4(a: int, b: int, c: int, d: int) -> IP:
    """The address ``a.b.c.d``, in 4 bytes.

    Raises:
        AddrError: an octet outside 0 to 255.
    """
    try:
        return _new(IP, bytes((a, b, c, d)))
    except (ValueError, TypeError):
        raise AddrError(f"octets are integers from 0 to 255, not {(a, b, c, d)}") from None

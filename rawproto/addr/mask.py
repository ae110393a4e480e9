"""A network mask as a value: Go's ``net.IPMask``; it need not be contiguous."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.addr.text import parse_packed
from rawproto.errors import AddrError

if TYPE_CHECKING:
    from typing import Self

__all__ = ["IPMask", "cidr_mask", "ipv4_mask"]

_new = bytes.__new__
_HEX = frozenset("0123456789abcdefABCDEF")


class IPMask(bytes):
    """A mask of 4 or 16 bytes in network order.

    Args:
        value: 4 or 16 bytes, 8 or 32 hexadecimal digits (what ``str()`` gives), or a dotted text.

    Raises:
        AddrError: for any other value.
    """

    __slots__ = ()

    def __new__(cls, value: str | bytes | bytearray | memoryview) -> Self:  # noqa: D102
        packed = _packed_of(value)
        if len(packed) not in (4, 16):
            raise AddrError(f"a mask has 4 or 16 bytes, not {len(packed)}")
        return _new(cls, packed)

    def __str__(self) -> str:
        return self.hex()

    def __repr__(self) -> str:
        return f"IPMask('{self.hex()}')"

    def __format__(self, spec: str) -> str:
        return format(self.hex(), spec)

    def __int__(self) -> int:
        return int.from_bytes(self)

    def size(self) -> tuple[int, int]:
        """The number of leading ones and of bits; ``(0, 0)`` when ones and zeros are mixed."""
        bits = 8 * len(self)
        zeros = int.from_bytes(self) ^ ((1 << bits) - 1)
        # Contiguous ones leave 2**n - 1 of zeros' complement, which shares no bit with its successor.
        return (0, 0) if zeros & (zeros + 1) else (bits - zeros.bit_length(), bits)


def _packed_of(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        if "." in value:
            return parse_packed(value)
        position = next((i for i, character in enumerate(value) if character not in _HEX), None)
        if position is not None or len(value) not in (8, 32):
            raise AddrError("a mask is 8 or 32 hexadecimal digits, or dotted", value, position)
        return bytes.fromhex(value)
    try:
        return bytes(memoryview(value))
    except TypeError:
        raise AddrError(f"a mask is text or 4 or 16 bytes, not {type(value).__name__}") from None


def ipv4_mask(a: int, b: int, c: int, d: int) -> IPMask:
    """The mask ``a.b.c.d``.

    Raises:
        AddrError: an octet outside 0 to 255.
    """
    try:
        return _new(IPMask, bytes((a, b, c, d)))
    except (ValueError, TypeError):
        raise AddrError(f"octets are integers from 0 to 255, not {(a, b, c, d)}") from None


def cidr_mask(ones: int, bits: int) -> IPMask:
    """The mask of ``ones`` leading ones in ``bits`` (32 or 128).

    Raises:
        AddrError: another number of bits, or ones outside 0 to bits.
    """
    if bits not in (32, 128):
        raise AddrError(f"a mask has 32 or 128 bits, not {bits}")
    if not 0 <= ones <= bits:
        raise AddrError(f"a mask of {bits} bits has 0 to {bits} ones, not {ones}")
    return _new(IPMask, ((1 << bits) - (1 << (bits - ones))).to_bytes(bits // 8))

"""The integrity checks over header and payload: which there are, what they cost and what they let through.

- ``xxh3``: the low half of XXH3-64 over everything behind the check field, the first 32 bytes of a packet as the seed
  for the rest. Of all damage one packet in 2^32 passes, whatever its pattern. The default on IP itself, where nothing
  else covers the payload. Costs half a microsecond a packet of 1,480 bytes on each side.
- ``crc32``: CRC-32 of ISO 3309 over everything behind the check field. Catches every burst up to 32 bits and every odd
  number of wrong bits; of other damage one in 2^32 passes. Its polynomial is Ethernet's, so that what a frame's check
  sequence missed, it may miss too. Costs 0.9 us.
- ``none``: the check field is zero and not looked at. The default inside UDP, whose checksum stands guard: 16 bits of
  ones' complement (RFC 768), which let pass what exchanges 16-bit words or changes two of them against each other, and
  of random damage one in 2^16.

A plain or keyed 64-bit sum by numpy would be cheaper still, but weak: sums lose what happens twice in the highest bits
of their words, as a line stuck in a memory or on a bus does it.

Handshake packets, resets and path probes always carry the CRC, whatever the connection agrees on.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Final

from xxhash import xxh3_64_intdigest

from rawproto.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = [
    "CHECK_SIZE",
    "CRC32",
    "NONE",
    "SEED_END",
    "XXH3",
    "check_bit",
    "check_names",
    "chosen",
    "crc32",
    "fill_one",
    "offered",
    "sound",
    "verify_one",
    "xxh3",
]

CHECK_SIZE: Final = 4
SEED_END: Final = 32
"""Where the bytes end whose hash is the seed of ``xxh3``: a sender has the header and the payload in two places."""
NONE: Final = "none"
CRC32: Final = "crc32"
XXH3: Final = "xxh3"

_BITS = {NONE: 1 << 0, XXH3: 1 << 2, CRC32: 1 << 1}
"""The checks by rising strength: where two sides differ, the stronger wish wins."""


def check_names() -> list[str]:
    """The checks a connection can agree on."""
    return list(_BITS)


def check_bit(name: str) -> int:
    """The bit of ``features`` that stands for the check called ``name``.

    Raises:
        ConfigError: there is none of that name.
    """
    try:
        return _BITS[name]
    except KeyError:
        raise ConfigError(f"unknown integrity check {name!r} (known: {', '.join(_BITS)})") from None


def offered(wanted: str) -> int:
    """The bits of the checks that a side takes which wants ``wanted``: that one and the stronger ones."""
    names = check_names()
    return sum(_BITS[name] for name in names[names.index(wanted) :])


def chosen(common: int) -> str:
    """The check of a connection whose sides both take ``common``; the CRC is always taken."""
    return next((name for name, bit in _BITS.items() if common & bit), CRC32)


def crc32(packet: bytes | memoryview) -> int:
    """The CRC-32 of ``packet``, of which the first four bytes do not count."""
    return zlib.crc32(memoryview(packet)[CHECK_SIZE:])


def xxh3(packet: bytes | memoryview) -> int:
    """The 32 bits of XXH3-64 for ``packet``, of which the first four bytes do not count."""
    view = memoryview(packet)
    return xxh3_64_intdigest(view[SEED_END:], xxh3_64_intdigest(view[CHECK_SIZE:SEED_END])) & 0xFFFFFFFF


_VALUES: dict[str, Callable[[bytes | memoryview], int]] = {CRC32: crc32, XXH3: xxh3}


def fill_one(packet: bytes, check: str = CRC32) -> bytes:
    """``packet`` with its check field computed."""
    value = 0 if check == NONE else _VALUES[check](packet)
    return value.to_bytes(CHECK_SIZE, "big") + packet[CHECK_SIZE:]


def verify_one(packet: bytes | memoryview, check: str = CRC32) -> bool:
    """Whether the check field of ``packet`` is right."""
    return check == NONE or _VALUES[check](packet) == int.from_bytes(packet[:CHECK_SIZE], "big")


def sound(packet: bytes | memoryview) -> bool:
    """Whether the check field is right by any check: for those who do not know what the connection agreed on."""
    return verify_one(packet, CRC32) or verify_one(packet, XXH3)

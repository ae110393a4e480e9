"""The options of IPv6's hop-by-hop and destination headers (IANA "Destination Options and Hop-by-Hop Options")."""

from __future__ import annotations

from typing import Annotated, ClassVar

from rawproto.wire.enums import OpenEnum
from rawproto.wire.header import Header
from rawproto.wire.tlv import OptionFormat
from rawproto.wire.types import bits, declare, enum8, flag, ip6, length8, opaque, u8, u16, u32

__all__ = [
    "IPV6_OPTIONS",
    "HomeAddress",
    "IPv6Option",
    "IPv6OptionType",
    "IPv6QuickStart",
    "IPv6RouterAlert",
    "JumboPayload",
    "MinimumPathMTU",
    "Pad1",
    "PadN",
    "RPLOption",
    "RawIPv6Option",
    "TunnelEncapsulationLimit",
]


class IPv6OptionType(OpenEnum):
    """Option types, with the action for those that do not know them and the change bit."""

    PAD1 = 0x00
    PADN = 0x01
    TUNNEL_ENCAPSULATION_LIMIT = 0x04
    ROUTER_ALERT = 0x05
    CALIPSO = 0x07
    SMF_DPD = 0x08
    PDM = 0x0F
    IOAM_DESTINATION = 0x11
    ALT_MARK = 0x12
    RPL_OPTION = 0x23
    QUICK_START = 0x26
    MINIMUM_PATH_MTU = 0x30
    IOAM_HOP_BY_HOP = 0x31
    RPL_OPTION_DEPRECATED = 0x63
    MPL = 0x6D
    ILNP_NONCE = 0x8B
    LINE_IDENTIFICATION = 0x8C
    JUMBO_PAYLOAD = 0xC2
    HOME_ADDRESS = 0xC9
    EXP_1E = 0x1E
    EXP_3E = 0x3E
    EXP_5E = 0x5E
    EXP_7E = 0x7E
    EXP_9E = 0x9E
    EXP_BE = 0xBE
    EXP_DE = 0xDE
    EXP_FE = 0xFE


class IPv6Option(Header):
    """Base of the options.

    Attributes:
        alignment: (n, m): the option starts at a multiple of n plus m bytes from the start of its header
            (RFC 8200 section 4.2); a build pads before it where needed.
    """

    type: Annotated[int, enum8(IPv6OptionType)]

    alignment: ClassVar[tuple[int, int]] = (1, 0)

    @property
    def unknown_action(self) -> int:
        """What a node that does not know the option does: 0 skip, 1 discard, 2 and 3 discard and report."""
        return self.type >> 6

    @property
    def changes_en_route(self) -> bool:
        """Whether the option's data may change on the way."""
        return bool(self.type >> 5 & 1)


class Pad1(IPv6Option, type=0):
    """One byte of padding."""


class LongIPv6Option(IPv6Option):
    """Base of the options that have a length: it counts the bytes behind itself."""

    length: Annotated[int | None, length8("header", bias=-2)] = declare(default=None, kw_only=True)


class RawIPv6Option(LongIPv6Option):
    """An option without a class of its own, or one that does not fit its class."""

    data: opaque = b""


class PadN(LongIPv6Option, type=1):
    """Two or more bytes of padding; ``data`` should be zeros."""

    data: opaque = b""


class TunnelEncapsulationLimit(LongIPv6Option, type=4):
    """How many more tunnels may be entered (RFC 2473 section 4.1.1)."""

    limit: u8


class IPv6RouterAlert(LongIPv6Option, type=5):
    """Router alert: 0 for MLD, 1 for RSVP, ... (RFC 2711)."""

    value: u16 = 0
    alignment: ClassVar[tuple[int, int]] = (2, 0)


class JumboPayload(LongIPv6Option, type=0xC2):
    """Payload length of a jumbogram, above 65,535 (RFC 2675)."""

    payload_length: u32
    alignment: ClassVar[tuple[int, int]] = (4, 2)


class HomeAddress(LongIPv6Option, type=0xC9):
    """The mobile node's home address: the source as upper layers see it (RFC 6275 section 6.3)."""

    home: ip6
    alignment: ClassVar[tuple[int, int]] = (8, 6)


class IPv6QuickStart(LongIPv6Option, type=0x26):
    """Quick-Start request or report of an approved rate (RFC 4782 section 3.2)."""

    function: Annotated[int, bits(4)] = 0
    rate: Annotated[int, bits(4)] = 0
    ttl: u8 = 0
    nonce: Annotated[int, bits(30)] = 0
    reserved: Annotated[int, bits(2)] = 0
    alignment: ClassVar[tuple[int, int]] = (4, 2)


class MinimumPathMTU(LongIPv6Option, type=0x30):
    """Minimum path MTU: smallest so far, and what the other end found (RFC 9268)."""

    minimum: u16
    returned: Annotated[int, bits(15)] = 0
    reflect: flag = False
    alignment: ClassVar[tuple[int, int]] = (2, 0)


class RPLOption(LongIPv6Option, type=0x23):
    """RPL information (RFC 6553, type of RFC 9008)."""

    down: flag = False
    rank_error: flag = False
    forwarding_error: flag = False
    reserved: Annotated[int, bits(5)] = declare(default=0, kw_only=True)
    instance: u8 = 0
    rank: u16 = 0
    tlvs: opaque = b""
    alignment: ClassVar[tuple[int, int]] = (2, 0)


def padding(size: int) -> bytes:
    """``size`` bytes of Pad1 and PadN (RFC 8200 section 4.2)."""
    return b"\0" * size if size < 2 else bytes((1, size - 2)).ljust(size, b"\0")


IPV6_OPTIONS = OptionFormat(
    "IPv6",
    RawIPv6Option,
    single=frozenset((0,)),
    bias=-2,
    pad=8,
    lead=2,
    filler=padding,
    padding=frozenset((0, 1)),
)
IPV6_OPTIONS.add(
    Pad1,
    PadN,
    TunnelEncapsulationLimit,
    IPv6RouterAlert,
    JumboPayload,
    HomeAddress,
    IPv6QuickStart,
    MinimumPathMTU,
    RPLOption,
)

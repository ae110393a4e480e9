"""The options of IPv4 that are in use (IANA "Internet Protocol Version 4 Parameters")."""

from __future__ import annotations

from typing import Annotated, Any

from rawproto.wire.address import IP
from rawproto.wire.enums import OpenEnum
from rawproto.wire.header import Header
from rawproto.wire.tlv import OptionFormat
from rawproto.wire.types import bits, declare, enum8, enum_bits, ip4, length8, list_of, opaque, u8, u16, u32

__all__ = [
    "IPV4_OPTIONS",
    "CommercialSecurity",
    "IPTimestamp",
    "IPTraceroute",
    "IPv4EOL",
    "IPv4NOP",
    "IPv4Option",
    "IPv4OptionType",
    "LooseSourceRoute",
    "MTUProbe",
    "MTUReply",
    "QuickStart",
    "RawIPv4Option",
    "RecordRoute",
    "RouterAlert",
    "Security",
    "StreamID",
    "StrictSourceRoute",
]


class IPv4OptionType(OpenEnum):
    """Option types with copy bit and class; names are IANA's."""

    EOOL = 0
    NOP = 1
    RR = 7
    ZSU = 10
    MTUP = 11
    MTUR = 12
    ENCODE = 15
    QS = 25
    EXP_30 = 30
    TS = 68
    TR = 82
    EXP_94 = 94
    SEC = 130
    LSR = 131
    E_SEC = 133
    CIPSO = 134
    SID = 136
    SSR = 137
    VISA = 142
    IMITD = 144
    EIP = 145
    ADDEXT = 147
    RTRALT = 148
    SDB = 149
    DPS = 151
    UMP = 152
    EXP_158 = 158
    FINN = 205
    EXP_222 = 222


class TimestampFlag(OpenEnum):
    """What a timestamp option records (RFC 791 section 3.1)."""

    TIMESTAMPS = 0
    ADDRESSES = 1
    PRESPECIFIED = 3


class IPv4Option(Header):
    """Base of the options: the type, whose top bit says that fragments carry a copy."""

    type: Annotated[int, enum8(IPv4OptionType)]

    @property
    def copied(self) -> bool:
        """Whether every fragment carries the option (RFC 791 section 3.1)."""
        return self.type >= 128


class IPv4EOL(IPv4Option, type=0):
    """End of the option list, with what stands behind it when that is not plain padding."""

    padding: opaque = b""


class IPv4NOP(IPv4Option, type=1):
    """No operation: aligns what follows."""


class LongIPv4Option(IPv4Option):
    """Base of the options that have a length: it counts the whole option."""

    length: Annotated[int | None, length8("header")] = declare(default=None, kw_only=True)


class RawIPv4Option(LongIPv4Option):
    """An option without a class of its own, or one that does not fit its class."""

    data: opaque = b""


class RecordRoute(LongIPv4Option, type=7):
    """Record route (RFC 791): ``pointer`` is the place, from 1, of the next free address."""

    pointer: u8 = declare(default=4, kw_only=True)
    route: Annotated[tuple[Any, ...], list_of(ip4)] = ()


class LooseSourceRoute(LongIPv4Option, type=131):
    """Loose source and record route (RFC 791)."""

    pointer: u8 = declare(default=4, kw_only=True)
    route: Annotated[tuple[Any, ...], list_of(ip4)] = ()

    @property
    def final(self) -> IP | None:
        """The last address of the route, None once it stands in the header: what pseudo headers take."""
        return self.route[-1] if self.pointer <= 4 * len(self.route) else None


class StrictSourceRoute(LongIPv4Option, type=137):
    """Strict source and record route (RFC 791)."""

    pointer: u8 = declare(default=4, kw_only=True)
    route: Annotated[tuple[Any, ...], list_of(ip4)] = ()

    @property
    def final(self) -> IP | None:
        """The last address of the route, None once it stands in the header: what pseudo headers take."""
        return self.route[-1] if self.pointer <= 4 * len(self.route) else None


class IPTimestamp(LongIPv4Option, type=68):
    """Internet timestamp (RFC 791): words of milliseconds since midnight UT, with addresses as ``flag`` says."""

    pointer: u8 = declare(default=5, kw_only=True)
    overflow: Annotated[int, bits(4)] = declare(default=0, kw_only=True)
    flag: Annotated[int, enum_bits(4, TimestampFlag)] = declare(default=0, kw_only=True)
    words: Annotated[tuple[int, ...], list_of(u32)] = ()

    @property
    def entries(self) -> tuple[tuple[IP | None, int], ...]:
        """(address or None, milliseconds), one a place in the option."""
        if self.flag == TimestampFlag.TIMESTAMPS:
            return tuple((None, word) for word in self.words)
        pairs = zip(self.words[::2], self.words[1::2], strict=False)
        return tuple((IP(address.to_bytes(4, "big")), moment) for address, moment in pairs)


class Security(LongIPv4Option, type=130):
    """Basic security (RFC 1108 section 2)."""

    classification: u8
    authority: opaque = b""


class CommercialSecurity(LongIPv4Option, type=134):
    """CIPSO: a domain of interpretation and its tags (FIPS 188)."""

    doi: u32
    tags: opaque = b""


class StreamID(LongIPv4Option, type=136):
    """SATNET stream identifier (RFC 791; deprecated by RFC 6814)."""

    stream: u16


class MTUProbe(LongIPv4Option, type=11):
    """Probe MTU (RFC 1063; obsolete)."""

    mtu: u16


class MTUReply(LongIPv4Option, type=12):
    """Reply MTU (RFC 1063; obsolete)."""

    mtu: u16


class IPTraceroute(LongIPv4Option, type=82):
    """Traceroute (RFC 1393; deprecated by RFC 6814)."""

    ident: u16
    outbound_hops: u16
    return_hops: u16
    originator: ip4


class RouterAlert(LongIPv4Option, type=148):
    """Router alert: 0 asks every router to look (RFC 2113)."""

    value: u16 = 0


class QuickStart(LongIPv4Option, type=25):
    """Quick-Start request or report of an approved rate (RFC 4782 section 3.1)."""

    function: Annotated[int, bits(4)] = 0
    rate: Annotated[int, bits(4)] = 0
    ttl: u8 = 0
    nonce: Annotated[int, bits(30)] = 0
    reserved: Annotated[int, bits(2)] = 0


IPV4_OPTIONS = OptionFormat("IPv4", RawIPv4Option, single=frozenset((0, 1)), end=0)
IPV4_OPTIONS.add(
    IPv4EOL,
    IPv4NOP,
    RecordRoute,
    LooseSourceRoute,
    StrictSourceRoute,
    IPTimestamp,
    Security,
    CommercialSecurity,
    StreamID,
    MTUProbe,
    MTUReply,
    IPTraceroute,
    RouterAlert,
    QuickStart,
)

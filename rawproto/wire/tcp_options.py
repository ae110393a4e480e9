"""The options of TCP that are in use (IANA "TCP Option Kind Numbers")."""

from __future__ import annotations

from typing import Annotated

from rawproto.wire.enums import OpenEnum
from rawproto.wire.header import Header
from rawproto.wire.tlv import OptionFormat
from rawproto.wire.types import (
    bits,
    declare,
    enum8,
    enum_bits,
    fixed,
    flag,
    length8,
    list_of,
    opaque,
    u8,
    u16,
    u32,
)

__all__ = [
    "MPTCP",
    "MSS",
    "SACK",
    "TCPEOL",
    "TCPMD5",
    "TCPNOP",
    "TCP_OPTIONS",
    "ExperimentalTCPOption",
    "FastOpen",
    "MPTCPSubtype",
    "QuickStartResponse",
    "RawTCPOption",
    "SACKBlock",
    "SACKPermitted",
    "TCPAuthentication",
    "TCPOption",
    "TCPOptionKind",
    "TCPTimestamps",
    "UserTimeout",
    "WindowScale",
]


class TCPOptionKind(OpenEnum):
    """Option kinds."""

    EOL = 0
    NOP = 1
    MSS = 2
    WINDOW_SCALE = 3
    SACK_PERMITTED = 4
    SACK = 5
    ECHO = 6
    ECHO_REPLY = 7
    TIMESTAMPS = 8
    POC_PERMITTED = 9
    POC_PROFILE = 10
    CC = 11
    CC_NEW = 12
    CC_ECHO = 13
    ALTERNATE_CHECKSUM_REQUEST = 14
    ALTERNATE_CHECKSUM_DATA = 15
    TRAILER_CHECKSUM = 18
    MD5 = 19
    QUICK_START_RESPONSE = 27
    USER_TIMEOUT = 28
    TCP_AO = 29
    MPTCP = 30
    FAST_OPEN = 34
    ENCRYPTION_NEGOTIATION = 69
    ACC_ECN_0 = 172
    ACC_ECN_1 = 174
    EXPERIMENT_1 = 253
    EXPERIMENT_2 = 254


class MPTCPSubtype(OpenEnum):
    """Subtypes of the Multipath TCP option (RFC 8684 section 3)."""

    MP_CAPABLE = 0
    MP_JOIN = 1
    DSS = 2
    ADD_ADDR = 3
    REMOVE_ADDR = 4
    MP_PRIO = 5
    MP_FAIL = 6
    MP_FASTCLOSE = 7
    MP_TCPRST = 8
    MP_EXPERIMENTAL = 15


class TCPOption(Header):
    """Base of the options."""

    kind: Annotated[int, enum8(TCPOptionKind)]


class TCPEOL(TCPOption, kind=0):
    """End of the option list, with what stands behind it when that is not plain padding."""

    padding: opaque = b""


class TCPNOP(TCPOption, kind=1):
    """No operation: aligns what follows."""


class LongTCPOption(TCPOption):
    """Base of the options that have a length: it counts the whole option."""

    length: Annotated[int | None, length8("header")] = declare(default=None, kw_only=True)


class RawTCPOption(LongTCPOption):
    """An option without a class of its own, or one that does not fit its class."""

    data: opaque = b""


class MSS(LongTCPOption, kind=2):
    """Maximum segment size (RFC 9293 section 3.7.1)."""

    mss: u16


class WindowScale(LongTCPOption, kind=3):
    """Window scale: the shift of the sender's windows, at most 14 (RFC 7323 section 2)."""

    shift: u8


class SACKPermitted(LongTCPOption, kind=4):
    """Selective acknowledgements may be sent (RFC 2018 section 2)."""


class SACKBlock(Header):
    """One block of data received: from ``left`` up to, not including, ``right``."""

    left: u32
    right: u32


class SACK(LongTCPOption, kind=5):
    """Selective acknowledgement (RFC 2018 section 3)."""

    blocks: Annotated[tuple[SACKBlock, ...], list_of(SACKBlock)] = ()


class TCPTimestamps(LongTCPOption, kind=8):
    """Timestamps (RFC 7323 section 3)."""

    value: u32
    echo: u32 = 0


class TCPMD5(LongTCPOption, kind=19):
    """MD5 signature (RFC 2385; obsoleted by TCP-AO)."""

    digest: Annotated[bytes, fixed(16)]


class QuickStartResponse(LongTCPOption, kind=27):
    """Quick-Start response (RFC 4782 section 4.2)."""

    reserved: Annotated[int, bits(4)] = declare(default=0, kw_only=True)
    rate: Annotated[int, bits(4)]
    ttl_difference: u8
    nonce: Annotated[int, bits(30)] = 0
    reserved2: Annotated[int, bits(2)] = declare(default=0, kw_only=True)


class UserTimeout(LongTCPOption, kind=28):
    """User timeout, in seconds or, where ``minutes``, in minutes (RFC 5482 section 3)."""

    minutes: flag = False
    timeout: Annotated[int, bits(15)] = 0


class TCPAuthentication(LongTCPOption, kind=29):
    """TCP-AO (RFC 5925 section 2.2)."""

    key_id: u8
    next_key_id: u8
    mac: opaque = b""


class MPTCP(LongTCPOption, kind=30):
    """Multipath TCP (RFC 8684 section 3); ``flags`` are the four bits behind the subtype."""

    subtype: Annotated[int, enum_bits(4, MPTCPSubtype)]
    flags: Annotated[int, bits(4)] = 0
    data: opaque = b""


class FastOpen(LongTCPOption, kind=34):
    """Fast Open cookie, empty to ask for one (RFC 7413 section 4.1.1)."""

    cookie: opaque = b""


class ExperimentalTCPOption(LongTCPOption, kind=253):
    """Shared experimental option with its experiment identifier (RFC 6994)."""

    experiment: u16
    data: opaque = b""


TCP_OPTIONS = OptionFormat("TCP", RawTCPOption, single=frozenset((0, 1)), end=0)
TCP_OPTIONS.add(
    TCPEOL,
    TCPNOP,
    MSS,
    WindowScale,
    SACKPermitted,
    SACK,
    TCPTimestamps,
    TCPMD5,
    QuickStartResponse,
    UserTimeout,
    TCPAuthentication,
    MPTCP,
    FastOpen,
    ExperimentalTCPOption,
)

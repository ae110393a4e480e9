"""The options of IPv4 that are in use (IANA "IP Option Numbers")."""

from __future__ import annotations

from typing import Annotated

from rawproto.wire.enums import OpenEnum
from rawproto.wire.header import Header
from rawproto.wire.tlv import OptionFormat
from rawproto.wire.types import declare, enum8, length8, opaque

__all__ = ["IPV4_OPTIONS", "IPv4Option"]


class IPv4OptionType(OpenEnum):
    """IPv4 option types, copy bit and class included; names are IANA's."""

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


class IPv4Option(Header):
    """Base of the options: type and, but for the two single bytes, length of the whole option."""

    type: Annotated[int, enum8(IPv4OptionType)]


class RawIPv4Option(IPv4Option):
    """An option without a class of its own, or one that does not fit its class."""

    length: Annotated[int | None, length8("header")] = declare(default=None, kw_only=True)
    data: opaque = b""


IPV4_OPTIONS = OptionFormat("IPv4", RawIPv4Option, single=frozenset((0, 1)), end=0)

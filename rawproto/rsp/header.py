"""RSP's headers, declared: the layouts of docs/rsp.md section 2.

Every packet begins with the same 24 bytes. The kind's high four bits are the protocol's version, so that a packet of
another version has no known kind.
"""

from __future__ import annotations

from typing import Annotated, Final

from rawproto.wire import Flag, Flags, Header, OpenEnum, declare, enum8, fixed, flags8, u16, u32, u64

__all__ = [
    "ACK_HEADER_SIZE",
    "COMMON_SIZE",
    "DATA_HEADER_SIZE",
    "LAYOUTS",
    "VERSION",
    "Ack",
    "Common",
    "Data",
    "Hello",
    "Kind",
    "Path",
    "RSPFlags",
    "Reset",
]

VERSION: Final = 1


class Kind(OpenEnum):
    """What a packet is; the high four bits are the version."""

    SYN = 0x10
    COOKIE = 0x11
    CONFIRM = 0x12
    DATA = 0x13
    ACK = 0x14
    PROBE = 0x15
    RESET = 0x16
    CHALLENGE = 0x17
    RESPONSE = 0x18


class RSPFlags(Flags):
    """Flags of a packet; which kinds bear which is in docs/rsp.md section 2.2."""

    FIN = Flag(0)
    """The stream ends behind this packet's data."""
    ACK_NOW = Flag(1)
    """The sender waits for an acknowledgement of this packet."""
    BLOCKED = Flag(2)
    """The receiver's window is what holds the sender back."""
    CARRIES_DATA = Flag(3)
    """ACK: an offset and data follow the ranges, and the packet is numbered."""
    ECHO = Flag(4)
    """RESET: the identifier is the one of the packet answered, not the one of its receiver."""


class Common(Header):
    """The first 24 bytes of every packet."""

    check: u32 = declare(default=0, kw_only=True)
    kind: Annotated[Kind, enum8(Kind)]
    flags: Annotated[RSPFlags, flags8(RSPFlags)] = declare(default=RSPFlags(0), kw_only=True)
    port: u16
    connection: u64
    number: u64 = declare(default=0, kw_only=True)


class Data(Common):
    """A numbered packet with a piece of the stream."""

    offset: u64 = 0


class Ack(Common):
    """What has arrived, and how far the sender may go; ``ranges`` pairs of 32-bit run and gap follow."""

    window: u64
    largest: u64
    delay: u32
    marks: u32
    ranges: u16
    reserved: u16 = 0


class Hello(Common):
    """SYN, COOKIE and CONFIRM: one layout, so that an answer is never longer than the question."""

    source_port: u16
    max_datagram: u16
    features: u32
    identifier: u64
    window: u64
    option_length: u16 = 0
    version: u16 = VERSION
    reserved: u32 = 0
    cookie: Annotated[bytes, fixed(16)] = bytes(16)


class Reset(Common):
    """The end of a connection, or the refusal of one."""

    reason: u32


class Path(Common):
    """CHALLENGE and RESPONSE: whether the peer receives at an address."""

    token: u64


LAYOUTS: Final[dict[int, type[Common]]] = {
    Kind.SYN: Hello,
    Kind.COOKIE: Hello,
    Kind.CONFIRM: Hello,
    Kind.DATA: Data,
    Kind.ACK: Ack,
    Kind.PROBE: Data,
    Kind.RESET: Reset,
    Kind.CHALLENGE: Path,
    Kind.RESPONSE: Path,
}
"""The header of each kind of packet (docs/rsp.md section 2.1)."""
COMMON_SIZE: Final = Common.size
DATA_HEADER_SIZE: Final = Data.size
ACK_HEADER_SIZE: Final = Ack.size

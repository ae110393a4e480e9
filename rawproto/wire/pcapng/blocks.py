"""The block and option codes of pcapng and the values they carry (draft-ietf-opsawg-pcapng)."""

from __future__ import annotations

import dataclasses
import enum
import struct
from typing import TYPE_CHECKING, NamedTuple

from rawproto.errors import DecodeError, EncodeError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "BlockType",
    "CapturedPacket",
    "Interface",
    "InterfaceOption",
    "InterfaceStatistics",
    "LinkType",
    "PacketFlags",
    "PacketOption",
    "Secrets",
    "SecretsType",
    "SectionOption",
    "StatisticsOption",
    "pack_options",
    "padding",
    "unpack_options",
]

BYTE_ORDER_MAGIC = 0x1A2B3C4D
"""First word of a section's body; reads as 0x4D3C2B1A in a section of the other byte order (section 4.1)."""

NANOSECOND_RESOLUTION = 9
"""if_tsresol of this writer: units of 10**-9 seconds (section 4.2)."""

DEFAULT_RESOLUTION = 6
"""if_tsresol where the option is absent: microseconds (section 4.2)."""


class BlockType(enum.IntEnum):
    """Block types (section 11.1 of the draft); others are skipped."""

    INTERFACE_DESCRIPTION = 1
    PACKET = 2
    """Obsolete, still met in old files (appendix A)."""
    SIMPLE_PACKET = 3
    INTERFACE_STATISTICS = 5
    ENHANCED_PACKET = 6
    DECRYPTION_SECRETS = 10
    SECTION_HEADER = 0x0A0D0D0A


END_OF_OPTIONS = 0
COMMENT = 1
"""The two option codes that every block knows (section 3.5); the others belong to their block."""


class SectionOption(enum.IntEnum):
    """Options of a section header block (section 4.1)."""

    HARDWARE = 2
    OS = 3
    APPLICATION = 4


class InterfaceOption(enum.IntEnum):
    """Options of an interface description block (section 4.2)."""

    NAME = 2
    DESCRIPTION = 3
    RESOLUTION = 9
    FILTER = 11
    OFFSET = 14


class PacketOption(enum.IntEnum):
    """Options of an enhanced packet block (section 4.3)."""

    FLAGS = 2
    DROPS = 4


class StatisticsOption(enum.IntEnum):
    """Options of an interface statistics block (section 4.6)."""

    START = 2
    END = 3
    RECEIVED = 4
    DROPPED = 5
    ACCEPTED = 6
    OS_DROPPED = 7
    DELIVERED = 8


class LinkType(enum.IntEnum):
    """Link types in use here (the tcpdump.org registry); a reader gives unknown ones as plain integers."""

    NULL = 0
    ETHERNET = 1
    RAW = 101
    """An IPv4 or IPv6 datagram; the version nibble tells which."""
    LINUX_SLL = 113
    USER0 = 147
    """First of 16 for private use: what a packet of it is, is told to Wireshark in its DLT_USER table."""
    IPV4 = 228
    IPV6 = 229
    LINUX_SLL2 = 276


class PacketFlags(enum.IntFlag):
    """epb_flags (section 4.3): the direction bits and the errors of the link layer used here."""

    INBOUND = 1
    OUTBOUND = 2
    CRC_ERROR = 1 << 24
    TOO_LONG = 1 << 25
    TOO_SHORT = 1 << 26


class SecretsType(enum.IntEnum):
    """What a decryption secrets block holds (section 4.7)."""

    TLS_KEY_LOG = 0x544C534B
    SSH_KEY_LOG = 0x5353484B
    WIREGUARD_KEY_LOG = 0x57474B4C


@dataclasses.dataclass(frozen=True, slots=True)
class Interface:
    """One interface of a section.

    Attributes:
        linktype: what its packets begin with; a :class:`LinkType` where known.
        name: the name of the interface, as the operating system has it.
        description: free text.
        snaplen: most bytes kept of a packet; 0 is no limit.
        filter: text of the capture filter, "" for none.
        resolution: if_tsresol as in the file: 10**-n seconds, or 2**-(n - 128) for 128 and above.
        offset: seconds added to every timestamp (if_tsoffset).
    """

    linktype: int = LinkType.RAW
    name: str = ""
    description: str = ""
    snaplen: int = 0
    filter: str = ""
    resolution: int = NANOSECOND_RESOLUTION
    offset: int = 0

    def to_nanoseconds(self, units: int) -> int:
        """Timestamp of ``units`` in this interface's resolution as nanoseconds since the epoch, rounded down."""
        if self.resolution & 0x80:
            fine = (units * 1_000_000_000) >> (self.resolution & 0x7F)
        elif self.resolution <= NANOSECOND_RESOLUTION:
            fine = units * 10 ** (NANOSECOND_RESOLUTION - self.resolution)
        else:
            fine = units // 10 ** (self.resolution - NANOSECOND_RESOLUTION)
        return fine + self.offset * 1_000_000_000


class CapturedPacket(NamedTuple):
    """One packet of a capture.

    Attributes:
        data: the bytes kept.
        timestamp_ns: nanoseconds since the epoch, or None for a simple packet block, which has no time.
        interface: number of the interface within its section.
        original_length: length on the wire; more than ``len(data)`` when cut at the snap length.
        linktype: link type of the interface.
        comments: comments on the packet.
        flags: epb_flags, 0 when absent.
        drops: packets lost between this one and the one before it (epb_dropcount), or None when absent.
    """

    data: bytes
    timestamp_ns: int | None
    interface: int
    original_length: int
    linktype: int
    comments: tuple[str, ...] = ()
    flags: int = 0
    drops: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class InterfaceStatistics:
    """Counters of one interface, in packets; None where the file does not say."""

    interface: int
    timestamp_ns: int
    received: int | None = None
    dropped: int | None = None
    accepted: int | None = None
    os_dropped: int | None = None
    delivered: int | None = None
    start_ns: int | None = None
    end_ns: int | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class Secrets:
    """A decryption secrets block: keys with which a reader can decrypt what follows."""

    type: int
    data: bytes


def padding(length: int) -> int:
    """Zero bytes that bring ``length`` to a multiple of four."""
    return -length % 4


_MAX_OPTION = 0xFFFF
"""The length of an option's value is a 16-bit field (section 3.5)."""


def pack_options(options: Iterable[tuple[int, bytes]]) -> bytes:
    """The option list, with its end mark; empty when there are no options.

    Raises:
        EncodeError: a value is longer than 65,535 bytes.
    """
    parts = []
    for code, value in options:
        if len(value) > _MAX_OPTION:
            raise EncodeError(
                f"{len(value)} bytes, an option holds at most {_MAX_OPTION}", "pcapng", "option"
            )
        parts.append(struct.pack("<HH", code, len(value)) + value + bytes(padding(len(value))))
    return b"".join([*parts, bytes(4)]) if parts else b""


def unpack_options(body: bytes, start: int, order: str, offset: int) -> list[tuple[int, bytes]]:
    """The options in ``body[start:]``; an absent end mark is accepted (section 3.5).

    Args:
        body: the block's body.
        start: where its options begin.
        order: struct's byte-order character of the section.
        offset: where the body lies in the file, for errors.

    Raises:
        DecodeError: an option reaches past the block.
    """
    options: list[tuple[int, bytes]] = []
    if start >= len(body):
        return options
    place = start
    while place + 4 <= len(body):
        code, length = struct.unpack_from(order + "HH", body, place)
        if code == END_OF_OPTIONS:
            break
        if length > len(body) - place - 4:
            raise DecodeError(
                f"option {code} of {length} bytes ends beyond its block", "pcapng", "option", offset + place
            )
        options.append((code, body[place + 4 : place + 4 + length]))
        place += 4 + length + padding(length)
    return options

"""Capture files read: pcapng, and pcap as older programs write it."""

from __future__ import annotations

import struct
import sys
from typing import TYPE_CHECKING, Any, BinaryIO, Final

from rawproto import DecodeError, PcapngReader

from ..failure import FAILED, USAGE, Failure
from .packet import Packet, network_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["read_packets"]

_PCAPNG: Final = b"\x0a\x0d\x0d\x0a"
_MAGIC: Final = {0xA1B2C3D4: 1000, 0xA1B23C4D: 1}
"""Magic number of pcap to nanoseconds a unit of its timestamps (draft-ietf-opsawg-pcap section 4)."""
_HEADER: Final = 24
_RECORD: Final = 16
_LONGEST: Final = 16 << 20
_INBOUND, _OUTBOUND = 1, 2
_DIRECTIONS: Final = {_INBOUND: "in", _OUTBOUND: "out"}


def read_packets(path: Path) -> Iterator[Packet]:
    """The packets of a capture file, in its order.

    Raises:
        Failure: the file cannot be opened, is no capture, or is broken, after all packets before that.
    """
    file: Any
    try:
        file = sys.stdin.buffer if str(path) == "-" else path.open("rb")
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", USAGE) from error
    with file:
        try:
            start = file.peek(4)[:4]
            yield from _pcapng(file) if start == _PCAPNG else _pcap(file)
        except DecodeError as error:
            raise Failure(f"{path}: {error}", FAILED) from error
        except OSError as error:
            raise Failure(f"cannot read {path}: {error.strerror}", FAILED) from error


def _pcapng(file: BinaryIO) -> Iterator[Packet]:
    reader = PcapngReader(file)
    for packet in reader:
        start, is_ip = network_of(packet.data, packet.linktype)
        interface = reader.interfaces[packet.interface].name or f"#{packet.interface}"
        yield Packet(
            packet.data[start:],
            packet.timestamp_ns,
            interface,
            max(packet.original_length - start, 0),
            _DIRECTIONS.get(packet.flags & 3, ""),
            is_ip,
            comments=packet.comments,
        )


def _pcap(file: BinaryIO) -> Iterator[Packet]:
    head = file.read(_HEADER)
    for order in "<>":
        unit = _MAGIC.get(struct.unpack_from(order + "I", head)[0]) if len(head) == _HEADER else None
        if unit is not None:
            break
    else:
        raise DecodeError("is neither pcap nor pcapng", "capture", "magic", 0)
    (linktype,) = struct.unpack_from(order + "I", head, 20)
    linktype &= 0xFFFF  # above it are the class and the length of a frame check sequence
    place = _HEADER
    while record := file.read(_RECORD):
        if len(record) < _RECORD:
            raise DecodeError("the file ends inside a packet's header", "pcap", "record", place)
        seconds, fraction, kept, length = struct.unpack(order + "4I", record)
        if kept > _LONGEST:
            raise DecodeError(f"a packet of {kept} bytes", "pcap", "captured_length", place + 8)
        data = file.read(kept)
        if len(data) < kept:
            raise DecodeError("the file ends inside a packet", "pcap", "record", place + _RECORD + len(data))
        place += _RECORD + kept
        start, is_ip = network_of(data, linktype)
        time = seconds * 1_000_000_000 + fraction * unit
        yield Packet(data[start:], time, "", max(length - start, 0), "", is_ip)

"""Datagrams that are not described but given: as hex digits, in a file of them, or in a capture."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..failure import USAGE, Failure
from ..packetkit.files import read_packets
from ..packetkit.values import from_hex

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["from_capture", "from_hex_file", "from_hex_text"]

_OFFSET = re.compile(r"^\s*(?:0x)?[0-9a-fA-F]{4,8}(?::|  )\s*")
_TEXT = re.compile(r"(?:\s*\|.*\||\s{2,}[^0-9a-fA-F\s].*)$")


def from_hex_text(text: str, place: str = "--hex") -> bytes:
    """A datagram written as hex digits.

    Raises:
        Failure: it is none.
    """
    return _checked(from_hex(text, place), place)


def from_hex_file(path: Path) -> bytes:
    """A datagram in a file of hex digits; the offsets and texts of dumps, and what follows ``#``, are passed over.

    Raises:
        Failure: the file cannot be read, or holds none.
    """
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except OSError as error:
        raise Failure(f"cannot read {path}: {error.strerror}", USAGE) from error
    except UnicodeDecodeError as error:
        raise Failure(f"{path}: hex digits are wanted, this is binary", USAGE) from error
    digits = ""
    for number, line in enumerate(lines, 1):
        bare = line.partition("#")[0]
        if _OFFSET.match(bare):
            bare = _TEXT.sub("", _OFFSET.sub("", bare))
        wrong = re.search(r"[^0-9a-fA-FxX\s:]", bare)
        if wrong:
            raise Failure(f"{path}:{number}: {wrong[0]!r} is no hex digit", USAGE)
        digits += bare + " "
    return _checked(from_hex(digits, str(path)), str(path))


def from_capture(path: Path) -> list[bytes]:
    """The IP datagrams of a capture that are whole.

    Raises:
        Failure: it cannot be read, or holds none.
    """
    found = [
        packet.data[: packet.length] for packet in read_packets(path) if packet.is_ip and packet.is_whole
    ]
    if not found:
        raise Failure(f"{path}: holds no whole IP datagram", USAGE)
    # Frames are padded to 60 bytes; what is behind the end of the datagram is the link's.
    return [_checked(_trimmed(packet), str(path)) for packet in found]


def _trimmed(packet: bytes) -> bytes:
    version = packet[0] >> 4
    length = int.from_bytes(packet[2:4], "big") if version == 4 else 40 + int.from_bytes(packet[4:6], "big")
    return packet[:length] if 20 <= length <= len(packet) else packet


def _checked(packet: bytes, place: str) -> bytes:
    least = {4: 20, 6: 40}.get(packet[0] >> 4 if packet else 0)
    if least is None or len(packet) < least:
        raise Failure(f"{place}: does not begin with an IPv4 or IPv6 header", USAGE)
    return packet

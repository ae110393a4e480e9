"""Reading pcapng, strictly and in bounded memory: both byte orders, any number of sections."""

from __future__ import annotations

import io
import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rawproto.errors import DecodeError
from rawproto.wire.pcapng.blocks import (
    BYTE_ORDER_MAGIC,
    COMMENT,
    DEFAULT_RESOLUTION,
    BlockType,
    CapturedPacket,
    Interface,
    InterfaceOption,
    InterfaceStatistics,
    LinkType,
    PacketOption,
    Secrets,
    StatisticsOption,
    padding,
    unpack_options,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Self

__all__ = ["PcapngReader"]

_MAX_BLOCK = 16 << 20
"""Longest block accepted unless asked otherwise: libpcap's own limit (MAX_BLOCKSIZE)."""

_MAX_INTERFACES = 65_536
_MAX_STATISTICS = 1 << 16
_MAX_SECRETS = 16 << 20
"""What is remembered at most, in blocks and in bytes; a file cannot make the reader grow without end."""

_SECTION_HEADER = int(BlockType.SECTION_HEADER).to_bytes(4, "little")
"""Reads the same in both byte orders, so that it can be told before the order is known (section 4.1)."""

_LINK_TYPES = frozenset(int(kind) for kind in LinkType)


class PcapngReader:
    """Iterates the packets of a capture.

    Blocks of unknown types are skipped; whatever is malformed raises DecodeError with its offset in the file, after
    all packets before it were given. Statistics and secrets met on the way are kept in ``statistics`` and
    ``secrets``.

    Args:
        source: path of a file, a binary file (stays open after :meth:`close`), or the bytes of a capture.
        max_block: longest block accepted, in bytes.
    """

    def __init__(
        self, source: str | os.PathLike[str] | bytes | BinaryIO, *, max_block: int = _MAX_BLOCK
    ) -> None:
        self._owned = isinstance(source, (str, bytes, os.PathLike))
        self._file = _open(source)
        self._max_block = max_block
        self._offset = 0
        self._order = ""
        self._secret_bytes = 0
        self.interfaces: list[Interface] = []
        """Interfaces of the section being read."""
        self.statistics: list[InterfaceStatistics] = []
        self.secrets: list[Secrets] = []

    def __iter__(self) -> Iterator[CapturedPacket]:
        packet_readers = {
            int(BlockType.ENHANCED_PACKET): self._enhanced_packet,
            int(BlockType.SIMPLE_PACKET): self._simple_packet,
            int(BlockType.PACKET): self._old_packet,
        }
        other_readers = {
            int(BlockType.INTERFACE_DESCRIPTION): self._interface_description,
            int(BlockType.INTERFACE_STATISTICS): self._interface_statistics,
            int(BlockType.DECRYPTION_SECRETS): self._decryption_secrets,
        }
        while (block := self._next_block()) is not None:
            kind, body, offset = block
            if kind in packet_readers:
                yield packet_readers[kind](body, offset)
            elif kind in other_readers:
                other_readers[kind](body, offset)

    def close(self) -> None:
        """Close the file when this reader opened it."""
        if self._owned:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _read(self, count: int, what: str) -> bytes:
        data = self._file.read(count)
        if len(data) < count:
            raise DecodeError(f"the file ends inside {what}", "pcapng", "block", self._offset + len(data))
        self._offset += count
        return data

    def _next_block(self) -> tuple[int, bytes, int] | None:
        """Type, body and the body's offset of the next block; None at the end of the file."""
        start = self._offset
        head = self._file.read(8)
        if not head:
            return None
        self._offset += len(head)
        if len(head) < 8:
            raise DecodeError("the file ends inside a block header", "pcapng", "block", self._offset)
        if head[:4] == _SECTION_HEADER:
            return self._section(head, start)
        if not self._order:
            raise DecodeError("does not begin with a section header block", "pcapng", "block_type", start)
        kind, total = struct.unpack(self._order + "II", head)
        body = self._body(total, start, 0)
        return kind, body, start + 8

    def _section(self, head: bytes, start: int) -> tuple[int, bytes, int]:
        magic = self._read(4, "a section header")
        for order in "<>":
            if struct.unpack(order + "I", magic)[0] == BYTE_ORDER_MAGIC:
                break
        else:
            raise DecodeError(f"byte-order magic is {magic.hex()}", "pcapng", "magic", start + 8)
        self._order = order
        (total,) = struct.unpack(order + "I", head[4:])
        body = magic + self._body(total, start, 4)
        if len(body) < 16:
            raise DecodeError(f"section header of {total} bytes", "pcapng", "total_length", start + 4)
        (major,) = struct.unpack_from(order + "H", body, 4)
        if major != 1:
            raise DecodeError(f"version {major} is not known", "pcapng", "major_version", start + 12)
        unpack_options(body, 16, order, start + 8)
        self.interfaces = []
        return BlockType.SECTION_HEADER, body, start + 8

    def _body(self, total: int, start: int, already: int) -> bytes:
        """The rest of a block whose first ``8 + already`` bytes are read, without its closing length."""
        if total % 4 or total < 12 + already:
            raise DecodeError(f"block length {total}", "pcapng", "total_length", start + 4)
        if total > self._max_block:
            raise DecodeError(
                f"block of {total} bytes, the limit is {self._max_block}", "pcapng", "total_length", start + 4
            )
        rest = self._read(total - 8 - already, "a block")
        (closing,) = struct.unpack(self._order + "I", rest[-4:])
        if closing != total:
            raise DecodeError(
                f"closing length {closing} differs from {total}", "pcapng", "total_length", start + total - 4
            )
        return rest[:-4]

    def _unpack(self, layout: str, body: bytes, offset: int, name: str) -> tuple[int, ...]:
        try:
            fields: tuple[int, ...] = struct.unpack_from(self._order + layout, body)
        except struct.error:
            raise DecodeError(f"{len(body)} bytes are too few", "pcapng", name, offset) from None
        return fields

    def _options(self, body: bytes, start: int, offset: int) -> list[tuple[int, bytes]]:
        return unpack_options(body, start, self._order, offset)

    def _interface_description(self, body: bytes, offset: int) -> None:
        linktype, _, snaplen = self._unpack("HHI", body, offset, "interface")
        if len(self.interfaces) >= _MAX_INTERFACES:
            raise DecodeError(f"more than {_MAX_INTERFACES} interfaces", "pcapng", "interface", offset)
        texts = {InterfaceOption.NAME: "", InterfaceOption.DESCRIPTION: ""}
        pattern, resolution, seconds = "", DEFAULT_RESOLUTION, 0
        for code, value in self._options(body, 8, offset):
            if code in texts:
                texts[InterfaceOption(code)] = _text(value)
            elif code == InterfaceOption.FILTER and value[:1] == b"\0":
                pattern = _text(value[1:])
            elif code == InterfaceOption.RESOLUTION and len(value) == 1:
                resolution = value[0]
            elif code == InterfaceOption.OFFSET and len(value) == 8:
                (seconds,) = struct.unpack(self._order + "q", value)
        self.interfaces.append(
            Interface(
                LinkType(linktype) if linktype in _LINK_TYPES else linktype,
                texts[InterfaceOption.NAME],
                texts[InterfaceOption.DESCRIPTION],
                snaplen,
                pattern,
                resolution,
                seconds,
            )
        )

    def _interface(self, number: int, offset: int) -> Interface:
        if number >= len(self.interfaces):
            raise DecodeError(
                f"interface {number}, but {len(self.interfaces)} are described", "pcapng", "interface", offset
            )
        return self.interfaces[number]

    def _packet_data(self, body: bytes, start: int, length: int, offset: int) -> bytes:
        if length > len(body) - start:
            raise DecodeError(
                f"{length} bytes captured in a block of {len(body)}", "pcapng", "captured_length", offset
            )
        return body[start : start + length]

    def _enhanced_packet(self, body: bytes, offset: int) -> CapturedPacket:
        number, high, low, kept, original = self._unpack("5I", body, offset, "enhanced_packet")
        return self._packet(body, offset, number, high << 32 | low, kept, original)

    def _old_packet(self, body: bytes, offset: int) -> CapturedPacket:
        number, drops, high, low, kept, original = self._unpack("HH4I", body, offset, "packet")
        # A drop count of 65,535 says that it is not known (appendix A).
        known = None if drops == 0xFFFF else drops
        return self._packet(body, offset, number, high << 32 | low, kept, original, known)

    def _packet(
        self,
        body: bytes,
        offset: int,
        number: int,
        units: int,
        kept: int,
        original: int,
        drops: int | None = None,
    ) -> CapturedPacket:
        interface = self._interface(number, offset)
        data = self._packet_data(body, 20, kept, offset + 12)
        comments: list[str] = []
        flags = 0
        for code, value in self._options(body, 20 + kept + padding(kept), offset):
            if code == COMMENT:
                comments.append(_text(value))
            elif code == PacketOption.FLAGS and len(value) == 4:
                (flags,) = struct.unpack(self._order + "I", value)
            elif code == PacketOption.DROPS and len(value) == 8:
                (drops,) = struct.unpack(self._order + "Q", value)
        return CapturedPacket(
            data,
            interface.to_nanoseconds(units),
            number,
            original,
            interface.linktype,
            tuple(comments),
            flags,
            drops,
        )

    def _simple_packet(self, body: bytes, offset: int) -> CapturedPacket:
        (original,) = self._unpack("I", body, offset, "simple_packet")
        interface = self._interface(0, offset)
        kept = min(original, interface.snaplen) if interface.snaplen else original
        data = self._packet_data(body, 4, kept, offset)
        return CapturedPacket(data, None, 0, original, interface.linktype)

    def _interface_statistics(self, body: bytes, offset: int) -> None:
        number, high, low = self._unpack("III", body, offset, "interface_statistics")
        interface = self._interface(number, offset)
        values: dict[int, int] = {}
        for code, value in self._options(body, 12, offset):
            if len(value) != 8:
                continue
            if code in (StatisticsOption.START, StatisticsOption.END):
                first, second = struct.unpack(self._order + "II", value)
                values[code] = interface.to_nanoseconds(first << 32 | second)
            else:
                (values[code],) = struct.unpack(self._order + "Q", value)
        if len(self.statistics) < _MAX_STATISTICS:
            self.statistics.append(
                InterfaceStatistics(
                    number,
                    interface.to_nanoseconds(high << 32 | low),
                    values.get(StatisticsOption.RECEIVED),
                    values.get(StatisticsOption.DROPPED),
                    values.get(StatisticsOption.ACCEPTED),
                    values.get(StatisticsOption.OS_DROPPED),
                    values.get(StatisticsOption.DELIVERED),
                    values.get(StatisticsOption.START),
                    values.get(StatisticsOption.END),
                )
            )

    def _decryption_secrets(self, body: bytes, offset: int) -> None:
        kind, length = self._unpack("II", body, offset, "decryption_secrets")
        if length > len(body) - 8:
            raise DecodeError(
                f"{length} bytes of secrets in {len(body)}", "pcapng", "secrets_length", offset + 4
            )
        self._secret_bytes += len(body)
        if self._secret_bytes <= _MAX_SECRETS:
            self.secrets.append(Secrets(kind, body[8 : 8 + length]))


def _text(value: bytes) -> str:
    """Text of an option; it should be UTF-8, what is not is replaced (a comment must not lose a packet)."""
    return value.decode("utf-8", "replace")


def _open(source: str | os.PathLike[str] | bytes | BinaryIO) -> BinaryIO:
    if isinstance(source, bytes):
        return io.BytesIO(source)
    if isinstance(source, (str, os.PathLike)):
        return Path(source).open("rb")
    return source

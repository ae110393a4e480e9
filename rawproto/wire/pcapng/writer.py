"""Writing pcapng: every block goes to the file in one ``write``, a batch of packets too."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from rawproto.errors import EncodeError
from rawproto.wire.pcapng.blocks import (
    BYTE_ORDER_MAGIC,
    COMMENT,
    NANOSECOND_RESOLUTION,
    BlockType,
    Interface,
    InterfaceOption,
    LinkType,
    SecretsType,
    SectionOption,
    StatisticsOption,
    pack_options,
    padding,
)
from rawproto.wire.pcapng.packing import (
    check_range,
    pack_block,
    pack_counter,
    pack_packet_options,
    pack_text,
    pack_texts,
    pack_time,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from types import TracebackType
    from typing import Self

    import numpy as np
    from numpy.typing import ArrayLike, NDArray

__all__ = ["PcapngWriter"]

_PACKET = struct.Struct("<7I")
"""Block type, total length, interface, timestamp high and low, captured and original length (section 4.3)."""

_PACKET_OVERHEAD = _PACKET.size + 4
_ENHANCED_PACKET = int(BlockType.ENHANCED_PACKET)
_PADDING = tuple(bytes(count) for count in range(4))
_UNKNOWN_SECTION_LENGTH = -1
_BUFFER = 1 << 18
_MOST_TAILS = 1 << 14


class PcapngWriter:
    """Writes one section of packets with nanosecond timestamps.

    Not locked: one thread at a time. Packets longer than the interface's snap length are cut.

    Args:
        target: path of a file to create, or a binary file to write to; the latter stays open after :meth:`close`.
        linktype: what the packets begin with, for the interfaces given by name.
        interfaces: names or full descriptions of the interfaces, numbered from 0; more by :meth:`add_interface`.
        snaplen: most bytes kept of a packet, for the interfaces given by name; 0 is no limit.
        application: name of the program that captures.
        hardware: description of the machine, when it is worth telling.
        system: name of the operating system, when it is worth telling.
        comment: a comment on the whole capture.
    """

    def __init__(
        self,
        target: str | os.PathLike[str] | BinaryIO,
        *,
        linktype: int = LinkType.RAW,
        interfaces: Sequence[str | Interface] = ("",),
        snaplen: int = 0,
        application: str = "rawproto",
        hardware: str = "",
        system: str = "",
        comment: str = "",
    ) -> None:
        texts = (
            (COMMENT, comment),
            (SectionOption.HARDWARE, hardware),
            (SectionOption.OS, system),
            (SectionOption.APPLICATION, application),
        )
        section = struct.pack("<IHHq", BYTE_ORDER_MAGIC, 1, 0, _UNKNOWN_SECTION_LENGTH)
        header = pack_block(BlockType.SECTION_HEADER, section + pack_options(pack_texts(texts)))
        self._interfaces: list[Interface] = []
        self._linktype = linktype
        self._snaplen = snaplen
        self._closed = False
        self._tails = _Tails()
        self._owned = isinstance(target, (str, os.PathLike))
        self._file = _open(target)
        self.packets = 0
        """Packets written so far."""
        try:
            self._file.write(header)
            for interface in interfaces:
                self.add_interface(interface)
        except BaseException:
            self.close()
            raise

    @property
    def interfaces(self) -> tuple[Interface, ...]:
        """The interfaces described so far, in order of their numbers."""
        return tuple(self._interfaces)

    def add_interface(self, interface: str | Interface) -> int:
        """Describe one more interface, by name or in full, and return its number.

        The timestamps are written in nanoseconds since the epoch whatever ``interface.resolution`` says.

        Raises:
            EncodeError: a link type or snap length out of range, or a text that is too long.
        """
        if isinstance(interface, str):
            interface = Interface(self._linktype, interface, snaplen=self._snaplen)
        check_range("interface.linktype", interface.linktype, 16)
        check_range("interface.snaplen", interface.snaplen, 32)
        options = [
            *pack_texts(
                (
                    (InterfaceOption.NAME, interface.name),
                    (InterfaceOption.DESCRIPTION, interface.description),
                )
            ),
            (InterfaceOption.RESOLUTION, bytes((NANOSECOND_RESOLUTION,))),
        ]
        if interface.filter:
            # A leading 0 says that the filter follows as text in libpcap's language (section 4.2).
            options.append((InterfaceOption.FILTER, b"\0" + pack_text(interface.filter)))
        body = struct.pack("<HHI", interface.linktype, 0, interface.snaplen) + pack_options(options)
        self._file.write(pack_block(BlockType.INTERFACE_DESCRIPTION, body))
        self._interfaces.append(interface)
        return len(self._interfaces) - 1

    def write(
        self,
        data: bytes | bytearray | memoryview,
        timestamp_ns: int,
        interface: int = 0,
        comment: str | None = None,
        original_length: int | None = None,
        drops: int | None = None,
        flags: int = 0,
    ) -> None:
        """Write one packet.

        Args:
            data: the packet, or what was captured of it.
            timestamp_ns: nanoseconds since the epoch.
            interface: number of the interface it was seen on.
            comment: a comment on it.
            original_length: its length on the wire where ``data`` is not all of it.
            drops: packets lost between the one before and this one.
            flags: :class:`~rawproto.wire.pcapng.PacketFlags`; 0 writes none.

        Raises:
            EncodeError: an interface never described, or a number out of range.
        """
        packet = bytes(data)
        length = len(packet) if original_length is None else original_length
        snaplen = self._interface(interface).snaplen
        if snaplen and len(packet) > snaplen:
            packet = packet[:snaplen]
        options = (
            b""
            if comment is None and drops is None and not flags
            else pack_packet_options(comment, drops, flags)
        )
        kept = len(packet)
        pad = -kept & 3
        total = _PACKET_OVERHEAD + kept + pad + len(options)
        high, low = timestamp_ns >> 32, timestamp_ns & 0xFFFFFFFF
        try:
            front = _PACKET.pack(_ENHANCED_PACKET, total, interface, high, low, kept, length)
        except struct.error:
            check_range("timestamp", timestamp_ns, 64)
            check_range("original_length", length, 32)
            raise
        self._file.write(b"".join((front, packet, _PADDING[pad], options, total.to_bytes(4, "little"))))
        self.packets += 1

    def write_many(self, packets: Iterable[tuple[bytes, int, int, int, int]]) -> None:
        """Write packets of any sizes and interfaces with one call of the file's ``write``.

        Args:
            packets: of each its bytes, nanoseconds since the epoch, length on the wire, interface number and
                :class:`~rawproto.wire.pcapng.PacketFlags` (0 writes none).

        Raises:
            EncodeError: an interface never described, or a number out of range; nothing is written then.
        """
        pack, known, tails = _PACKET.pack, len(self._interfaces), self._tails
        parts: list[bytes] = []
        count = 0
        snaplens = [described.snaplen for described in self._interfaces]
        for data, timestamp, length, interface, flags in packets:
            if not 0 <= interface < known:
                self._interface(interface)
            kept = len(data)
            if snaplens[interface] and kept > snaplens[interface]:
                kept = snaplens[interface]
                data = data[:kept]
            total, tail = tails[kept, flags]
            try:
                head = pack(
                    _ENHANCED_PACKET, total, interface, timestamp >> 32, timestamp & 0xFFFFFFFF, kept, length
                )
            except struct.error:
                check_range("timestamp", timestamp, 64)
                check_range("original_length", length, 32)
                raise
            parts += (head, data, tail)
            count += 1
        self._file.write(b"".join(parts))
        self.packets += count

    def write_batch(
        self,
        rows: NDArray[np.uint8],
        lengths: NDArray[np.int64] | int | None,
        timestamps: NDArray[np.int64] | int,
        interface: int = 0,
        original_lengths: ArrayLike | None = None,
    ) -> None:
        """Write n packets with one call of the file's ``write``.

        Args:
            rows: uint8 (n, w), one packet a row; may be a strided view.
            lengths: bytes used of each row, int64 (n,), one number for all, or None for w.
            timestamps: nanoseconds since the epoch, int64 (n,) or one number for all.
            interface: number of the interface they were seen on.
            original_lengths: lengths on the wire, (n,), where rows are cut.

        Raises:
            EncodeError: an interface never described, a length longer than the rows, or a number out of range.
        """
        import numpy as np

        from rawproto.wire.pcapng.batch import packet_blocks

        count, width = rows.shape
        if not count:
            return
        snaplen = self._interface(interface).snaplen
        kept = np.broadcast_to(np.asarray(width if lengths is None else lengths, dtype=np.int64), (count,))
        if kept.min() < 0 or kept.max() > width:
            raise EncodeError(f"lengths outside 0 to {width}, the width of the rows", "pcapng", "lengths")
        original = kept
        if original_lengths is not None:
            original = np.asarray(original_lengths, dtype=np.int64)
            check_range("original_length", int(original.min()), 32)
            check_range("original_length", int(original.max()), 32)
        times = np.asarray(timestamps)
        check_range("timestamp", int(times.min()), 64)
        if snaplen:
            kept = np.minimum(kept, snaplen)
        self._file.write(packet_blocks(rows, kept, original, times.astype(np.uint64), interface))
        self.packets += count

    def write_statistics(
        self,
        timestamp_ns: int,
        interface: int = 0,
        *,
        received: int | None = None,
        dropped: int | None = None,
        accepted: int | None = None,
        os_dropped: int | None = None,
        delivered: int | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> None:
        """Write the counters of an interface, in packets (section 4.6); None leaves one out.

        Args:
            timestamp_ns: when they were read, nanoseconds since the epoch.
            interface: number of the interface.
            received: packets received, from the start of the capture.
            dropped: packets lost by the interface for want of room.
            accepted: packets accepted by the filter.
            os_dropped: packets lost by the operating system.
            delivered: packets delivered to this program.
            start_ns: start of the capture.
            end_ns: end of the capture.

        Raises:
            EncodeError: an interface never described, or a number out of range.
        """
        self._interface(interface)
        times = ((StatisticsOption.START, start_ns), (StatisticsOption.END, end_ns))
        counts = (
            (StatisticsOption.RECEIVED, received),
            (StatisticsOption.DROPPED, dropped),
            (StatisticsOption.ACCEPTED, accepted),
            (StatisticsOption.OS_DROPPED, os_dropped),
            (StatisticsOption.DELIVERED, delivered),
        )
        options = [(code, pack_time(value)) for code, value in times if value is not None]
        options += [(code, pack_counter(value)) for code, value in counts if value is not None]
        body = struct.pack("<I", interface) + pack_time(timestamp_ns) + pack_options(options)
        self._file.write(pack_block(BlockType.INTERFACE_STATISTICS, body))

    def write_secrets(self, data: bytes, kind: int = SecretsType.TLS_KEY_LOG) -> None:
        """Write keys for the packets that follow (section 4.7), such as the lines of an NSS key log.

        Raises:
            EncodeError: the kind does not fit 32 bits.
        """
        check_range("kind", kind, 32)
        body = struct.pack("<II", kind, len(data)) + data + bytes(padding(len(data)))
        self._file.write(pack_block(BlockType.DECRYPTION_SECRETS, body))

    def flush(self) -> None:
        """Hand what is buffered to the operating system, so that a reader sees all packets written so far."""
        self._file.flush()

    def close(self) -> None:
        """Flush, and close the file when this writer opened it. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._owned:
            self._file.close()
        else:
            self._file.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _interface(self, number: int) -> Interface:
        if not 0 <= number < len(self._interfaces):
            raise EncodeError(
                f"{number}, but {len(self._interfaces)} interfaces are described", "pcapng", "interface"
            )
        return self._interfaces[number]


class _Tails(dict[tuple[int, int], tuple[int, bytes]]):
    """Bytes kept and flags of a packet to its block's length and what stands behind its bytes; sizes repeat."""

    __slots__ = ()

    def __missing__(self, key: tuple[int, int]) -> tuple[int, bytes]:
        kept, flags = key
        options = pack_packet_options(None, None, flags) if flags else b""
        pad = -kept & 3
        total = _PACKET_OVERHEAD + kept + pad + len(options)
        if len(self) >= _MOST_TAILS:
            self.clear()
        self[key] = found = (total, _PADDING[pad] + options + total.to_bytes(4, "little"))
        return found


def _open(target: str | os.PathLike[str] | BinaryIO) -> BinaryIO:
    if isinstance(target, (str, os.PathLike)):
        return Path(target).open("wb", buffering=_BUFFER)
    return target

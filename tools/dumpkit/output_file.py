"""The pcapng file that ``-w`` writes: interfaces by name, directions, drops where they happened and in all."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, BinaryIO

from rawproto import LinkType, PcapngWriter
from rawproto.link.linux import PACKET_OUTGOING
from rawproto.wire.pcapng import Interface, PacketFlags

from ..failure import FAILED, Failure
from ..packetkit.live import LOSING

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from ..packetkit.live import Arrival, Capture
    from ..packetkit.packet import Packet

__all__ = ["OutputFile"]

_INBOUND, _OUTBOUND = int(PacketFlags.INBOUND), int(PacketFlags.OUTBOUND)
_FLAGS = {"in": _INBOUND, "out": _OUTBOUND}
_BUFFER = 1 << 18


class OutputFile:
    """A capture file being written.

    Args:
        path: of the file; ``-`` is standard output.
        comment: on the whole capture.

    Raises:
        Failure: it cannot be made.
    """

    def __init__(self, path: Path, comment: str = "") -> None:
        self._path = path
        self._began = time.time_ns()
        self._counts: dict[int, int] = {}
        self._numbers: dict[str | int, int] = {}
        self._file: BinaryIO | None = None
        try:
            self._file = sys.stdout.buffer if str(path) == "-" else path.open("wb", buffering=_BUFFER)
            self._writer = PcapngWriter(
                self._file, linktype=LinkType.RAW, interfaces=(), comment=comment, system="Linux"
            )
        except OSError as error:
            raise self._failure(error) from error

    def _failure(self, error: OSError) -> Exception:
        if isinstance(error, BrokenPipeError):
            return error  # whoever read it has had enough
        return Failure(f"cannot write {self._path}: {error.strerror}", FAILED)

    def _number(self, key: str | int, name: str) -> int:
        """The number of an interface, which is described when it is first met."""
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = self._writer.add_interface(Interface(LinkType.RAW, name))
            self._counts[number] = 0
        return number

    def arrivals(
        self, arrivals: Iterable[Arrival], capture: Capture, room: int | None = None
    ) -> tuple[int, int]:
        """Write what arrived, at most ``room`` packets; gives how many, and how many were dropped among them.

        Raises:
            Failure: the file takes no more.
        """
        records: list[tuple[bytes, int, int, int, int]] = []
        lost = 0
        losing = False
        numbers, counts = self._numbers, self._counts
        for data, when, length, index, kind, status in arrivals:
            number = numbers.get(index)
            if number is None:
                number = self._number(index, capture.name_of(index))
            counts[number] += 1
            losing |= bool(status & LOSING)
            records.append((data, when, length, number, _OUTBOUND if kind == PACKET_OUTGOING else _INBOUND))
            if len(records) == room:
                break
        try:
            if losing and records:
                lost = capture.count()
                data, when, length, number, flags = records.pop(0)
                self._writer.write(
                    data, when, number, original_length=length, drops=lost or None, flags=flags
                )
                self._writer.write_many(records)
                return len(records) + 1, lost
            self._writer.write_many(records)
        except OSError as error:
            raise self._failure(error) from error
        return len(records), lost

    def packet(self, packet: Packet) -> None:
        """Write one packet of a file.

        Raises:
            Failure: the file takes no more.
        """
        number = self._number(packet.interface, packet.interface)
        self._counts[number] += 1
        try:
            self._writer.write(
                packet.data,
                packet.time or 0,
                number,
                comment="\n".join(packet.comments) or None,
                original_length=packet.length,
                flags=_FLAGS.get(packet.direction, 0),
            )
        except OSError as error:
            raise self._failure(error) from error

    def flush(self) -> None:
        """Let readers see all of it.

        Raises:
            Failure: the file takes no more.
        """
        try:
            self._writer.flush()
        except OSError as error:
            raise self._failure(error) from error

    def finish(self, dropped: int | None) -> None:
        """Write the counters of each interface and close the file.

        Args:
            dropped: by the kernel, on all interfaces together; None where nobody knows.

        Raises:
            Failure: the file takes no more.
        """
        end = time.time_ns()
        alone = len(self._counts) == 1
        try:
            for number, count in self._counts.items():
                self._writer.write_statistics(
                    end,
                    number,
                    delivered=count,
                    received=count + dropped if alone and dropped is not None else None,
                    os_dropped=dropped if alone else None,
                    start_ns=self._began,
                    end_ns=end,
                )
            self._writer.close()
        except OSError as error:
            raise self._failure(error) from error
        finally:
            self.abandon()

    def abandon(self) -> None:
        """Close the file as it is; what it does not take is lost."""
        if self._file is not None and str(self._path) != "-":
            try:
                self._file.close()
            except OSError:
                pass
        self._file = None

"""IP headers for whole batches: written in front of the datagrams, and judged on arrival.

Layouts: RFC 791 section 3.1 and RFC 8200 section 3.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Final

import numpy as np

from rawproto.wire.batch import Batch
from rawproto.wire.ip_chain import DONT_FRAGMENT, IS_FRAGMENT
from rawproto.wire.sums import checksum

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PLAIN", "HeaderWriter", "compact", "ipv4_faults", "ipv6_faults"]

_IPV4: Final = struct.Struct("!BBHHHBBH4s4s")
_IPV6: Final = struct.Struct("!IHBB16s16s")
PLAIN: Final = 0x45
"""First byte of a packet of version 4 with five words of header: without options."""
_TTL: Final = 64
_ROWS: Final = 64


class HeaderWriter:
    """Puts an IP header, and what goes before it on the link, in front of each datagram of a batch.

    Args:
        protocol: IP protocol number.
        source: packed address to send from.
    """

    def __init__(self, protocol: int, source: bytes) -> None:
        self._protocol = protocol
        self._source = source
        self.size = _IPV4.size if len(source) == 4 else _IPV6.size
        self.longest = 0
        """Bytes of the longest packet of the last batch, IP header included."""
        self._rows = np.zeros((_ROWS, self.size + 64), dtype=np.uint8)
        self._heads = self._rows
        # What the header rows were written for, and the batch that has them.
        self._state: tuple[object, ...] = ()
        self._batch = Batch(self._rows)

    def wrap(self, batch: Batch, destination: bytes, ecn: int, frame_header: bytes = b"") -> Batch:
        """The packets of ``batch``, good until the next call: headers and head in rows of our own, tails as they are.

        Each row begins with ``frame_header``.
        """
        tails = batch.tail_lengths
        state = (
            destination,
            ecn,
            frame_header,
            batch.head.shape,
            batch.head_lengths.tobytes(),
            None if tails is None else tails.tobytes(),
        )
        if state != self._state:
            self._prepare(batch, destination, ecn, frame_header)
            self._state = state
        self._heads[:] = batch.head
        wrapped = self._batch
        wrapped.tail, wrapped.tail_starts, wrapped.tail_lengths = batch.tail, batch.tail_starts, tails
        return wrapped

    def _prepare(self, batch: Batch, destination: bytes, ecn: int, frame_header: bytes) -> None:
        """Rows with headers for datagrams of these lengths."""
        count, width = batch.head.shape
        start = len(frame_header)
        end = start + self.size
        if count > len(self._rows) or end + width > self._rows.shape[1]:
            shape = max(count, len(self._rows)), max(end + width, self._rows.shape[1])
            self._rows = np.zeros(shape, dtype=np.uint8)
        rows, lengths = self._rows[:count], batch.lengths
        rows[:, :start] = np.frombuffer(frame_header, dtype=np.uint8)
        self._write(rows[:, start:end], lengths, destination, ecn)
        self.longest = int(lengths.max(initial=0)) + self.size
        self._heads = rows[:, end : end + width]
        self._batch = Batch(rows, batch.head_lengths + end)

    def _write(
        self, rows: NDArray[np.uint8], lengths: NDArray[np.int64], destination: bytes, ecn: int
    ) -> None:
        if self.size == _IPV6.size:
            first = 6 << 28 | ecn << 20
            header = _IPV6.pack(first, 0, self._protocol, _TTL, self._source, destination)
            rows[:] = np.frombuffer(header, dtype=np.uint8)
            rows[:, 4:6] = lengths.astype(">u2").view(np.uint8).reshape(-1, 2)
            return
        # A datagram that is never fragmented needs no identification (RFC 6864 section 4).
        header = _IPV4.pack(
            PLAIN, ecn, 0, 0, DONT_FRAGMENT, _TTL, self._protocol, 0, self._source, destination
        )
        totals = lengths + self.size
        sums = totals + int(np.frombuffer(header, dtype=">u2").sum())
        sums = (sums & 0xFFFF) + (sums >> 16)
        sums = (sums & 0xFFFF) + (sums >> 16)
        rows[:] = np.frombuffer(header, dtype=np.uint8)
        rows[:, 2:4] = totals.astype(">u2").view(np.uint8).reshape(-1, 2)
        rows[:, 10:12] = (sums ^ 0xFFFF).astype(">u2").view(np.uint8).reshape(-1, 2)


def compact(
    rows: NDArray[np.uint8], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.uint8], NDArray[np.int64], list[int]]:
    """Move payloads behind IPv4 headers with options to where those of plain headers are.

    Returns the rows (a copy), the lengths as if no packet had options, and the indexes of the rows whose headers
    make sense.
    """
    rows, lengths = rows.copy(), lengths.copy()
    kept = []
    for index in range(len(rows)):
        row, length = rows[index], int(lengths[index])
        header = (int(row[0]) & 15) * 4
        if row[0] >> 4 != 4 or not _IPV4.size <= header <= length:
            continue
        row[_IPV4.size : _IPV4.size + length - header] = row[header:length].copy()
        lengths[index] = length - header + _IPV4.size
        kept.append(index)
    return rows, lengths, kept


def ipv4_faults(
    rows: NDArray[np.uint8], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """Total lengths of plain IPv4 packets, and which rows have which fault.

    Faults: "malformed" (a length that cannot be), "bad_checksum", "fragments".
    """
    words = rows[:, : _IPV4.size].view(">u2").astype(np.uint32)
    totals = words[:, 1].astype(np.int64)
    malformed = (totals > lengths) | (totals < _IPV4.size)
    # Over a header with its right checksum the folded sum is all ones (RFC 1071).
    bad_checksum = words.sum(axis=1) % 0xFFFF != 0
    for index in np.flatnonzero(rows[:, 0] != PLAIN).tolist():
        version, size = int(rows[index, 0]) >> 4, (int(rows[index, 0]) & 15) * 4
        malformed[index] |= version != 4 or not _IPV4.size <= size <= totals[index]
        bad_checksum[index] = not malformed[index] and checksum(rows[index, :size].tobytes()) != 0
    return totals, {
        "malformed": malformed,
        "bad_checksum": bad_checksum,
        "fragments": (words[:, 3] & IS_FRAGMENT) != 0,
    }


def ipv6_faults(
    rows: NDArray[np.uint8], lengths: NDArray[np.int64]
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.bool_]]]:
    """As :func:`ipv4_faults`, for IPv6 packets without extension headers; lengths are with the header."""
    totals = rows[:, 4:6].view(">u2")[:, 0].astype(np.int64) + _IPV6.size
    return totals, {"malformed": (totals > lengths) | (rows[:, 0] >> 4 != 6)}

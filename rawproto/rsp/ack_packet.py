"""The ACK packet: fixed fields, then the ranges received as pairs of run and gap, then perhaps data.

The first run ends at ``largest``; each gap leads down to the next run. Both are counts of packets, 32 bits each; the
last gap is zero.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rawproto.errors import DecodeError
from rawproto.rsp.header import ACK_HEADER_SIZE, Kind
from rawproto.rsp.words import ACK_WORDS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_ACK_RANGES", "decode_ranges", "encode_ack"]

MAX_ACK_RANGES = 32
"""Ranges told in one packet, and looked at in one."""
_PAIR = struct.Struct(">II")
_COUNT_LIMIT = 0xFFFF_FFFF
_ACK = int(Kind.ACK)


def encode_ack(
    port: int,
    connection: int,
    number: int,
    window: int,
    ranges: Sequence[tuple[int, int]],
    *,
    delay: int,
    marks: int,
    flags: int = 0,
) -> bytes:
    """An ACK packet with its check left zero.

    Args:
        port: destination port.
        connection: identifier chosen by the receiver.
        number: packet number; of the next packet when the ACK carries no data.
        window: first stream offset not taken yet.
        ranges: packet numbers received, half-open, highest first; may be empty.
        delay: nanoseconds since the largest arrived.
        marks: packets that bore a congestion mark.
        flags: further flags.
    """
    if len(ranges) == 1 and ranges[0][1] - ranges[0][0] <= _COUNT_LIMIT:  # the common case
        pairs = _PAIR.pack(ranges[0][1] - ranges[0][0], 0)
    else:
        pairs = _pairs(ranges[:MAX_ACK_RANGES])
    return (
        ACK_WORDS.pack(
            0,
            _ACK,
            flags,
            port,
            connection,
            number,
            window,
            ranges[0][1] - 1 if ranges else 0,
            min(delay // 1000, _COUNT_LIMIT),
            marks & _COUNT_LIMIT,
            len(pairs) // _PAIR.size,
            0,
        )
        + pairs
    )


def _pairs(ranges: Sequence[tuple[int, int]]) -> bytes:
    pairs = bytearray()
    last = len(ranges) - 1
    for index, (start, stop) in enumerate(ranges):
        gap = start - ranges[index + 1][1] if index < last else 0
        if gap > _COUNT_LIMIT:
            gap = 0
        pairs += _PAIR.pack(min(stop - start, _COUNT_LIMIT), gap)
        if not gap:
            break
    return bytes(pairs)


def decode_ranges(largest: int, count: int, packet: bytes | memoryview) -> tuple[list[tuple[int, int]], int]:
    """(ranges, size): the ``count`` ranges of an ACK, half-open and highest first, and where they end in ``packet``.

    Raises:
        DecodeError: the ranges do not fit the packet, or lead below zero.
    """
    end = ACK_HEADER_SIZE + count * _PAIR.size
    if end > len(packet):
        raise DecodeError(f"{count} ranges do not fit {len(packet)} bytes", "Ack", "ranges", ACK_HEADER_SIZE)
    stop = largest + 1
    if count == 1:  # the common case
        run = int.from_bytes(packet[ACK_HEADER_SIZE : ACK_HEADER_SIZE + 4], "big")
        if 0 < run <= stop:
            return [(stop - run, stop)], end
    ranges: list[tuple[int, int]] = []
    told = packet[ACK_HEADER_SIZE : ACK_HEADER_SIZE + min(count, MAX_ACK_RANGES) * _PAIR.size]
    for run, gap in _PAIR.iter_unpack(told):
        start = stop - run
        if start < 0 or not run:
            raise DecodeError("a run of no packets, or below packet 0", "Ack", "ranges", ACK_HEADER_SIZE)
        ranges.append((start, stop))
        stop = start - gap
    return ranges, end

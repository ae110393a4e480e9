"""The ACK packet: fixed fields, then the ranges received as pairs of run and gap, then perhaps data.

The first run ends at ``largest``; each gap leads down to the next run. Both are counts of packets, 32 bits each; the
last gap is zero.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from rawproto.errors import DecodeError
from rawproto.rsp.header import ACK_HEADER_SIZE, Ack, Kind, RSPFlags

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["MAX_ACK_RANGES", "decode_ranges", "encode_ack"]

MAX_ACK_RANGES = 32
"""Ranges told in one packet, and looked at in one."""
_PAIR = struct.Struct(">II")
_COUNT_LIMIT = 0xFFFF_FFFF


def encode_ack(
    *,
    port: int,
    connection: int,
    number: int,
    window: int,
    ranges: Sequence[tuple[int, int]],
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
    pairs = bytearray()
    told = ranges[:MAX_ACK_RANGES]
    for index, (start, stop) in enumerate(told):
        gap = start - told[index + 1][1] if index + 1 < len(told) else 0
        if gap > _COUNT_LIMIT:
            gap, told = 0, told[: index + 1]
        pairs += _PAIR.pack(min(stop - start, _COUNT_LIMIT), gap)
        if not gap:
            break
    header = Ack(
        kind=Kind.ACK,
        flags=RSPFlags(flags),
        port=port,
        connection=connection,
        number=number,
        window=window,
        largest=told[0][1] - 1 if told else 0,
        delay=min(delay // 1000, _COUNT_LIMIT),
        marks=marks & _COUNT_LIMIT,
        ranges=len(pairs) // _PAIR.size,
    )
    return bytes(header) + bytes(pairs)


def decode_ranges(ack: Ack, packet: memoryview) -> tuple[list[tuple[int, int]], int]:
    """(ranges, size): half-open ranges highest first, and where in ``packet`` they end.

    Raises:
        DecodeError: the ranges do not fit the packet, or lead below zero.
    """
    end = ACK_HEADER_SIZE + ack.ranges * _PAIR.size
    if end > len(packet):
        raise DecodeError(
            f"{ack.ranges} ranges do not fit {len(packet)} bytes", "Ack", "ranges", ACK_HEADER_SIZE
        )
    ranges: list[tuple[int, int]] = []
    stop = ack.largest + 1
    taken = packet[ACK_HEADER_SIZE : ACK_HEADER_SIZE + min(ack.ranges, MAX_ACK_RANGES) * _PAIR.size]
    for run, gap in _PAIR.iter_unpack(taken):
        start = stop - run
        if start < 0 or not run:
            raise DecodeError("a run of no packets, or below packet 0", "Ack", "ranges", ACK_HEADER_SIZE)
        ranges.append((start, stop))
        stop = start - gap
    return ranges, end

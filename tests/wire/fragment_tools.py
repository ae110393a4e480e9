"""Datagrams and fragments made by hand, for tests: struct only, nothing of the code under test."""

import random
import struct

SOURCE4, TARGET4 = bytes((10, 0, 0, 1)), bytes((10, 0, 0, 2))
SOURCE6, TARGET6 = bytes.fromhex("fd000000000000000000000000000001"), bytes.fromhex("fd" + "00" * 14 + "02")


def sum16(data):
    """The Internet checksum, word by word as RFC 1071 has it."""
    total = 0
    for place in range(0, len(data) - 1, 2):
        total += data[place] << 8 | data[place + 1]
    if len(data) % 2:
        total += data[-1] << 8
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(
    data,
    *,
    ident=7,
    start=0,
    more=False,
    protocol=253,
    source=SOURCE4,
    target=TARGET4,
    options=b"",
    flags=0,
    ecn=0,
):
    header = bytearray(
        struct.pack(
            "!BBHHHBBH4s4s",
            0x40 | (20 + len(options)) // 4,
            ecn,
            (20 + len(options) + len(data)) & 0xFFFF,
            ident,
            flags << 13 | more << 13 | start // 8,
            64,
            protocol,
            0,
            source,
            target,
        )
        + options
    )
    header[10:12] = struct.pack("!H", sum16(header))
    return bytes(header) + data


def ipv6(data, *, next_header=253, source=SOURCE6, target=TARGET6, ecn=0):
    return struct.pack("!IHBB16s16s", 6 << 28 | ecn << 20, len(data), next_header, 64, source, target) + data


def ipv6_piece(
    data, *, ident=7, start=0, more=False, next_header=253, extension=b"", first=44, ecn=0, source=SOURCE6
):
    """``extension`` stands before the fragment header, which it must name itself; ``first`` is its number."""
    fragment = struct.pack("!BBHI", next_header, 0, start | more, ident)
    return ipv6(extension + fragment + data, next_header=first, ecn=ecn, source=source)


def piece(version, data, **options):
    return ipv4(data, **options) if version == 4 else ipv6_piece(data, **options)


def pieces(version, data, size, **options):
    """``data`` as hand-made fragments of ``size`` bytes."""
    return [
        piece(version, data[start : start + size], start=start, more=start + size < len(data), **options)
        for start in range(0, len(data), size)
    ]


def whole(version, data, **options):
    return ipv4(data, **options) if version == 4 else ipv6(data, **options)


def content(size, seed=1):
    return random.Random(seed).randbytes(size)

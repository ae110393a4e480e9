"""RSP packets as bytes, written from docs/rsp.md section 2 alone."""

from __future__ import annotations

import dataclasses
import enum
import struct
import zlib

from xxhash import xxh3_64_intdigest

VERSION = 1
COMMON = struct.Struct("!IBBHQQ")  # check, kind, flags, port, connection, number
HELLO = struct.Struct("!HHIQQHHI16s")
OFFSET = struct.Struct("!Q")
ACK_FIXED = struct.Struct("!QQIIHH")
RUN = struct.Struct("!II")
REASON = struct.Struct("!I")
DATA_HEADER = COMMON.size + OFFSET.size


class Kind(enum.IntEnum):
    SYN, COOKIE, CONFIRM, DATA, ACK, PROBE, RESET, CHALLENGE, RESPONSE = range(9)


class Why(enum.IntEnum):
    NONE, REFUSED, CLOSED, ABORTED, VIOLATION, UNKNOWN, TIMEOUT, VERSION, OVERLOAD = range(9)


FIN, ACK_NOW, BLOCKED, CARRIES_DATA, ECHO = 1, 2, 4, 8, 16
ALWAYS_CRC = {Kind.SYN, Kind.COOKIE, Kind.CONFIRM, Kind.RESET, Kind.CHALLENGE, Kind.RESPONSE}
FEATURES = {"none": 1, "xxh3": 4, "crc32": 2}
"""The checks and their bits, the weakest first: the first that both sides offer is used (2.8)."""


class MalformedError(Exception):
    """A packet that section 2 does not allow; it is dropped."""


@dataclasses.dataclass
class Hello:
    """The body of SYN, COOKIE and CONFIRM (2.6)."""

    source_port: int
    max_datagram: int
    features: int
    identifier: int
    window: int
    version: int = VERSION
    cookie: bytes = bytes(16)
    options: bytes = b""

    def pack(self) -> bytes:
        return HELLO.pack(
            self.source_port, self.max_datagram, self.features, self.identifier, self.window,
            len(self.options), self.version, 0, self.cookie,
        ) + self.options  # fmt: skip


@dataclasses.dataclass
class Ack:
    """What an ACK states (2.4), its runs as half-open ranges of packet numbers, the highest first."""

    window: int
    ranges: list[tuple[int, int]]
    delay: int
    marks: int = 0

    def pack(self) -> bytes:
        pairs = []
        for index, (start, end) in enumerate(self.ranges):
            below = self.ranges[index + 1][1] if index + 1 < len(self.ranges) else start
            pairs.append(RUN.pack(end - start, start - below))
        largest = self.ranges[0][1] - 1 if self.ranges else 0
        fixed = ACK_FIXED.pack(self.window, largest, min(self.delay, 2**32 - 1), self.marks, len(pairs), 0)
        return fixed + b"".join(pairs)


@dataclasses.dataclass
class Packet:
    """One packet, taken apart as far as its kind says."""

    kind: int
    flags: int
    port: int
    connection: int
    number: int
    version: int = VERSION
    hello: Hello | None = None
    ack: Ack | None = None
    offset: int = 0
    payload: bytes = b""
    reason: int = 0
    token: int = 0
    check: int = 0
    raw: bytes = b""
    size: int = 0

    def right(self, check: str = "crc32") -> bool:
        """Whether it passes a check."""
        return check == "none" or computed(check, self.raw) == self.check

    @property
    def numbered(self) -> bool:
        return self.kind in (Kind.DATA, Kind.PROBE) or (
            self.kind == Kind.ACK and bool(self.flags & CARRIES_DATA)
        )


def wish(check: str) -> int:
    """The features of a side that wants a check: it, and those stronger."""
    names = list(FEATURES)
    return sum(FEATURES[name] for name in names[names.index(check) :])


def choose(ours: int, theirs: int) -> str:
    """The check of a connection."""
    return next((name for name, bit in FEATURES.items() if ours & theirs & bit), "crc32")


def computed(check: str, data: bytes) -> int:
    """What the check field of a packet should be."""
    if check == "crc32":
        return zlib.crc32(data[4:])
    return xxh3_64_intdigest(data[32:], xxh3_64_intdigest(data[4:32])) & 0xFFFF_FFFF if check == "xxh3" else 0


def encode(packet: Packet, check: str = "crc32") -> bytes:
    """The bytes of a packet; some kinds bear a CRC-32 whatever the connection does."""
    body = b""
    if packet.hello is not None:
        body = packet.hello.pack()
    elif packet.kind == Kind.ACK:
        assert packet.ack is not None
        body = packet.ack.pack()
        if packet.flags & CARRIES_DATA:
            body += OFFSET.pack(packet.offset) + packet.payload
    elif packet.kind in (Kind.DATA, Kind.PROBE):
        body = OFFSET.pack(packet.offset) + packet.payload
    elif packet.kind == Kind.RESET:
        body = REASON.pack(packet.reason)
    else:
        body = OFFSET.pack(packet.token)
    head = COMMON.pack(
        0, packet.version << 4 | packet.kind, packet.flags, packet.port, packet.connection, packet.number
    )
    rest = head[4:] + body
    used = "crc32" if packet.kind in ALWAYS_CRC else check
    return struct.pack("!I", computed(used, bytes(4) + rest)) + rest


def decode(data: bytes) -> Packet:
    """Take a datagram apart. Whether its check is right enough is for the caller, who knows the connection."""
    if len(data) < COMMON.size:
        raise MalformedError("shorter than the common header")
    check, kind, flags, port, connection, number = COMMON.unpack_from(data)
    packet = Packet(kind & 15, flags, port, connection, number, kind >> 4, check=check, size=len(data))
    packet.raw = data
    body = data[COMMON.size :]
    try:
        if packet.version != VERSION:
            if packet.kind == Kind.SYN:  # 3.2 item 9: the only packet of another version that is understood
                packet.hello = Hello(
                    struct.unpack_from("!H", body)[0], 0, 0, OFFSET.unpack_from(body, 8)[0], 0
                )
            return packet
        _decode_body(packet, body)
    except struct.error as short:
        raise MalformedError("shorter than its kind") from short
    return packet


def _decode_body(packet: Packet, body: bytes) -> None:
    kind = packet.kind
    if kind in (Kind.SYN, Kind.COOKIE, Kind.CONFIRM):
        source, largest, features, identifier, window, length, version, _, cookie = HELLO.unpack_from(body)
        options = body[HELLO.size : HELLO.size + length]
        if len(options) < length or not identifier:
            raise MalformedError("options cut off, or identifier zero")
        packet.hello = Hello(
            source, max(largest, 536), features, identifier, window, version, cookie, options
        )
    elif kind in (Kind.DATA, Kind.PROBE):
        (packet.offset,) = OFFSET.unpack_from(body)
        packet.payload = body[OFFSET.size :] if kind == Kind.DATA else b""
    elif kind == Kind.ACK:
        _decode_ack(packet, body)
    elif kind == Kind.RESET:
        (packet.reason,) = REASON.unpack_from(body)
    elif kind in (Kind.CHALLENGE, Kind.RESPONSE):
        (packet.token,) = OFFSET.unpack_from(body)
    else:
        raise MalformedError("no such kind")


def _decode_ack(packet: Packet, body: bytes) -> None:
    window, largest, delay, marks, count, _ = ACK_FIXED.unpack_from(body)
    end = largest + 1
    ranges = []
    for index in range(count):
        run, gap = RUN.unpack_from(body, ACK_FIXED.size + RUN.size * index)
        if run == 0 or end - run < 0:
            raise MalformedError("a run of zero, or one below packet 0")
        ranges.append((end - run, end))
        end -= run + gap
    packet.ack = Ack(window, ranges[:32], delay, marks)
    if packet.flags & CARRIES_DATA:
        at = ACK_FIXED.size + RUN.size * count
        (packet.offset,) = OFFSET.unpack_from(body, at)
        packet.payload = body[at + OFFSET.size :]

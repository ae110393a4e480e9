"""Conversations in a capture: whose packet it is, its numbers from the start of the stream, what was sent before."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, NamedTuple

from rawproto import MSS, SACK, TCP, UDP, WindowScale
from rawproto.rsp import Reason
from rawproto.rsp.header import Ack, Common, Data, Hello, Kind, Reset

from ..packetkit.rsp import data_of, flags_of
from ..packetkit.words import endpoints, summary

if TYPE_CHECKING:
    from ..packetkit.decode import Decoded

__all__ = ["Flows", "Told"]

_WRAP = 1 << 32
_MOST = 4096
"""Conversations remembered, and packets of one compared with a new one."""
_FLAGS = ("SYN", "FIN", "RST", "PSH", "URG", "ACK", "ECE", "CWR")
_AGAIN, _LATE, _ALIVE = "sent again", "out of order", "keep-alive"


class Told(NamedTuple):
    """What the ladder says of a packet.

    Attributes:
        flow: number of the conversation, from 1.
        caption: what conversation it is, when this is its first packet; else "".
        words: what the packet says, the most important first.
        mark: what is remarkable: that it was sent before, say; else "".
    """

    flow: int
    caption: str
    words: list[str]
    mark: str


class _Ranges:
    """Stretches of a stream that were seen, in few pieces."""

    def __init__(self) -> None:
        self._pieces: list[tuple[int, int]] = []

    @property
    def end(self) -> int:
        """The highest offset seen."""
        return self._pieces[-1][1] if self._pieces else 0

    def add(self, start: int, stop: int) -> tuple[bool, bool]:
        """Take a stretch in; gives whether all, and whether some of it was there."""
        overlapping = [piece for piece in self._pieces if piece[0] < stop and piece[1] > start]
        touching = [piece for piece in self._pieces if piece[0] <= stop and piece[1] >= start]
        covered = any(piece[0] <= start and piece[1] >= stop for piece in overlapping)
        if not covered:
            low = min([start, *(piece[0] for piece in touching)])
            high = max([stop, *(piece[1] for piece in touching)])
            self._pieces = sorted([*(piece for piece in self._pieces if piece not in touching), (low, high)])
            if len(self._pieces) > _MOST:
                del self._pieces[0]
        return covered, bool(overlapping)

    def judge(self, start: int, stop: int) -> str:
        """The mark of a packet with this stretch."""
        end, some = self.end, bool(self._pieces)
        covered, overlapping = self.add(start, stop)
        if covered:
            return _AGAIN
        if overlapping:
            return f"partly {_AGAIN}"
        return _LATE if some and start < end else ""


@dataclasses.dataclass
class _Side:
    """What one end of a conversation has sent."""

    base: int | None = None
    scale: int | None = None
    seen: _Ranges = dataclasses.field(default_factory=_Ranges)
    last_ack: tuple[int, int] | None = None
    repeats: int = 0
    said: set[object] = dataclasses.field(default_factory=set)

    def again(self, key: object) -> str:
        """Whether the very same was said before."""
        if key in self.said:
            return _AGAIN
        if len(self.said) >= _MOST:
            self.said.clear()
        self.said.add(key)
        return ""


@dataclasses.dataclass
class _Flow:
    """One conversation, its two sides by address."""

    number: int
    sides: dict[object, _Side] = dataclasses.field(default_factory=dict)

    def side(self, address: object) -> _Side:
        """What the end at ``address`` has sent."""
        return self.sides.setdefault(address, _Side())


class Flows:
    """Tells packets apart by conversation."""

    def __init__(self) -> None:
        self._flows: dict[object, _Flow] = {}
        self._identifiers: dict[int, _Flow] = {}
        self._count = 0

    def tell(self, decoded: Decoded) -> Told:
        """What to say of the next packet; ``decoded`` has an IP header."""
        inner: Any = decoded.headers[-1]
        if isinstance(inner, Common):
            return self._rsp(decoded, inner)
        tcp: Any = next((header for header in decoded.headers if isinstance(header, TCP)), None)
        if tcp is not None:
            return self._tcp(decoded, tcp)
        protocol, words = summary(decoded)
        ports = next((header for header in decoded.headers if isinstance(header, UDP)), None)
        key = self._key(decoded, protocol if ports is None else "UDP")
        flow, fresh = self._flow(key)
        caption = self._caption(decoded, "UDP") if fresh and ports is not None else ""
        # Of a protocol nothing is known about the very same bytes are the same thing said again.
        own = protocol not in ("ICMP", "ICMPv6", "UDP", "not IP")
        mark = flow.side(decoded.ip.src).again(_without_hops(decoded)) if own else ""
        return Told(flow.number, caption, [protocol, *words.split(" ")], mark)

    @staticmethod
    def _key(decoded: Decoded, protocol: str) -> object:
        return protocol, frozenset(endpoints(decoded))

    def _flow(self, key: object) -> tuple[_Flow, bool]:
        if key in self._flows:
            return self._flows[key], False
        if len(self._flows) >= _MOST:
            self._flows.clear()
        self._count += 1
        self._flows[key] = flow = _Flow(self._count)
        return flow, True

    @staticmethod
    def _caption(decoded: Decoded, protocol: str) -> str:
        source, destination = endpoints(decoded)
        return f"{protocol} {source} > {destination}"

    # -- TCP -----------------------------------------------------------------------------------------------------------

    def _tcp(self, decoded: Decoded, tcp: Any) -> Told:
        key = self._key(decoded, "TCP")
        opens = tcp.flags.SYN and not tcp.flags.ACK
        if (
            opens
            and key in self._flows
            and self._flows[key].side((decoded.ip.src, tcp.sport)).base != tcp.seq
        ):
            del self._flows[key]  # the ports were used before, and are again
        flow, fresh = self._flow(key)
        mine, other = flow.side((decoded.ip.src, tcp.sport)), flow.side((decoded.ip.dst, tcp.dport))
        size = len(decoded.payload) if decoded.packet.is_whole else _tcp_size(decoded, tcp)
        if mine.base is None:
            mine.base = tcp.seq
        seq = (tcp.seq - mine.base) % _WRAP
        seq -= _WRAP if seq > _WRAP // 2 else 0
        words = [name for name in _FLAGS if name in list(tcp.flags)]
        words.append(f"seq={seq}")
        ack = None
        if tcp.flags.ACK:
            if other.base is None:
                other.base = (tcp.ack - 1) % _WRAP
            ack = (tcp.ack - other.base) % _WRAP
            words.append(f"ack={ack}")
        words += [f"len={size}"] if size else []
        words += _blocks(other, tcp)
        window = _window(mine, other, tcp)
        words.append(f"win={window}")
        words += [f"mss={option.mss}" for option in tcp.options if isinstance(option, MSS)]
        occupied = size + bool(tcp.flags.SYN) + bool(tcp.flags.FIN)
        mark = self._tcp_mark(mine, tcp, seq, ack, size, occupied)
        return Told(flow.number, self._caption(decoded, "TCP") if fresh else "", words, mark)

    @staticmethod
    def _tcp_mark(mine: _Side, tcp: Any, seq: int, ack: int | None, size: int, occupied: int) -> str:
        if occupied:
            mine.last_ack, mine.repeats = None, 0
            if size <= 1 and occupied == size and mine.seen.end and seq == mine.seen.end - 1:
                return _ALIVE
            return mine.seen.judge(seq, seq + occupied)
        if ack is None or tcp.flags.RST:
            return ""
        if tcp.window == 0 and mine.last_ack != (ack, 0):
            mine.last_ack, mine.repeats = (ack, 0), 0
            return "window closed"
        if mine.seen.end and seq == mine.seen.end - 1:
            return _ALIVE
        if mine.last_ack == (ack, tcp.window):
            mine.repeats += 1
            return f"duplicate ack {mine.repeats}"
        mine.last_ack, mine.repeats = (ack, tcp.window), 0
        return ""

    # -- RSP -----------------------------------------------------------------------------------------------------------

    def _rsp(self, decoded: Decoded, header: Any) -> Told:
        known = self._identifiers.get(header.connection) if header.connection else None
        if isinstance(header, Hello) and header.identifier in self._identifiers:
            known = self._identifiers[header.identifier]
        fresh = False
        if known is None:
            key = ("RSP", header.identifier) if isinstance(header, Hello) else self._rsp_key(decoded)
            known, fresh = self._flow(key)
        if len(self._identifiers) >= _MOST:
            self._identifiers.clear()
        for identifier in (header.connection, getattr(header, "identifier", 0)):
            if identifier and not isinstance(header, Reset):
                self._identifiers[identifier] = known
        mine = known.side(decoded.ip.src)
        caption = self._caption(decoded, "RSP") if fresh else ""
        return Told(known.number, caption, _rsp_words(decoded, header), self._rsp_mark(mine, decoded, header))

    @staticmethod
    def _rsp_key(decoded: Decoded) -> object:
        return "RSP", frozenset((decoded.ip.src, decoded.ip.dst))

    @staticmethod
    def _rsp_mark(mine: _Side, decoded: Decoded, header: Any) -> str:
        if isinstance(header, Hello):
            return mine.again((int(header.kind), header.identifier, bytes(header.cookie)))
        numbered = header.kind in (Kind.DATA, Kind.PROBE) or (
            header.kind == Kind.ACK and header.flags.CARRIES_DATA
        )
        if numbered and mine.again(("number", header.number)):
            return "duplicate"
        data = data_of(header, decoded.payload)
        if data is None:
            return ""
        start, size = data
        stop = start + size + bool(header.flags.FIN)
        return mine.seen.judge(start, stop) if stop > start else ""


def _rsp_words(decoded: Decoded, header: Any) -> list[str]:
    """The kind, and what matters of it."""
    words = [str(header.kind), *(name for name in flags_of(header) if name == "FIN")]
    numbered = header.kind in (Kind.DATA, Kind.PROBE) or header.flags.CARRIES_DATA
    if isinstance(header, Reset):
        return [*words, str(Reason(header.reason))]
    if numbered:
        words.append(f"#{header.number}")
    data = data_of(header, decoded.payload)
    if data is not None:
        words += [f"off={data[0]}", f"len={data[1]}"]
    elif isinstance(header, Data):
        words.append(f"len={len(decoded.payload)}")
    if isinstance(header, Ack):
        words += [f"ack=#{header.largest}" if header.ranges else "ack=none"]
        words += [f"gaps={header.ranges - 1}"] if header.ranges > 1 else []
    if isinstance(header, Ack | Hello):
        words.append(f"win={header.window}")
    return words


def _blocks(other: _Side, tcp: Any) -> list[str]:
    """What was received out of order (RFC 2018), counted as the stream is."""
    base = other.base or 0
    return [
        f"sack={(block.left - base) % _WRAP}-{(block.right - base) % _WRAP}"
        for option in tcp.options
        if isinstance(option, SACK)
        for block in option.blocks
    ]


def _window(mine: _Side, other: _Side, tcp: Any) -> int:
    """The window in bytes; scaled when both sides offered that (RFC 7323 section 2.2)."""
    if tcp.flags.SYN:
        scales = [option.shift for option in tcp.options if isinstance(option, WindowScale)]
        mine.scale = min(scales[0], 14) if scales else None
        return int(tcp.window)
    scaled = mine.scale is not None and other.scale is not None
    return int(tcp.window) << (mine.scale or 0) if scaled else int(tcp.window)


def _tcp_size(decoded: Decoded, tcp: Any) -> int:
    """Bytes that a segment which was cut off had."""
    before = sum(len(bytes(header)) for header in decoded.headers)
    return max(decoded.packet.length - before, 0) if tcp is not None else 0


def _without_hops(decoded: Decoded) -> bytes:
    """The bytes that no router changes."""
    data = bytearray(decoded.packet.data)
    if data[0] >> 4 == 4:
        data[8] = 0
        data[10:12] = b"\0\0"
    else:
        data[7] = 0
    return bytes(data)

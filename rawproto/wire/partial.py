"""A datagram of which some fragments came: where each belongs, what contradicts it, and the whole when it is there."""

from __future__ import annotations

from bisect import bisect_left

from rawproto.wire.ip_chain import IPV6_HEADER
from rawproto.wire.piece import FragmentDrop, Piece, Refused
from rawproto.wire.sums import checksum

__all__ = ["DATAGRAM_COST", "PIECE_COST", "Partial"]

PIECE_COST = 112
"""Memory that a piece takes besides its data: the bytes object, its offset, their places in two lists."""

DATAGRAM_COST = 1_024
"""Memory that a datagram takes besides its pieces: itself, its keys, its places in the tables of datagrams and sources.

Both are upper bounds of what was measured with CPython 3.11 and tracemalloc; a test holds the memory against the cap.
"""

_QUOTE = {4: 548, 6: 1_232}
"""How much of a datagram that timed out an ICMP error may quote, by IP version: 576 bytes less IPv4 and ICMP header
(RFC 1122 section 3.2.2), 1,280 less IPv6 and ICMPv6 header (RFC 4443 section 2.4)."""


class Partial:
    """A datagram of which some fragments came."""

    __slots__ = (
        "cost",
        "data",
        "deadline",
        "ecn",
        "front",
        "key",
        "next_field",
        "refused",
        "size",
        "source",
        "starts",
        "total",
    )

    def __init__(self, key: bytes, source: bytes, deadline: int) -> None:
        self.key = key
        self.source = source
        self.deadline = deadline
        self.starts: list[int] = []
        self.data: list[bytes] = []
        self.size = 0
        self.total: int | None = None
        self.front: bytes | None = None
        self.next_field = 0
        self.ecn = 0
        self.cost = DATAGRAM_COST
        self.refused = False

    def place(self, piece: Piece) -> bool:
        """Keep ``piece``; False when it is an exact duplicate.

        Raises:
            Refused: it contradicts what is there; the datagram is lost.
        """
        index = bisect_left(self.starts, piece.start)
        if index < len(self.starts) and self.starts[index] == piece.start:
            if self._is_duplicate(piece, index):
                return False
            same_place = len(self.data[index]) == len(piece.data)
            raise Refused(FragmentDrop.CHANGED_DUPLICATE if same_place else FragmentDrop.OVERLAP)
        if index and self.starts[index - 1] + len(self.data[index - 1]) > piece.start:
            raise Refused(FragmentDrop.OVERLAP)
        if index < len(self.starts) and piece.end > self.starts[index]:
            raise Refused(FragmentDrop.OVERLAP)
        self._bound(piece)
        self.starts.insert(index, piece.start)
        self.data.insert(index, piece.data)
        self.cost += PIECE_COST + len(piece.data)
        self.size += len(piece.data)
        self.ecn |= 1 << piece.ecn
        if piece.start == 0:
            self.front, self.next_field = piece.front, piece.next_field
            self.cost += len(piece.front)
        return True

    def _is_duplicate(self, piece: Piece, index: int) -> bool:
        last = self.total == piece.end
        return self.data[index] == piece.data and last != piece.more

    def _bound(self, piece: Piece) -> None:
        """Keep the end that the last fragment tells, and refuse what lies behind it."""
        if not piece.more:
            behind = self.starts[-1] + len(self.data[-1]) if self.starts else 0
            if self.total is not None or behind > piece.end:
                raise Refused(FragmentDrop.CONTRADICTORY_END)
            self.total = piece.end
        elif self.total is not None and piece.end >= self.total:
            raise Refused(FragmentDrop.CONTRADICTORY_END)

    @property
    def complete(self) -> bool:
        """Whether nothing is missing: pieces do not overlap, so their sizes need only add up."""
        return self.size == self.total

    def join(self) -> bytes:
        """The whole datagram.

        Raises:
            Refused: ECN marks that cannot be combined.
        """
        assert self.front is not None
        assert self.total is not None
        front = bytearray(self.front)
        marked = _combined_ecn(self.ecn)
        if front[0] >> 4 == 4:
            if marked is not None:
                front[1] = front[1] & 0xFC | marked
            front[2:4] = (len(front) + self.total).to_bytes(2, "big")
            # Reserved bit and don't-fragment stay as they came; more-fragments and the offset go.
            front[6:8] = bytes((front[6] & 0xC0, 0))
            front[10:12] = b"\0\0"
            front[10:12] = checksum(bytes(front)).to_bytes(2, "big")
        else:
            if marked is not None:
                front[1] = front[1] & 0xCF | marked << 4
            front[4:6] = (len(front) - IPV6_HEADER + self.total).to_bytes(2, "big")
        return b"".join((front, *self.data))

    def quote(self) -> bytes | None:
        """The first fragment as far as an ICMP error quotes it, or None when it did not come."""
        if self.front is None:
            return None
        return (self.front + self.data[0])[: _QUOTE[self.front[0] >> 4]]


def _combined_ecn(seen: int) -> int | None:
    """ECN of a datagram whose fragments had the codepoints in the bit set ``seen``; None for that of the first.

    Congestion met by any fragment marks the datagram. Not-ECT mixed with anything else cannot be (RFC 3168, 5.3).
    """
    if seen & 1 and seen != 1:
        raise Refused(FragmentDrop.ECN)
    return 3 if seen & 8 else None

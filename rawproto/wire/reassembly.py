"""Putting IP datagrams together again, IPv4 and IPv6, with every limit that an attacker would look for.

RFC 791 and RFC 815 (the algorithm; here pieces are kept sorted, which finds overlaps at once), RFC 8200 section 4.5,
RFC 5722 (an overlap drops the datagram), RFC 6946 (atomic fragments stand alone), RFC 8900 (why all of it is fragile).
"""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, deque
from typing import Any, TypeVar, overload

from rawproto.errors import ConfigError
from rawproto.wire.partial import DATAGRAM_COST, Partial
from rawproto.wire.piece import FragmentDrop, Parsable, Piece, Refused, Whole, take_apart

D = TypeVar("D", bound="Parsable")

__all__ = ["FragmentDrop", "Reassembler", "ReassemblyStats"]

SECOND = 1_000_000_000

_MAX_QUOTES = 32
"""Datagrams that timed out and were not asked for yet, at most."""


@dataclasses.dataclass(slots=True)
class ReassemblyStats:
    """What became of the fragments: received = used + duplicates + sum of drops + held.

    Attributes:
        received: fragments handed in; datagrams that are no fragments do not count.
        used: fragments that went into complete datagrams.
        duplicates: exact copies of fragments that were there already.
        held: fragments waiting for the rest.
        datagrams: complete datagrams made of fragments.
        drops: fragments refused, by reason; a reason that never occurred is absent.
    """

    received: int = 0
    used: int = 0
    duplicates: int = 0
    held: int = 0
    datagrams: int = 0
    drops: dict[FragmentDrop, int] = dataclasses.field(default_factory=dict)


class _Source:
    """What one sender holds, oldest datagram first."""

    __slots__ = ("cost", "datagrams")

    def __init__(self) -> None:
        self.cost = 0
        self.datagrams: dict[bytes, Partial] = {}


class Reassembler:
    """Takes fragments in any order and gives datagrams.

    Exact duplicates are ignored; an overlap drops the whole datagram and everything that still comes of it until its
    timer ends. Datagrams that are no fragments pass through. Memory is capped in all and by source; beyond a cap the
    oldest datagram goes. A source can always hold one datagram, whatever its cap.

    Args:
        timeout: seconds from a datagram's first fragment after which the rest comes too late; later fragments do not
            prolong it (RFC 1122 section 3.3.2 and RFC 8200 name 60 seconds, Linux and most others take 30).
        max_bytes: cap on the memory of all waiting fragments, overhead included.
        max_datagrams: cap on the number of incomplete datagrams.
        max_source_bytes: cap on the memory of the fragments of one source.
        max_pieces: most fragments of one datagram (64 KiB at an MTU of 576 make 119).

    Raises:
        ConfigError: a limit that is not positive.
    """

    def __init__(
        self,
        timeout: float = 30,
        *,
        max_bytes: int = 1 << 20,
        max_datagrams: int = 1_024,
        max_source_bytes: int = 64 << 10,
        max_pieces: int = 128,
    ) -> None:
        limits = {
            "timeout": timeout,
            "max_bytes": max_bytes,
            "max_datagrams": max_datagrams,
            "max_source_bytes": max_source_bytes,
            "max_pieces": max_pieces,
        }
        for name, value in limits.items():
            if value <= 0:
                raise ConfigError(f"{name} is {value}, must be positive")
        self._timeout = int(timeout * SECOND)
        self._max_bytes = max_bytes
        self._max_datagrams = max_datagrams
        self._max_source_bytes = max_source_bytes
        self._max_pieces = max_pieces
        self._partials: OrderedDict[bytes, Partial] = OrderedDict()
        self._sources: dict[bytes, _Source] = {}
        self._cost = 0
        self._now = 0
        self._stats = ReassemblyStats()
        self._timed_out: deque[bytes] = deque(maxlen=_MAX_QUOTES)

    @overload
    def add(self, datagram: bytes | bytearray | memoryview, now: int | None = None) -> bytes | None: ...
    @overload
    def add(self, datagram: D, now: int | None = None) -> D | None: ...
    def add(self, datagram: Any, now: int | None = None) -> Any:
        """Take a datagram that may be a fragment.

        Never raises for what is in the bytes: what is refused is counted in :attr:`drops`.

        Args:
            datagram: bytes from the IP header on (what lies behind the datagram's end is ignored), or a Datagram.
            now: nanoseconds of a monotonic clock; None is the time of the call before.

        Returns:
            The whole datagram once it is complete (at once when it is no fragment), of the kind handed in, else None.
        """
        self._advance(now)
        if isinstance(datagram, (bytes, bytearray, memoryview)):
            return self._add(bytes(datagram))
        plain = bytes(datagram)
        whole = self._add(plain)
        if whole is None:
            return None
        return datagram if whole == plain else type(datagram).parse(whole)

    @property
    def drops(self) -> dict[FragmentDrop, int]:
        """Fragments refused so far, by reason; a copy."""
        return dict(self._stats.drops)

    @property
    def memory(self) -> int:
        """Bytes of memory charged for what waits; never above ``max_bytes``."""
        return self._cost

    def __len__(self) -> int:
        """Incomplete datagrams, those that were refused and are remembered included."""
        return len(self._partials)

    def stats(self) -> ReassemblyStats:
        """A copy of the counters."""
        return dataclasses.replace(self._stats, drops=self.drops)

    def poll_timeout(self) -> int | None:
        """When the oldest incomplete datagram times out, in nanoseconds; None when nothing waits."""
        oldest = next(iter(self._partials.values()), None)
        return None if oldest is None else oldest.deadline

    def expire(self, now: int) -> list[bytes]:
        """Drop what is due, and tell of which datagrams the sender should hear.

        Returns:
            The beginning of the first fragment of each datagram that timed out since the last call, as an ICMP
            "fragment reassembly time exceeded" quotes it: only of those whose first fragment came (RFC 792, RFC 4443
            section 3.3), the newest 32 at most.
        """
        self._advance(now)
        quotes = list(self._timed_out)
        self._timed_out.clear()
        return quotes

    def _advance(self, now: int | None) -> None:
        if now is not None and now > self._now:
            self._now = now
        while self._partials:
            oldest = next(iter(self._partials.values()))
            if oldest.deadline > self._now:
                break
            quote = None if oldest.refused else oldest.quote()
            if quote is not None:
                self._timed_out.append(quote)
            self._discard(oldest, FragmentDrop.TIMEOUT)

    def _add(self, datagram: bytes) -> bytes | None:
        try:
            piece = take_apart(datagram)
        except Refused as refused:
            self._stats.received += 1
            self._drop(refused.reason, 1)
            return None
        if isinstance(piece, Whole):
            return piece.datagram
        self._stats.received += 1
        partial = self._partials.get(piece.key) or self._begin(piece)
        if partial.refused:
            self._drop(FragmentDrop.REFUSED_DATAGRAM, 1)
            return None
        return self._place(partial, piece)

    def _place(self, partial: Partial, piece: Piece) -> bytes | None:
        before = partial.cost
        try:
            if not partial.place(piece):
                self._stats.duplicates += 1
                return None
            self._stats.held += 1
            self._charge(partial, partial.cost - before)
            if partial.complete:
                whole = partial.join()
                self._stats.used += len(partial.data)
                self._stats.datagrams += 1
                self._remove(partial)
                return whole
            if len(partial.data) >= self._max_pieces:
                # It cannot complete any more: the next piece would be one too many.
                raise Refused(FragmentDrop.TOO_MANY_PIECES)
        except Refused as refused:
            if partial.cost == before:
                self._drop(refused.reason, 1)
            self._refuse(partial, refused.reason)
        self._make_room(partial)
        return None

    def _begin(self, piece: Piece) -> Partial:
        partial = Partial(piece.key, piece.source, self._now + self._timeout)
        self._partials[piece.key] = partial
        source = self._sources.get(piece.source)
        if source is None:
            source = self._sources[piece.source] = _Source()
        source.datagrams[piece.key] = partial
        self._charge(partial, partial.cost)
        return partial

    def _charge(self, partial: Partial, cost: int) -> None:
        self._cost += cost
        self._sources[partial.source].cost += cost

    def _make_room(self, newest: Partial) -> None:
        """Let the oldest datagrams go until every cap holds."""
        source = self._sources[newest.source]
        while source.cost > self._max_source_bytes and len(source.datagrams) > 1:
            self._discard(next(iter(source.datagrams.values())), FragmentDrop.SOURCE_MEMORY)
        while len(self._partials) > self._max_datagrams:
            self._discard(next(iter(self._partials.values())), FragmentDrop.TOO_MANY_DATAGRAMS)
        while self._cost > self._max_bytes:
            self._discard(next(iter(self._partials.values())), FragmentDrop.MEMORY)

    def _refuse(self, partial: Partial, reason: FragmentDrop) -> None:
        """Drop what came of a datagram, and remember it so that what still comes is dropped too."""
        self._drop(reason, len(partial.data))
        self._stats.held -= len(partial.data)
        self._charge(partial, DATAGRAM_COST - partial.cost)
        partial.cost = DATAGRAM_COST
        partial.starts, partial.data, partial.front = [], [], None
        partial.refused = True

    def _discard(self, partial: Partial, reason: FragmentDrop) -> None:
        """Drop what came of a datagram and forget it."""
        self._drop(reason, len(partial.data))
        self._remove(partial)

    def _remove(self, partial: Partial) -> None:
        self._stats.held -= len(partial.data)
        self._charge(partial, -partial.cost)
        del self._partials[partial.key]
        source = self._sources[partial.source]
        del source.datagrams[partial.key]
        if not source.datagrams:
            del self._sources[partial.source]

    def _drop(self, reason: FragmentDrop, count: int) -> None:
        if count:
            self._stats.drops[reason] = self._stats.drops.get(reason, 0) + count

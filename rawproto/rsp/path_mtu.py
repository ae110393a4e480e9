"""The datagram size of a connection's path, found by probing (RFC 8899): what is sent for it, and what follows.

It starts at the base size and searches upward while there is more to send than fits a packet, so that a connection
that says little costs nothing. A probe is a PROBE packet, padded: an acknowledgement confirms its size, its loss is no
sign of congestion (section 3, item 7), and nothing is lost with it. ICMP is a hint only. There is no timer: when the
search may go on is looked at when there is something to send.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.protocol import SECOND
from rawproto.rsp.black_hole import BlackHole
from rawproto.rsp.handshake import MIN_DATAGRAM
from rawproto.rsp.header import DATA_HEADER_SIZE
from rawproto.rsp.mtu_search import BASE_DATAGRAM, MTUSearch

if TYPE_CHECKING:
    from rawproto.rsp.sent import SentPackets, Settled

__all__ = ["PathMTU"]

RAISE_INTERVAL = 600 * SECOND
"""After a search ended, look for a larger size this much later (RFC 8899 section 5.1.1, PMTU_RAISE_TIMER)."""
_NEVER = 1 << 80  # beyond any clock, as its negative is before any


class PathMTU:
    """The search, the black-hole detector and the probes in flight of one connection.

    Args:
        ceiling: largest datagram that this host sends, RSP header included.
        overhead: bytes of the carrier's headers.
        enabled: False uses the ceiling as it is, whatever happens.
    """

    __slots__ = (
        "_enabled",
        "_hole",
        "_latest",
        "_over",
        "_probes",
        "_search",
        "black_holes",
        "next_at",
        "probes_sent",
    )

    def __init__(self, ceiling: int, overhead: int, *, enabled: bool) -> None:
        self._enabled = enabled
        start = min(BASE_DATAGRAM, ceiling) if enabled else ceiling
        self._search = MTUSearch(start, ceiling, overhead)
        self._hole = BlackHole()
        self._probes: dict[int, int] = {}  # number and size of those that may still be acknowledged
        self.next_at = -_NEVER if enabled else _NEVER
        """When a probe may go out, ns."""
        self.probes_sent = 0
        self._latest = -1
        self._over = False
        self.black_holes = 0

    @property
    def size(self) -> int:
        """Largest datagram to send, RSP header included."""
        return self._search.size

    @property
    def doubtful(self) -> bool:
        """What is acknowledged next says whether large packets still pass."""
        return self._hole.strikes > 0

    @property
    def suspected(self) -> bool:
        """Large packets may be vanishing: send something small as well."""
        return self._hole.suspected

    @property
    def _floor(self) -> int:
        """The size to fall back to: the base, or the least that every path carries."""
        size = self._search.size
        return BASE_DATAGRAM if size > BASE_DATAGRAM else min(MIN_DATAGRAM, size)

    def limit(self, ceiling: int) -> None:
        """The peer takes datagrams of ``ceiling`` bytes at most."""
        search = self._search
        search.ceiling = min(search.ceiling, ceiling)
        search.restart(min(search.size, search.ceiling))

    def on_new_path(self) -> None:
        """Nothing is known of the path: each has a size of its own (RFC 9000 section 14.2)."""
        if self._enabled:
            self._search.restart(min(BASE_DATAGRAM, self._search.ceiling))
            self._hole = BlackHole()
            self._probes.clear()
            self.next_at = -_NEVER
            self._over = False

    def next_probe(self, now: int) -> int | None:
        """The size to probe now, or None; asked when :attr:`next_at` has come."""
        search = self._search
        if self._over:  # and the interval has passed: the path may carry more by now
            search.restart(search.size)
        self._go_on(now)
        return search.candidate()

    def on_probe_sent(self, number: int, size: int) -> None:
        """A probe went out; the next waits for what becomes of it."""
        if len(self._probes) >= 8:
            self._probes.pop(next(iter(self._probes)))
        self._probes[number] = size
        self._latest = number
        self.probes_sent += 1
        self.next_at = _NEVER

    def on_settled(self, settled: Settled, now: int) -> bool:
        """Probes among ``settled`` were acknowledged; true when the size has risen."""
        risen = False
        for number in settled.probes:
            size = self._probes.pop(number, 0)
            if size:
                risen = self._search.passed(size) or risen
                self._go_on(now)
        return risen

    def on_probes_lost(self, lost: Settled, now: int) -> None:
        """Probes among ``lost`` were lost."""
        for number in lost.probes:
            self._search.lost(self._probes.get(number, 0))  # it may still turn out to be late only
            if number == self._latest:
                self._go_on(now)

    def _go_on(self, now: int) -> None:
        self._over = self._search.candidate() is None
        self.next_at = now + RAISE_INTERVAL if self._over else now

    def on_lost(self, lost: Settled, now: int) -> None:
        """Packets of the stream were lost."""
        large = lost.shortest + DATA_HEADER_SIZE > self._floor
        # What is larger than the size in use went out before the last fall.
        if self._enabled and large and lost.longest + DATA_HEADER_SIZE <= self._search.size:
            self._hole.on_lost(lost.newest_sent_at, now)

    def on_timeout(self, sent: SentPackets) -> None:
        """The probe timeout fired."""
        low, high = self._floor - DATA_HEADER_SIZE, self._search.size - DATA_HEADER_SIZE
        if self._enabled and sent.any_in_flight(low, high):
            self._hole.on_timeout()

    def on_acknowledged(self, settled: Settled, now: int) -> bool:
        """Something was acknowledged; true when large packets vanish, and the size has fallen."""
        hole = self._hole
        if not hole.strikes or not settled.count:
            return False
        room = self._floor - DATA_HEADER_SIZE
        large = settled.newest_length > room or settled.bytes > room * settled.count
        if not hole.settle(large=large):
            return False
        self.black_holes += 1
        self._search.fall(self._floor)
        self._probes.clear()
        self._go_on(now)
        return True

    def on_too_big(self, number: int, mtu: int, now: int) -> None:
        """A router says that packet ``number``, which is in flight, is too large for a link of ``mtu`` bytes."""
        if not self._enabled:
            return
        search = self._search
        if number in self._probes:
            before = search.candidate()
            search.hint(mtu)
            if search.candidate() != before:
                self._go_on(now)
        elif search.covers(mtu):
            search.hint(mtu)
            self._hole.on_hint()

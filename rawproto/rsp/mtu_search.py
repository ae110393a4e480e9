"""Which datagram size to try next: the search of datagram PLPMTUD (RFC 8899 section 5.3), without packets or clocks.

Between the largest size that is known to pass and the smallest that is known not to, the next candidate is, in this
order: what an ICMP message hinted at, the largest size of all, a size that networks commonly have, the middle.
"""

from __future__ import annotations

__all__ = ["BASE_DATAGRAM", "MTUSearch"]

BASE_DATAGRAM = 1200
"""Size that nearly every path carries (RFC 8899 section 5.1.2, BASE_PLPMTU)."""
MAX_PROBES = 3
"""Probes of a size that are lost before it is taken not to pass (RFC 8899 section 5.1.2)."""
PLATEAUS = (65535, 32000, 17914, 9000, 8166, 4352, 2002, 1500, 1492, 1400, 1280)
"""MTUs worth trying first: RFC 1191 table 7-1, with jumbo frames, tunnels inside Ethernet and IPv6's least."""
GRANULARITY = 16
"""The search ends when no more than this can be gained: about a hundredth of a packet."""


class MTUSearch:
    """Sizes are those of whole RSP datagrams, without the carrier's headers.

    A probe that is lost makes its size doubtful: the search goes on below it at once, and asks again when nothing
    lower is left to try. Most losses are by size; the others cost a round trip.

    Args:
        size: what passes, or is taken to pass.
        ceiling: the largest that both hosts take.
        overhead: bytes of the headers below RSP, by which an MTU is larger than its datagram.
    """

    __slots__ = ("_hint", "_losses", "_overhead", "ceiling", "size")

    def __init__(self, size: int, ceiling: int, overhead: int) -> None:
        self.ceiling = ceiling
        self._overhead = overhead
        self._losses: dict[int, int] = {}  # of each size above the one that passes
        self.restart(size)

    def restart(self, size: int) -> None:
        """Forget what did not pass, and hints: the path may be another. ``size`` is what passes."""
        self.size = size
        """The largest size known to pass."""
        self._hint = 0
        self._losses.clear()

    def fall(self, size: int) -> None:
        """The size in use does not pass any more, ``size`` does: search from there, up to a router's hint at most."""
        hint = self._hint
        self.restart(size)
        if hint > size:
            self._believe(hint)

    def candidate(self) -> int | None:
        """The size to probe, or None when the search is over."""
        size, bound = self.size, min(self._losses, default=self.ceiling + 1)
        if size < self._hint < bound:
            return self._hint
        if bound > self.ceiling:
            return self.ceiling if size < self.ceiling else None
        if size < BASE_DATAGRAM < bound:
            return BASE_DATAGRAM
        for plateau in PLATEAUS:
            if size < plateau - self._overhead < bound:
                return plateau - self._overhead
        if bound - size > GRANULARITY:
            return (size + bound) // 2
        return bound if self._losses[bound] < MAX_PROBES else None

    def passed(self, size: int) -> bool:
        """A probe of ``size`` arrived; true when that raises what is known to pass."""
        if size <= self.size:
            return False
        self.size = size
        for doubted in [each for each in self._losses if each <= size]:
            del self._losses[doubted]  # it was lost by chance
        return True

    def lost(self, size: int) -> None:
        """A probe of ``size`` was lost."""
        if size > self.size:
            self._losses[size] = self._losses.get(size, 0) + 1

    def covers(self, mtu: int) -> bool:
        """Whether the size in use is too large for a link of ``mtu`` bytes."""
        return self.size > mtu - self._overhead

    def hint(self, mtu: int) -> None:
        """A router says that the next link takes ``mtu`` bytes, IP header included: try just that (section 4.6).

        It is not believed below the base size, and no further than to where probes go next: it can be forged.
        """
        size = mtu - self._overhead
        if BASE_DATAGRAM <= size < min(self._losses, default=self.ceiling + 1):
            self._hint = size
            if size > self.size:
                self._believe(size)

    def _believe(self, hint: int) -> None:
        self._hint = hint
        self._losses[hint + 1] = MAX_PROBES

"""The impairment engine: packet sizes and a time go in, the fate of each packet comes out. No clock, no sockets.

The relay and the simulator both run on it, so a word means the same in either. What the words mean is written in
:mod:`rawproto.lab.spec`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from rawproto.lab.counters import DirectionStats
from rawproto.lab.damage import damage_of
from rawproto.lab.delivery import HELD, Delivery
from rawproto.lab.fates import Decisions, Fate, Fates
from rawproto.lab.rules import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.lab.spec import Blackhole, Impairments, Policer

__all__ = ["Direction"]

SECOND = 1_000_000_000
_LOST = int(Fate.LOST | Fate.LOST_IN_BURST)

Judge = Callable[[int, int], Verdict | None]


class Direction:
    """One direction of a link.

    Args:
        spec: what it does to packets.
        seed: of the link.
        name: of the direction; the two directions of one link are independent of each other.
        now: the time it is made, nanoseconds; black holes are counted from here.
        allowed: numbers of the packets to which chance may do something; None for all.
    """

    def __init__(
        self,
        spec: Impairments,
        seed: int,
        name: str,
        now: int = 0,
        allowed: Collection[int] | None = None,
    ) -> None:
        self.spec = spec
        self.name = name
        self.stats = DirectionStats()
        self._fates = Fates(seed, name, allowed)
        self._index = 0
        self._decided = (0, 0)
        self._queue: deque[tuple[int, int]] = deque()
        self._queued_bytes = 0
        self._free_at = now
        self._last_due = 0
        self._tokens = 0
        self._filled_at = now
        self._holes_since = now
        self._policer: Policer | None = None
        self._holes: tuple[Blackhole, ...] = ()
        self.set(spec, now)

    def set(self, spec: Impairments, now: int) -> None:
        """Change what happens to packets from now on; those on their way are not touched."""
        if spec.policer is not None and spec.policer != self._policer:
            self._tokens = self._bucket(spec)
            self._filled_at = now
        self._policer = spec.policer
        if spec.blackhole != self._holes:
            self._holes_since = now
        self._holes = spec.blackhole
        self.spec = spec
        self._decided = (0, 0)
        waits = spec.rate is not None or spec.policer is not None or bool(spec.jitter)
        self._plain = spec.up and not waits and spec.mtu is None and not spec.blackhole

    @staticmethod
    def _bucket(spec: Impairments) -> int:
        """Size of the policer's bucket, in bit-nanoseconds per second: whole numbers, so nothing is rounded away."""
        assert spec.policer is not None
        return int(spec.policer.burst) * 8 * SECOND

    @property
    def index(self) -> int:
        """Packets seen so far, which is the number of the next."""
        return self._index

    def decisions(self) -> Decisions:
        """What chance decided on the packets seen so far."""
        return self._fates.decisions(self._index)

    def admit(
        self,
        sizes: Sequence[int],
        times: int | Sequence[int],
        headers: Sequence[int] | None = None,
        judge: Judge | None = None,
    ) -> list[Delivery]:
        """Decide on packets that arrive together.

        Args:
            sizes: length of each IP packet in bytes.
            times: when, in nanoseconds: one time for all or one for each; must not go back.
            headers: length of each packet's IP header in bytes, for damage to payloads; None means none.
            judge: asked for each packet, by row and index, what the rules say; None when there are no rules.

        Returns:
            The deliveries, in order of the packets; packets that do not come through have none.
        """
        if not sizes:
            return []
        self.stats.received += len(sizes)
        self.stats.received_bytes += sum(sizes)
        moments = [times] * len(sizes) if isinstance(times, int) else times
        now = moments[0]
        passing = self.spec.up and not any(hole.covers(now - self._holes_since) for hole in self._holes)
        out: list[Delivery] = []
        for row, (size, now) in enumerate(zip(sizes, moments, strict=True)):
            index = self._index
            self._index = index + 1
            if index >= self._decided[1]:
                self._decided = self._fates.block(self.spec, index)
            flags = self._fates.flags[index - self._decided[0]]
            verdict = judge(row, index) if judge is not None else None
            if not passing:
                self.stats.blackholed += 1
                continue
            if (flags or verdict is not None) and self._gone(flags, verdict):
                continue
            if self.spec.mtu is not None and size > self.spec.mtu:
                self.stats.too_big += 1
                continue
            if self._policer is not None and not self._within_policer(size, now):
                self.stats.policed += 1
                continue
            if flags or verdict is not None:
                header = headers[row] if headers is not None else 0
                self._deliver_specially(out, row, size, index, header, flags, verdict, now)
            else:
                due = self._arrival(size, index, now)
                if due is not None:
                    out.append(Delivery(due, row, index))
        return out

    def admit_plain(
        self, sizes: NDArray[np.int64], times: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_] | None] | None:
        """As :meth:`admit`, a batch at a time, where each packet is lost by chance or arrives after the delay.

        Args:
            sizes: length of each IP packet in bytes, int64 (n,).
            times: when each came, int64 (n,), nanoseconds; must not go back.

        Returns:
            When those that come through are due, in order, int64 (k,), and which they are, bool (n,), or None for all.
            None, and nothing has happened, when more than that may befall one of them.
        """
        count = len(sizes)
        first, end = self._decided
        if not self._plain or self._index + count > end:
            return None
        flags = self._fates.drawn[self._index - first : self._index - first + count]
        kept: NDArray[np.bool_] | None = None
        if flags.any():
            if (flags > _LOST).any():
                return None
            kept = flags == 0
            self.stats.lost += int(np.count_nonzero(flags & Fate.LOST))
            self.stats.lost_in_burst += int(np.count_nonzero(flags == Fate.LOST_IN_BURST))
            times = times[kept]
        self._index += count
        self.stats.received += count
        self.stats.received_bytes += int(sizes.sum())
        dues = np.maximum(times + self.spec.delay, self._last_due)
        if len(dues):
            self._last_due = int(dues[-1])
        return dues, kept

    def _gone(self, flags: int, verdict: Verdict | None) -> bool:
        if verdict is not None and verdict.drop:
            self.stats.rule_dropped += 1
            return True
        if flags & Fate.LOST:
            self.stats.lost += 1
            return True
        if flags & Fate.LOST_IN_BURST:
            self.stats.lost_in_burst += 1
            return True
        return False

    def _within_policer(self, size: int, now: int) -> bool:
        assert self._policer is not None
        filled = self._tokens + (now - self._filled_at) * int(self._policer.rate)
        self._tokens = min(filled, self._bucket(self.spec))
        self._filled_at = now
        cost = size * 8 * SECOND
        if cost > self._tokens:
            return False
        self._tokens -= cost
        return True

    def _arrival(self, size: int, index: int, now: int) -> int | None:
        """When a packet comes out in order, or None when the queue has no room for it."""
        leaves = self._departure(size, now)
        if leaves is None:
            return None
        due = leaves + self._delay(index)
        if due < self._last_due:
            due = self._last_due
        self._last_due = due
        return due

    def _delay(self, index: int) -> int:
        if self.spec.jitter:
            return self.spec.delay + self._fates.jitters[index - self._decided[0]]
        return self.spec.delay

    def _departure(self, size: int, now: int) -> int | None:
        """When the packet's last bit has left at the link's rate, or None when it finds the queue full."""
        spec = self.spec
        if spec.rate is None:
            return now
        queue = self._queue
        while queue and queue[0][0] <= now:
            self._queued_bytes -= queue.popleft()[1]
        full = spec.limit_packets is not None and len(queue) >= spec.limit_packets
        if full or (spec.limit_bytes is not None and self._queued_bytes + size > spec.limit_bytes):
            self.stats.queue_dropped += 1
            return None
        # Rounded up, as a packet has not left before its last bit has; a nanosecond is little at any rate.
        self._free_at = max(now, self._free_at) - (-size * 8 * SECOND // spec.rate)
        queue.append((self._free_at, size))
        self._queued_bytes += size
        return self._free_at

    def _deliver_specially(
        self,
        out: list[Delivery],
        row: int,
        size: int,
        index: int,
        header: int,
        flags: int,
        verdict: Verdict | None,
        now: int,
    ) -> None:
        copies = verdict.copies if verdict is not None else 0
        twice = bool(flags & Fate.DUPLICATED)
        self.stats.duplicated += twice
        self.stats.copied += copies
        damage = self._damage(index, size, header) if flags & Fate.CORRUPTED else None
        late = self._lateness(flags, verdict)
        due = self._arrival(size, index, now) if not late else self._late_arrival(size, index, now, late)
        if due is not None:
            self.stats.corrupted += damage is not None
            out.append(Delivery(due, row, index, damage, verdict, bool(late)))
        for _ in range(twice + copies):
            due = self._arrival(size, index, now)
            if due is not None:
                out.append(Delivery(due, row, index, None, verdict))

    def _lateness(self, flags: int, verdict: Verdict | None) -> int:
        """How much later than others a packet arrives, out of order; :data:`HELD` when it waits to be released."""
        if verdict is not None and verdict.payload is not None:
            self.stats.rule_changed += 1
        if verdict is not None and verdict.hold is not None:
            self.stats.held += 1
            return HELD
        late = verdict.delay if verdict is not None else 0
        self.stats.rule_delayed += bool(late)
        if flags & Fate.REORDERED:
            self.stats.reordered += 1
            late += self.spec.hold
        return late

    def _late_arrival(self, size: int, index: int, now: int, late: int) -> int | None:
        if late == HELD:
            return HELD
        leaves = self._departure(size, now)
        return None if leaves is None else leaves + self._delay(index) + late

    def _damage(self, index: int, size: int, header: int) -> tuple[int, bytes] | None:
        """Where and how packet ``index`` is damaged; None when there is nothing to damage."""
        assert self.spec.corrupt is not None
        start = header if self.spec.corrupt.where == "payload" else 0
        bits = (size - start) * 8
        if bits <= 0:
            return None
        return damage_of(self.spec.corrupt, self._fates.damage(index), start * 8, bits)

"""One direction through the relay: from the port where frames come to the port where they leave, when they are due."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from rawproto.lab.delivery import HELD, Delivery
from rawproto.lab.ports import BATCH, ETHERNET, Pool, Port
from rawproto.lab.rules import Verdict

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from rawproto.lab.impair import Direction
    from rawproto.lab.tap import Tap

__all__ = ["Line"]

Ask = Callable[[str, int, int, bytes, int], Verdict | None]

# Fewer packets than this cost less one by one.
_WORTH_AN_ARRAY = 8
_NEIGHBOUR_OR_LISTENER = frozenset(range(130, 138)) | {143}
"""ICMPv6 types of neighbour discovery and multicast listeners (RFC 4861, RFC 2710, RFC 3810)."""


class Line:
    """Frames of one direction, waiting in order of their time.

    Those due in order of arrival stand in a queue; the few held back stand in a heap beside it.
    """

    def __init__(self, engine: Direction, pool: Pool, into: Port, out: Port) -> None:
        self.engine = engine
        self.into = into
        self.out = out
        self.ask: Ask | None = None
        self.tap: Tap | None = None
        self._pool = pool
        self._queue: deque[tuple[int, int, int]] = deque()
        # Due time, order of coming, slot, length.
        self._late: list[tuple[int, int, int, int]] = []
        self._numbers = itertools.count()
        self._held: list[tuple[int, int, int]] = []

    def __len__(self) -> int:
        return len(self._queue) + len(self._late) + len(self._held)

    def next_due(self) -> int:
        """When the next frame leaves; far away when none waits."""
        due = self._queue[0][0] if self._queue else HELD
        return min(due, self._late[0][0]) if self._late else due

    def receive(self, now: int) -> int:
        """Take one batch of frames in and decide on them; gives how many there were."""
        arrived = self.into.receive()
        if arrived is None:
            return 0
        rows, lengths, times = arrived
        if self.tap is not None:
            self.tap.came(self.engine.name, rows, lengths, times)
        chosen = _impaired(rows)
        if chosen is not None:
            self._pass_at_once(rows[~chosen], lengths[~chosen], now)
            rows, lengths, times = rows[chosen], lengths[chosen], times[chosen]
        self._admit(rows, lengths, times)
        return len(arrived.lengths)

    def _admit(self, rows: NDArray[np.uint8], lengths: NDArray[np.int64], times: NDArray[np.int64]) -> None:
        if self.ask is None and len(rows) >= _WORTH_AN_ARRAY:
            plain = self.engine.admit_plain(lengths - ETHERNET, times)
            if plain is not None:
                self._enqueue(rows, lengths, *plain)
                return
        moments: list[int] = times.tolist()
        judge = None
        headers: list[int] = []
        if self.ask is not None or self.engine.spec.corrupt is not None:
            headers = _header_lengths(rows)
        if self.ask is not None:
            ask = self.ask

            def judge(row: int, index: int) -> Verdict | None:
                data = rows[row, ETHERNET : int(lengths[row])].tobytes()
                return ask(self.engine.name, index, headers[row], data, moments[row])

        sizes = (lengths - ETHERNET).tolist()
        deliveries = self.engine.admit(sizes, moments, headers or None, judge)
        if not deliveries:
            return
        slots = self._pool.take(len(deliveries))
        if len(slots) < len(deliveries):
            self.engine.stats.no_room += len(deliveries) - len(slots)
            deliveries = deliveries[: len(slots)]
        width = int(lengths.max())
        if len(deliveries) == len(rows) and deliveries[-1].row == len(rows) - 1:
            self._pool.rows[slots, :width] = rows[:, :width]
        else:
            self._pool.rows[slots, :width] = rows[[delivery.row for delivery in deliveries], :width]
        sizes = lengths.tolist()
        queue = self._queue
        for delivery, slot in zip(deliveries, slots.tolist(), strict=True):
            if delivery.late or delivery.verdict is not None or delivery.damage is not None:
                self._place_specially(delivery, slot, sizes[delivery.row], headers)
            else:
                queue.append((delivery.due, slot, sizes[delivery.row]))

    def _enqueue(
        self,
        rows: NDArray[np.uint8],
        lengths: NDArray[np.int64],
        dues: NDArray[np.int64],
        kept: NDArray[np.bool_] | None,
    ) -> None:
        """Have frames wait that nothing but the delay happens to."""
        if kept is not None:
            rows, lengths = rows[kept], lengths[kept]
        slots = self._pool.take(len(rows))
        found = len(slots)
        if found < len(rows):
            self.engine.stats.no_room += len(rows) - found
            rows, lengths, dues = rows[:found], lengths[:found], dues[:found]
        if found:
            width = int(lengths.max())
            self._pool.rows[slots, :width] = rows[:, :width]
            self._queue.extend(zip(dues.tolist(), slots.tolist(), lengths.tolist(), strict=True))

    def _place_specially(self, delivery: Delivery, slot: int, length: int, headers: list[int]) -> None:
        verdict = delivery.verdict
        if verdict is not None and verdict.payload is not None:
            start = ETHERNET + headers[delivery.row]
            payload = np.frombuffer(verdict.payload, dtype=np.uint8)
            self._pool.rows[slot, start : start + len(payload)] = payload
        if delivery.damage is not None:
            at, mask = delivery.damage
            at += ETHERNET
            self._pool.rows[slot, at : at + len(mask)] ^= np.frombuffer(mask, dtype=np.uint8)
        if delivery.due == HELD:
            assert verdict is not None
            assert verdict.hold is not None
            self._held.append((verdict.hold, slot, length))
        elif delivery.late:
            heapq.heappush(self._late, (delivery.due, next(self._numbers), slot, length))
        else:
            self._queue.append((delivery.due, slot, length))

    def _pass_at_once(self, rows: NDArray[np.uint8], lengths: NDArray[np.int64], now: int) -> None:
        """Frames that are no IP traffic of the hosts' own: neither counted nor touched."""
        if not self.engine.spec.up:
            return
        slots = self._pool.take(len(rows))
        self._pool.rows[slots] = rows[: len(slots)]
        sizes = lengths[: len(slots)].tolist()
        self._leave(slots.tolist(), sizes, now, counted=False)

    def deliver(self, now: int) -> int:
        """Send what is due, at most one batch; gives how many frames left."""
        slots: list[int] = []
        sizes: list[int] = []
        queue, late = self._queue, self._late
        if not late and len(queue) >= BATCH and queue[BATCH - 1][0] <= now:
            _, some, lengths = zip(*[queue.popleft() for _ in range(BATCH)], strict=True)
            self._leave(list(some), list(lengths), now, counted=True)
            return BATCH
        while len(slots) < BATCH:
            if late and late[0][0] <= now and (not queue or late[0][0] < queue[0][0]):
                _, _, slot, size = heapq.heappop(late)
            elif queue and queue[0][0] <= now:
                _, slot, size = queue.popleft()
            else:
                break
            slots.append(slot)
            sizes.append(size)
        if slots:
            self._leave(slots, sizes, now, counted=True)
        return len(slots)

    def _leave(self, slots: list[int], sizes: list[int], now: int, *, counted: bool) -> None:
        for first in range(0, len(slots), BATCH):
            some, lengths = slots[first : first + BATCH], sizes[first : first + BATCH]
            taken = self.out.send(some, lengths)
            if counted:
                self.engine.stats.delivered += taken
                self.engine.stats.delivered_bytes += sum(lengths) - ETHERNET * len(lengths)
                self.engine.stats.send_refused += len(some) - taken
            if self.tap is not None:
                self.tap.left(self.engine.name, self._pool, some, lengths, now)
        self._pool.give_back(slots)

    def release(self, token: int, now: int) -> int:
        """Let go of the frames held under ``token``; gives how many there were."""
        freed = [(now, next(self._numbers), slot, size) for held, slot, size in self._held if held == token]
        self._held = [item for item in self._held if item[0] != token]
        for item in freed:
            heapq.heappush(self._late, item)
        return len(freed)


def _impaired(rows: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Which frames are IP traffic of the hosts' own, bool (n,); None when all are.

    ARP, neighbour discovery and multicast listener reports are the cable's own business: if they took part, the
    n-th packet of a test would be another one in every run.
    """
    # EtherTypes 0x0800 and 0x86DD (IEEE 802 numbers).
    ip4 = (rows[:, 12] == 0x08) & (rows[:, 13] == 0x00)
    if ip4.all():
        return None
    ip6 = (rows[:, 12] == 0x86) & (rows[:, 13] == 0xDD)
    for row in np.flatnonzero(ip6).tolist():
        following, at = int(rows[row, ETHERNET + 6]), ETHERNET + 40
        if following == 0:  # hop-by-hop options, which listener reports carry (RFC 2710 section 3)
            following, at = int(rows[row, at]), at + 8
        if following == 58 and int(rows[row, at]) in _NEIGHBOUR_OR_LISTENER:
            ip6[row] = False
    chosen: NDArray[np.bool_] = ip4 | ip6
    return None if chosen.all() else chosen


def _header_lengths(rows: NDArray[np.uint8]) -> list[int]:
    """Length in bytes of each frame's IP header: IPv4 with its options, IPv6's fixed 40."""
    first = rows[:, ETHERNET]
    lengths: list[int] = np.where(first >> 4 == 4, (first & 15).astype(np.int64) * 4, 40).tolist()
    return lengths

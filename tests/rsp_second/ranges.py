"""A set of whole numbers kept as half-open ranges: packet numbers received, bytes that arrived or were lost."""

from __future__ import annotations

import bisect


class Ranges:
    """Sorted, disjoint, not touching."""

    def __init__(self) -> None:
        self.items: list[tuple[int, int]] = []

    def __bool__(self) -> bool:
        return bool(self.items)

    def __contains__(self, value: int) -> bool:
        at = bisect.bisect_right(self.items, (value, 2**63)) - 1
        return at >= 0 and value < self.items[at][1]

    def add(self, start: int, end: int) -> None:
        first = bisect.bisect_left(self.items, start, key=lambda item: item[1])
        last = bisect.bisect_right(self.items, end, key=lambda item: item[0])
        if first < last:
            start, end = min(start, self.items[first][0]), max(end, self.items[last - 1][1])
        self.items[first:last] = [(start, end)]

    def remove(self, start: int, end: int) -> None:
        kept = []
        for low, high in self.items:
            kept += [(low, min(high, start))] if low < start else []
            kept += [(max(low, end), high)] if high > end else []
        self.items = kept

    def missing(self, start: int, end: int) -> list[tuple[int, int]]:
        """What of [start, end) is not in the set."""
        holes = []
        for low, high in self.items:
            if high <= start:
                continue
            if low >= end:
                break
            if low > start:
                holes.append((start, low))
            start = max(start, high)
        if start < end:
            holes.append((start, end))
        return holes

"""A set of integers kept as sorted, disjoint, half-open ranges.

Used for packet numbers and for stream offsets. Everything a transport does with such a set happens near its upper
end or walks few ranges, so two plain lists and bisection beat a tree (in CPython by a wide margin).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["RangeSet"]


class RangeSet:
    """Disjoint ranges ``[start, stop)`` in ascending order; ranges that touch are merged."""

    __slots__ = ("_stops", "starts")

    def __init__(self) -> None:
        self.starts: list[int] = []
        """Where the ranges begin; empty as the set is. Not to be changed."""
        self._stops: list[int] = []

    def __len__(self) -> int:
        """Number of ranges (not of integers)."""
        return len(self.starts)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.starts, self._stops, strict=True)

    def __repr__(self) -> str:
        return f"RangeSet({list(self)})"

    def __contains__(self, value: int) -> bool:
        index = bisect_right(self.starts, value) - 1
        return index >= 0 and value < self._stops[index]

    @property
    def first(self) -> tuple[int, int]:
        """The lowest range."""
        return self.starts[0], self._stops[0]

    @property
    def last(self) -> tuple[int, int]:
        """The highest range."""
        return self.starts[-1], self._stops[-1]

    @property
    def total(self) -> int:
        """How many integers the set holds."""
        return sum(self._stops) - sum(self.starts)

    def covers(self, start: int, stop: int) -> bool:
        """Whether all of ``[start, stop)`` is in the set."""
        index = bisect_right(self.starts, start) - 1
        return index >= 0 and stop <= self._stops[index]

    def overlaps(self, start: int, stop: int) -> bool:
        """Whether any of ``[start, stop)`` is in the set."""
        index = bisect_left(self.starts, stop) - 1
        return index >= 0 and self._stops[index] > start

    def add(self, start: int, stop: int) -> None:
        """Put ``[start, stop)`` into the set."""
        starts, stops = self.starts, self._stops
        if not starts or start > stops[-1]:  # the common case: a new range above all others
            starts.append(start)
            stops.append(stop)
            return
        if start >= starts[-1]:  # ... or the highest range grows
            if stop > stops[-1]:
                stops[-1] = stop
            return
        low = bisect_left(stops, start)
        high = bisect_right(starts, stop)
        if low < high:
            start = min(start, starts[low])
            stop = max(stop, stops[high - 1])
        starts[low:high] = [start]
        stops[low:high] = [stop]

    def extend(self, start: int, stop: int) -> None:
        """Put ``[start, stop)`` into the set; ``start`` is not below the end of its highest range."""
        stops = self._stops
        if stops and stops[-1] == start:
            stops[-1] = stop
        else:
            self.starts.append(start)
            stops.append(stop)

    def highest(self, limit: int) -> list[tuple[int, int]]:
        """The ``limit`` highest ranges, highest first."""
        starts, stops = self.starts, self._stops
        if len(starts) == 1:
            return [(starts[0], stops[0])]
        return list(zip(starts[: -limit - 1 : -1], stops[: -limit - 1 : -1], strict=True))

    def remove(self, start: int, stop: int) -> None:
        """Take ``[start, stop)`` out of the set."""
        starts, stops = self.starts, self._stops
        low = bisect_right(stops, start)
        high = bisect_left(starts, stop)
        if low >= high:
            return
        kept: list[tuple[int, int]] = []
        if starts[low] < start:
            kept.append((starts[low], start))
        if stops[high - 1] > stop:
            kept.append((stop, stops[high - 1]))
        starts[low:high] = [piece[0] for piece in kept]
        stops[low:high] = [piece[1] for piece in kept]

    def missing(self, start: int, stop: int) -> list[tuple[int, int]]:
        """The parts of ``[start, stop)`` that are not in the set, ascending."""
        starts, stops = self.starts, self._stops
        index = bisect_right(stops, start)
        gaps: list[tuple[int, int]] = []
        while index < len(starts) and starts[index] < stop:
            if start < starts[index]:
                gaps.append((start, starts[index]))
            start = stops[index]
            index += 1
        if start < stop:
            gaps.append((start, stop))
        return gaps

    def drop_first(self) -> tuple[int, int]:
        """Take the lowest range out and return it."""
        return self.starts.pop(0), self._stops.pop(0)

    def keep_last(self) -> None:
        """Take all but the highest range out."""
        del self.starts[:-1], self._stops[:-1]

    def clear(self) -> None:
        """Empty the set."""
        self.starts.clear()
        self._stops.clear()

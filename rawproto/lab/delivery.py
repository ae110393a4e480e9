"""A packet that will arrive: what the impairment engine gives to the relay and the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rawproto.lab.rules import Verdict

__all__ = ["HELD", "Delivery"]

HELD = (1 << 63) - 1
"""Due time of a packet that waits to be released."""


class Delivery:
    """One packet (or copy) that will arrive.

    Attributes:
        due: when, in nanoseconds; :data:`HELD` until released.
        row: which of the packets given to :meth:`rawproto.lab.impair.Direction.admit`.
        index: its number in the direction, from 0.
        damage: (first byte, mask to xor over the bytes from there), or None; bytes are counted as in the sizes given.
        verdict: what the rules said of it, or None.
        late: whether it was held back out of order. All others of a direction are due in the order they came.
    """

    __slots__ = ("damage", "due", "index", "late", "row", "verdict")

    def __init__(
        self,
        due: int,
        row: int,
        index: int,
        damage: tuple[int, bytes] | None = None,
        verdict: Verdict | None = None,
        late: bool = False,
    ) -> None:
        self.late = late
        self.due = due
        self.row = row
        self.index = index
        self.damage = damage
        self.verdict = verdict

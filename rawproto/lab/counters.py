"""What a direction of a link counts: every packet has one fate."""

from __future__ import annotations

import dataclasses

__all__ = ["DirectionStats"]


@dataclasses.dataclass(slots=True)
class DirectionStats:
    """What one direction did, counted in packets unless the name says otherwise.

    ``received + duplicated + copied = delivered + lost + ... + waiting`` always: every packet has one fate.
    """

    received: int = 0
    received_bytes: int = 0
    delivered: int = 0
    delivered_bytes: int = 0
    lost: int = 0
    lost_in_burst: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0
    queue_dropped: int = 0
    """Found the queue of ``rate`` full."""
    policed: int = 0
    too_big: int = 0
    blackholed: int = 0
    """Came while the link was down or in a black hole."""
    rule_dropped: int = 0
    rule_delayed: int = 0
    rule_changed: int = 0
    held: int = 0
    copied: int = 0
    no_room: int = 0
    """Found the relay's own memory full; not an impairment asked for, and normally zero."""
    kernel_dropped: int = 0
    """Lost before the relay saw them, for want of room in the kernel; normally zero."""
    send_refused: int = 0
    """Not taken by the kernel on the way out; normally zero."""
    waiting: int = 0
    """On the way at the moment of asking."""

    def __add__(self, other: DirectionStats) -> DirectionStats:
        names = [field.name for field in dataclasses.fields(self)]
        return DirectionStats(**{name: getattr(self, name) + getattr(other, name) for name in names})

    @property
    def dropped(self) -> int:
        """All packets that did not come through, whatever the reason."""
        return (
            self.lost
            + self.lost_in_burst
            + self.queue_dropped
            + self.policed
            + self.too_big
            + self.blackholed
            + self.rule_dropped
            + self.no_room
            + self.kernel_dropped
            + self.send_refused
        )

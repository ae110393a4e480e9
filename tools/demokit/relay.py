"""What a link says it did, for the report."""

from __future__ import annotations

from typing import Any

from .result import DECISIONS, Relay

__all__ = ["relay_of"]


def relay_of(link: Any) -> Relay:
    """Both directions of ``link``, of the lab or of the simulator."""
    stats = link.stats()
    return Relay(
        carried=stats.delivered,
        lost=stats.lost,
        overflowed=stats.queue_dropped,
        reordered=stats.reordered,
        duplicated=stats.duplicated,
        corrupted=stats.corrupted,
        starved=stats.no_room + stats.kernel_dropped + stats.send_refused,
        decisions=link.decisions(link.b).digest(DECISIONS),
    )

"""Waiting until a link has done what was asked of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rawproto import Host


def counted(link: Any, toward: Host, **wanted: int) -> Any:
    """The counters of a direction, once they have come to what is wanted: a packet comes a little after it is sent."""
    while any(getattr(stats := link.stats(toward=toward), name) < value for name, value in wanted.items()):
        time.sleep(0.001)
    return stats

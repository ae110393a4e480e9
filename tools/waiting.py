"""Whether a socket holds something that nobody has read yet."""

from __future__ import annotations

import select
from typing import Any

__all__ = ["has_more"]


def has_more(conn: Any) -> bool:
    """Whether the kernel has a datagram for ``conn`` already.

    A deadline that has passed does not say so: who was not given the processor for long enough finds it passed with all
    the answers there.
    """
    poll = select.poll()
    poll.register(conn.fileno(), select.POLLIN)
    return any(event & select.POLLIN for _, event in poll.poll(0))

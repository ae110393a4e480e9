"""Logging of connections: the logger ``rawproto.net``, at most ten lines a second of one kind."""

from __future__ import annotations

import logging
import time

__all__ = ["LINES_A_SECOND", "RateFilter", "logger"]

LINES_A_SECOND = 10


class RateFilter(logging.Filter):
    """Lets some lines a second of each message through, and says later how many it left out."""

    def __init__(self, limit: int = LINES_A_SECOND) -> None:
        super().__init__()
        self._limit = limit
        self._counts: dict[object, tuple[int, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to pass ``record``; a message is told by its format, whatever its arguments."""
        key = record.msg
        second = int(time.monotonic())
        began, count = self._counts.get(key, (second, 0))
        if began != second:
            if count > self._limit:
                record.msg = f"{key} ({count - self._limit} more of these were left out)"
            began, count = second, 0
        if len(self._counts) > 1000:
            self._counts.clear()
        self._counts[key] = (began, count + 1)
        return count < self._limit


logger = logging.getLogger("rawproto.net")
logger.addFilter(RateFilter())

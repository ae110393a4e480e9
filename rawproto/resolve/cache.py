"""Answers kept for as long as their TTL says, those that say "there is none" too (RFC 2308)."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rawproto.resolve.message import Answer, Question

__all__ = ["Cache"]

MAX_TTL = 86_400
"""Seconds a positive answer is kept at most (RFC 8767 section 4 allows up to seven days; a day is common)."""

MAX_NEGATIVE_TTL = 10_800
"""Seconds a negative answer is kept at most: three hours (RFC 2308 section 5)."""


class Cache:
    """Answers by question; the longest unused one makes room for a new one.

    Safe for threads. Time is in seconds of a monotonic clock, given by the caller.
    """

    def __init__(self, size: int = 4096) -> None:
        self._size = size
        self._answers: OrderedDict[Question, tuple[float, Answer]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, question: Question, now: float) -> Answer | None:
        """The answer to a question, or None when there is none that still holds."""
        with self._lock:
            entry = self._answers.get(question)
            if entry is None:
                return None
            if entry[0] <= now:
                del self._answers[question]
                return None
            self._answers.move_to_end(question)
            return entry[1]

    def put(self, answer: Answer, now: float) -> None:
        """Keep an answer for its TTL; one of TTL 0 is not kept."""
        ttl = min(answer.ttl, MAX_TTL if answer.records else MAX_NEGATIVE_TTL)
        if ttl <= 0:
            return
        with self._lock:
            self._answers[answer.question] = (now + ttl, answer)
            self._answers.move_to_end(answer.question)
            while len(self._answers) > self._size:
                self._answers.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._answers.clear()

    def __len__(self) -> int:
        return len(self._answers)

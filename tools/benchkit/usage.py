"""The processor time that this process has used."""

from __future__ import annotations

import dataclasses
import resource
import time

__all__ = ["Usage"]


@dataclasses.dataclass(frozen=True)
class Usage:
    """Seconds on the clock, and of the processor in this process: all its threads, and the kernel on its behalf."""

    clock: float
    user: float
    system: float

    @classmethod
    def now(cls) -> Usage:
        """The counters of this moment."""
        used = resource.getrusage(resource.RUSAGE_SELF)
        return cls(time.monotonic(), used.ru_utime, used.ru_stime)

    def since(self, begin: Usage) -> dict[str, float]:
        """Shares of one processor since ``begin``, in percent."""
        seconds = max(self.clock - begin.clock, 1e-9)
        user = 100 * (self.user - begin.user) / seconds
        system = 100 * (self.system - begin.system) / seconds
        return {"user": user, "system": system, "total": user + system}

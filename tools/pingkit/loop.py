"""The loop: sends each target's requests when they are due and hands on what comes back."""

from __future__ import annotations

import dataclasses
import heapq
import select
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .echo import EchoSocket, Problem, Reply
    from .target import Target

__all__ = ["Loop", "Rules", "Watcher"]

_SPREAD = 0.0002
"""Seconds between the first requests to two targets: a sweep must not overrun the queues of its own host."""
_TURN = 64
_RETRY = 0.002


@dataclasses.dataclass(frozen=True)
class Rules:
    """How to ping; times in seconds.

    Attributes:
        payload: what each request carries.
        count: requests to each target; None for no end.
        interval: between two requests to one target.
        timeout: how long the last request is waited for.
        deadline: end after this long, whatever happened; None never does.
        flood: send the next request as soon as a reply has come.
    """

    payload: bytes
    count: int | None
    interval: float
    timeout: float
    deadline: float | None
    flood: bool


class Watcher:
    """Told of everything that happens; does nothing by itself."""

    def reply(self, target: Target, number: int, reply: Reply, seconds: float | None) -> None:
        """A reply came; ``seconds`` is None for a duplicate."""

    def problem(self, target: Target, number: int, problem: Problem) -> None:
        """A request met an ICMP error."""

    def refused(self, target: Target, number: int, error: OSError) -> None:
        """The kernel did not take a request."""

    def turn(self) -> None:
        """Some time has passed."""


class Loop:
    """One run over some targets of one IP version."""

    def __init__(self, echo: EchoSocket, targets: Sequence[Target], rules: Rules, watcher: Watcher) -> None:
        self._echo = echo
        self._rules = rules
        self._watcher = watcher
        self._targets = {target.address.partition("%")[0]: target for target in targets}
        self._began = time.monotonic()
        self._due = [
            (self._began + index * _SPREAD, index, target)
            for index, target in enumerate(self._targets.values())
        ]
        self._sent_last = self._began
        self._poll = select.poll()
        self._poll.register(echo.fileno(), select.POLLIN)

    @property
    def seconds(self) -> float:
        """How long it has run."""
        return time.monotonic() - self._began

    def run(self) -> None:
        """Ping until every target has had its requests and answered, or the time is up."""
        while (until := self._wake_at()) is not None:
            wait = max(until - time.monotonic(), 0)
            # Milliseconds, rounded up: a request must not be sent early.
            if self._poll.poll(int(wait * 1000 + 0.999)):
                self._take()
            self._send()
            self._watcher.turn()
        # Who was not given the processor for long enough finds the time up and the answers there.
        self._take()

    def _wake_at(self) -> float | None:
        """When the next thing is due; None when all is over."""
        now = time.monotonic()
        end = None if self._rules.deadline is None else self._began + self._rules.deadline
        if end is not None and now >= end:
            return None
        if self._due:
            until = self._due[0][0]
        elif any(target.outstanding for target in self._targets.values()):
            until = self._sent_last + self._rules.timeout
            if now >= until:
                return None
        else:
            return None
        return until if end is None else min(until, end)

    def _send(self) -> None:
        for _ in range(_TURN):
            now = time.monotonic()
            if not self._due or self._due[0][0] > now:
                return
            due, index, target = heapq.heappop(self._due)
            try:
                at = self._echo.send(target.address, target.sent + 1, self._rules.payload)
            except BlockingIOError:
                heapq.heappush(self._due, (now + _RETRY, index, target))
                return
            except OSError as error:
                number = target.note_sent(time.time_ns())
                target.note_problem(number & 0xFFFF)
                self._watcher.refused(target, number, error)
            else:
                target.note_sent(at)
            self._sent_last = now
            if self._rules.count is None or target.sent < self._rules.count:
                # From when it was due, so that the pace holds; from now, when it is far behind.
                heapq.heappush(
                    self._due, (max(due, now - self._rules.interval) + self._rules.interval, index, target)
                )

    def _take(self) -> None:
        for reply in self._echo.replies():
            target = self._targets.get(reply.source.partition("%")[0])
            if target is None or not target.sent:
                continue
            number, seconds = target.note_reply(reply.seq, reply.at)
            self._watcher.reply(target, number, reply, seconds)
            if self._rules.flood and seconds is not None and self._due:
                _, index, next_target = heapq.heappop(self._due)
                heapq.heappush(self._due, (time.monotonic(), index, next_target))
        for problem in self._echo.problems():
            target = self._targets.get(problem.destination.partition("%")[0])
            if target is not None and target.sent:
                self._watcher.problem(target, target.note_problem(problem.seq), problem)

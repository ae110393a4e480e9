"""The order of the probes: many hops at once, nothing beyond the destination once it has answered."""

from __future__ import annotations

import dataclasses
import select
import time
from collections import deque
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto import MPLSLabel

    from .answers import Answer
    from .connecting import Connecting
    from .sounder import Sounder

__all__ = ["Hop", "Plan", "Shot", "Tracer"]


@dataclasses.dataclass
class Shot:
    """One probe of a hop: what answered, and after how many seconds; None while, or when, nothing did."""

    address: str | None = None
    seconds: float | None = None
    mark: str = ""
    labels: tuple[MPLSLabel, ...] = ()
    over: bool = False


@dataclasses.dataclass
class Hop:
    """The probes with one TTL.

    Attributes:
        ttl: number of the hop.
        shots: its probes.
        mtu: what the next link on the way to this hop takes, when a probe was too big for it; else 0.
        teller: the router that said so.
    """

    ttl: int
    shots: list[Shot]
    mtu: int = 0
    teller: str | None = None

    @property
    def over(self) -> bool:
        """Every probe was answered or given up."""
        return all(shot.over for shot in self.shots)

    @property
    def addresses(self) -> list[str]:
        """Who answered, each once."""
        return list(dict.fromkeys(shot.address for shot in self.shots if shot.address))


@dataclasses.dataclass(frozen=True)
class Plan:
    """What to send.

    Attributes:
        first: first TTL.
        most: last TTL.
        queries: probes of a hop.
        at_once: probes without an answer at a time.
        wait: seconds to wait for each.
        size: bytes of a datagram, IP header included.
    """

    first: int = 1
    most: int = 30
    queries: int = 3
    at_once: int = 16
    wait: float = 3.0
    size: int = 60


class Tracer:
    """Runs one trace.

    Attributes:
        hops: all hops so far, in order.
        reached: the destination answered.
        mtu: MTU of the path in bytes as far as it was found, which is the first size when nothing was too big.
    """

    def __init__(self, sounder: Sounder | Connecting, plan: Plan, destination: str) -> None:
        self._sounder = sounder
        self._plan = plan
        self._destination = destination
        self._last = plan.most
        self.reached = False
        self.mtu = plan.size
        self.hops = [
            Hop(ttl, [Shot() for _ in range(plan.queries)]) for ttl in range(plan.first, plan.most + 1)
        ]
        self._waiting = deque((hop, shot) for hop in self.hops for shot in hop.shots)
        self._flying: dict[int, tuple[Hop, Shot, int]] = {}
        self._count = 0

    def run(self, show: Callable[[Hop], None]) -> None:
        """Trace; ``show`` is called with every hop in order when it is over.

        Raises:
            Failure: probes cannot be sent.
        """
        poller = select.poll()
        poller.register(self._sounder.fileno(), select.POLLIN)
        shown = 0
        while True:
            self._send()
            while shown < len(self.hops) and self.hops[shown].over:
                show(self.hops[shown])
                shown += 1
            if shown == len(self.hops):
                return
            poller.poll(max(1, round(self._patience() * 1e3)))
            for number, answer in self._sounder.answers():
                self._take(number, answer)
            self._give_up()

    def _send(self) -> None:
        while self._waiting and len(self._flying) < self._plan.at_once:
            hop, shot = self._waiting[0]
            if hop.ttl > self._last or shot.over:
                self._waiting.popleft()
                continue
            number = self._count & 0xFFFF
            try:
                at = self._sounder.send(number, hop.ttl, self.mtu)
            except BlockingIOError:
                return
            self._waiting.popleft()
            self._count += 1
            self._flying[number] = hop, shot, at

    def _patience(self) -> float:
        """Seconds until the oldest probe is given up."""
        oldest = min((at for _, _, at in self._flying.values()), default=0)
        return max(0.0, oldest / 1e9 + self._plan.wait - time.time())

    def _take(self, number: int, answer: Answer) -> None:
        entry = self._flying.pop(number, None)
        if entry is None:  # late, or a duplicate
            return
        hop, shot, at = entry
        meaning = answer.meaning
        if meaning is not None and meaning.mtu and meaning.mtu < self.mtu:
            self.mtu = meaning.mtu
            hop.mtu, hop.teller = meaning.mtu, answer.source
        if meaning is not None and meaning.mtu and self._plan.size > self.mtu:
            self._waiting.appendleft((hop, shot))  # once more, in the size that fits
            return
        shot.address, shot.seconds = answer.source, max(0.0, (answer.at - at) / 1e9)
        shot.mark, shot.labels, shot.over = (meaning.mark if meaning else ""), answer.labels, True
        if meaning is None or not meaning.expired:
            self.reached = self.reached or answer.source == self._destination
            self._end_at(hop.ttl)

    def _end_at(self, ttl: int) -> None:
        """Nothing lies beyond ``ttl``."""
        if ttl >= self._last:
            return
        self._last = ttl
        self.hops = [hop for hop in self.hops if hop.ttl <= ttl]
        # What is still on its way beyond is of no interest any more.
        for number in [number for number, (hop, _, _) in self._flying.items() if hop.ttl > ttl]:
            self._sounder.forget(number)
            del self._flying[number]

    def _give_up(self) -> None:
        limit = time.time_ns() - round(self._plan.wait * 1e9)
        for number in [number for number, (_, _, at) in self._flying.items() if at <= limit]:
            _, shot, _ = self._flying.pop(number)
            self._sounder.forget(number)
            shot.over = True

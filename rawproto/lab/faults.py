"""What can be asked of a link that loses and delays, in a lab of namespaces and in the simulator alike."""

from __future__ import annotations

import abc
import itertools
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError
from rawproto.lab import rules
from rawproto.lab.counters import DirectionStats
from rawproto.lab.rules import Rule
from rawproto.lab.spec import Impairments
from rawproto.lab.units import nanoseconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rawproto.lab.fates import Decisions
    from rawproto.lab.rules import Packet, Predicate, Verdict

__all__ = ["BACKWARD", "FORWARD", "Held", "ImpairedLink"]

FORWARD, BACKWARD = "forward", "backward"


class Held:
    """Packets that a link keeps until they are released; see :meth:`ImpairedLink.hold`."""

    def __init__(self, rule: Rule, release: Callable[[], int]) -> None:
        self._rule = rule
        self._release = release

    @property
    def hits(self) -> int:
        """How many packets were held so far."""
        return self._rule.hits

    def release(self) -> int:
        """Deliver the packets held, at once; gives how many there were."""
        return self._release()


class ImpairedLink(abc.ABC):
    """A link between two hosts, ``a`` and ``b``, whose impairments can be changed while it runs.

    A packet's direction is named by the host it goes *toward*; without one, both directions are meant.

    Attributes:
        a: one end.
        b: the other end.
        seed: of all chance on this link.
    """

    a: Any
    b: Any
    seed: int

    def __init__(
        self,
        words: Mapping[str, Any],
        forward: Mapping[str, Any] | None,
        backward: Mapping[str, Any] | None,
    ) -> None:
        both = Impairments.of(**words)
        self._specs = {FORWARD: both.but(forward or {}), BACKWARD: both.but(backward or {})}
        self._tokens = itertools.count(1)

    def _directions(self, toward: Any) -> tuple[str, ...]:
        if toward is None:
            return (FORWARD, BACKWARD)
        for end, direction in ((self.b, FORWARD), (self.a, BACKWARD)):
            if toward is end or toward == end.name:
                return (direction,)
        raise LabError(f"toward={toward!r}: this link joins {self.a.name} and {self.b.name}")

    @abc.abstractmethod
    def _apply(self, direction: str, spec: Impairments) -> None:
        """Make ``spec`` hold for packets from now on."""

    @abc.abstractmethod
    def _add_rule(self, direction: str, rule: Rule) -> None:
        """Have ``rule`` look at packets from now on."""

    @abc.abstractmethod
    def _release(self, direction: str, token: int) -> int:
        """Deliver what is held under ``token``."""

    @abc.abstractmethod
    def _stats(self, direction: str) -> DirectionStats:
        """Counters of one direction."""

    @abc.abstractmethod
    def _decisions(self, direction: str) -> Decisions:
        """Decisions of one direction."""

    def impairments(self, toward: Any) -> Impairments:
        """What happens to packets toward that host, as it is now."""
        return self._specs[self._directions(toward)[0]]

    def set(self, *, toward: Any = None, **words: Any) -> None:
        """Change impairments for packets that come from now on; words not named stay as they are.

        Args:
            toward: the direction; both when not given.
            words: as in :mod:`rawproto.lab.spec`; None puts one back to its default.

        Raises:
            ConfigError: an unknown word or a value out of range.
        """
        directions = self._directions(toward)
        changed = {direction: self._specs[direction].but(words) for direction in directions}
        for direction, spec in changed.items():
            self._apply(direction, spec)
            self._specs[direction] = spec

    def down(self, toward: Any = None) -> None:
        """Let nothing pass any more; what is on its way still arrives."""
        self.set(toward=toward, up=False)

    def up(self, toward: Any = None) -> None:
        """Let packets pass again."""
        self.set(toward=toward, up=True)

    def heal(self) -> None:
        """Take everything bad off the link: only delay, rate, queue and MTU stay as they are."""
        for direction in (FORWARD, BACKWARD):
            old = self._specs[direction]
            spec = Impairments(
                delay=old.delay,
                rate=old.rate,
                limit_packets=old.limit_packets,
                limit_bytes=old.limit_bytes,
                mtu=old.mtu,
            )
            self._apply(direction, spec)
            self._specs[direction] = spec

    def drop(
        self,
        nth: int | None = None,
        when: Predicate | None = None,
        *,
        toward: Any = None,
        count: int | None = 1,
    ) -> Rule:
        """Lose the ``nth`` packet, counted from 1 from now on, of those for which ``when`` is true.

        Args:
            nth: which; without it the first, or with ``count=None`` all.
            when: which packets count: called with a :class:`~rawproto.lab.rules.Packet`; without it all do.
            toward: the direction; without it each direction counts for itself, with the rule returned that of
                the packets toward ``b``.
            count: how many packets in a row to meet; None for all from there on.

        Returns:
            The rule, whose ``hits`` says how many packets it met.
        """
        return self._fault(rules.drop, nth, when, toward, count)

    def delay(
        self,
        by: str | float,
        nth: int | None = None,
        when: Predicate | None = None,
        *,
        toward: Any = None,
        count: int | None = 1,
    ) -> Rule:
        """Deliver chosen packets later by ``by``, so that others overtake them; the rest as :meth:`drop`."""
        return self._fault(rules.delay(nanoseconds(by, "by")), nth, when, toward, count)

    def duplicate(
        self,
        nth: int | None = None,
        when: Predicate | None = None,
        *,
        times: int = 1,
        toward: Any = None,
        count: int | None = 1,
    ) -> Rule:
        """Deliver chosen packets ``times`` times more; the rest as :meth:`drop`."""
        return self._fault(rules.copy(times), nth, when, toward, count)

    def change(
        self,
        change_payload: Callable[[bytes], bytes],
        nth: int | None = None,
        when: Predicate | None = None,
        *,
        toward: Any = None,
        count: int | None = 1,
    ) -> Rule:
        """Give chosen packets the payload that ``change_payload`` makes of theirs; the rest as :meth:`drop`."""
        return self._fault(rules.change(change_payload), nth, when, toward, count)

    def hold(
        self, nth: int | None = None, when: Predicate | None = None, *, toward: Any, count: int | None = 1
    ) -> Held:
        """Keep chosen packets until they are released; the rest as :meth:`drop`."""
        token = next(self._tokens)
        rule = self._fault(rules.hold(token), nth, when, toward, count)
        direction = self._directions(toward)[0]
        return Held(rule, lambda: self._release(direction, token))

    def _fault(
        self,
        act: Callable[[Packet, Verdict], None],
        nth: int | None,
        when: Predicate | None,
        toward: Any,
        count: int | None,
    ) -> Rule:
        made = []
        for direction in self._directions(toward):
            made.append(Rule(act, nth, when, count))
            self._add_rule(direction, made[-1])
        return made[0]

    def stats(self, toward: Any = None) -> DirectionStats:
        """Counters of one direction, or the sums of both."""
        return sum((self._stats(direction) for direction in self._directions(toward)), DirectionStats())

    def decisions(self, toward: Any) -> Decisions:
        """What chance decided on the packets toward that host so far; equal seeds give equal decisions."""
        return self._decisions(self._directions(toward)[0])

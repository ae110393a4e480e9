"""Faults aimed at chosen packets: the n-th that fits a predicate is dropped, delayed, changed, copied or held."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from rawproto.errors import ConfigError

if TYPE_CHECKING:
    from rawproto.wire import Header

__all__ = ["Packet", "Predicate", "Rule", "Rules", "Verdict"]


class Packet:
    """A packet as a rule's predicate sees it.

    Attributes:
        data: the whole IP datagram in a lab; what the protocol sent in the simulator, where there is no IP header.
        payload: what is behind the IP header: what the protocol sent, in both.
        index: number of the packet in its direction, from 0.
        time: when it came to the link, nanoseconds of the link's clock.
        toward: name of the host it is going to.
    """

    __slots__ = ("data", "index", "payload", "time", "toward")

    def __init__(self, data: bytes, *, header: int, index: int, time: int, toward: str) -> None:
        self.data = data
        self.payload = data[header:]
        self.index = index
        self.time = time
        self.toward = toward

    def __len__(self) -> int:
        return len(self.data)

    def __bytes__(self) -> bytes:
        return self.data

    def parse(self, header: type[Header]) -> Header:
        """The payload's first header, of the type given; raises DecodeError when it is not one."""
        return header.parse(self.payload)[0]

    def __repr__(self) -> str:
        return f"<packet {self.index} toward {self.toward}, {len(self.data)} bytes: {self.payload[:16].hex()}...>"


Predicate = Callable[[Packet], Any]


@dataclasses.dataclass(slots=True)
class Verdict:
    """What the rules do to one packet: ``delay`` and ``copies`` add up, ``data`` replaces the payload."""

    drop: bool = False
    hold: int | None = None
    delay: int = 0
    copies: int = 0
    payload: bytes | None = None


@dataclasses.dataclass(slots=True)
class Rule:
    """One fault.

    Attributes:
        act: what to do; changes the verdict.
        nth: which of the packets that fit, from 1; None means from the first on.
        when: which packets fit; None means all.
        count: how many packets are met, from the ``nth`` on; None means all from there.
        seen: packets that fitted so far.
        hits: packets met so far.
    """

    act: Callable[[Packet, Verdict], None]
    nth: int | None = None
    when: Predicate | None = None
    count: int | None = 1
    seen: int = 0
    hits: int = 0

    def __post_init__(self) -> None:
        for name in ("nth", "count"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ConfigError(f"{name}: counting starts at 1, {value} never comes")

    def meets(self, packet: Packet) -> bool:
        """Count the packet, and say whether the rule applies to it."""
        if self.spent or (self.when is not None and not self.when(packet)):
            return False
        self.seen += 1
        if self.seen < (self.nth or 1):
            return False
        self.hits += 1
        return True

    @property
    def spent(self) -> bool:
        """Whether it will meet no packet any more."""
        return self.count is not None and self.hits >= self.count


class Rules:
    """The rules of one direction, in the order in which they were given."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, rule: Rule) -> Rule:
        """Add a rule behind the others."""
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def judge(self, packet: Packet) -> Verdict | None:
        """What happens to the packet; None when no rule meets it."""
        verdict: Verdict | None = None
        for rule in self._rules:
            if rule.meets(packet):
                verdict = verdict or Verdict()
                rule.act(packet, verdict)
        if verdict is not None:
            # In place: another thread may be adding one.
            for spent in [rule for rule in self._rules if rule.spent]:
                self._rules.remove(spent)
        return verdict


def drop(_: Packet, verdict: Verdict) -> None:
    """Lose the packet."""
    verdict.drop = True


def delay(by: int) -> Callable[[Packet, Verdict], None]:
    """Deliver the packet ``by`` nanoseconds later; others overtake it."""

    def act(_: Packet, verdict: Verdict) -> None:
        verdict.delay += by

    return act


def copy(times: int) -> Callable[[Packet, Verdict], None]:
    """Deliver the packet ``times`` times more."""

    def act(_: Packet, verdict: Verdict) -> None:
        verdict.copies += times

    return act


def change(change_payload: Callable[[bytes], bytes]) -> Callable[[Packet, Verdict], None]:
    """Give the packet the payload that ``change_payload`` makes of its own; the length must stay."""

    def act(packet: Packet, verdict: Verdict) -> None:
        before = packet.payload if verdict.payload is None else verdict.payload
        after = bytes(change_payload(before))
        if len(after) != len(before):
            raise ConfigError(f"change: the payload had {len(before)} bytes and was given {len(after)}")
        verdict.payload = after

    return act


def hold(token: int) -> Callable[[Packet, Verdict], None]:
    """Keep the packet until ``token`` is released."""

    def act(_: Packet, verdict: Verdict) -> None:
        verdict.hold = token

    return act

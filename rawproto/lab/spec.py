"""What a link does to packets, in words: the one vocabulary of relay and simulator.

The words, each by direction and each changeable while the link runs:

========================  ==============================================================================================
``delay``                 every packet arrives this much later
``jitter``                the delay varies evenly within ``delay`` ± ``jitter``. Order is kept: a packet never overtakes
                          the one before it for its jitter's sake (queues do not reorder; reordering has its own word)
``loss``                  each packet is lost with this probability, independently
``burst_loss``            losses in runs: the two-state model of Gilbert and Elliott
``reorder``               with this probability a packet is held back by ``reorder_hold`` and so overtaken by later ones
``reorder_hold``          how long; by default a quarter of the delay, at least a millisecond
``duplicate``             with this probability a packet comes twice, the copy at once behind the original
``corrupt``               with this probability a packet is damaged: a bit, a byte or a run of bits
``rate``                  bits per second, counted over whole IP packets; what comes faster waits in a queue
``limit``                 room of that queue, in packets (25, "25p") or bytes ("64kib"); what finds it full is dropped
``policer``               a token bucket without a queue: what exceeds it is dropped at once
``mtu``                   longest IP packet in bytes; longer ones vanish without an ICMP error (a path-MTU black hole)
``blackhole``             times at which nothing passes
``up``                    false: nothing passes
========================  ==============================================================================================

A packet meets them in this order: up and blackhole, loss, mtu, policer, duplicate, queue (rate and limit), delay with
jitter and hold, damage.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import Any

from rawproto.errors import ConfigError
from rawproto.lab.units import bits_per_second, byte_count, nanoseconds, queue_limit

__all__ = ["Blackhole", "Corruption", "GilbertElliott", "Impairments", "Policer"]

# The queue of tc-netem(8) has room for as many.
DEFAULT_LIMIT = 1000
MIN_REORDER_HOLD = 1_000_000


def _probability(value: Any, what: str) -> float:
    if not isinstance(value, (int, float)) or not 0 <= value <= 1:
        raise ConfigError(f"{what}: {value!r} is no probability; those are from 0 to 1")
    return float(value)


@dataclasses.dataclass(frozen=True, slots=True)
class GilbertElliott:
    """Loss in runs: a good and a bad state, changed between from packet to packet.

    The mean run of the bad state is ``1 / r`` packets; the share of packets that meet it is ``p / (p + r)``
    (E. N. Gilbert, "Capacity of a burst-noise channel", 1960; E. O. Elliott, 1963).

    Attributes:
        p: probability of going from good to bad, at each packet.
        r: probability of going from bad to good, at each packet.
        bad: loss probability in the bad state.
        good: loss probability in the good state.
    """

    p: float
    r: float
    bad: float = 1.0
    good: float = 0.0

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            _probability(getattr(self, field.name), f"burst_loss.{field.name}")


@dataclasses.dataclass(frozen=True, slots=True)
class Corruption:
    """Damage to packets.

    Attributes:
        probability: that a packet is damaged.
        kind: "bit" flips one bit; "byte" gives one byte another value; "burst" changes a run of ``bits`` bits, its
            first and last for certain.
        where: "payload" damages what is behind the IP header, so that the damage reaches the protocol under test;
            "packet" anything from the IP header on, where the kernel may notice it first.
        bits: length of a burst, 2 to 64.
    """

    probability: float
    kind: str = "bit"
    where: str = "payload"
    bits: int = 32

    def __post_init__(self) -> None:
        _probability(self.probability, "corrupt")
        if self.kind not in ("bit", "byte", "burst"):
            raise ConfigError(f"corrupt.kind: {self.kind!r} is none of bit, byte, burst")
        if self.where not in ("payload", "packet"):
            raise ConfigError(f"corrupt.where: {self.where!r} is none of payload, packet")
        if not 2 <= self.bits <= 64:
            raise ConfigError(f"corrupt.bits: {self.bits} is not from 2 to 64")


@dataclasses.dataclass(frozen=True, slots=True)
class Policer:
    """A token bucket that drops what exceeds it.

    Attributes:
        rate: at which the bucket fills; text or bits per second.
        burst: its size; text or bytes.
    """

    rate: str | float
    burst: str | int

    def __post_init__(self) -> None:
        object.__setattr__(self, "rate", bits_per_second(self.rate, "policer.rate"))
        object.__setattr__(self, "burst", byte_count(self.burst, "policer.burst"))


@dataclasses.dataclass(frozen=True, slots=True)
class Blackhole:
    """A time in which nothing passes, once or again and again.

    Attributes:
        after: when it begins, counted from when the link was given it.
        lasts: for how long.
        every: from one beginning to the next; None for once.
    """

    after: str | float
    lasts: str | float
    every: str | float | None = None

    def __post_init__(self) -> None:
        for name in ("after", "lasts", "every"):
            value = getattr(self, name)
            if value is not None:
                # Back through the unit it came in, so that an Impairments can be rebuilt from its own fields.
                object.__setattr__(self, name, nanoseconds(value, f"blackhole.{name}") / 1_000_000_000)
        if self.every == 0:
            raise ConfigError("blackhole.every: must be more than 0")

    def covers(self, elapsed: int) -> bool:
        """Whether it holds ``elapsed`` nanoseconds after the link was given it."""
        since = elapsed - nanoseconds(self.after)
        if since < 0:
            return False
        if self.every is not None:
            since %= nanoseconds(self.every)
        return since < nanoseconds(self.lasts)


@dataclasses.dataclass(frozen=True, slots=True)
class Impairments:
    """What one direction of a link does to packets; made from words by :meth:`of`. All times in nanoseconds."""

    delay: int = 0
    jitter: int = 0
    loss: float = 0.0
    burst_loss: GilbertElliott | None = None
    reorder: float = 0.0
    reorder_hold: int | None = None
    duplicate: float = 0.0
    corrupt: Corruption | None = None
    rate: int | None = None
    limit_packets: int | None = DEFAULT_LIMIT
    limit_bytes: int | None = None
    policer: Policer | None = None
    mtu: int | None = None
    blackhole: tuple[Blackhole, ...] = ()
    up: bool = True

    @property
    def hold(self) -> int:
        """How long a reordered packet is held back."""
        if self.reorder_hold is not None:
            return self.reorder_hold
        return max(self.delay // 4, MIN_REORDER_HOLD)

    @classmethod
    def of(cls, **words: Any) -> Impairments:
        """Impairments from the words of this module.

        Raises:
            ConfigError: an unknown word or a value out of range, named.
        """
        return cls().but(words)

    def but(self, words: Mapping[str, Any]) -> Impairments:
        """These impairments with some words changed; None puts a word back to its default."""
        changes: dict[str, Any] = {}
        for word, value in words.items():
            reader = _READERS.get(word)
            if reader is None:
                raise ConfigError(f"{word!r} is no impairment; known are {', '.join(sorted(_READERS))}")
            changes.update(reader(value))
        changed = dataclasses.replace(self, **changes)
        if changed.jitter > changed.delay:
            raise ConfigError(
                "jitter: it cannot be more than the delay; a packet does not arrive before it was sent"
            )
        return changed


def _simple(name: str, convert: Any) -> Any:
    default = {field.name: field.default for field in dataclasses.fields(Impairments)}[name]

    def read(value: Any) -> dict[str, Any]:
        return {name: default if value is None else convert(value, name)}

    return read


def _burst_loss(value: Any, what: str) -> GilbertElliott:
    if isinstance(value, GilbertElliott):
        return value
    if isinstance(value, Iterable) and not isinstance(value, str):
        return GilbertElliott(*value)
    raise ConfigError(f"{what}: give a GilbertElliott or its numbers (p, r), not {value!r}")


def _corrupt(value: Any, _: str) -> Corruption:
    return value if isinstance(value, Corruption) else Corruption(value)


def _policer(value: Any, what: str) -> Policer:
    if isinstance(value, Policer):
        return value
    if isinstance(value, Iterable) and not isinstance(value, str):
        return Policer(*value)
    raise ConfigError(f"{what}: give a Policer or (rate, burst), not {value!r}")


def _blackhole(value: Any, _: str) -> tuple[Blackhole, ...]:
    if isinstance(value, Blackhole):
        return (value,)
    return tuple(item if isinstance(item, Blackhole) else Blackhole(*item) for item in value)


def _limit(value: Any) -> dict[str, Any]:
    packets, size = queue_limit(DEFAULT_LIMIT if value is None else value)
    return {"limit_packets": packets, "limit_bytes": size}


def _whole(value: Any, what: str) -> int:
    if not isinstance(value, int) or value < 1:
        raise ConfigError(f"{what}: {value!r} is no number of bytes")
    return value


_READERS = {
    "delay": _simple("delay", nanoseconds),
    "jitter": _simple("jitter", nanoseconds),
    "loss": _simple("loss", _probability),
    "burst_loss": _simple("burst_loss", _burst_loss),
    "reorder": _simple("reorder", _probability),
    "reorder_hold": _simple("reorder_hold", nanoseconds),
    "duplicate": _simple("duplicate", _probability),
    "corrupt": _simple("corrupt", _corrupt),
    "rate": _simple("rate", bits_per_second),
    "limit": _limit,
    "policer": _simple("policer", _policer),
    "mtu": _simple("mtu", _whole),
    "blackhole": _simple("blackhole", _blackhole),
    "up": _simple("up", lambda value, _: bool(value)),
}

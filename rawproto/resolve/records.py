"""What the record lookups give: MX, NS and SRV as values."""

from __future__ import annotations

import dataclasses
import operator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Iterable

__all__ = ["MX", "NS", "SRV", "order_mx", "order_srv"]


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class MX:
    """A mail exchanger (RFC 1035 section 3.3.9): its name with a final dot, and its preference, lowest first."""

    host: str
    pref: int


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class NS:
    """A name server of a zone: its name with a final dot."""

    host: str


@dataclasses.dataclass(frozen=True, slots=True, order=True)
class SRV:
    """A service's host (RFC 2782): name with a final dot, port, priority (lowest first), weight among equals."""

    target: str
    port: int
    priority: int
    weight: int


def order_mx(records: Iterable[MX], rng: random.Random) -> list[MX]:
    """By preference; equals in random order, to spread the load (RFC 5321 section 5.1)."""
    shuffled = list(records)
    rng.shuffle(shuffled)
    return sorted(shuffled, key=operator.attrgetter("pref"))


def order_srv(records: Iterable[SRV], rng: random.Random) -> list[SRV]:
    """By priority; equals drawn at random, each as likely as its weight says (RFC 2782, "Weight")."""
    # Sorted by weight first: a zero weight then has a small chance, as the RFC wants, and not none.
    waiting = sorted(records, key=lambda record: (record.priority, record.weight))
    ordered: list[SRV] = []
    while waiting:
        equals = [record for record in waiting if record.priority == waiting[0].priority]
        point = rng.randint(0, sum(record.weight for record in equals))
        for record in equals:
            point -= record.weight
            if point <= 0:
                break
        ordered.append(record)
        waiting.remove(record)
    return ordered

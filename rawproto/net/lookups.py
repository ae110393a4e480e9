"""Names looked up in the midst of opening something, by the blocking or the asyncio resolver.

What has names to look up is written once, as a generator: it yields each :class:`Lookup`, is sent what was found, and
returns what it is for. So are the resolvers' own plans (:mod:`rawproto.resolve.plans`).
"""

from __future__ import annotations

from collections.abc import Generator
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar

__all__ = ["Lookup", "Lookups", "async_looked_up", "looked_up"]

T = TypeVar("T")


class Lookup(NamedTuple):
    """A question to a resolver: one of its methods, and the two arguments of it."""

    method: Literal["lookup_ip", "resolve_ip_addr"]
    first: str
    second: str


Lookups: TypeAlias = Generator[Lookup, Any, T]
"""Yields questions, is sent the answers, returns a T."""


def looked_up(steps: Lookups[T]) -> T:
    """What ``steps`` return, their questions asked one after the other.

    Raises:
        DNSError: a name was not found.
    """
    try:
        lookup = next(steps)
        from rawproto.resolve.functions import default_resolver

        while True:
            lookup = steps.send(getattr(default_resolver(), lookup.method)(lookup.first, lookup.second))
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]


async def async_looked_up(steps: Lookups[T]) -> T:
    """:func:`looked_up` for an event loop: without a thread."""
    try:
        lookup = next(steps)
        from rawproto.resolve.functions import default_async_resolver

        while True:
            lookup = steps.send(
                await getattr(default_async_resolver(), lookup.method)(lookup.first, lookup.second)
            )
    except StopIteration as end:
        return end.value  # type: ignore[no-any-return]

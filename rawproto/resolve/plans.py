"""What a lookup asks, and what it makes of the answers, sans-IO: one generator for each kind of lookup.

A plan yields a list of questions, to be asked at the same time, and is sent the list of their outcomes: for each an
:class:`~rawproto.resolve.message.Answer` or the :class:`~rawproto.errors.DNSError` that ended it. It returns what
was looked up or raises DNSError. The blocking and the asyncio resolver both run these.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Generator, Sequence
from typing import Any

from rawproto.addr.ip import IP
from rawproto.errors import DNSError
from rawproto.resolve.message import Answer, Question
from rawproto.resolve.names import absolute, candidates, is_domain_name, no_such_host
from rawproto.resolve.services import ascii_lower

__all__ = ["Found", "Outcome", "Plan", "addresses_of", "ask_addresses", "ask_name", "ask_records"]

Outcome = Answer | DNSError
Questions = Sequence[Question]

MAX_CHAIN = 16
"""CNAME records followed in all, over the answers of several questions (dnspython's limit within one)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Found:
    """Records of a name, the name at the end of its CNAME chain, and dnspython's values of chain and records."""

    records: tuple[Any, ...]
    canonical: str
    rdatas: tuple[Any, ...] = ()


Plan = Generator[Questions, Sequence[Outcome], Found]


def ask_addresses(name: str, types: Sequence[str], search: Sequence[str], ndots: int) -> Plan:
    """The addresses of a name: ``types`` ("A", "AAAA") at once, for each full name in turn until one has any.

    One type's failure does not hide the other's addresses.
    """
    error: DNSError | None = None
    for full in _full_names(name, search, ndots):
        found = yield from _chase(full, types)
        if isinstance(found, DNSError):
            error = _graver(error, found)
        elif found.records:
            return found
        else:
            error = _graver(error, no_such_host(full))
    raise _named(error or no_such_host(name), name)


def ask_records(name: str, rdtype: str, search: Sequence[str], ndots: int) -> Plan:
    """The records of one type of a name, for each full name in turn until one has any."""
    return (yield from ask_addresses(name, (rdtype,), search, ndots))


def ask_name(name: str, search: Sequence[str], ndots: int) -> Plan:
    """The canonical name of a name that exists, with or without addresses at the end of its chain."""
    error: DNSError | None = None
    for full in _full_names(name, search, ndots):
        found = yield from _chase(full, ("A", "AAAA"), exists_is_enough=True)
        if isinstance(found, Found):
            return found
        error = _graver(error, found)
    raise _named(error or no_such_host(name), name)


def _full_names(name: str, search: Sequence[str], ndots: int) -> list[str]:
    if not is_domain_name(name):
        raise no_such_host(name)
    return candidates(name, search, ndots)


def _chase(
    full: str, types: Sequence[str], *, exists_is_enough: bool = False
) -> Generator[Questions, Sequence[Outcome], Found | DNSError]:
    """Ask for one full name and follow CNAME records that the server left to us to follow."""
    pending = [Question(ascii_lower(full), rdtype) for rdtype in types]
    records: list[Any] = []
    rdatas: list[Any] = []
    canonical = full
    errors: list[DNSError] = []
    existed = False
    for _ in range(MAX_CHAIN):
        outcomes = yield pending
        pending = []
        for outcome in outcomes:
            if isinstance(outcome, DNSError):
                errors.append(outcome)
                continue
            moved = ascii_lower(outcome.canonical) != outcome.question.name
            canonical = outcome.canonical if moved else canonical
            existed = existed or outcome.exists or moved
            records += outcome.records
            rdatas += outcome.rdatas
            if not outcome.complete:
                pending.append(Question(ascii_lower(outcome.canonical), outcome.question.type))
            elif not outcome.exists:
                errors.append(no_such_host(full, outcome.server))
        if not pending:
            break
    else:
        return DNSError("the chain of CNAME records does not end", full)
    if records or (existed and exists_is_enough) or not errors:
        return Found(tuple(records), absolute(canonical), tuple(rdatas))
    # One type's NXDOMAIN is said of the name as a whole (RFC 8020 section 2).
    return next((error for error in errors if error.is_not_found), errors[0])


def _graver(one: DNSError | None, other: DNSError) -> DNSError:
    """Of two errors the one to report: that a server failed says more than that a name does not exist."""
    return other if one is None or (one.is_not_found and not other.is_not_found) else one


def _named(error: DNSError, name: str) -> DNSError:
    """The same error about the name that the caller gave, not one made of it with the search list."""
    return type(error)(
        error.reason,
        name,
        error.server,
        is_not_found=error.is_not_found,
        is_timeout=error.is_timeout,
        is_temporary=error.is_temporary,
    )


def addresses_of(found: Found) -> list[IP]:
    """The addresses among the records, IPv4 in 4 bytes, each once."""
    return list(dict.fromkeys(ip.to4() or ip for ip in found.records if isinstance(ip, IP)))

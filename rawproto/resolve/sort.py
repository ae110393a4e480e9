"""The order in which to try a host's addresses: destination address selection (RFC 6724 section 6)."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from rawproto.addr.ip import IP

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["sort_addresses"]

# RFC 6724 section 2.1, longest prefix first: prefix, its length, precedence, label.
_POLICY: tuple[tuple[int, int, int, int], ...] = tuple(
    (int(IP(prefix)) >> (128 - length), length, precedence, label)
    for prefix, length, precedence, label in (
        ("::1", 128, 50, 0),
        ("::ffff:0:0", 96, 35, 4),
        ("::", 96, 1, 3),
        ("2001::", 32, 5, 5),
        ("2002::", 16, 30, 2),
        ("3ffe::", 16, 1, 12),
        ("fec0::", 10, 1, 11),
        ("fc00::", 7, 3, 13),
        ("::", 0, 40, 1),
    )
)

# Scopes (RFC 4291 section 2.7); IPv4 as in RFC 6724 section 3.2.
_LINK_LOCAL = 0x2
_SITE_LOCAL = 0x5
_GLOBAL = 0xE


def _policy(ip: IP) -> tuple[int, int]:
    number = int(ip.to16())
    for prefix, length, precedence, label in _POLICY:
        if number >> (128 - length) == prefix:
            return precedence, label
    raise AssertionError("the last policy matches every address")


def _scope(ip: IP) -> int:
    if ip.is_loopback or ip.is_link_local_unicast:
        return _LINK_LOCAL
    if len(ip) == 16 and ip.is_multicast:
        return ip[1] & 0xF
    if len(ip) == 16 and ip[0] == 0xFE and ip[1] & 0xC0 == 0xC0:
        return _SITE_LOCAL
    return _GLOBAL


def _common_prefix(one: IP, other: IP) -> int:
    """Leading bits that two IPv6 addresses share, 64 at most: beyond is the interface's part (section 2.2)."""
    difference = (int(one) ^ int(other)) >> 64
    return 64 - difference.bit_length()


def _compare(one: tuple[IP, IP | None], other: tuple[IP, IP | None]) -> int:
    """Negative when ``one`` is to be tried first; the rules in the RFC's order, 3, 4 and 7 needing the kernel's eye."""
    a, source_a = one
    b, source_b = other
    if source_a is None or source_b is None:  # rule 1: avoid unusable destinations
        return (source_a is None) - (source_b is None)
    scope_a, scope_b = _scope(a), _scope(b)
    (precedence_a, label_a), (precedence_b, label_b) = _policy(a), _policy(b)
    preferences = (
        (scope_a == _scope(source_a)) - (scope_b == _scope(source_b)),  # rule 2: matching scope
        (label_a == _policy(source_a)[1]) - (label_b == _policy(source_b)[1]),  # rule 5: matching label
        precedence_a - precedence_b,  # rule 6: higher precedence
        scope_b - scope_a,  # rule 8: smaller scope
    )
    for preference in preferences:
        if preference:
            return -preference
    if len(a) == len(b) == len(source_a) == len(source_b) == 16:
        # Rule 9, for IPv6 only: on IPv4 it defeats round-robin names and helps nobody (golang/go#13283).
        return _common_prefix(b, source_b) - _common_prefix(a, source_a)
    return 0  # rule 10: leave the order


def sort_addresses(addresses: Sequence[IP], sources: Sequence[IP | None]) -> list[int]:
    """The order to try addresses in, as indices.

    Args:
        addresses: destinations, IPv4 in 4 bytes.
        sources: for each, the address this host would send from, or None where it cannot reach it.
    """
    pairs = [
        (address, None if source is None else source.to4() or source)
        for address, source in zip(addresses, sources, strict=True)
    ]

    def compare(i: int, j: int) -> int:
        return _compare(pairs[i], pairs[j])

    return sorted(range(len(pairs)), key=functools.cmp_to_key(compare))

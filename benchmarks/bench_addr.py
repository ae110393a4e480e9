"""Addresses against ipaddress and netaddr: text to value and back, lookup in sets, one by one and in batches."""

from __future__ import annotations

import ipaddress
import random
import time
from typing import TYPE_CHECKING, Any

import netaddr
import numpy as np

from benchmarks.harness import Goal, Row
from rawproto.addr import ACL, IP, format_ips, parse_ips

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

MANY = 20_000  # distinct addresses, more than any cache of parsed ones holds
FEW = 500  # the addresses of a busy server's peers, met again and again


def dotted(count: int) -> list[str]:
    """Distinct dotted texts, the same in every run."""
    rng = random.Random(4)
    return [str(ipaddress.IPv4Address(number)) for number in rng.sample(range(1 << 32), count)]


def with_colons(count: int) -> list[str]:
    """IPv6 texts as they are met: half of them with a run of zeros."""
    rng = random.Random(6)
    numbers = (rng.getrandbits(128) & (-1 << 64 if index % 2 else -1) for index in range(count))
    return [str(ipaddress.IPv6Address(number)) for number in numbers]


def per_second(function: Callable[[Any], Any], items: Sequence[Any]) -> Callable[[], float]:
    """Items a second, one call for each."""

    def measure() -> float:
        began = time.perf_counter()
        for item in items:
            function(item)
        return len(items) / (time.perf_counter() - began)

    return measure


def at_once(function: Callable[[Any], Any], items: Any) -> Callable[[], float]:
    """Items a second, all in one call."""

    def measure() -> float:
        began = time.perf_counter()
        function(items)
        return len(items) / (time.perf_counter() - began)

    return measure


def there_and_back(parse: Callable[[str], Any]) -> Callable[[str], str]:
    """Parses and prints one text."""
    return lambda text: str(parse(text))


def text_rows() -> Iterator[Row]:
    """Text to value and back, one by one."""
    four, six = dotted(MANY), with_colons(MANY)
    known = four[:FEW] * (MANY // FEW)
    parse = {"ipaddress": ipaddress.ip_address, "netaddr": netaddr.IPAddress}
    for name, texts, expected in (
        ("parse and print IPv4, known addresses", known, {"ipaddress": 1.0, "netaddr": 5.0}),
        ("parse and print IPv4, all distinct", four, {"ipaddress": 1.0, "netaddr": None}),
        ("parse and print IPv6, all distinct", six, {"ipaddress": 1.0, "netaddr": None}),
    ):
        yield Row(
            name,
            "addresses/s",
            "higher",
            per_second(there_and_back(IP), texts),
            {rival: per_second(there_and_back(function), texts) for rival, function in parse.items()},
            {rival: ratio for rival, ratio in expected.items() if ratio is not None},
        )


def batch_rows() -> Iterator[Row]:
    """Text to array and back, against the same one by one."""
    texts = dotted(5 * MANY)
    rows = parse_ips(texts)
    yield Row(
        "parse IPv4 in a batch",
        "addresses/s",
        "higher",
        at_once(parse_ips, texts),
        {
            "ipaddress": per_second(ipaddress.ip_address, texts),
            "netaddr": per_second(netaddr.IPAddress, texts),
        },
        {"ipaddress": 10.0, "netaddr": 10.0},
    )
    printable = [ipaddress.ip_address(text) for text in texts]
    yield Row(
        "print IPv4 in a batch",
        "addresses/s",
        "higher",
        at_once(format_ips, rows),
        {"ipaddress": per_second(str, printable)},
        {"ipaddress": 2.0},
    )


def acl_rows() -> Iterator[Row]:
    """Decisions by a thousand networks."""
    rng = np.random.default_rng(8)
    networks = [f"{a}.{b}.{c}.0/24" for a, b, c in rng.integers(1, 224, (1000, 3)).tolist()]
    acl = ACL(networks)
    theirs = netaddr.IPSet(networks)
    probes = rng.integers(0, 256, (1_000_000, 16), dtype=np.uint8)
    probes[: len(probes) // 2, :12] = np.frombuffer(IP("::ffff:0:0")[:12], np.uint8)
    single = [IP(row[12:].tobytes()) for row in probes[:FEW]]
    plain = [ip.to_netaddr() for ip in single]
    yield Row(
        "access list of 1,000 networks, batched",
        "decisions/s",
        "higher",
        at_once(acl.permits_many, probes),
        {"a million a second": Goal(1e6), "netaddr.IPSet": per_second(theirs.__contains__, plain)},
        {"a million a second": 1.0, "netaddr.IPSet": 20.0},
    )
    yield Row(
        "access list of 1,000 networks, one by one",
        "decisions/s",
        "higher",
        per_second(acl.permits, single * 20),
        {"netaddr.IPSet": per_second(theirs.__contains__, plain)},
        {"netaddr.IPSet": 1.0},
    )


def rows() -> Iterable[Row]:
    """All rows of the room."""
    yield from text_rows()
    yield from batch_rows()
    yield from acl_rows()

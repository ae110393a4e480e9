"""F6 and E1 of the reliability catalogue: what shall not be guessed, and what a million SYNs leave behind."""

from __future__ import annotations

import gc
import itertools
import random
import tracemalloc
from collections import Counter

import pytest

from rawproto.rsp.cookie import CookieJar
from rawproto.rsp.directory import Directory
from rawproto.rsp.handshake import Terms, cookie_context, hello_packet
from rawproto.rsp.header import Kind
from rawproto.wire.batch import ReceivedBatch

LONG = pytest.param(1_000_000, marks=[pytest.mark.long, pytest.mark.timeout(1200)])
RESTARTS = 10


def even(values, count):
    """Asserts what holds of ``count`` random 64-bit values: none twice, no bit preferred, no constant step."""
    assert len(values) == len(set(values)) == count
    spread = 2.5 * count**0.5  # five standard deviations of a bit's count
    for bit in range(64):
        assert abs(sum(value >> bit & 1 for value in values) - count / 2) < spread
    steps = Counter((later - earlier) % 2**64 for earlier, later in itertools.pairwise(values))
    assert max(steps.values()) == 1
    pairs = count**2 / 2**33  # birthdays among the lower 32 bits
    assert abs(count - len({value & 0xFFFF_FFFF for value in values}) - pairs) < 5 * pairs**0.5 + 2


@pytest.mark.parametrize("count", [20_000, LONG])
def test_f6_identifiers_across_restarts(count):
    values = []
    for restart in range(RESTARTS):
        directory = Directory(random.Random(restart).randbytes)
        values += [directory.new_identifier() for _ in range(count // RESTARTS)]
    even(values, count)


@pytest.mark.parametrize("count", [20_000, LONG])
def test_f6_identifiers_and_cookies_of_a_listener_across_restarts(count):
    # One dialer asks again and again, with numbers in a row: what it gets follows no more than its own words' hash.
    identifiers, cookies = [], []
    for restart in range(RESTARTS):
        jar = CookieJar(random.Random(restart).randbytes, 0)
        for number in range(count // RESTARTS):
            terms = Terms(9, 1200, number + 1, 1000, 1400, 3)
            identifier, cookie = jar.make(cookie_context("dialer", terms), 0)
            identifiers.append(identifier)
            cookies.append(int.from_bytes(cookie[:8], "big"))
    even(identifiers, count)
    even(cookies, count)


@pytest.mark.parametrize("count", [20_000, LONG])
def test_e1_half_open_connections_leave_nothing(pair, count):
    p = pair()
    p.listen()
    rng = random.Random(1)

    def flood(total):
        for _ in range(total // 1000):
            rows = []
            for _ in range(1000):
                terms = Terms(rng.randrange(1, 65536), 1200, rng.getrandbits(64) | 1, 65536, 1400, 3)
                rows.append((hello_packet(Kind.SYN, terms, 0), f"{rng.getrandbits(32):x}"))
            p.b.handle_datagrams(ReceivedBatch.from_arrivals(rows), p.now)
            while p.b.poll_transmit(p.now) is not None:
                pass

    flood(5000)  # what is made once is made
    before = repr({name: len(table) for name, table in p.tables("b").items()})
    tracemalloc.start()
    try:
        flood(1000)
        gc.collect()
        start = tracemalloc.get_traced_memory()[0]
        flood(count)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - start
    finally:
        tracemalloc.stop()
    assert p.b.stats.handshakes == count + 6000
    assert repr({name: len(table) for name, table in p.tables("b").items()}) == before
    assert p.b.poll_timeout() is None
    assert grown < 64 * 1024  # of bytes that the catalogue would allow a MiB

"""Congestion windows over time against a stored series: line B14 of the reliability catalogue.

The paths and losses are exact, so the series is too; a change of a controller shows here before it shows in a transfer.
After one that is meant: ``RAWPROTO_REGENERATE=1 pytest tests/rsp/test_b14_traces.py`` writes the file anew, to be read
in review.
"""

from __future__ import annotations

import itertools

import pytest

from rawproto.protocol import MILLISECOND, SECOND

TOLERANCE = 0.05
SAMPLE = 0.1
PATH = {"delay": 20 * MILLISECOND, "rate": 40e6, "queue": SECOND}


def lose_at(*offsets):
    """Drops the first copy of the packet that carries each offset of the stream."""
    left = set(offsets)

    def drop(packet):
        if packet.kind == "DATA":
            start, stop = packet.stream
            for offset in [each for each in left if start <= each < stop]:
                left.discard(offset)
                return True
        return False

    return drop


def one_loss(p):
    p.links["a"].drop = lose_at(3_000_000)
    return 8_000_000


def two_losses(p):
    p.links["a"].drop = lose_at(3_000_000, 4_500_000)
    return 8_000_000


def persistent_congestion(p):
    p.at(1.0, lambda: setattr(p.links["a"], "up", False))
    p.at(2.5, lambda: setattr(p.links["a"], "up", True))
    return 6_000_000


def application_limited(p):
    return 200_000


CASES = {each.__name__: each for each in (one_loss, two_losses, persistent_congestion, application_limited)}


def series(pair, flow, case, congestion):
    """The congestion window each tenth of a second, bytes."""
    p = pair(link=PATH, congestion=congestion, path_mtu_discovery=False)
    client, server = p.open()
    size = CASES[case](p)
    windows = []

    def sample():
        windows.append(client.stats().congestion_window)
        if len(windows) < 60:
            p.at(p.now / SECOND + SAMPLE, sample)

    sample()
    if case == "application_limited":
        for turn in range(20):
            p.at(p.now / SECOND + 0.1 * turn, lambda: client.write(bytes(size // 20), p.now))
        p.flows.append(flow(server))
    else:
        p.flows += [flow(client, bytes(size)), flow(server)]
    p.flows[-1].half_close = False
    p.run(lambda: len(p.flows[-1].received) == size, 60)
    return windows


@pytest.mark.parametrize("congestion", ["newreno", "cubic", "bbr"])
@pytest.mark.parametrize("case", CASES)
def test_the_window_follows_the_stored_series(pair, flow, golden, case, congestion):
    found = series(pair, flow, case, congestion)
    stored = golden("congestion", f"{congestion}, {case.replace('_', ' ')}", found)
    assert len(found) == len(stored)
    for turn, (mine, due) in enumerate(zip(found, stored, strict=True)):
        assert abs(mine - due) <= TOLERANCE * due, f"{mine} bytes for {due} after {turn * SAMPLE:.1f} s"


@pytest.mark.parametrize("congestion", ["newreno", "cubic"])
def test_a_loss_takes_the_share_that_the_rule_says(pair, flow, congestion):
    """Half for NewReno (RFC 9002 section 7.3.2), three tenths for CUBIC (RFC 9438 section 4.6: beta is 0.7)."""
    windows = series(pair, flow, "one_loss", congestion)
    falls = [later / sooner for sooner, later in itertools.pairwise(windows) if later < sooner]
    assert len(falls) == 1
    kept = 0.5 if congestion == "newreno" else 0.7
    assert kept <= falls[0] <= kept + 0.12  # it has grown a little by the next sample

"""Explicit congestion notification (RFC 3168, RFC 9000 section 13.4)."""

from __future__ import annotations

import pytest

from rawproto.protocol import MILLISECOND
from rawproto.rsp.config import RSPConfig

LINK = {"delay": 15 * MILLISECOND, "rate": 20e6, "queue": 10**9}


@pytest.mark.parametrize(("ours", "theirs"), [(False, False), (True, False), (False, True), (True, True)])
def test_packets_are_marked_capable_when_both_want_it(pair, ours, theirs):
    p = pair(a_config=RSPConfig(ecn=ours), b_config=RSPConfig(ecn=theirs))
    client, server = p.transfer(p.payload(20_000), p.payload(20_000))
    assert server.received == client.data
    expected = {2} if ours and theirs else {0}
    assert {packet.ecn for packet in p.packets if packet.kind in ("DATA", "ACK", "PROBE")} == expected
    assert {packet.ecn for packet in p.packets if packet.kind in ("SYN", "COOKIE", "CONFIRM", "RESET")} == {0}


@pytest.mark.parametrize("congestion", ["newreno", "cubic"])
def test_marks_slow_the_sender_down_without_a_loss(pair, congestion):
    windows = {}
    for mark in (0.0, 0.05):
        p = pair(link={**LINK, "mark": mark}, ecn=True, congestion=congestion)
        client, server = p.transfer(p.payload(1_000_000))
        assert server.received == client.data
        stats = client.connection.stats()
        assert stats.packets_lost == 0
        assert (server.connection.stats().congestion_marks > 0) is (mark > 0)
        windows[mark] = stats.congestion_window
    assert windows[0.05] < windows[0.0] / 2


def test_a_mark_is_told_at_once_and_counted_once(pair):
    p = pair(link=LINK, ecn=True, congestion="newreno")
    client, server = p.open()
    p.run_for(1)
    before = client.stats().congestion_window
    p.links["a"].mark = 1.0
    p.send(client, b"x")
    p.run(lambda: client.unacknowledged == 0)
    p.links["a"].mark = 0.0
    halved = client.stats().congestion_window
    assert halved < before
    assert p.sent("b", "ACK")[-1].at - p.sent("a", "DATA")[-1].at < 20 * MILLISECOND
    for _ in range(5):
        p.send(client, b"y")
        p.run(lambda: client.unacknowledged == 0)
    assert client.stats().congestion_window >= halved
    assert server.stats().congestion_marks == 1


def test_a_network_that_drops_capable_packets_is_outwitted(pair):
    p = pair(link=LINK, ecn=True)
    for direction in p.links.values():
        direction.drop = lambda packet: packet.ecn != 0
    client, server = p.transfer(p.payload(50_000), limit=120)
    assert server.received == client.data
    assert client.error is None

"""What docs/rsp.md alone was enough for: a second implementation talks to rawproto's, in virtual time."""

from __future__ import annotations

import random

import pytest

from rawproto import ConnectionRefused, ConnectionReset
from rawproto.rsp import RSPConfig
from tests.rsp_second.simulated import Pair
from tests.rsp_second.wire import FEATURES, Why

BOTH = pytest.mark.parametrize("second_dials", [True, False], ids=["second dials", "second listens"])


def exchange(pair: Pair, there: int, back: int) -> None:
    """Send so many bytes each way, end both directions, and compare."""
    pair.dialer.sends = random.Random(1).randbytes(there)
    pair.server.sends = random.Random(2).randbytes(back)
    pair.connect()
    pair.run(lambda: pair.dialer.over and pair.server.over)
    assert pair.server.got == pair.dialer.sends
    assert pair.dialer.got == pair.server.sends
    assert pair.dialer.error is None
    assert pair.server.error is None


@BOTH
@pytest.mark.parametrize(
    ("there", "back"), [(0, 0), (1, 1), (100_000, 0), (0, 100_000), (1_000_000, 1_000_000)]
)
def test_bytes_go_both_ways_and_both_ends_finish(second_dials: bool, there: int, back: int) -> None:
    exchange(Pair(1, second_dials=second_dials), there, back)


@BOTH
@pytest.mark.parametrize("share", [0.05, 0.2])
@pytest.mark.parametrize("seed", range(3))
def test_a_bad_network_costs_no_byte(second_dials: bool, share: float, seed: int) -> None:
    words = {"loss": share, "reorder": 0.1, "duplicate": 0.05, "corrupt": 0.02, "rate": "20mbit"}
    exchange(Pair(seed, second_dials=second_dials, words=words, check="xxh3"), 200_000, 200_000)


@BOTH
@pytest.mark.parametrize("check", ["xxh3", "crc32"])
def test_on_ip_itself(second_dials: bool, check: str) -> None:
    pair = Pair(12, second_dials=second_dials, udp=False, words={"loss": 0.1, "corrupt": 0.1}, check=check)
    exchange(pair, 100_000, 100_000)
    assert (pair.dialer if second_dials else pair.server).conn.check == check


@BOTH
@pytest.mark.parametrize("ours", FEATURES)
@pytest.mark.parametrize("check", FEATURES)
def test_the_stronger_wish_for_a_check_is_used(second_dials: bool, ours: str, check: str) -> None:
    pair = Pair(3, second_dials=second_dials, config=RSPConfig(integrity=ours), check=check)
    exchange(pair, 5000, 5000)
    mine = pair.dialer if second_dials else pair.server
    assert mine.conn.check == max(check, ours, key=list(FEATURES).index)


@BOTH
def test_a_half_closed_connection_still_carries_the_other_half(second_dials: bool) -> None:
    pair = Pair(4, second_dials=second_dials)
    pair.dialer.sends = b"question"
    pair.server.holds = True
    pair.connect()
    pair.run(lambda: pair.server.at_end)
    pair.simulation.run(deadline="10s")
    pair.server.sends, pair.server.holds = b"answer" * 10_000, False
    pair.run(lambda: pair.dialer.at_end)
    assert pair.dialer.got == b"answer" * 10_000
    pair.run(lambda: pair.dialer.over and pair.server.over)
    assert pair.dialer.error is pair.server.error is None


@BOTH
def test_a_server_speaks_first_though_the_first_confirm_is_lost(second_dials: bool) -> None:
    pair = Pair(5, second_dials=second_dials)
    pair.dialer.holds = True
    pair.server.sends = b"220 ready"
    pair.link.drop(nth=1, when=lambda packet: packet.payload[4] == 0x12)
    pair.connect()
    pair.run(lambda: pair.dialer.got == b"220 ready")


@BOTH
def test_a_reader_that_halts_closes_the_window_and_opens_it(second_dials: bool) -> None:
    pair = Pair(
        6,
        second_dials=second_dials,
        config=RSPConfig(initial_window=65_536, receive_window=65_536),
        window=65_536,
    )
    pair.dialer.sends = random.Random(6).randbytes(300_000)
    pair.server.halts = True
    pair.connect()
    pair.simulation.run(deadline="300s")  # the window stays closed for longer than any timeout
    assert pair.dialer.error is pair.server.error is None
    pair.server.halts = False
    pair.run(lambda: pair.dialer.over and pair.server.over)
    assert pair.server.got == pair.dialer.sends


@BOTH
@pytest.mark.parametrize("dialer_aborts", [True, False])
def test_an_abort_is_a_reset_at_the_other_end(second_dials: bool, dialer_aborts: bool) -> None:
    pair = Pair(7, second_dials=second_dials)
    pair.dialer.holds = pair.server.holds = True
    pair.dialer.sends = b"hello"
    pair.connect()
    pair.run(lambda: bool(pair.server.got))
    one, other = (pair.dialer, pair.server) if dialer_aborts else (pair.server, pair.dialer)
    one.node.do(lambda _, now: one.conn.reset(Why.ABORTED) if one.second else one.conn.abort(now))
    pair.run(lambda: other.over, seconds=5)
    assert other.error is Why.ABORTED if other.second else isinstance(other.error, ConnectionReset)


@BOTH
def test_closing_with_unread_data_is_a_reset(second_dials: bool) -> None:
    pair = Pair(8, second_dials=second_dials)
    pair.dialer.holds = pair.server.holds = pair.server.halts = True
    pair.dialer.sends = b"nobody reads this"
    pair.connect()
    pair.simulation.run(deadline="1s")
    pair.server.node.do(lambda _, now: pair.server.conn.close(now))
    pair.run(lambda: pair.dialer.over, seconds=5)
    assert pair.dialer.error is Why.CLOSED if second_dials else isinstance(pair.dialer.error, ConnectionReset)


@BOTH
def test_nobody_listens(second_dials: bool) -> None:
    pair = Pair(9, second_dials=second_dials)
    pair.dial()
    pair.run(lambda: pair.dialer.over, seconds=5)
    assert (
        pair.dialer.error is Why.REFUSED if second_dials else isinstance(pair.dialer.error, ConnectionRefused)
    )


@BOTH
def test_a_silent_peer_is_given_up(second_dials: bool) -> None:
    pair = Pair(10, second_dials=second_dials)
    pair.dialer.holds = pair.server.holds = True
    pair.connect()
    pair.run(lambda: pair.dialer.second or pair.dialer.conn.established)
    pair.link.down()
    pair.dialer.sends = b"is anybody there?"
    pair.run(lambda: pair.dialer.over, seconds=120, every="100ms")
    assert pair.dialer.error is not None
    assert pair.server.error is None

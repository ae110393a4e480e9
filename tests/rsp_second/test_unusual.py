"""The rarer rules of docs/rsp.md, between the second implementation and rawproto's, in virtual time."""

from __future__ import annotations

import random
import zlib
from typing import Any

import pytest

from rawproto import ConnectionAborted, ConnectionReset, RSPConfig, UDPAddr
from tests.rsp_second.simulated import OTHER, PORT, Pair
from tests.rsp_second.wire import CARRIES_DATA, ECHO, Ack, Kind, Packet, Why, encode

BOTH = pytest.mark.parametrize("second_dials", [True, False], ids=["second dials", "second listens"])


def talking(seed: int, second_dials: bool, **more: Any) -> Pair:
    """A connection over which each side has said a word."""
    pair = Pair(seed, second_dials=second_dials, **more)
    pair.dialer.holds = pair.server.holds = True
    pair.dialer.sends, pair.server.sends = b"hello", b"you too"
    pair.connect()
    pair.run(lambda: bool(pair.dialer.got and pair.server.got))
    return pair


def sides(pair: Pair) -> tuple[Any, Any]:
    """The second implementation's end, and rawproto's."""
    return (pair.dialer, pair.server) if pair.second_dials else (pair.server, pair.dialer)


def say(pair: Pair, packet: Packet) -> None:
    """A packet from the second implementation's address that its connection knows nothing of."""
    pair.second.do(lambda protocol, now: protocol.send(encode(packet), pair.theirs.address))


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("apart", [0.0, 0.005, 0.009])
def test_two_that_dial_each_other_get_one_connection(seed: int, apart: float) -> None:
    pair = Pair(seed, second_dials=True)
    mine, theirs = pair.dialer, pair.server
    pair.dial()
    pair.simulation.run(deadline=apart)
    theirs.conn = pair.theirs.do(
        lambda endpoint, now: endpoint.connect(pair.second.address, OTHER, local_port=PORT, now=now)
    )
    mine.sends, theirs.sends = b"from the second" * 100, b"from the first" * 100
    pair.run(lambda: mine.over and theirs.over)
    assert (mine.got, theirs.got) == (theirs.sends, mine.sends)
    assert mine.error is theirs.error is None


@BOTH
@pytest.mark.parametrize("udp", [True, False])
def test_a_second_that_lost_its_memory_answers_with_unknown(second_dials: bool, udp: bool) -> None:
    pair = talking(1, second_dials, udp=udp)
    second, theirs = sides(pair)
    pair.second.protocol.host.connections.clear()
    theirs.sends += b"more"
    second.conn, second.sends = None, b""
    pair.run(lambda: theirs.over, seconds=5)
    assert isinstance(theirs.error, ConnectionReset)


@BOTH
@pytest.mark.parametrize("udp", [True, False])
def test_a_first_that_lost_its_memory_answers_with_unknown(second_dials: bool, udp: bool) -> None:
    pair = talking(2, second_dials, udp=udp)
    second, theirs = sides(pair)
    address = pair.theirs.address
    pair.theirs.host.stop(pair.theirs)
    port = PORT if second_dials else OTHER
    fresh = Pair(3, second_dials=second_dials, udp=udp).theirs.protocol
    pair.theirs = pair.theirs.host.run(fresh, address=address)
    pair.theirs.do(lambda endpoint, now: endpoint.listen(port, now=now))
    theirs.conn = None
    second.sends += b"more"
    pair.run(lambda: second.over, seconds=5)
    assert second.error is Why.UNKNOWN


@BOTH
@pytest.mark.parametrize("second_moves", [True, False])
def test_a_peer_that_moves_is_followed(second_dials: bool, second_moves: bool) -> None:
    pair = Pair(4, second_dials=second_dials, words={"rate": "10mbit"})
    pair.dialer.sends, pair.server.sends = (
        random.Random(1).randbytes(400_000),
        random.Random(2).randbytes(400_000),
    )
    pair.connect()
    node = pair.second if second_moves else pair.theirs
    pair.simulation.at(300_000_000, lambda: node.host.move(node, UDPAddr(node.address.ip, 1234)))
    pair.run(lambda: pair.dialer.over and pair.server.over)
    assert pair.dialer.got == pair.server.sends
    assert pair.server.got == pair.dialer.sends
    second, theirs = sides(pair)
    where = theirs.conn.remote[0].port if second_moves else second.conn.address[1]
    assert where == 1234


@BOTH
def test_an_acknowledgement_of_what_was_never_sent_is_a_violation(second_dials: bool) -> None:
    pair = talking(5, second_dials)
    second, theirs = sides(pair)
    conn = second.conn
    ack = Ack(conn.receiver.offered, [(0, 1000)], 0)
    say(pair, Packet(Kind.ACK, 0, conn.peer_port, conn.peer, conn.flight.next, ack=ack))
    pair.run(lambda: second.over and theirs.over, seconds=5)
    assert second.error is Why.VIOLATION


@BOTH
@pytest.mark.parametrize("number", [0, 2**21])
def test_resets_out_of_order_are_ignored(second_dials: bool, number: int) -> None:
    pair = talking(6, second_dials)
    second, theirs = sides(pair)
    conn = second.conn
    say(pair, Packet(Kind.RESET, 0, conn.peer_port, conn.peer, number, reason=3))
    pair.simulation.run(deadline="10s")
    assert theirs.error is None
    second.sends += b"more"
    pair.run(lambda: theirs.got.endswith(b"more"))


@BOTH
@pytest.mark.parametrize("true", [True, False])
def test_a_reset_beyond_the_next_number_is_asked_about(second_dials: bool, true: bool) -> None:
    pair = talking(7, second_dials)
    second, theirs = sides(pair)
    conn = second.conn
    if true:
        pair.second.protocol.host.connections.clear()
        pair.link.drop(when=lambda packet: packet.payload[5] & ECHO, toward=pair.theirs.host, count=None)
    say(pair, Packet(Kind.RESET, 0, conn.peer_port, conn.peer, conn.flight.next + 5, reason=Why.ABORTED))
    pair.simulation.run(deadline="10s")
    assert isinstance(theirs.error, ConnectionReset) if true else theirs.error is None


@BOTH
def test_the_path_is_probed_with_longer_packets(second_dials: bool) -> None:
    pair = Pair(8, second_dials=second_dials, config=RSPConfig(congestion="newreno"))
    pair.dialer.sends = pair.server.sends = bytes(500_000)
    sizes = set()
    pair.link.drop(when=lambda packet: sizes.add(len(packet.payload)), toward=pair.second.host, count=None)
    pair.connect()
    pair.run(lambda: pair.dialer.over and pair.server.over)
    assert max(sizes) == 1472
    assert len(pair.dialer.got) == len(pair.server.got) == 500_000


@BOTH
def test_data_overtakes_the_confirm(second_dials: bool) -> None:
    pair = Pair(9, second_dials=second_dials)
    pair.dialer.sends = b"early"
    server = pair.server.node.host
    held = pair.link.hold(when=lambda packet: packet.payload[4] == 0x12, toward=server, count=1)
    pair.listen()
    pair.dial()
    pair.dialer.finished = False
    pair.simulation.after("40ms", held.release)
    pair.run(lambda: pair.dialer.over and pair.server.over)
    assert pair.server.got == b"early"
    assert pair.dialer.error is pair.server.error is None


@BOTH
@pytest.mark.parametrize(
    ("kind", "where"),
    [
        (Kind.DATA, "number"),
        (Kind.DATA, "offset"),
        (Kind.ACK, "number"),
        (Kind.ACK, "offset"),
        (Kind.PROBE, "number"),
    ],
)
def test_numbers_and_offsets_out_of_range_are_violations(second_dials: bool, kind: Kind, where: str) -> None:
    pair = talking(11, second_dials, checks=False)
    second, theirs = sides(pair)
    values = {"number": 50, "offset": 7, where: 2**62 + 1}
    more = {"flags": CARRIES_DATA, "ack": Ack(0, [], 0)} if kind is Kind.ACK else {"flags": 0}
    say(pair, Packet(kind, port=second.conn.peer_port, connection=second.conn.peer, **values, **more))
    pair.run(lambda: theirs.over, seconds=5)
    assert isinstance(theirs.error, ConnectionAborted)


@BOTH
def test_an_ack_cut_off_before_its_data_is_malformed(second_dials: bool) -> None:
    pair = talking(12, second_dials)
    second, theirs = sides(pair)
    conn = second.conn
    ack = Ack(2**40, [(0, 1000)], 0)  # would be a violation, were it looked at
    packet = encode(Packet(Kind.ACK, 0, conn.peer_port, conn.peer, 50, ack=ack))
    whole = packet[4:5] + bytes([CARRIES_DATA]) + packet[6:]
    data = zlib.crc32(whole).to_bytes(4, "big") + whole
    pair.second.do(lambda protocol, now: protocol.send(data, pair.theirs.address))
    pair.simulation.run(deadline="5s")
    assert theirs.error is second.error is None


@BOTH
def test_keepalive_finds_the_peer_alive_or_dead(second_dials: bool) -> None:
    pair = talking(10, second_dials, config=RSPConfig(keepalive=5.0))
    second, theirs = sides(pair)
    pair.simulation.run(deadline="10min")
    assert second.error is theirs.error is None
    pair.link.down()
    pair.run(lambda: theirs.over, seconds=100, every="1s")
    assert isinstance(theirs.error, TimeoutError)

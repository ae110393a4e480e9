"""How much goes out at once: small batches wait for larger ones, but never when nothing would come of waiting."""

from __future__ import annotations

import random

import pytest

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.congestion.newreno import NewReno
from rawproto.rsp.header import DATA_HEADER_SIZE, Kind, RSPFlags
from rawproto.rsp.recovery import BATCH_TIME, Recovery
from rawproto.rsp.send_stream import SendStream
from rawproto.rsp.sender import Sender

SIZE = 1000
MUCH = bytes(4_000_000)


class Fixed(NewReno):
    """A window and a rate that stay as they are."""

    window = 100 * SIZE
    rate = 1e9

    def pacing_rate(self, smoothed_rtt):
        return self.rate

    def on_acknowledged(self, event, *, window_limited):
        pass


@pytest.fixture
def sender():
    recovery = Recovery(Fixed(SIZE, 0), 25 * MILLISECOND, 0, random.Random(1).randbytes)
    made = Sender(SendStream(len(MUCH)), recovery, SIZE + DATA_HEADER_SIZE, lambda size: 64)
    made.address(1, 2, "none")
    made.on_window(len(MUCH))
    return made


def sizes(sender, now=0):
    """Packets of the batches that go out until nothing may."""
    found = []
    while (batch := sender.next_batch(now)) is not None:
        found.append(len(batch))
    return found


def acknowledge(sender, start, stop, now=0):
    for low, high in sender.recovery.on_ack([(start, stop)], stop - 1, 0, 0, now).acknowledged.stream:
        sender.stream.on_acknowledged(low, high)


class TestSmallBatches:
    def test_they_wait_while_packets_are_in_flight_and_much_waits(self, sender):
        sender.stream.write(MUCH)
        assert sum(sizes(sender)) > 75
        acknowledge(sender, 0, 1)
        assert sizes(sender) == []
        assert not sender.recovery.blocked_by_application
        acknowledge(sender, 1, 26)
        assert sum(sizes(sender)) >= 16

    def test_the_last_before_a_wait_asks_for_an_acknowledgement(self, sender):
        sender.stream.write(MUCH)
        flags = 0
        while (batch := sender.next_batch(0)) is not None:
            flags = batch.head[-1, 5]
        assert sender.recovery.window_room() >= 0
        assert flags & RSPFlags.ACK_NOW

    def test_with_nothing_in_flight_none_waits(self, sender):
        sender.stream.write(MUCH)
        sender.recovery.controller.window = SIZE
        batch = sender.next_batch(0)
        assert batch is not None
        assert (len(batch), batch.datagram(0)[4]) == (1, Kind.DATA)

    def test_what_is_lost_does_not_wait(self, sender):
        sender.stream.write(MUCH)
        sizes(sender)
        acknowledge(sender, 1, 4)
        assert sender.recovery.packets_lost == 1
        sender.stream.on_lost(0, SIZE)
        assert sizes(sender)[0] == 1

    def test_the_end_of_what_waits_does_not_wait(self, sender):
        sender.stream.write(MUCH[: 101 * SIZE])
        sizes(sender)
        sent = sender.stream.next
        acknowledge(sender, 0, 100 - (sender.stream.end - sent) // SIZE + 1)
        assert sum(sizes(sender)) == (sender.stream.end - sent) // SIZE

    def test_a_slow_path_has_no_batches_to_wait_for(self, sender):
        sender.recovery.controller.rate = SIZE * SECOND / BATCH_TIME / 2
        sender.stream.write(MUCH)
        sender.next_batch(0)
        assert sender.least() == 1

    def test_the_pacer_wakes_up_for_a_batch_worth_it(self, sender):
        recovery = sender.recovery
        recovery.controller.rate = 40 * SIZE * SECOND / MILLISECOND
        recovery.controller.window = len(MUCH)
        sender.stream.write(MUCH)
        sender.next_batch(0)
        recovery.pacer.allowance(0, recovery.controller.rate, SIZE)
        recovery.pacer.sent(recovery.pacer.allowance(0, recovery.controller.rate, SIZE))
        worth = recovery.worthwhile(len(MUCH))
        assert worth == 40 * SIZE * BATCH_TIME // MILLISECOND
        # The last packet of it may overshoot.
        assert sender.least() == worth - SIZE + 1
        assert recovery.pace_until(0, worth) == pytest.approx(BATCH_TIME, abs=1000)


def test_batches_are_whole_or_some_quarters(sender):
    sender.recovery.controller.window = 75 * SIZE
    sender.stream.write(MUCH)
    assert all(count % 16 == 0 for count in sizes(sender))

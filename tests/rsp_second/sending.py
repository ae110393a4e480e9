"""What was sent and what became of it: round trip, loss, probe timeout, NewReno (4.3 to 4.6; RFC 9002)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from .receiving import ViolationError

if TYPE_CHECKING:
    import random

    from .wire import Ack

MS = 1_000_000
SECOND = 1000 * MS
GRANULARITY, LONGEST_DELAY, INITIAL_RTT = MS, 25 * MS, 333 * MS
PACKET_THRESHOLD = 3


class RoundTrip:
    """RFC 9002 section 5."""

    def __init__(self) -> None:
        self.latest = self.smoothed = INITIAL_RTT
        self.variation = INITIAL_RTT // 2
        self.least: int | None = None

    def sample(self, took: int, delay: int) -> None:
        took = max(took, 1)
        if self.least is None:
            self.least = self.latest = self.smoothed = took
            self.variation = took // 2
            return
        self.latest, self.least = took, min(self.least, took)
        delay = delay if delay > self.timeout else min(delay, LONGEST_DELAY)
        adjusted = took - delay if took >= self.least + delay else took
        self.variation += (abs(self.smoothed - adjusted) - self.variation) // 4
        self.smoothed += (adjusted - self.smoothed) // 8

    @property
    def timeout(self) -> int:
        """The probe timeout, RFC 9002 section 6.2.1."""
        return self.smoothed + max(4 * self.variation, GRANULARITY) + LONGEST_DELAY


@dataclasses.dataclass
class Sent:
    """A packet in flight, and what it carried."""

    number: int
    at: int
    offset: int
    length: int
    fin: bool
    before_heard: bool = False


class NewReno:
    """RFC 9002 section 7, counting payload bytes."""

    def __init__(self, datagram: int) -> None:
        self.datagram = datagram
        self.window = min(10 * datagram, max(14_720, 2 * datagram))
        self.threshold: int | None = None
        self.recovery_at = -1

    def on_acked(self, packet: Sent, limited: bool) -> None:
        if packet.at <= self.recovery_at or not limited:
            return
        if self.threshold is None or self.window < self.threshold:
            self.window += packet.length
        else:
            self.window += self.datagram * packet.length // self.window

    def on_lost(self, sent_at: int, now: int) -> None:
        if sent_at > self.recovery_at:
            self.recovery_at = now
            self.threshold = self.window = max(self.window // 2, 2 * self.datagram)


class Flight:
    """Packet numbers, the packets in flight, and the two ways of finding those that were lost."""

    def __init__(self, datagram: int, rng: random.Random) -> None:
        self.rng = rng
        self.round_trip = RoundTrip()
        self.congestion = NewReno(datagram)
        self.packets: dict[int, Sent] = {}
        self.next = 0
        self.largest_acked = -1
        self.bytes = 0
        self.probes = 0  # probe timeouts in a row
        self.last_at = 0
        self.since = 0  # since when something is in flight without a break
        self.loss_at: int | None = None
        self.skipped: set[int] = set()
        self.skip_within = 256
        self.skip_at = rng.randrange(1, 256)
        self.wait = 1.0
        self.limited = False

    def send(self, now: int, offset: int, length: int, fin: bool, early: bool) -> int:
        """Take the next number for a packet. Section 5 item 2: now and then one is skipped before it."""
        number = self.upcoming()
        self.since = self.since if self.packets else now
        self.packets[number] = Sent(number, now, offset, length, fin, early)
        self.bytes += length
        self.last_at = now
        self.next = number + 1
        return number

    def upcoming(self) -> int:
        """The number that a packet sent now has; `next`, the one after the last used, may be skipped for it."""
        if self.next >= self.skip_at:
            self.skipped.add(self.next)
            self.next += 1
            self.skip_within = min(2 * self.skip_within, 131_072)
            self.skip_at = self.next + self.rng.randrange(1, self.skip_within)
        return self.next

    def on_ack(self, ack: Ack, now: int) -> tuple[list[Sent], list[Sent]]:
        """The packets newly acknowledged and those found lost by it."""
        acked = []
        for start, end in ack.ranges:
            if end > self.next or any(start <= number < end for number in self.skipped):
                raise ViolationError("a packet that was never sent is acknowledged")
            if end - start > len(self.packets):
                found = [number for number in self.packets if start <= number < end]
            else:
                found = [number for number in range(start, end) if number in self.packets]
            acked += [self.packets.pop(number) for number in found]
        if not acked:
            return [], []
        acked.sort(key=lambda packet: packet.number)
        largest = ack.ranges[0][1] - 1
        if acked[-1].number == largest:
            self.round_trip.sample(now - acked[-1].at, ack.delay * 1000)
        self.largest_acked = max(self.largest_acked, largest)
        self.probes = 0
        for packet in acked:
            self.bytes -= packet.length
            self.congestion.on_acked(packet, self.limited)
        return acked, self.find_lost(now)

    def find_lost(self, now: int) -> list[Sent]:
        """RFC 9002 section 6.1: three packets behind, or 9/8 of a round trip ago."""
        self.loss_at = None
        patience = max(self.round_trip.smoothed, self.round_trip.latest) * 9 // 8
        patience = max(patience, GRANULARITY)
        lost = []
        for packet in self.packets.values():
            if packet.number > self.largest_acked:
                break
            if packet.number <= self.largest_acked - PACKET_THRESHOLD or packet.at + patience <= now:
                lost.append(packet)
            else:
                self.loss_at = min(self.loss_at or 2**63, packet.at + patience)
        for packet in lost:
            del self.packets[packet.number]
            self.bytes -= packet.length
            if packet.length and not packet.before_heard:
                self.congestion.on_lost(packet.at, now)
        return lost

    @property
    def due(self) -> int | None:
        """When something is to be looked at: the time threshold, else the probe timeout."""
        if self.loss_at is not None:
            return self.loss_at
        if not self.packets:
            return None
        longest = max(9 * SECOND, self.round_trip.timeout)
        wait = min(self.round_trip.timeout << min(self.probes, 30), longest)
        return self.last_at + int(wait * self.wait)

    def on_probe_timeout(self) -> None:
        self.probes += 1
        self.wait = self.rng.uniform(0.9, 1.1)

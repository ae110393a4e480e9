"""Everything between "these packets went out" and "the window is so large now".

Ties the ledger of sent packets, the round-trip estimate, loss detection, the congestion controller and the pacer
together. It knows packets and bytes, not what they carry.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.congestion.base import Acknowledged, CongestionController, Lost
from rawproto.rsp.loss import AckOutcome, LossDetector
from rawproto.rsp.pacer import Pacer
from rawproto.rsp.rtt import RTTEstimator
from rawproto.rsp.sent import SentPackets, Settled
from rawproto.rsp.skipper import Skipper

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

__all__ = ["Recovery"]

BATCH_TIME = MILLISECOND // 2
"""Time of sending that goes out as one batch rather than piece by piece (Linux, tcp_tso_autosize: a millisecond)."""


class Recovery:
    """Loss recovery and congestion control of one connection."""

    __slots__ = (
        "_app_limited_until",
        "_delivered",
        "_delivered_at",
        "_episode_lost",
        "_episode_start",
        "_excused",
        "_first_sent_at",
        "_marks_seen",
        "_skipper",
        "blocked_by_application",
        "controller",
        "loss",
        "max_ack_delay",
        "pacer",
        "packets_lost",
        "rtt",
        "sent",
        "spurious_losses",
    )

    def __init__(
        self,
        controller: CongestionController,
        max_ack_delay: int,
        now: int,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.sent = SentPackets()
        self._skipper = Skipper(entropy)
        self.rtt = RTTEstimator()
        self.loss = LossDetector(self.sent, self.rtt)
        self.controller = controller
        self.pacer = Pacer(now)
        self.max_ack_delay = max_ack_delay
        self.blocked_by_application = True
        """The last time sending stopped, it was for want of data or of the peer's window."""
        self.packets_lost = 0
        self.spurious_losses = 0
        self._delivered = 0
        self._delivered_at = now
        self._first_sent_at = now
        self._app_limited_until = 0
        self._marks_seen = 0
        self._episode_start = -1
        self._episode_lost = 0
        self._excused = 0

    def excuse(self) -> None:
        """Losses among what was sent so far are no sign of congestion.

        For a dialer when the listener is first heard: what overtook the CONFIRM, or was sent while it was lost, was
        not taken by a host that did not know of the connection yet.
        """
        self._excused = self.sent.next

    def allowance(self, now: int) -> int:
        """Payload bytes that congestion window and pacer let go now."""
        room = self.controller.window - self.sent.bytes_in_flight
        if room <= 0:
            return 0
        rate = self.controller.pacing_rate(self.rtt.smoothed)
        return min(room, self.pacer.allowance(now, rate, self.controller.max_datagram))

    def lets(self, size: int, now: int) -> bool:
        """Whether ``size`` bytes, less than a packet's, may go now: :meth:`allowance`, asked only if need be."""
        if size <= self.pacer.tokens:
            return size <= self.controller.window - self.sent.bytes_in_flight
        return size <= self.allowance(now)

    def window_room(self) -> int:
        """Payload bytes that the congestion window alone would let go."""
        return self.controller.window - self.sent.bytes_in_flight

    def worthwhile(self, most: int) -> int:
        """Payload bytes that are worth a batch while more wait: what a moment of the rate yields, ``most`` at most.

        And a quarter of the window at most, so that sending goes on while acknowledgements are on their way.
        """
        rate = self.controller.pacing_rate(self.rtt.smoothed)
        return min(most, self.controller.window // 4, int(rate * BATCH_TIME / SECOND))

    def pace_until(self, now: int, size: int) -> int:
        """When the pacer lets ``size`` bytes go, or a few datagrams (fewer wake-ups than one at a time)."""
        least = self.controller.max_datagram
        return self.pacer.next_time(now, max(size, min(4 * least, max(least, self.window_room()))))

    def on_sent(self, now: int, count: int, offset: int, size: int, last: int, carries: int) -> int:
        """Enter ``count`` packets, see :meth:`SentPackets.append`; the first has the number returned."""
        if self.sent.next >= self._skipper.at:
            self.sent.skip()
            self._skipper.skipped(self.sent.next)
        if not self.sent.packets_in_flight:
            self._first_sent_at = self._delivered_at = now
        rate = self._delivered, self._delivered_at, self._first_sent_at
        self.loss.last_sent_at = now
        self.pacer.sent((count - 1) * size + last)
        return self.sent.append(now, count, offset, size, last, carries, rate)

    def on_said_all(self, now: int) -> None:
        """There is nothing (more) to send."""
        if not self.blocked_by_application and self.allowance(now) > 0:
            self.on_application_limited()

    def on_application_limited(self) -> None:
        """There was nothing (more) to send although window and pacer would have allowed it."""
        self.blocked_by_application = True
        self.pacer.idle()
        self._app_limited_until = self._delivered + self.sent.bytes_in_flight or 1

    def on_ack(
        self, ranges: Collection[tuple[int, int]], largest: int, ack_delay: int, marks: int, now: int
    ) -> AckOutcome:
        """Take an acknowledgement: settle, sample, detect losses, move the window."""
        in_flight = self.sent.bytes_in_flight
        outcome = self.loss.on_ack(ranges, largest, self.rtt.believed(ack_delay, self.max_ack_delay), now)
        settled = outcome.acknowledged
        if settled.spurious:
            self._on_spurious(settled, now)
        if settled.count:
            self._tell_controller(settled, in_flight, outcome.rtt_sample, now)
        if marks > self._marks_seen and settled.count:
            self._marks_seen = marks
            self.controller.on_congestion_mark(now, settled.newest_sent_at)
        if outcome.lost.count:
            self._on_lost(outcome.lost, now)
        return outcome

    def _tell_controller(self, settled: Settled, in_flight: int, sample: int, now: int) -> None:
        self._delivered += settled.bytes
        self._delivered_at = now
        delivered, delivered_at, first_sent_at = settled.rate
        self._first_sent_at = settled.newest_sent_at
        # The slower of how fast packets were sent and how fast they were acknowledged (ccwg-bbr section 4.1.2.3).
        interval = max(now - delivered_at, settled.newest_sent_at - first_sent_at)
        rate = (self._delivered - delivered) * SECOND / interval if interval > 0 else 0.0
        if self._app_limited_until and self._delivered > self._app_limited_until:
            self._app_limited_until = 0
        # By position: with names it would take a microsecond instead of four tenths.
        event = Acknowledged(
            now,
            settled.bytes,
            settled.newest_sent_at,
            in_flight,
            sample,
            self.rtt.smoothed,
            self.rtt.minimum,
            rate,
            bool(self._app_limited_until),
            delivered,
            self._delivered,
        )
        used = (
            not self.blocked_by_application
            or in_flight + self.controller.max_datagram >= self.controller.window
        )
        # A window that pacing or the application leaves half empty proves nothing about the path.
        self.controller.on_acknowledged(
            event, window_limited=used and 2 * in_flight >= self.controller.window
        )

    def _on_lost(self, lost: Settled, now: int) -> None:
        self.packets_lost += lost.count
        if lost.newest < self._excused:
            return
        if lost.newest_sent_at > self._episode_start:
            self._episode_start = now
            self._episode_lost = 0
        self._episode_lost += lost.count
        persistent = self.loss.is_persistent(lost, self.max_ack_delay)
        self.controller.on_lost(
            Lost(now, lost.bytes, lost.newest_sent_at, self.sent.bytes_in_flight, persistent)
        )

    def _on_spurious(self, settled: Settled, now: int) -> None:
        self.spurious_losses += settled.spurious
        self._delivered += settled.spurious_bytes
        self._episode_lost -= settled.spurious
        if self._episode_lost <= 0:
            self._episode_lost = 0
            self.controller.on_spurious_loss(now)

    def on_new_path(self, controller: CongestionController, now: int) -> None:
        """What is known of the path no longer holds (RFC 9000 section 9.4); packets in flight may still arrive."""
        self.controller = controller
        self.rtt.reset()
        self.pacer = Pacer(now)
        self.loss.probe_count = 0

    def rest(self) -> None:
        """Nothing is in flight and will not be for a while: keep what only a busy connection needs no longer."""
        self.sent.rest()
        self.loss.rest()

    def detect_losses(self, now: int) -> Settled:
        """The time for the oldest candidate has come."""
        lost = self.loss.detect(now)
        if lost.count:
            self._on_lost(lost, now)
        return lost

    def timeout(self) -> int | None:
        """When something must be declared lost or probed, ns."""
        return self.loss.timeout(self.max_ack_delay)

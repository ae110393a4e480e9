"""One connection: its states, what it makes of packets, what it sends and when (docs/rsp.md sections 3 and 4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .receiving import Receiver, ViolationError
from .resets import Question
from .sending import MS, SECOND, Flight, Sent
from .stream import Outgoing, Piece
from .wire import (
    ACK_FIXED,
    ACK_NOW,
    BLOCKED,
    CARRIES_DATA,
    DATA_HEADER,
    ECHO,
    FIN,
    RUN,
    Hello,
    Kind,
    Packet,
    Why,
    choose,
    encode,
)

if TYPE_CHECKING:
    import random

START_DATAGRAM = 1200
SMALL = 256  # a piece of data that may ride on an acknowledgement
SYN_WAITS = (1 * SECOND, 2 * SECOND, 3 * SECOND)
IDLE, HALF_OPEN, LINGER, GIVE_UP, LONGEST_PERSIST = (n * SECOND for n in (60, 60, 30, 30, 60))


class Connection:
    """Sans-IO: `now` in nanoseconds comes in, `poll` gives datagrams and their addresses, `due` the next time."""

    def __init__(
        self, own: int, hello: Hello, port: int, peer: tuple[Any, int], now: int, rng: random.Random
    ):
        self.own, self.hello, self.rng = own, hello, rng
        self.port = port
        self.address, self.peer_port = peer
        self.peer = 0  # the cid the peer chose
        self.state = "syn sent"
        self.error: Why | None = None
        self.by_peer = False  # whether it was the peer that reset
        self.heard = self.accepted = self.dialer = False
        self.heard_at = self.since_heard = 0  # the first number sent after the peer was last heard
        self.check = "crc32"
        self.receiver = Receiver(hello.window)
        self.out = Outgoing()
        self.flight = Flight(START_DATAGRAM, rng)
        self.payload = START_DATAGRAM - DATA_HEADER
        self.window = self.largest_window = 0
        self.timers: dict[str, int] = {}
        self.queue: list[tuple[bytes, Any]] = []
        self.handshake: bytes = b""
        self.attempts = self.persists = self.asked = 0
        self.question = Question()
        self.path: tuple[Any, int] | None = None
        self.closing = False
        self.dropped = 0
        self.started = now

    # -- opening -----------------------------------------------------------------------------------------------

    def dial(self, now: int) -> None:
        self.dialer = True
        self._handshake(Kind.SYN, now)
        self.timers["give up"] = now + GIVE_UP

    def _handshake(self, kind: Kind, now: int) -> None:
        self.handshake = encode(Packet(kind, 0, self.peer_port, self.peer, 0, hello=self.hello))
        self.attempts = 0
        self._repeat(now)

    def _repeat(self, now: int) -> None:
        self.queue.append((self.handshake, self.address))
        if self.state == "syn sent":
            wait = SYN_WAITS[min(self.attempts, 2)]
        else:
            wait = min(self.confirm_wait << self.attempts, 3 * SECOND)
        self.attempts += 1
        self.timers["handshake"] = now + int(wait * self.rng.uniform(0.9, 1.1))

    def on_cookie(self, packet: Packet, now: int) -> None:
        assert packet.hello is not None
        if self.state != "syn sent":
            return
        self.confirm_wait = SECOND
        if self.attempts == 1:
            self.flight.round_trip.sample(now - self.started, 0)
            self.confirm_wait = max(self.flight.round_trip.timeout - 25 * MS, 50 * MS)
        self.hello.cookie = packet.hello.cookie
        self.state = "confirming"
        self.meet(packet.hello, packet.hello.features)
        self._handshake(Kind.CONFIRM, now)

    def on_met(self, theirs: Hello, features: int, now: int) -> None:
        """The cookie came back: the peer is real, and is told so."""
        self.state = "established"
        self.meet(theirs, features)
        self._on_heard(now)
        self.receiver.ack_at = now

    def meet(self, theirs: Hello, features: int) -> None:
        self.peer = theirs.identifier
        self.check = choose(features, self.hello.features)
        self.window = self.largest_window = theirs.window
        self.payload = min(START_DATAGRAM, theirs.max_datagram) - DATA_HEADER

    # -- the application ---------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        assert not self.out.ended
        self.out.buffer += data

    def read(self, most: int, now: int) -> bytes:
        return self.receiver.read(most, now)

    def finish(self) -> None:
        self.out.finish()

    def close(self, now: int) -> None:
        if self.state in ("draining", "closed"):
            return
        self.closing = True
        if self.receiver.ready or self.receiver.arrived:
            self.reset(Why.CLOSED)
            return
        self.out.finish()
        self.state = "closing" if self.state != "syn sent" else "closed"
        self.timers["linger"] = now + LINGER
        self._settle(now)

    def reset(self, why: Why) -> None:
        """End the connection by a RESET without ECHO (3.4)."""
        if self.peer:
            self.queue.append((self._build(Kind.RESET, 0, self.flight.next, reason=why), self.address))
        self.end(why)

    def end(self, why: Why | None, by_peer: bool = False) -> None:
        self.state, self.error, self.by_peer = "closed", why, by_peer
        self.timers.clear()
        self.flight.packets.clear()
        self.flight.loss_at = self.receiver.ack_at = None

    @property
    def at_end(self) -> bool:
        """Whether the reader has had everything."""
        return self.receiver.complete and not self.receiver.ready

    # -- packets that come -------------------------------------------------------------------------------------

    def on_packet(self, packet: Packet, address: Any, now: int) -> None:
        always = packet.kind in (Kind.RESET, Kind.CHALLENGE, Kind.RESPONSE)
        if not packet.right("crc32" if always else self.check):
            self.dropped += 1
            return
        if packet.kind == Kind.RESET:
            self._on_reset(packet, now)
            return
        if self.state == "closed" or (self.state == "syn sent"):
            return
        if packet.kind == Kind.CHALLENGE:
            self.queue.append((self._build(Kind.RESPONSE, 0, 0, token=packet.token), address))
        elif packet.kind == Kind.RESPONSE:
            self._on_response(packet)
        else:
            self._on_heard(now)
            self._look_at_path(packet, address, now)
            try:
                self._on_transfer(packet, now)
            except ViolationError:
                self.reset(Why.VIOLATION)
            self._settle(now)

    def _on_heard(self, now: int) -> None:
        self.heard, self.heard_at, self.since_heard = True, now, self.flight.next
        self.timers.pop("handshake", None)
        self.timers.pop("give up", None)
        if self.state == "confirming":
            self.state = "established"

    def _on_transfer(self, packet: Packet, now: int) -> None:
        if packet.ack is not None:
            self._on_ack(packet, now)
        if not packet.numbered:
            return
        before = self.receiver.read_to + self.receiver.ready
        self.receiver.take(packet, now)
        if self.closing and self.receiver.read_to + self.receiver.ready > before:
            self.reset(Why.CLOSED)  # data for an application that is gone (RFC 2525 section 2.17)

    def _on_ack(self, packet: Packet, now: int) -> None:
        assert packet.ack is not None
        if packet.ack.window > self.window:
            self.window = packet.ack.window
            self.persists = 0
            self.timers.pop("persist", None)
        self.largest_window = max(self.largest_window, self.window - self.out.base)
        acked, lost = self.flight.on_ack(packet.ack, now)
        self.question.on_acked(acked)
        if self.question.since is None:
            self.timers.pop("question", None)
        for each in acked:
            self.out.on_acked(each.offset, each.offset + each.length, each.fin)
        self._on_lost(lost)

    def _on_lost(self, lost: list[Sent]) -> None:
        for each in lost:
            self.out.on_lost(each.offset, each.offset + each.length, each.fin)

    def _on_reset(self, packet: Packet, now: int) -> None:
        if self.state in ("draining", "closed"):
            return
        if packet.flags & ECHO:
            self._on_echo(packet)
        elif packet.reason in (Why.REFUSED, Why.VERSION) and self.heard:
            return
        elif packet.number == self.receiver.largest + 1:
            self.end(Why(packet.reason) if packet.reason < len(Why) else Why.UNKNOWN, by_peer=True)
        elif self.peer and self.receiver.largest < packet.number <= self.receiver.largest + 2**20:
            self._on_doubtful(packet, now)

    def _on_doubtful(self, packet: Packet, now: int) -> None:
        if self.question.ask(packet.reason, self.flight.next, now):
            self.timers["question"] = now + 3 * self.flight.round_trip.timeout
            self._probe(now)

    def _on_echo(self, packet: Packet) -> None:
        sent = (
            self.since_heard <= packet.number < self.flight.next and packet.number not in self.flight.skipped
        )
        if not sent or (self.dialer and not self.heard):
            return
        ended = self.out.ended if packet.reason == Why.NONE else self.out.delivered
        graceful = self.receiver.complete and ended
        self.end(None if graceful else Why(packet.reason), by_peer=True)

    def on_confirm_again(self, now: int) -> None:
        self.receiver.ack_at = now

    def questioned(self, now: int) -> None:
        """A SYN came from the peer's port: it may have been restarted (3.2 item 8)."""
        if self.question.allowed(now):
            self._probe(now)

    # -- a peer that moves (3.6) -------------------------------------------------------------------------------

    def _look_at_path(self, packet: Packet, address: Any, now: int) -> None:
        if address == self.address or packet.number <= self.receiver.largest or "path" in self.timers:
            return
        self.path = (address, self.rng.getrandbits(64))
        self.timers["path"] = now + SECOND
        self.queue.append((self._build(Kind.CHALLENGE, 0, 0, token=self.path[1]), address))

    def _on_response(self, packet: Packet) -> None:
        if self.path is not None and packet.token == self.path[1]:
            self.address, self.path = self.path[0], None
            fresh = Flight(START_DATAGRAM, self.rng)
            self.flight.round_trip, self.flight.congestion = fresh.round_trip, fresh.congestion
            self._probe(self.heard_at)

    # -- the clock ---------------------------------------------------------------------------------------------

    @property
    def due(self) -> int | None:
        times = [
            self.flight.due,
            self.receiver.ack_at if self.state != "closed" else None,
            *self.timers.values(),
        ]
        if self.flight.packets:
            times.append(self.given_up_at)
        return min((time for time in times if time is not None), default=None)

    @property
    def given_up_at(self) -> int:
        """When a peer that owes an acknowledgement has been silent for too long (3.5)."""
        return max(self.heard_at, self.flight.since) + IDLE

    def on_time(self, now: int) -> None:
        for name in [name for name, time in self.timers.items() if time <= now]:
            if name in self.timers:
                del self.timers[name]
                self._on_timer(name, now)
        if self.flight.packets and now >= self.given_up_at:
            self.reset(Why.TIMEOUT)
        if self.flight.due is not None and now >= self.flight.due:
            if self.flight.loss_at is not None:
                self._on_lost(self.flight.find_lost(now))
            else:
                self._on_probe_timeout(now)

    def _on_timer(self, name: str, now: int) -> None:
        if name == "handshake":
            self._repeat(now)
        elif name == "persist":
            self.persists += 1
            self._probe(now)
        elif name == "question":
            self.end(Why(self.question.reason), by_peer=True)
        elif name == "draining":
            self.end(None)
        elif name in ("give up", "linger"):
            self.reset(Why.TIMEOUT)
        elif name == "half open":
            self.reset(Why.CLOSED)

    def _on_probe_timeout(self, now: int) -> None:
        self.flight.on_probe_timeout()
        for _ in range(2):
            piece = self.out.take(self.payload, self._limit()) or self.out.oldest(self.payload)
            if piece is None:
                self._probe(now)
            else:
                self._send(piece, ACK_NOW, now)

    def _settle(self, now: int) -> None:
        """Move on when both directions, or ours of a closed connection, are finished (3.3)."""
        if self.state in ("draining", "closed"):
            return
        if self.out.ended and self.out.delivered and self.receiver.complete:
            self.state = "draining"
            self.timers = {"draining": now + 3 * self.flight.round_trip.timeout}
            self.flight.packets.clear()
        elif self.closing and self.out.delivered and "half open" not in self.timers:
            self.timers.pop("linger", None)
            self.timers["half open"] = now + HALF_OPEN

    # -- packets that go ---------------------------------------------------------------------------------------

    def poll(self, now: int) -> list[tuple[bytes, Any]]:
        """Everything that may be sent now."""
        if self.state in ("confirming", "established", "closing"):
            self._send_data(now)
            self._watch_window(now)
        if self.receiver.ack_at is not None and self.receiver.ack_at <= now and self.state != "closed":
            self.queue.append(
                (self._build(Kind.ACK, 0, self.flight.next, ack=self.receiver.acknowledge(now)), self.address)
            )
        queue, self.queue = self.queue, []
        return queue

    def _send_data(self, now: int) -> None:
        pieces: list[Piece] = []
        size = 0
        while True:
            room = self.flight.congestion.window - self.flight.bytes - size
            self.flight.limited = room < self.payload
            if self.flight.limited and (self.flight.bytes or size):
                break
            piece = self.out.take(self.payload, self._limit())
            if piece is None:
                break
            pieces.append(piece)
            size += len(piece[1])
        held = self.out.sent < self.out.written and self._limit() <= self.out.sent
        for index, piece in enumerate(pieces):
            flags = 0
            self.asked += len(piece[1])
            if self.out.waiting and (
                index == len(pieces) - 1 or self.asked > self.flight.congestion.window // 4
            ):
                flags, self.asked = ACK_NOW, 0
            if held and index == len(pieces) - 1:
                flags |= BLOCKED
            self._send(piece, flags, now)

    def _limit(self) -> int:
        """The offset up to which new data may go: silly windows are not used (4.2)."""
        usable = self.window - self.out.sent
        if usable >= min(self.payload, self.out.written - self.out.sent):
            return self.window
        enough = 2 * usable >= self.largest_window or self.persists >= 5
        return self.window if not self.flight.packets and enough else self.out.sent

    def _watch_window(self, now: int) -> None:
        stuck = self.out.sent < self.out.written and not self.flight.packets and not self.out.lost
        if stuck and "persist" not in self.timers:
            wait = min(self.flight.round_trip.timeout << min(self.persists, 30), LONGEST_PERSIST)
            self.timers["persist"] = now + wait

    def _send(self, piece: Piece, flags: int, now: int) -> None:
        offset, payload, fin = piece
        early = self.dialer and not self.heard
        ranges = min(32, len(self.receiver.numbers.items))
        fits = len(payload) + ACK_FIXED.size + RUN.size * ranges <= min(SMALL, self.payload)
        number = self.flight.upcoming()
        if self.receiver.ack_at is not None and fits and not flags:
            ack = self.receiver.acknowledge(now)
            data = self._build(
                Kind.ACK, CARRIES_DATA | FIN * fin, number, ack=ack, offset=offset, payload=payload
            )
        else:
            flags |= (FIN | ACK_NOW) * fin
            data = self._build(Kind.DATA, flags, number, offset=offset, payload=payload)
        self.flight.send(now, offset, len(payload), fin, early)
        self.queue.append((data, self.address))

    def _probe(self, now: int) -> None:
        number = self.flight.send(now, 0, 0, False, self.dialer and not self.heard)
        self.queue.append((self._build(Kind.PROBE, ACK_NOW, number), self.address))

    def _build(self, kind: Kind, flags: int, number: int, **rest: Any) -> bytes:
        return encode(Packet(kind, flags, self.peer_port, self.peer, number, **rest), self.check)

"""The virtual-time bench: two endpoints, two lossy directions, and an oracle that looks at every run.

Time jumps to the next packet or timer; nothing sleeps and nothing is random but a seeded generator. Every packet is
recorded as it was sent. What the oracle asserts in every run is section 2 of the reliability catalogue:

- what is read equals what was written, in order, once;
- data stays below the window that the peer's own packets state, and bytes in flight below the congestion window
  (by less than a packet), probes apart;
- before an address is proved, no more bytes go to it than came from it;
- no timer stays in the past; COOKIE, RESET and ACK have a cause; a RESET is not answered by one;
- memory for received data stays within twice the window, and what all connections hold within the endpoint's cap.
"""

from __future__ import annotations

import dataclasses
import hashlib
import heapq
import json
import os
import random
import struct
from collections import Counter, deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp import checks
from rawproto.rsp.config import RSPConfig
from rawproto.rsp.endpoint import Endpoint
from rawproto.rsp.header import ACK_HEADER_SIZE, DATA_HEADER_SIZE, Kind, RSPFlags
from rawproto.wire.batch import ReceivedBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.errors import OpError
    from rawproto.rsp.connection import Connection
    from rawproto.rsp.listener import Listener

PORT = 1200
_COMMON = struct.Struct(">IBBHQQ")
_NAMES = {int(kind): kind.name for kind in Kind}
_MAX_STEPS = 2_000_000
_TELLS_WINDOW = {"ACK": 24, "COOKIE": 40, "CONFIRM": 40}
"""Where a packet of that kind states its window."""


@dataclasses.dataclass(slots=True)
class Packet:
    """One packet as it was sent, its header read by a parser of the tests' own."""

    sender: str
    nth: int
    at: int
    data: bytes
    destination: Any
    ecn: int = 0
    fate: str = "sent"
    kind: str = ""
    flags: int = 0
    port: int = 0
    connection: int = 0
    number: int = 0

    def __post_init__(self) -> None:
        _, kind, self.flags, self.port, self.connection, self.number = _COMMON.unpack_from(self.data)
        self.kind = _NAMES.get(kind, "?")

    @property
    def window(self) -> int:
        """The window that an ACK or a handshake packet states."""
        at = _TELLS_WINDOW[self.kind]
        return int.from_bytes(self.data[at : at + 8], "big")

    @property
    def ack(self) -> tuple[int, list[tuple[int, int]]]:
        """(largest, ranges) of an ACK."""
        largest, count = int.from_bytes(self.data[32:40], "big"), int.from_bytes(self.data[48:50], "big")
        stop, ranges = largest + 1, []
        for at in range(ACK_HEADER_SIZE, ACK_HEADER_SIZE + 8 * count, 8):
            run, gap = struct.unpack_from(">II", self.data, at)
            ranges.append((stop - run, stop))
            stop -= run + gap
        return largest, ranges

    @property
    def stream(self) -> tuple[int, int] | None:
        """The stream range it carries, or None."""
        if self.kind == "DATA":
            at, size = int.from_bytes(self.data[24:32], "big"), len(self.data) - DATA_HEADER_SIZE
        elif self.kind == "ACK" and self.flags & RSPFlags.CARRIES_DATA:
            front = ACK_HEADER_SIZE + 8 * int.from_bytes(self.data[48:50], "big")
            at, size = int.from_bytes(self.data[front : front + 8], "big"), len(self.data) - front - 8
        else:
            return None
        return at, at + size

    @property
    def fin(self) -> bool:
        """The stream ends behind it."""
        return self.stream is not None and bool(self.flags & RSPFlags.FIN)

    @property
    def numbered(self) -> bool:
        """It takes a packet number."""
        return self.kind in ("DATA", "PROBE") or (self.kind == "ACK" and self.stream is not None)


class Direction:
    """One direction of the link. Everything may be changed while it runs; times in ns, rates in bits a second."""

    def __init__(self, **settings: Any) -> None:
        self.delay = 15 * MILLISECOND
        self.jitter = 0
        self.rate = 10e6
        self.queue = 100 * MILLISECOND
        self.loss = 0.0
        self.burst = 0
        """Most losses in a row; 0 is no limit."""
        self.duplicate = 0.0
        self.reorder = 0.0
        self.hold = 5 * MILLISECOND
        """How long a reordered packet is held back."""
        self.corrupt = 0.0
        self.mtu = 1480
        self.mark = 0.0
        """Share of the ECN-capable packets that get a congestion mark."""
        self.up = True
        self.drop: Callable[[Packet], bool] | None = None
        self.tamper: Callable[[Packet], bytes] | None = None
        self._busy = 0
        self._row = 0
        for name, value in settings.items():
            getattr(self, name)
            setattr(self, name, value)

    def lost(self, packet: Packet, rng: random.Random) -> str | None:
        """Why the packet does not arrive, or None."""
        if not self.up:
            return "down"
        if len(packet.data) > self.mtu:
            return "too big"
        if self.drop is not None and self.drop(packet):
            return "dropped"
        if rng.random() < self.loss and not (self.burst and self._row >= self.burst):
            self._row += 1
            return "lost"
        self._row = 0
        return None

    def arrivals(self, packet: Packet, now: int, rng: random.Random) -> list[tuple[int, bytes]]:
        """When which bytes come out at the other end."""
        start = max(self._busy, now)
        if start - now > self.queue:
            packet.fate = "queue full"
            return []
        self._busy = start + int((len(packet.data) + 20) * 8 / self.rate * SECOND) if self.rate else start
        packet.fate = self.lost(packet, rng) or "delivered"
        if packet.fate != "delivered":
            return []
        at = self._busy + self.delay + (rng.randrange(self.jitter) if self.jitter else 0)
        if self.reorder and rng.random() < self.reorder:
            at += self.hold
        data = packet.data if self.tamper is None else self.tamper(packet)
        if self.corrupt and rng.random() < self.corrupt:
            packet.fate = "corrupted"
            bit = rng.randrange(8 * len(data))
            data = data[: bit // 8] + bytes([data[bit // 8] ^ (1 << bit % 8)]) + data[bit // 8 + 1 :]
        copies = 2 if self.duplicate and rng.random() < self.duplicate else 1
        return [(at + copy * 100_000, data) for copy in range(copies)]


class Flow:
    """The application at one end: writes ``data``, reads what comes, closes when told to."""

    def __init__(self, connection: Connection, data: bytes = b"", expect: bytes | None = None) -> None:
        self.connection = connection
        self.data = data
        self.expect = expect
        self.written = 0
        self.received = bytearray()
        self.chunk = 256 * 1024
        self.half_close = True
        self.close = True
        self.reading = True
        self.error: OpError | None = None
        self._closed = self._half = False

    def tick(self, now: int) -> bool:
        """Do what can be done now; true when anything was."""
        connection = self.connection
        if connection.error is not None:
            self.error = connection.error
        moved = self._read(now)
        if connection.closed or not connection.established or self._closed:
            return moved
        while self.written < len(self.data):
            taken = connection.write(self.data[self.written : self.written + self.chunk], now)
            self.written += taken
            moved = moved or taken > 0
            if not taken:
                return moved
        if self.half_close and not self._half:
            connection.close_write(now)
            self._half = moved = True
        if self.close and self._half and connection.at_eof:
            connection.close(now)
            self._closed = moved = True
        return moved

    def _read(self, now: int) -> bool:
        if not self.reading or self._closed or not (got := self.connection.read(-1, now)):
            return False
        start = len(self.received)
        self.received += got
        if self.expect is not None:
            assert got == self.expect[start : start + len(got)], f"wrong bytes at offset {start}"
        return True


class Pair:
    """Two endpoints and what lies between them."""

    def __init__(
        self,
        *,
        seed: int = 0,
        link: dict[str, Any] | None = None,
        a_to_b: dict[str, Any] | None = None,
        b_to_a: dict[str, Any] | None = None,
        config: RSPConfig | None = None,
        a_config: RSPConfig | None = None,
        b_config: RSPConfig | None = None,
        endpoint: dict[str, Any] | None = None,
        **settings: Any,
    ) -> None:
        self.seed = seed
        self.rng = random.Random(seed)
        config = config or RSPConfig(**settings)
        secret = random.Random(~seed)
        self.now = 0
        self.configs = {"a": a_config or config, "b": b_config or config}
        self.endpoints = {
            name: Endpoint(each, entropy=secret.randbytes, **endpoint or {})
            for name, each in self.configs.items()
        }
        common = link or {}
        self.links = {
            "a": Direction(**common | (a_to_b or {})),
            "b": Direction(**common | (b_to_a or {})),
        }
        self.packets: list[Packet] = []
        self.flows: list[Flow] = []
        self.listener: Listener | None = None
        self.serve: Callable[[Connection], Flow | None] | None = None
        self.coalesce = 0
        """Packets that arrive within so many ns are handed over as one batch, as a kernel does under load."""
        self.oracle = Oracle(self)
        self._queue: list[tuple[int, int, str, bytes, str, int]] = []
        self._calls: list[tuple[int, int, Callable[[], None]]] = []
        self._sequence = 0
        self._nth: Counter[str] = Counter()

    @property
    def a(self) -> Endpoint:
        """The dialing endpoint."""
        return self.endpoints["a"]

    @property
    def b(self) -> Endpoint:
        """The listening endpoint."""
        return self.endpoints["b"]

    # ---- the application's side -------------------------------------------------------------------------------

    def listen(self, port: int = PORT, **options: Any) -> Listener:
        """Let b listen."""
        self.listener = self.b.listen(port, now=self.now, **options)
        return self.listener

    def dial(self, port: int = PORT, **options: Any) -> Connection:
        """Let a dial b."""
        return self.a.connect("b", port, now=self.now, **options)

    def open(self, **limits: float) -> tuple[Connection, Connection]:
        """A connection with both ends established; the dialer's end first."""
        listener = self.listen() if self.listener is None else self.listener
        client = self.dial()
        accepted: list[Connection] = []

        def ready() -> bool:
            if (found := listener.accept()) is not None:
                accepted.append(found)
            return bool(accepted) and client.state.name not in ("SYN_SENT", "CONFIRMING")

        self.run(ready, **limits)
        return client, accepted[0]

    def transfer(self, up: bytes = b"", down: bytes = b"", *, limit: float = 120.0) -> tuple[Flow, Flow]:
        """``up`` from a to b and ``down`` back, both halves closed; (a's flow, b's flow) when all is over."""
        if self.listener is None:
            self.listen()
        client = Flow(self.dial(), up, down)
        found: list[Flow] = []

        def serve(connection: Connection) -> Flow:
            found.append(Flow(connection, down, up))
            return found[-1]

        self.serve = serve
        self.flows.append(client)
        self.run(lambda: client.connection.closed and all(each.connection.closed for each in found), limit)
        assert len(found) == 1, f"{len(found)} connections accepted for one dialed"
        return client, found[0]

    def send(self, connection: Connection, data: bytes) -> None:
        """Write all of ``data`` now; it has to fit the send buffer."""
        assert connection.write(data, self.now) == len(data)

    def at(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something at a point of virtual time."""
        self._sequence += 1
        heapq.heappush(self._calls, (int(seconds * SECOND), self._sequence, call))

    def payload(self, size: int) -> bytes:
        """Bytes that repeat nowhere near."""
        return random.Random(self.seed ^ size).randbytes(size)

    # ---- driving ----------------------------------------------------------------------------------------------

    def run(self, until: Callable[[], bool] | None = None, limit: float = 120.0) -> None:
        """Drive until ``until`` holds (checked after every step), or everything is quiet when it is None."""
        stop = self.now + int(limit * SECOND)
        for _ in range(_MAX_STEPS):
            self.settle()
            if until is not None and until():
                return
            following = self.next_time()
            if following is None or following > stop:
                if until is None:
                    self.now = self.now if following is None else stop
                    return
                raise AssertionError(
                    f"seed {self.seed}: {self.describe('stuck' if following is None else 'slow')}"
                )
            self.step(following)
        raise AssertionError(f"seed {self.seed}: {self.describe('busy for ever')}")

    def run_for(self, seconds: float) -> None:
        """Drive for so much virtual time."""
        end = self.now + int(seconds * SECOND)
        self.at(end / SECOND, lambda: None)
        self.run(None, limit=seconds)
        self.now = end

    def settle(self) -> None:
        """Poll endpoints and applications until nobody has anything to do now."""
        moved = True
        while moved:
            for name, endpoint in self.endpoints.items():
                self._drain(name, endpoint)
            moved = any(flow.tick(self.now) for flow in self.flows)
            moved = self._accept() or moved
        self.oracle.after_settling()

    def _accept(self) -> bool:
        if self.serve is None or self.listener is None or (found := self.listener.accept()) is None:
            return False
        flow = self.serve(found)
        if flow is not None:
            self.flows.append(flow)
        return True

    def _drain(self, name: str, endpoint: Endpoint) -> None:
        while (transmit := endpoint.poll_transmit(self.now)) is not None:
            sent = []
            for data in transmit.batch:
                packet = Packet(name, self._nth[name], self.now, data, transmit.destination, transmit.ecn)
                self._nth[name] += 1
                self.packets.append(packet)
                sent.append(packet)
                link = self.links[name]
                for at, arrived in link.arrivals(packet, self.now, self.rng):
                    marked = packet.ecn and link.mark and self.rng.random() < link.mark
                    self.inject(
                        packet.destination, arrived, source=name, at=at, ecn=3 if marked else packet.ecn
                    )
            self.oracle.on_sent(name, endpoint, sent)
        while endpoint.poll_event() is not None:
            pass

    def inject(self, to: str, data: bytes, *, source: str = "x", at: int | None = None, ecn: int = 0) -> None:
        """Let ``data`` arrive at ``to``."""
        self._sequence += 1
        heapq.heappush(self._queue, (self.now if at is None else at, self._sequence, to, data, source, ecn))

    def deliver(self, to: str, *packets: bytes, source: str = "b") -> None:
        """Let packets arrive now, as one batch, and settle."""
        for data in packets:
            self.oracle.on_arrival(to, data, source)
        batch = ReceivedBatch.from_arrivals([(data, source) for data in packets])
        self.endpoints[to].handle_datagrams(batch, self.now)
        self.settle()

    def next_time(self) -> int | None:
        """When something happens next."""
        times = [endpoint.poll_timeout() for endpoint in self.endpoints.values()]
        times += [self._queue[0][0] if self._queue else None, self._calls[0][0] if self._calls else None]
        known = [time for time in times if time is not None]
        return max(self.now, min(known)) if known else None

    def step(self, to: int) -> None:
        """Go to a time and let happen what is due: packets before timers, as the contract asks."""
        self.now = to
        while self._calls and self._calls[0][0] <= to:
            heapq.heappop(self._calls)[2]()
        arrived: dict[str, list[tuple[bytes, str, int]]] = {}
        while self._queue and self._queue[0][0] <= to + self.coalesce:
            at, _, name, data, source, ecn = heapq.heappop(self._queue)
            self.now = max(self.now, at)
            if name in self.endpoints:
                arrived.setdefault(name, []).append((data, source, ecn))
        for name, rows in arrived.items():
            for data, source, _ in rows:
                self.oracle.on_arrival(name, data, source)
            batch = ReceivedBatch.from_arrivals([row[:2] for row in rows], ecn=[row[2] for row in rows])
            self.endpoints[name].handle_datagrams(batch, self.now)
        for endpoint in self.endpoints.values():
            due = endpoint.poll_timeout()
            if due is not None and due <= self.now:
                endpoint.handle_timeout(self.now)

    # ---- looking ----------------------------------------------------------------------------------------------

    def sent(self, sender: str, kind: str | None = None) -> list[Packet]:
        """Packets of one side, of one kind."""
        return [each for each in self.packets if each.sender == sender and kind in (None, each.kind)]

    def tables(self, name: str) -> dict[str, Any]:
        """Everything of an endpoint and its parts that could hold something for each peer, by name."""
        endpoint = self.endpoints[name]
        parts: list[Any] = [endpoint, endpoint._directory, endpoint._schedule, endpoint._strangers]
        found = {"ports": endpoint._ports._users}
        for part in parts:
            for attribute in getattr(part, "__slots__", None) or vars(part):
                value = getattr(part, attribute)
                if isinstance(value, dict | list | deque | set):
                    found[attribute] = value
        return found

    def digest(self) -> str:
        """A hash of every packet sent and when."""
        digest = hashlib.sha256()
        for packet in self.packets:
            digest.update(b"%d %s %s" % (packet.at, packet.sender.encode(), packet.data))
        return digest.hexdigest()

    def describe(self, word: str) -> str:
        """The state of things, for a failure's message."""
        lines = [f"{word} at {self.now / SECOND:.3f} s"]
        for name, endpoint in self.endpoints.items():
            lines += [f"{name}: {connection.stats()}" for connection in endpoint.connections]
        lines += [
            f"{p.at / SECOND:.4f} {p.sender} {p.kind} {p.number} {p.stream} {p.fate}"
            for p in self.packets[-12:]
        ]
        return "\n  ".join(lines)


class Oracle:
    """Asserts, while the pair runs, what must hold in every run."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._bytes_in: Counter[tuple[str, str]] = Counter()
        self._bytes_out: Counter[tuple[str, str]] = Counter()
        self._in: Counter[tuple[str, str]] = Counter()
        self._out: Counter[tuple[str, str]] = Counter()
        self._proved: set[tuple[str, str]] = set()
        self._windows: dict[int, int] = {}
        self._just_in: dict[str, tuple[int, set[str]]] = {}
        self._late = 0
        self._settled = 0
        self._probes: dict[int, int] = {}

    def on_arrival(self, name: str, data: bytes, source: str) -> None:
        """A packet arrives at ``name``."""
        self._bytes_in[name, source] += len(data)
        if len(data) < _COMMON.size:
            return
        kind = _NAMES.get(data[4], "?")
        self._in[name, kind] += 1
        if kind in ("CONFIRM", "COOKIE", "RESPONSE"):
            self._proved.add((name, source))
        now = self._pair.now
        kinds = self._just_in.get(name, (now, set()))
        self._just_in[name] = (now, (kinds[1] if kinds[0] == now else set()) | {kind})
        if kind in _TELLS_WINDOW and checks.sound(data):
            at = _TELLS_WINDOW[kind]
            connection = int.from_bytes(data[8:16], "big")
            told = int.from_bytes(data[at : at + 8], "big")
            self._windows[connection] = max(self._windows.get(connection, 0), told)

    def on_sent(self, name: str, endpoint: Endpoint, packets: list[Packet]) -> None:
        """``name`` sends a batch."""
        for packet in packets:
            self._bytes_out[name, packet.destination] += len(packet.data)
            self._out[name, "ECHO" if packet.flags & RSPFlags.ECHO else packet.kind] += 1
            self._note_window(packet)
        self._check_causes(name, packets[0])
        if any(packet.stream is not None for packet in packets):
            self._check_windows(endpoint, packets)

    def _note_window(self, packet: Packet) -> None:
        if packet.kind in _TELLS_WINDOW:
            key = packet.connection
            assert packet.kind != "ACK" or packet.window >= self._windows.get(key, 0), "the window shrank"
            self._windows[key] = max(self._windows.get(key, 0), packet.window)

    def _check_causes(self, name: str, packet: Packet) -> None:
        to = packet.destination
        proved = (name, to) in self._proved
        if not proved and not any(each.address == to for each in self._pair.endpoints[name].connections):
            known = self._bytes_in[name, to]
            assert self._bytes_out[name, to] <= known, (
                f"amplification: {self._bytes_out[name, to]} for {known} bytes"
            )
        assert self._out[name, "COOKIE"] <= self._in[name, "SYN"], "a COOKIE without a SYN"
        if packet.kind == "RESET":
            if packet.flags & RSPFlags.ECHO:
                asked = self._in[name, "DATA"] + self._in[name, "PROBE"] + self._in[name, "?"]
                assert self._out[name, "ECHO"] <= asked, "an ECHO without a question"
            assert self._just_in.get(name) != (self._pair.now, {"RESET"}), "a RESET answers a RESET"

    def _check_windows(self, endpoint: Endpoint, packets: list[Packet]) -> None:
        first = packets[0]
        connection = endpoint._directory.by_peer(first.connection)
        if connection is None:
            return
        for packet in packets:
            if packet.stream is not None:
                told = self._windows.get(connection.identifier, 0)
                assert packet.stream[1] <= told, f"data up to {packet.stream[1]} beyond the window at {told}"
        stats = connection.stats()
        if stats.probes != self._probes.get(connection.identifier, 0):
            self._probes[connection.identifier] = stats.probes
            return
        limit = stats.congestion_window + stats.max_datagram
        assert stats.bytes_in_flight <= limit, (
            f"{stats.bytes_in_flight} in flight, window {stats.congestion_window}"
        )

    def after_settling(self) -> None:
        """Nobody has anything to do at this time."""
        pair = self._pair
        late = False
        for endpoint in pair.endpoints.values():
            due = endpoint.poll_timeout()
            late = late or (due is not None and due <= pair.now)
            self._settled += 1
            count = len(endpoint._directory)
            if self._settled % (1 + count // (50 if count < 500 else 10)):
                continue  # with many connections not after every step
            memory = endpoint.memory
            held = sum(connection._core.share.held for connection in endpoint.connections)
            assert 0 <= memory.used == held <= memory.limit, f"{memory.used} bytes counted, {held} held"
            for connection in endpoint.connections:
                stream = connection._core.receiver.stream
                assert stream.memory <= max(2 * stream.capacity, 4096), "more memory than twice the window"
        self._late = self._late + 1 if late else 0
        assert self._late < 3, "a timer stays in the past"


@pytest.fixture
def pair() -> type[Pair]:
    """The bench's class: ``pair(seed=1, link={"loss": 0.1})`` makes one."""
    return Pair


@pytest.fixture
def flow() -> type[Flow]:
    """The application's class."""
    return Flow


@pytest.fixture
def golden() -> Callable[[str, str, Any], Any]:
    """``golden(table, name, found)``: what is stored under that name, for a test to hold ``found`` against.

    After a change that is meant, ``RAWPROTO_REGENERATE=1`` stores what was found, to be read in review.
    """

    def look_up(table: str, name: str, found: Any) -> Any:
        path = Path(__file__).parent / "golden" / f"{table}.json"
        stored = json.loads(path.read_text()) if path.exists() else {}
        if os.environ.get("RAWPROTO_REGENERATE"):
            stored[name] = found
            lines = (f"{json.dumps(key)}: {json.dumps(stored[key])}" for key in sorted(stored))
            path.write_text("{" + ",\n".join(lines) + "}\n")
        return stored[name]

    return look_up


@pytest.fixture
def queue_of() -> Callable[..., deque[Any]]:
    """An empty queue (for scripted peers)."""
    return deque

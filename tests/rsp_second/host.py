"""An address with one port: dials, listens, and finds the connection a packet belongs to (3.2, 3.4)."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from .connection import Connection
from .sending import SECOND
from .wire import (
    ECHO,
    FEATURES,
    VERSION,
    Hello,
    Kind,
    MalformedError,
    Packet,
    Why,
    choose,
    decode,
    encode,
    wish,
)

KEY_LIFE, REMEMBERED, EARLY_WINDOW = 60 * SECOND, 120 * SECOND, 65_536
RESETS_A_SECOND = 100


class Host:
    """Sans-IO. The RSP port and the UDP port are the same number; an address is what the carrier says it is."""

    def __init__(self, port: int, seed: int = 0, *, window: int = 262_144, check: str = "none"):
        self.port, self.window, self.features = port, window, wish(check)
        self.rng = random.Random(seed)
        self.listening = False
        self.backlog = 128
        self.connections: dict[int, Connection] = {}
        self.pending: list[Connection] = []
        self.ended: dict[int, tuple[int, Connection]] = {}
        self.keys: list[tuple[int, bytes]] = []
        self.queue: list[tuple[bytes, Any]] = []
        self.answered: dict[Any, list[int]] = {}
        self.dropped = 0

    # -- commands ----------------------------------------------------------------------------------------------

    def dial(self, address: Any, port: int, now: int) -> Connection:
        own = self.rng.randrange(1, 2**64)
        hello = Hello(self.port, 65_535, self.features, own, self.window)
        conn = self.connections[own] = Connection(own, hello, self.port, (address, port), now, self.rng)
        conn.dial(now)
        return conn

    def accept(self) -> Connection | None:
        if not self.pending:
            return None
        conn = self.pending.pop(0)
        conn.receiver.size = self.window
        return conn

    # -- the clock ---------------------------------------------------------------------------------------------

    @property
    def due(self) -> int | None:
        return min((conn.due for conn in self.connections.values() if conn.due is not None), default=None)

    def on_time(self, now: int) -> None:
        for conn in list(self.connections.values()):
            conn.on_time(now)

    def poll(self, now: int) -> list[tuple[bytes, Any]]:
        queue, self.queue = self.queue, []
        for own, conn in list(self.connections.items()):
            queue += conn.poll(now)
            if conn.state == "closed":
                del self.connections[own]
                self.ended[own] = (now, conn)
        self.ended = {own: item for own, item in self.ended.items() if now - item[0] < REMEMBERED}
        return queue

    # -- packets that come -------------------------------------------------------------------------------------

    def on_datagram(self, data: bytes, address: Any, now: int) -> None:
        try:
            packet = decode(data)
        except MalformedError:
            self.dropped += 1
            return
        if packet.kind == Kind.SYN:
            self._on_syn(packet, address, now)
        elif packet.version != VERSION:
            self.dropped += 1
        elif packet.kind == Kind.CONFIRM:
            self._on_confirm(packet, address, now)
        else:
            self._on_other(packet, address, now)

    def _on_syn(self, packet: Packet, address: Any, now: int) -> None:
        hello = packet.hello
        if hello is None or not packet.right() or packet.port != self.port:
            self.dropped += 1
        elif packet.version == VERSION and (met := self._dialed(address, hello.source_port)):
            if met.state != "syn sent":
                if met.peer != hello.identifier:
                    met.questioned(now)
            elif met.own < hello.identifier:  # 3.2 item 8: the smaller identifier yields
                self._hello(hello, met.own, self._cookies(packet, address, now)[0][1], address)
        elif not self.listening:
            if packet.version == VERSION:
                self._refuse(hello, address, Why.REFUSED)
        elif packet.version != VERSION:
            self._refuse(hello, address, Why.VERSION)
        else:
            identifier, cookie = self._cookies(packet, address, now)[0]
            self._hello(hello, identifier, cookie, address)

    def _dialed(self, address: Any, port: int) -> Connection | None:
        met = [
            conn for conn in self.connections.values() if (conn.address, conn.peer_port) == (address, port)
        ]
        return next((conn for conn in met if conn.dialer), None)

    def _hello(self, theirs: Hello, identifier: int, cookie: bytes, address: Any) -> None:
        chosen = FEATURES[choose(self.features, theirs.features)]
        ours = Hello(self.port, 65_535, chosen, identifier, min(self.window, EARLY_WINDOW), cookie=cookie)
        self.queue.append(
            (encode(Packet(Kind.COOKIE, 0, theirs.source_port, theirs.identifier, 0, hello=ours)), address)
        )

    def _refuse(self, hello: Hello, address: Any, why: Why) -> None:
        packet = Packet(Kind.RESET, 0, hello.source_port, hello.identifier, 0, reason=why)
        self.queue.append((encode(packet), address))

    def _cookies(self, packet: Packet, address: Any, now: int) -> list[tuple[int, bytes]]:
        """Identifier and cookie under the key of now, and under the one before (3.2 item 2)."""
        if not self.keys or now - self.keys[0][0] >= KEY_LIFE:
            still_good = self.keys[:1] if self.keys and now - self.keys[0][0] < 2 * KEY_LIFE else []
            self.keys = [(now, self.rng.randbytes(32)), *still_good]
        assert packet.hello is not None
        theirs = packet.hello
        said = Hello(**{**vars(theirs), "cookie": bytes(16)}).pack()
        made = []
        for _, key in self.keys:
            digest = hashlib.blake2s(
                f"{address} {packet.port} ".encode() + said, key=key, digest_size=24
            ).digest()
            made.append((int.from_bytes(digest[:8]) or 1, digest[8:]))
        return made

    def _on_confirm(self, packet: Packet, address: Any, now: int) -> None:
        hello = packet.hello
        assert hello is not None
        met = self._dialed(address, hello.source_port)
        if not packet.right() or packet.port != self.port:
            self.dropped += 1
        elif met and met.own == packet.connection and met.state == "syn sent":
            if hello.cookie in [cookie for _, cookie in self._cookies(packet, address, now)]:
                met.on_met(hello, self.features & hello.features, now)
        elif packet.connection in self.connections:
            self.connections[packet.connection].on_confirm_again(now)
        elif packet.connection in self.ended:
            ended = self.ended[packet.connection][1]
            self.queue.append((ended._build(Kind.RESET, 0, 0, reason=ended.error or Why.NONE), address))
        elif not self.listening:
            self._refuse(hello, address, Why.REFUSED)
        elif (packet.connection, hello.cookie) not in self._cookies(packet, address, now):
            self.dropped += 1
        elif len(self.pending) < self.backlog:
            self._make(packet, address, now)

    def _make(self, packet: Packet, address: Any, now: int) -> None:
        theirs, own = packet.hello, packet.connection
        assert theirs is not None
        ours = Hello(self.port, 65_535, self.features, own, min(self.window, EARLY_WINDOW))
        conn = Connection(own, ours, self.port, (address, theirs.source_port), now, self.rng)
        conn.on_met(theirs, self.features & theirs.features, now)
        self.connections[own] = conn
        self.pending.append(conn)

    def _on_other(self, packet: Packet, address: Any, now: int) -> None:
        if packet.kind == Kind.RESET and packet.flags & ECHO:
            for conn in list(self.connections.values()):
                if conn.peer == packet.connection:
                    conn.on_packet(packet, address, now)
            return
        conn = self.connections.get(packet.connection)
        if conn is None:
            self._on_unknown(packet, address, now)
        elif packet.kind == Kind.COOKIE:
            if packet.right():
                conn.on_cookie(packet, now)
        else:
            conn.on_packet(packet, address, now)

    def _on_unknown(self, packet: Packet, address: Any, now: int) -> None:
        """Only DATA and PROBE are answered, and not too many of them (3.4, section 5 item 4)."""
        if packet.port != self.port and packet.connection not in self.ended:
            return
        if packet.kind not in (Kind.DATA, Kind.PROBE) or not _sound(packet, address):
            return
        times = self.answered[address] = [t for t in self.answered.get(address, []) if now - t < SECOND]
        if len(times) >= RESETS_A_SECOND:
            return
        times.append(now)
        why = Why.UNKNOWN
        if packet.connection in self.ended:
            why = self.ended[packet.connection][1].error or Why.NONE
        answer = Packet(Kind.RESET, ECHO, 0, packet.connection, packet.number, reason=why)
        self.queue.append((encode(answer), address))


def _sound(packet: Packet, address: Any) -> bool:
    """Whether a packet of no connection may be answered; on IP (UDP port 0) its check alone stands guard."""
    return packet.right() or packet.right("xxh3") or (packet.check == 0 and address[1] != 0)

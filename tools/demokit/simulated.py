"""The demo without a network: the same protocol objects, the same link, in virtual time."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import time
from typing import TYPE_CHECKING, Any

from rawproto import IPAddr, IPv4, LinkType, PcapngWriter, RSPConfig, Simulation
from rawproto.rsp import Endpoint

from .display import Moment
from .relay import relay_of
from .result import Result, Side
from .settings import IDLE_TIMEOUT
from .transfer import PORT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawproto.lab import SimHost
    from rawproto.rsp import Connection, ConnectionStats

    from .artefacts import Artefacts
    from .display import Display
    from .settings import Settings
    from .source import Source

__all__ = ["run"]

_DIGEST_SIZE = hashlib.sha256().digest_size
_STEPS = 500
_SECOND = 1e9


class _SendingEnd:
    """The application that sends, on an endpoint of the simulator."""

    def __init__(self, source: Source) -> None:
        self.conn: Connection | None = None
        self.digest = hashlib.sha256()
        self.size = 0
        self.answer = b""
        self.began: int | None = None
        self.ended: int | None = None
        self._chunks: Iterator[bytes] = source.chunks()
        self._rest = b""

    def on_event(self, event: Any, now: int) -> None:
        """The connection changed: write what there is room for, read what there is."""
        conn = self.conn
        if conn is None or not conn.established:
            return
        if self.began is None:
            self.began = now
        self._write(conn, now)
        self.answer += conn.read(-1, now)
        if self.ended is None and len(self.answer) == _DIGEST_SIZE:
            self.ended = now

    def _write(self, conn: Connection, now: int) -> None:
        if conn.stats().state != "established":
            return
        while conn.writable:
            if not self._rest:
                self._rest = next(self._chunks, b"")
                if not self._rest:
                    conn.close_write(now)
                    return
                self.digest.update(self._rest)
                self.size += len(self._rest)
            self._rest = self._rest[conn.write(self._rest, now) :]


class _ReceivingEnd:
    """The application that receives."""

    def __init__(self) -> None:
        self.conn: Connection | None = None
        self.listener: Any = None
        self.digest = hashlib.sha256()
        self.size = 0
        self._answered = False

    def on_event(self, event: Any, now: int) -> None:
        """Accept, read, and answer the end with the digest."""
        if self.conn is None:
            self.conn = self.listener.accept()
        conn = self.conn
        if conn is None:
            return
        data = conn.read(-1, now)
        self.digest.update(data)
        self.size += len(data)
        if conn.at_eof and not self._answered:
            self._answered = True
            conn.write(self.digest.digest(), now)
            conn.close_write(now)


def run(source: Source, settings: Settings, display: Display, artefacts: Artefacts) -> Result:
    """Send ``source`` across a simulated link.

    Raises:
        OpError: what the sender was told.
    """
    simulation = Simulation(seed=settings.seed)
    left, right = simulation.hosts("sender", "receiver")
    link = simulation.link(left, right, seed=settings.seed, **settings.impairments)
    display.step(f"two hosts, {left.ip4} and {right.ip4}, in virtual time")
    config = RSPConfig(congestion=settings.congestion, idle_timeout=IDLE_TIMEOUT, keepalive=IDLE_TIMEOUT / 4)
    sending, receiving = _SendingEnd(source), _ReceivingEnd()
    receiver = _node(simulation, right, config, receiving)
    receiving.listener = receiver.do(lambda endpoint, now: endpoint.listen(PORT, now=now))
    sender = _node(simulation, left, dataclasses.replace(config, trace=settings.output), sending)
    with PcapngWriter(artefacts.wire, linktype=LinkType.RAW, interfaces=["sender", "receiver"]) as capture:
        for interface, (here, there) in enumerate(((left, right), (right, left))):
            link.drop(when=_tap(capture, interface, here, there), toward=there, count=None)
        address = IPAddr(right.ip4)
        sending.conn = sender.do(lambda endpoint, now: endpoint.connect(address, PORT, now=now))
        began = time.monotonic()
        _drive(simulation, sending, receiving, settings, display, source.size, lambda: right.stop(receiver))
        wall = time.monotonic() - began
    _keep_trace(sending.conn, artefacts)
    if sending.conn.error is not None:
        raise sending.conn.error
    assert receiving.conn is not None
    assert sending.began is not None
    assert sending.ended is not None
    return Result(
        where="simulation",
        name=source.name,
        seconds=(sending.ended - sending.began) / _SECOND,
        wall=wall,
        rate=settings.rate,
        sender=_side(sending.conn.stats(), sending.digest.hexdigest(), sending.size),
        receiver=_side(receiving.conn.stats(), receiving.digest.hexdigest(), receiving.size),
        relay=relay_of(link),
    )


def _node(simulation: Simulation, host: SimHost, config: RSPConfig, application: Any) -> Any:
    endpoint = Endpoint(config, entropy=simulation.entropy(host.name), now=simulation.now)
    return host.run(endpoint, on_event=application.on_event)


def _drive(
    simulation: Simulation,
    sending: _SendingEnd,
    receiving: _ReceivingEnd,
    settings: Settings,
    display: Display,
    total: int,
    kill: Any,
) -> None:
    """Let virtual time pass until the connection is over, showing now and then how it stands."""
    conn = sending.conn
    assert conn is not None
    killed = settings.kill_receiver is None
    display.begin(total)
    while not conn.finished:
        for _ in range(_STEPS):
            if conn.finished or not simulation.step():
                break
        stats = conn.stats()
        display.show(Moment(receiving.size, stats.packets_retransmitted, stats.rtt_smoothed))
        if (
            not killed
            and settings.kill_receiver is not None
            and receiving.size >= settings.kill_receiver * total
        ):
            killed = True
            display.step(
                f"killing the receiver; the sender is told within {IDLE_TIMEOUT:.0f} s of virtual time"
            )
            kill()
    display.end()


def _tap(capture: PcapngWriter, interface: int, here: SimHost, there: SimHost) -> Any:
    """A predicate that fits no packet, and writes down each that it is asked about."""
    header = IPv4(src=here.ip4, dst=there.ip4, protocol=253)

    def write(packet: Any) -> bool:
        capture.write(bytes(header / packet.payload), packet.time, interface)
        return False

    return write


def _keep_trace(conn: Connection, artefacts: Artefacts) -> None:
    if conn.trace is not None:
        artefacts.trace.write_text(json.dumps(conn.trace.qlog()), encoding="utf-8")


def _side(stats: ConnectionStats, sha256: str, size: int) -> Side:
    return Side(
        sha256=sha256,
        size=size,
        packets_sent=stats.packets_sent,
        retransmitted=stats.packets_retransmitted,
        lost=stats.packets_lost,
        duplicates=stats.duplicates_received,
        corrupted=stats.corrupted_received,
        rtt=stats.rtt_smoothed,
        min_rtt=stats.rtt_minimum,
    )

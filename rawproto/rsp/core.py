"""What the parts of a connection share: its streams, its recovery, its timers, and where it is in its life.

:class:`~rawproto.rsp.connection.Connection` is the face to the application; :mod:`~rawproto.rsp.opening` dials,
:mod:`~rawproto.rsp.inbound` takes packets, :mod:`~rawproto.rsp.outbound` makes them,
:mod:`~rawproto.rsp.deadlines` minds the clock. All work on one :class:`Core`.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rawproto.errors import ConnectionAborted, OpError
from rawproto.protocol import SECOND
from rawproto.rsp import checks
from rawproto.rsp.acks import MAX_ACK_DELAY
from rawproto.rsp.challenge import ChallengeLimit
from rawproto.rsp.congestion.base import controller
from rawproto.rsp.handshake import ECN, choose
from rawproto.rsp.header import DATA_HEADER_SIZE, Kind, Reset
from rawproto.rsp.memory import Memory, Share
from rawproto.rsp.path_mtu import PathMTU
from rawproto.rsp.reasons import Reason
from rawproto.rsp.receiver import Receiver
from rawproto.rsp.recovery import Recovery
from rawproto.rsp.send_stream import SendStream
from rawproto.rsp.sender import Sender
from rawproto.rsp.state import State, StateMachine
from rawproto.rsp.timers import Timer, TimerTable

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.rsp.config import RSPConfig
    from rawproto.rsp.handshake import Terms
    from rawproto.rsp.trace import Trace

__all__ = ["Core", "Doubt", "Opening", "TimedOutError"]

FIN_WAIT = 60 * SECOND
"""How long the peer's half may stay open after the application closed and all was delivered (Linux tcp_fin_timeout)."""
REST_AFTER = 2 * SECOND
"""Silence after which a connection counts as idle and keeps no buffers."""
_REST, _KEEPALIVE = Timer.REST, Timer.KEEPALIVE  # see arrivals.py
_SYN_SENT = State.SYN_SENT
NOT_ECT, ECT0 = 0, 2
"""ECN codepoints: not capable, and capable (RFC 3168 section 5)."""


@dataclasses.dataclass(slots=True)
class Opening:
    """A SYN or CONFIRM that waits for an answer."""

    hello: bytes
    is_confirm: bool = False
    tries: int = 0
    sent_at: int = 0
    unreachable_at: int | None = None
    """When ICMP first said of the CONFIRM that there is nobody to take it."""

    def unreachable(self, now: int) -> bool:
        """ICMP says that there is nobody: whether that is final."""
        if self.is_confirm and self.unreachable_at is None:
            self.unreachable_at = now
            return False
        return self.unreachable_at is None or self.sent_at > self.unreachable_at


@dataclasses.dataclass(slots=True)
class Doubt:
    """What a RESET said that may be forged, and the first packet number used after it."""

    reason: int
    number: int


class TimedOutError(ConnectionAborted, TimeoutError):
    """The peer stopped answering: both a TimeoutError and a ConnectionAbortedError."""


class Core:
    """State that inbound, outbound and deadlines share."""

    __slots__ = (
        "_machine",
        "_waiting_for_end",
        "acks_received",
        "acks_sent",
        "address",
        "challenges",
        "closed",
        "config",
        "control",
        "corrupted",
        "doubt",
        "ecn",
        "entropy",
        "epitaph",
        "error",
        "last_heard",
        "opening",
        "path_mtu",
        "peer_identifier",
        "persist_tries",
        "ping_due",
        "probes",
        "probes_due",
        "reading_closed",
        "receiver",
        "recovery",
        "sender",
        "share",
        "soft_error",
        "source",
        "state",
        "tell",
        "terms",
        "timers",
        "trace",
        "waiting_since",
    )

    def __init__(
        self,
        config: RSPConfig,
        *,
        address: Any,
        terms: Terms,
        max_datagram: int,
        overhead: int,
        batch_size: Callable[[int], int] | None,
        memory: Memory | None,
        tell: Callable[[], None],
        now: int,
        state: State,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.config = config
        self.entropy = entropy
        self.ecn = NOT_ECT
        """ECN codepoint of the packets that go out."""
        self.challenges = ChallengeLimit()
        self.doubt: Doubt | None = None
        """A RESET that was not exact, while the peer is questioned about it."""
        self.address = address
        self.terms = terms
        self.peer_identifier = 0
        self.error: OpError | None = None
        self.epitaph = Reason.NONE
        """What to answer to packets that come when the connection is over."""
        self.soft_error = ""
        """The last ICMP error: never final once established, but worth telling when the peer stays silent."""
        self.trace: Trace | None = None
        self.path_mtu = PathMTU(max_datagram, overhead, enabled=config.path_mtu_discovery)
        first = self.path_mtu.size
        self.recovery = Recovery(
            controller(config.congestion)(first - DATA_HEADER_SIZE, now), MAX_ACK_DELAY, now, entropy
        )
        self.sender = Sender(SendStream(config.send_buffer), self.recovery, first, batch_size)
        self.share = Share(memory)
        """What the connection holds of the endpoint's memory."""
        self.receiver = Receiver(
            terms.window, config.receive_window, max_datagram - DATA_HEADER_SIZE, self.share
        )
        self.timers = TimerTable()
        self.source = None if state is State.SYN_SENT else address
        """Where the peer's packets come from, in the link's own words; None before the first one."""
        self.control: list[tuple[bytes, Any]] = []
        """Packets of the handshake, of path validation and resets, with the destination where it is another one."""
        self.opening: Opening | None = None
        """The SYN or CONFIRM that is repeated until the peer is heard; None when that is over."""
        self.reading_closed = False
        """The application will not read any more."""
        self.last_heard = now
        self.waiting_since = now
        """When the oldest answer that is owed began to be."""
        self.probes_due = 0
        self.ping_due = False
        self.persist_tries = 0
        self.acks_sent = self.acks_received = self.corrupted = self.probes = 0
        self._machine = StateMachine(state)
        self.state = state
        """Where the connection is in its life."""
        self.closed = False
        """The connection is over."""
        self.tell = tell
        """Called when the application should look again."""
        self._waiting_for_end = False

    def move(self, to: State) -> None:
        """Go to another state of the connection's life."""
        self._machine.move(to)
        self.state = to
        self.closed = to is State.CLOSED

    @property
    def remote_text(self) -> str:
        """The peer, for messages."""
        return f"{self.address} port {self.terms.port}"

    # ---- from the handshake on ---------------------------------------------------------------------------------

    def agree(self, theirs: Terms) -> None:
        """Both sides' terms are known: settle what the connection uses."""
        self.peer_identifier = theirs.identifier
        check, features = choose(self.terms.features, theirs.features)
        self.ecn = ECT0 if features & ECN else NOT_ECT
        self.path_mtu.limit(theirs.max_datagram)
        self.use_path_mtu()
        self.sender.on_window(theirs.window)
        self.sender.address(self.terms.port, self.peer_identifier, check)

    def use_path_mtu(self, now: int | None = None) -> None:
        """Packets are cut to the path's datagram size from now on; told to the trace when ``now`` is given."""
        before, size = self.sender.size, self.path_mtu.size - DATA_HEADER_SIZE
        self.sender.size = size
        self.recovery.controller.on_max_datagram(size)
        if self.trace is not None and now is not None:
            old, new = before + DATA_HEADER_SIZE, self.path_mtu.size
            self.trace.record(now, "connectivity:mtu_updated", old=old, new=new)

    def heard(self, now: int) -> None:
        """A packet with our identifier came: the peer is there, and knows of the connection."""
        self.last_heard = now
        if self.opening is not None and self.state is not _SYN_SENT:
            self.opening = None
            self.timers.stop(Timer.HANDSHAKE)
            self.timers.stop(Timer.HANDSHAKE_LIMIT)
            if self.state is State.CONFIRMING:
                self.move(State.ESTABLISHED)
                self.recovery.excuse()
                self.tell()
        running = self.timers.running
        if _REST not in running and not self.closed:
            self.timers.set(_REST, now + REST_AFTER)
        if self.config.keepalive is not None and not self.closed and _KEEPALIVE not in running:
            self.timers.set(_KEEPALIVE, now + int(self.config.keepalive * SECOND))

    def rest(self, now: int) -> None:
        """When nothing was heard for a while and nothing is owed, give back what only a busy connection needs."""
        if self.last_heard + REST_AFTER > now:
            self.timers.set(Timer.REST, self.last_heard + REST_AFTER)
            return
        self.recovery.rest()
        self.sender.rest()
        self.receiver.stream.rest()
        self.timers.rest()

    def move_to(self, address: Any, now: int) -> None:
        """The peer proved that it receives at ``address``: go on there, as on a path nothing is known of."""
        self.address = self.source = address
        self.path_mtu.on_new_path()
        self.use_path_mtu()
        self.recovery.on_new_path(controller(self.config.congestion)(self.sender.size, now), now)
        self.receiver.acks.due = True
        self.ping_due = True
        if self.trace is not None:
            self.trace.record(now, "connectivity:path_assigned", address=str(address))

    # ---- the end ----------------------------------------------------------------------------------------------

    def close(self, now: int) -> None:
        """The application closed: deliver what was written, then end."""
        self.sender.stream.finish()
        if self.state in (State.ESTABLISHED, State.CONFIRMING):
            self.move(State.CLOSING)
            self.timers.set(Timer.DRAIN, now + int(self.config.linger * SECOND))
        self.check_finished(now)

    def check_finished(self, now: int) -> None:
        """Both halves done: drain. Closed and delivered, but the peer's half open: wait for it, not for ever."""
        if not self.sender.stream.fin_acked or self.state not in (State.ESTABLISHED, State.CLOSING):
            return
        if not self.sender.stream.finished:
            return
        if self.receiver.stream.complete:
            self.move(State.DRAINING)
            self.timers.set(Timer.DRAIN, now + 3 * self.recovery.rtt.probe_timeout(MAX_ACK_DELAY))
            self.tell()
        elif self.state is State.CLOSING and not self._waiting_for_end:
            self._waiting_for_end = True
            self.timers.set(Timer.DRAIN, now + FIN_WAIT)

    def give_up(self, reason: str, op: str, now: int) -> None:
        """Nothing was heard for too long."""
        if self.soft_error:
            reason = f"{reason}; the network said: {self.soft_error}"
        error = TimedOutError(reason, op=op, network="rsp", remote=self.remote_text)
        if self.peer_identifier:
            self.reset(Reason.TIMEOUT, error, now)
        else:
            self.end(error, now)

    def violated(self, what: str, now: int) -> None:
        """The peer did what no network fault explains."""
        error = ConnectionAborted(
            f"the peer broke the protocol: {what}", network="rsp", remote=self.remote_text
        )
        self.reset(Reason.VIOLATION, error, now)

    def reset(self, reason: Reason, error: OpError | None, now: int) -> None:
        """Tell the peer with a RESET and end; ``error`` is what the application on this side will see."""
        reset = Reset(
            kind=Kind.RESET,
            port=self.terms.port,
            connection=self.peer_identifier,
            number=self.recovery.sent.next,
            reason=int(reason),
        )
        self.control.append((checks.fill_one(bytes(reset)), None))
        self.epitaph = reason
        self.end(error, now)

    def end(self, error: OpError | None, now: int) -> None:
        """The connection is over."""
        if self.closed:
            return
        self.error = error
        self.move(State.CLOSED)
        self.timers.stop_all()
        self.sender.stream.discard()
        self.share.close()
        self.receiver.acks.on_sent(now)
        if self.trace is not None:
            self.trace.record(now, "connectivity:connection_closed", reason=str(error) if error else "done")
        self.tell()

    def let_go(self) -> None:
        """Nothing will be sent or heard any more: hold no memory but what the application can still read.

        Nor is there anything to tell: without the way back to the connection both are gone as soon as nobody holds
        them, and need not wait for the garbage collector.
        """
        self.sender.rest()
        self.recovery.rest()
        self.receiver.stream.rest()
        self.tell = _nothing


def _nothing() -> None:
    """Nobody listens any more."""

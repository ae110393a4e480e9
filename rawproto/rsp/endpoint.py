"""An endpoint: all connections and listeners on one link, as one sans-IO protocol.

It finds the connection a packet belongs to by the identifier this side chose, a whole batch at a time; answers what
belongs to none; and polls the connections in turn, so that one of them cannot starve the others.
"""

from __future__ import annotations

import heapq
import typing
from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from rawproto.errors import ConfigError, DecodeError, OpError
from rawproto.protocol import Protocol
from rawproto.rsp import integrity
from rawproto.rsp.config import RSPConfig
from rawproto.rsp.connection import Connection
from rawproto.rsp.cookie import COOKIE_LIFETIME, CookieJar
from rawproto.rsp.handshake import Terms, choose, cookie_context, hello_packet, wishes
from rawproto.rsp.header import COMMON_SIZE, DATA_HEADER_SIZE, VERSION, Common, Hello, Kind, Reset, RSPFlags
from rawproto.rsp.listener import Listener
from rawproto.rsp.reasons import Reason
from rawproto.rsp.replies import Replies
from rawproto.rsp.state import State
from rawproto.rsp.stats import EndpointStats
from rawproto.rsp.trace import Trace
from rawproto.wire.batch import Batch, Transmit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.wire.batch import ReceivedBatch
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["Endpoint"]

DEFAULT_MAX_DATAGRAM = 1480
"""An Ethernet MTU less the IPv4 header."""
_KINDS = frozenset(int(kind) for kind in Kind)
_RECENT = 1 << 16
_QUOTED = 8
"""Bytes of ours that an ICMP error quotes at least (RFC 792)."""


class Neighbours(typing.Protocol):
    """What an endpoint asks before it answers a stranger's packet that may be meant for somebody else."""

    def listens(self, port: int) -> bool:
        """Whether another endpoint listens on ``port``."""

    def present(self) -> bool:
        """Whether there is any other endpoint."""


class Endpoint(Protocol):
    """RSP on one link.

    Args:
        config: settings of the endpoint and its connections.
        entropy: gives that many unpredictable bytes; ``os.urandom`` outside of simulations.
        max_datagram: largest datagram the link carries unfragmented, RSP header included.
        carrier_checks: the link has a checksum over the payload (UDP), so that RSP's own may be left out.
        neighbours: other endpoints that get copies of the same packets, as on raw sockets; None for none.
        now: the clock's time, ns.
    """

    def __init__(
        self,
        config: RSPConfig | None = None,
        *,
        entropy: Callable[[int], bytes],
        max_datagram: int = DEFAULT_MAX_DATAGRAM,
        carrier_checks: bool = False,
        neighbours: Neighbours | None = None,
        now: int = 0,
    ) -> None:
        self.config = config or RSPConfig()
        self.stats = EndpointStats()
        self._entropy = entropy
        self._neighbours = neighbours
        self._max_datagram = min(max_datagram, self.config.max_datagram or max_datagram)
        self._features = wishes(self.config, carrier_checks)
        self._carrier_checks = carrier_checks
        self._connections: dict[int, Connection] = {}
        # Keys that the peer chooses are bytes, whose hash is salted; ours are unpredictable anyway.
        self._by_peer: dict[bytes, Connection] = {}
        self._dialing: dict[bytes, Connection] = {}
        self._listeners: dict[int, Listener] = {}
        self._ports: dict[int, int] = {}
        self._recent: OrderedDict[int, tuple[int, Reason]] = OrderedDict()
        self._jar = CookieJar(entropy, now)
        self._replies = Replies(entropy)
        self._ready: OrderedDict[Connection, None] = OrderedDict()
        self._news: OrderedDict[Connection | Listener, None] = OrderedDict()
        self._timeouts: list[tuple[int, int, Connection]] = []
        self._armed: dict[Connection, int] = {}
        self._armings = 0

    # ---- commands ---------------------------------------------------------------------------------------------

    def connect(self, address: Any, port: int, *, local_port: int = 0, now: int) -> Connection:
        """Dial ``port`` of the endpoint at ``address``; the connection's events tell the outcome.

        Raises:
            ConfigError: a port out of range.
            OpError: the local port, or all of them, are taken.
        """
        _check_port(port)
        source = self._take_port(local_port)
        terms = Terms(
            source,
            port,
            self._new_identifier(),
            self.config.initial_window,
            self._max_datagram,
            self._features,
        )
        connection = self._make(address, terms, terms.identifier, State.SYN_SENT, now)
        self.stats.dialed += 1
        connection.dial(now)
        self._dialing[connection.hello[:_QUOTED]] = connection
        return connection

    def listen(
        self, port: int, *, backlog: int = 128, admit: Callable[[Any], bool] | None = None, now: int
    ) -> Listener:
        """Take connections to ``port`` (0 picks a free one).

        Args:
            port: 0 to 65535.
            backlog: most connections that may wait to be accepted.
            admit: asked with the dialer's link address before anything is kept for it.
            now: the clock's time, ns.

        Raises:
            ConfigError: a port out of range.
            OpError: the port is taken.
        """
        if port:
            _check_port(port)
        taken = self._take_port(port, op="listen")
        listener = Listener(taken, backlog, admit, self._forget_listener)
        self._listeners[taken] = listener
        return listener

    def touch(self, connection: Connection) -> None:
        """A command was given to ``connection``: it may have something to send, or a new deadline."""
        self._ready[connection] = None

    @property
    def connections(self) -> list[Connection]:
        """All connections that are not over."""
        return list(self._connections.values())

    @property
    def idle(self) -> bool:
        """No connection and no listener is left."""
        return not self._connections and not self._listeners

    # ---- input ------------------------------------------------------------------------------------------------

    def handle_datagrams(self, batch: ReceivedBatch, now: int) -> None:
        """Take what arrived: rows of one connection and kind go to it together."""
        count = len(batch)
        self.stats.received += count
        if not count:
            return
        shortest = int(batch.head_lengths[0] if count == 1 else batch.head_lengths.min())
        if shortest < COMMON_SIZE:
            self._handle_short(batch, now)
            return
        for first, stop in _groups(batch):
            self._handle_group(batch, first, stop, now)

    def _handle_short(self, batch: ReceivedBatch, now: int) -> None:
        """Some datagrams are too short for any packet: take the others one by one."""
        for index in range(len(batch)):
            if batch.head_lengths[index] < COMMON_SIZE:
                self.stats.malformed += 1
            else:
                self._handle_group(batch, index, index + 1, now)

    def _handle_group(self, batch: ReceivedBatch, first: int, stop: int, now: int) -> None:
        """Rows ``first`` to ``stop``: one kind, one identifier."""
        row = batch.head[first]
        code = int(row[4])
        if code not in _KINDS:
            self._handle_unknown_kind(batch, first, stop, now)
            return
        identifier = int.from_bytes(row[8:16].tobytes(), "big")
        connection = self._connections.get(identifier)
        if code == Kind.DATA and connection is not None:
            if connection.state is not State.SYN_SENT:
                self._handle_data(connection, batch, first, stop, now)
            return
        kind = Kind(code)
        for index in range(first, stop):
            self._handle_packet(
                kind, connection, identifier, batch.datagram(index), batch.source_of(index), now
            )

    def _handle_data(
        self, connection: Connection, batch: ReceivedBatch, first: int, stop: int, now: int
    ) -> None:
        self.touch(connection)
        if int(batch.head_lengths[first:stop].min()) >= DATA_HEADER_SIZE:
            connection.inbound.on_data(batch, first, stop, now)
            return
        for index in range(first, stop):  # a short one must not cost the others
            if batch.head_lengths[index] >= DATA_HEADER_SIZE:
                connection.inbound.on_data(batch, index, index + 1, now)
            else:
                self.stats.malformed += 1

    def _handle_packet(
        self, kind: Kind, connection: Connection | None, identifier: int, packet: bytes, source: Any, now: int
    ) -> None:
        try:
            if kind is Kind.SYN or kind is Kind.CONFIRM:
                self._handle_hello(kind, packet, source, now)
            elif connection is not None:
                if kind is Kind.COOKIE:
                    self._handle_cookie(connection, packet, now)
                else:
                    connection.inbound.on_packet(kind, packet, now)
                self.touch(connection)
            elif kind is Kind.RESET:
                self._handle_stray_reset(packet, identifier, now)
            else:
                self._answer_unknown(kind, packet, identifier, source, now)
        except DecodeError:
            self.stats.malformed += 1

    def _handle_unknown_kind(self, batch: ReceivedBatch, first: int, stop: int, now: int) -> None:
        self.stats.malformed += stop - first
        packet = batch.datagram(first)
        # A SYN of another version deserves an answer its sender can understand: version 1's RESET.
        other_version = packet[4] & 0x0F == Kind.SYN & 0x0F and packet[4] >> 4 != VERSION
        if other_version and len(packet) > Reset.size and integrity.verify_one(packet):
            common, _ = Common.parse(packet)
            listener, source = self._listeners.get(common.port), batch.source_of(first)
            if listener is not None and listener.admits(source):
                self._reply_reset(Reason.VERSION, 0, common.connection, source, now, echo=0)

    def _handle_hello(self, kind: Kind, packet: bytes, source: Any, now: int) -> None:
        if not integrity.verify_one(packet):
            self.stats.corrupted += 1
            return
        hello, _ = Hello.parse(packet)
        terms = Terms.of(hello)
        if kind is Kind.CONFIRM and hello.connection in self._connections:
            # A repeated CONFIRM: our answer was lost.
            connection = self._connections[hello.connection]
            connection.acknowledge()
            return
        listener = self._listeners.get(hello.port)
        if listener is None:
            if self._neighbours is not None and self._neighbours.listens(hello.port):
                return  # not ours to refuse
            self.stats.refused += 1
            self._reply_reset(Reason.REFUSED, hello.source_port, hello.identifier, source, now)
        elif not listener.admits(source):
            self.stats.not_admitted += 1
        elif kind is Kind.SYN:
            self._answer_syn(terms, source, len(packet), now)
        else:
            self._accept(listener, hello, terms, source, now)

    def _answer_syn(self, terms: Terms, source: Any, size: int, now: int) -> None:
        """Send a cookie and forget the SYN."""
        identifier, cookie = self._jar.make(cookie_context(source, terms), now)
        _, features = choose(self._features, terms.features)
        ours = Terms(
            terms.port,
            terms.source_port,
            identifier,
            self._first_window,
            self._max_datagram,
            features,
        )
        answer = hello_packet(Kind.COOKIE, ours, terms.identifier, cookie)
        if len(answer) <= size and self._replies.cookie(answer, source):
            self.stats.handshakes += 1

    @property
    def _first_window(self) -> int:
        """What a connection that was not accepted yet may receive."""
        return min(self.config.initial_window, self.config.backlog_memory)

    def _accept(self, listener: Listener, hello: Hello, theirs: Terms, source: Any, now: int) -> None:
        """A CONFIRM: when its cookie is ours, make the connection."""
        mine = hello.connection
        if mine in self._recent:  # a late copy of a CONFIRM whose connection is over
            self._reply_reset(self._recent[mine][1], theirs.source_port, theirs.identifier, source, now)
            return
        if not self._jar.check(cookie_context(source, theirs), mine, hello.cookie, now):
            self.stats.cookies_rejected += 1
            return
        if listener.full:
            self.stats.backlog_full += 1
            return
        terms = Terms(
            theirs.port,
            theirs.source_port,
            mine,
            self._first_window,
            self._max_datagram,
            self._features,
        )
        connection = self._make(source, terms, mine, State.ESTABLISHED, now)
        connection.accepted_from = listener
        self._ports[theirs.port] += 1
        connection.on_confirmed(theirs, now)
        self._by_peer.setdefault(_key(theirs.identifier), connection)
        self.stats.accepted += 1
        listener.put(connection)
        self._news[listener] = None
        self.touch(connection)

    def _handle_cookie(self, connection: Connection, packet: bytes, now: int) -> None:
        if not integrity.verify_one(packet):
            self.stats.corrupted += 1
            return
        cookie, _ = Hello.parse(packet)
        if connection.state is State.SYN_SENT and cookie.identifier:
            self._dialing.pop(connection.hello[:_QUOTED], None)
            connection.on_cookie(cookie, now)
            self._by_peer.setdefault(_key(connection.peer_identifier), connection)

    def _handle_stray_reset(self, packet: bytes, identifier: int, now: int) -> None:
        """A RESET that echoes the identifier we sent to: its sender does not know the connection."""
        reset, _ = Reset.parse(packet)
        connection = self._by_peer.get(_key(identifier))
        if reset.flags.ECHO and connection is not None and integrity.verify_one(packet):
            connection.inbound.on_packet(Kind.RESET, packet, now)
            self.touch(connection)
        else:
            self.stats.unknown += 1

    def _answer_unknown(self, kind: Kind, packet: bytes, identifier: int, source: Any, now: int) -> None:
        """A packet for no connection of ours: tell its sender, with fewer bytes than it sent."""
        self.stats.unknown += 1
        common, _ = Common.parse(packet)
        recent = self._recent.get(identifier)
        if recent is None and common.port not in self._ports:
            return  # meant for another endpoint on this host
        if common.port not in self._listeners and self._neighbours is not None and self._neighbours.present():
            return  # a neighbour may dial from the same port
        sound = integrity.verify_one(packet) or (self._carrier_checks and common.check == 0)
        if kind in (Kind.DATA, Kind.PROBE) and len(packet) > Reset.size and sound:
            reason = Reason.UNKNOWN if recent is None else recent[1]
            self._reply_reset(reason, 0, identifier, source, now, echo=common.number)

    def handle_icmp(self, error: ICMPError, now: int) -> None:
        """Give an ICMP error to the connection whose packet it quotes, if it quotes one."""
        connection = self._quoted(error)
        if connection is None:
            self.stats.icmp_ignored += 1
            return
        connection.inbound.on_icmp(error, now)
        self.touch(connection)

    def _quoted(self, error: ICMPError) -> Connection | None:
        quoted = bytes(error.quoted)
        # A SYN is known by its first bytes: they hold the CRC over its random identifier (RFC 5927 section 4.1).
        dialing = self._dialing.get(quoted[:_QUOTED])
        if dialing is not None and dialing.hello.startswith(quoted[: len(dialing.hello)]):
            return dialing
        return self._by_peer.get(quoted[8:16])

    def handle_timeout(self, now: int) -> None:
        """Run the timers of every connection that has one due."""
        while self._timeouts and self._timeouts[0][0] <= now:
            deadline, _, connection = heapq.heappop(self._timeouts)
            if self._armed.get(connection) != deadline:
                continue  # moved since
            del self._armed[connection]
            connection.on_timeout(now)
            self.touch(connection)

    # ---- output -----------------------------------------------------------------------------------------------

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next batch of any connection; answers to strangers first."""
        if (reply := self._replies.pop()) is not None:
            return Transmit(Batch.from_datagrams([reply[0]]), reply[1])
        while self._ready:
            connection = next(iter(self._ready))
            transmit = connection.poll_transmit(now)
            if transmit is not None:
                self._ready.move_to_end(connection)
                return transmit
            del self._ready[connection]
            self._settle(connection, now)
        return None

    def _settle(self, connection: Connection, now: int) -> None:
        """``connection`` has nothing to send: arm its timer, or forget it when it is over."""
        if connection.closed:
            self._forget(connection, now)
            return
        deadline = connection.next_timeout()
        armed = self._armed.get(connection)
        if deadline is None:
            self._armed.pop(connection, None)
        elif deadline != armed:
            self._armed[connection] = deadline
            self._armings += 1
            heapq.heappush(self._timeouts, (deadline, self._armings, connection))
            if len(self._timeouts) > 64 + 4 * len(self._armed):
                self._rebuild_timeouts()

    def _rebuild_timeouts(self) -> None:
        """Most entries are of deadlines that moved: keep the live ones."""
        self._timeouts = [
            (deadline, index, connection) for index, (connection, deadline) in enumerate(self._armed.items())
        ]
        self._armings = len(self._timeouts)
        heapq.heapify(self._timeouts)

    def poll_timeout(self) -> int | None:
        """The earliest deadline of all connections."""
        while self._timeouts:
            deadline, _, connection = self._timeouts[0]
            if self._armed.get(connection) == deadline:
                return deadline
            heapq.heappop(self._timeouts)
        return None

    def poll_event(self) -> Connection | Listener | None:
        """The next connection or listener about which something changed: look at it again."""
        if not self._news:
            return None
        return self._news.popitem(last=False)[0]

    # ---- tables -----------------------------------------------------------------------------------------------

    def _make(self, address: Any, terms: Terms, mine: int, state: State, now: int) -> Connection:
        connection = Connection(
            self.config,
            address=address,
            terms=terms,
            identifier=mine,
            max_datagram=self._max_datagram,
            tell=self._tell,
            touch=self.touch,
            now=now,
            state=state,
        )
        if self.config.trace is not None:
            side = "client" if state is State.SYN_SENT else "server"
            connection.trace = Trace(side, f"rsp {terms.source_port} to {address} port {terms.port}")
        self._connections[mine] = connection
        return connection

    def _tell(self, connection: Connection) -> None:
        self._news[connection] = None

    def _forget(self, connection: Connection, now: int) -> None:
        if self._connections.pop(connection.identifier, None) is None:
            return
        if self._by_peer.get(key := _key(connection.peer_identifier)) is connection:
            del self._by_peer[key]
        self._dialing.pop(connection.hello[:_QUOTED], None)
        self._armed.pop(connection, None)
        self._release_port(connection.local)
        # A late CONFIRM must not bring a dead connection back while its cookie lives.
        self._recent[connection.identifier] = now + COOKIE_LIFETIME, connection.epitaph
        while self._recent and (len(self._recent) > _RECENT or next(iter(self._recent.values()))[0] < now):
            self._recent.popitem(last=False)

    def _forget_listener(self, listener: Listener, now: int) -> None:
        self._listeners.pop(listener.port, None)
        self._release_port(listener.port)
        self._news[listener] = None

    def _new_identifier(self) -> int:
        while True:
            identifier = int.from_bytes(self._entropy(8), "big")
            if identifier and identifier not in self._connections:
                return identifier

    def _take_port(self, port: int, op: str = "dial") -> int:
        if port:
            if port in self._ports:
                raise OpError(f"port {port} is taken", op=op, network="rsp")
            self._ports[port] = 1
            return port
        low, high = self.config.source_port_range
        count = high - low + 1
        start = int.from_bytes(self._entropy(4), "big") % count  # unpredictable, RFC 6056 section 3.3.1
        for step in range(count):
            candidate = low + (start + step) % count
            if candidate not in self._ports:
                self._ports[candidate] = 1
                return candidate
        raise OpError(f"all local ports from {low} to {high} are taken", op=op, network="rsp")

    def _release_port(self, port: int) -> None:
        users = self._ports.get(port, 0)
        if users > 1:
            self._ports[port] = users - 1
        else:
            self._ports.pop(port, None)

    def _reply_reset(
        self,
        reason: Reason,
        port: int,
        identifier: int,
        destination: Any,
        now: int,
        *,
        echo: int | None = None,
    ) -> None:
        if not self._replies.may_reset(destination, now):
            return
        self.stats.resets_sent += 1
        reset = Reset(
            kind=Kind.RESET,
            flags=RSPFlags(0 if echo is None else RSPFlags.ECHO),
            port=port,
            connection=identifier,
            number=echo or 0,
            reason=int(reason),
        )
        self._replies.reset(integrity.fill_one(bytes(reset)), destination)


def _key(identifier: int) -> bytes:
    return identifier.to_bytes(8, "big")


def _groups(batch: ReceivedBatch) -> Iterator[tuple[int, int]]:
    """Ranges of rows in a row that have one kind and one identifier."""
    head = batch.head
    count = len(head)
    if count == 1:
        yield 0, 1
        return
    kinds = head[:, 4]
    identifiers = head[:, 8:16].view(">u8")[:, 0]
    changes = (kinds[1:] != kinds[:-1]) | (identifiers[1:] != identifiers[:-1])
    if not changes.any():
        yield 0, count
        return
    first = 0
    for stop in (*(changes.nonzero()[0] + 1).tolist(), count):
        yield first, stop
        first = stop


def _check_port(port: int) -> None:
    if not 1 <= port <= 65535:
        raise ConfigError(f"a port is from 1 to 65535, not {port}")

"""An endpoint: all connections and listeners on one link, as one sans-IO protocol.

It makes connections and listeners and keeps them in tables, in which :mod:`~rawproto.rsp.arrivals` finds the one a
packet belongs to; :mod:`~rawproto.rsp.strangers` answers what belongs to none. Connections are polled in turn, so that
one of them cannot starve the others.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from rawproto.errors import ConfigError
from rawproto.protocol import Protocol
from rawproto.rsp.arrivals import Arrivals
from rawproto.rsp.config import RSPConfig
from rawproto.rsp.connection import Connection
from rawproto.rsp.directory import Directory
from rawproto.rsp.handshake import Terms
from rawproto.rsp.listener import Listener
from rawproto.rsp.memory import Memory
from rawproto.rsp.ports import Ports, check_port
from rawproto.rsp.schedule import Schedule
from rawproto.rsp.stalls import StallWatch
from rawproto.rsp.state import State
from rawproto.rsp.stats import EndpointStats
from rawproto.rsp.strangers import Neighbours, Strangers
from rawproto.rsp.trace import Trace

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.wire.batch import ReceivedBatch, Transmit
    from rawproto.wire.icmp_error import ICMPError

__all__ = ["Endpoint", "Neighbours"]

DEFAULT_OVERHEAD = 20
"""The IPv4 header."""
DEFAULT_MAX_DATAGRAM = 1500 - DEFAULT_OVERHEAD
"""An Ethernet MTU less the IPv4 header."""


class Endpoint(Protocol):
    """RSP on one link.

    Args:
        config: settings of the endpoint and its connections.
        entropy: gives that many unpredictable bytes; ``os.urandom`` outside of simulations.
        max_datagram: largest datagram the link carries unfragmented, RSP header included.
        overhead: bytes of the link's own headers, by which an IP datagram is larger.
        carrier_checks: the link has a checksum over the payload (UDP), so that RSP's own may be left out.
        batch_size: how many datagrams of so many bytes the link best takes at once.
        together: the driver sends batches whose datagrams have a destination each (see ``Transmit.destinations``).
        neighbours: other endpoints that get copies of the same packets, as on raw sockets; None for none.
        now: the clock's time, ns.
    """

    def __init__(
        self,
        config: RSPConfig | None = None,
        *,
        entropy: Callable[[int], bytes],
        max_datagram: int = DEFAULT_MAX_DATAGRAM,
        overhead: int = DEFAULT_OVERHEAD,
        carrier_checks: bool = False,
        batch_size: Callable[[int], int] | None = None,
        together: bool = False,
        neighbours: Neighbours | None = None,
        now: int = 0,
    ) -> None:
        self.config = config or RSPConfig()
        self.stats = EndpointStats()
        self.on_made: Callable[[Connection], None] | None = None
        """Called with each connection as it is made, before any of its packets: for whoever watches the endpoint."""
        self._entropy = entropy
        self._max_datagram = min(max_datagram, self.config.max_datagram or max_datagram)
        self._overhead = overhead
        self._batch_size = batch_size
        self.memory = Memory(self.config.memory_limit)
        """What all connections share."""
        self._stalls = StallWatch(self.memory)
        self._directory = Directory(entropy)
        elsewhere = None if neighbours is None else neighbours.listens
        self._ports = Ports(self.config.source_port_range, entropy, elsewhere)
        self._schedule = Schedule()
        self.ready = self._schedule.ready
        """Connections that may have something to send since they were last polled; not to be changed."""
        self.news: OrderedDict[Connection | Listener, None] = OrderedDict()
        """What :meth:`poll_event` will give."""
        self._strangers = Strangers(
            self.config,
            entropy=entropy,
            max_datagram=self._max_datagram,
            memory=self.memory,
            carrier_checks=carrier_checks,
            together=together,
            neighbours=neighbours,
            directory=self._directory,
            ports=self._ports,
            stats=self.stats,
            accept=self._accept,
            now=now,
        )
        self._arrivals = Arrivals(
            self._directory, self._strangers, self.stats, touch=self._schedule.touch, fail=self._out_of_memory
        )

    # ---- commands ---------------------------------------------------------------------------------------------

    def connect(self, address: Any, port: int, *, local_port: int = 0, now: int) -> Connection:
        """Dial ``port`` of the endpoint at ``address``; the connection's events tell the outcome.

        Raises:
            ConfigError: a port out of range.
            OpError: the local port, or all of them, are taken.
        """
        check_port(port)
        terms = Terms(
            self._ports.take(local_port, "dial"),
            port,
            self._directory.new_identifier(),
            self.config.initial_window,
            self._max_datagram,
            self._strangers.features,
        )
        connection = self._make(address, terms, State.SYN_SENT, now)
        self.stats.dialed += 1
        connection.dial(now)
        self._directory.add_dialing(connection)
        return connection

    def listen(
        self, port: int, *, backlog: int = 128, admit: Callable[[Any], bool] | None = None, now: int
    ) -> Listener:
        """Take connections to ``port`` (0 picks a free one).

        Args:
            port: 0 to 65535.
            backlog: most connections that may wait to be accepted; with 0 nobody gets in.
            admit: asked with the dialer's link address before anything is kept for it.
            now: the clock's time, ns.

        Raises:
            ConfigError: a port out of range, or a backlog below 0.
            OpError: the port is taken.
        """
        if port:
            check_port(port)
        if backlog < 0:
            raise ConfigError(f"backlog must be 0 or more, not {backlog}")
        taken = self._ports.take(port, "listen")
        listener = Listener(taken, backlog, self.config.backlog_share, admit, self._forget_listener)
        self._strangers.listeners[taken] = listener
        return listener

    def touch(self, connection: Connection) -> None:
        """A command was given to ``connection``: it may have something to send, or a new deadline."""
        self._schedule.touch(connection)

    @property
    def connections(self) -> list[Connection]:
        """All connections that are not over."""
        return list(self._directory)

    @property
    def idle(self) -> bool:
        """No connection and no listener is left."""
        return not self._directory.connections and not self._strangers.listeners

    def let_go(self) -> None:
        """The driver has ended: hold on to nothing, so that all is gone as soon as nobody holds the endpoint."""
        self._strangers.let_go()
        self._arrivals.let_go()

    # ---- input ------------------------------------------------------------------------------------------------

    def handle_datagrams(self, batch: ReceivedBatch, now: int) -> None:
        """Take what arrived: rows of one connection and kind go to it together."""
        self._arrivals.take(batch, now)

    def _accept(self, listener: Listener, ours: Terms, theirs: Terms, source: Any, now: int) -> None:
        """A cookie came back: the dialer is real."""
        connection = self._make(source, ours, State.ESTABLISHED, now)
        self._ports.share(ours.source_port)
        try:
            connection.on_confirmed(theirs, now)
        except MemoryError:
            self._out_of_memory(connection, now)
            return
        self._directory.add_peer(connection)
        self.stats.accepted += 1
        listener.put(connection)
        self.news[listener] = None
        self.touch(connection)

    def handle_icmp(self, error: ICMPError, now: int) -> None:
        """Give an ICMP error to the connection whose packet it quotes, if it quotes one."""
        connection = self._directory.quoted(bytes(error.quoted))
        if connection is None:
            self.stats.icmp_ignored += 1
            return
        connection.inbound.on_icmp(error, now)
        self.touch(connection)

    def handle_timeout(self, now: int) -> None:
        """Run the timers of every connection that has one due."""
        others = len(self._directory.connections) + len(self._strangers.listeners) - 1
        for connection in self._schedule.due(now):
            try:
                acted = connection.deadlines.expire(now, last=not others)
            except MemoryError:
                acted = True
                self._out_of_memory(connection, now)
            others -= connection.closed
            if acted:
                self.touch(connection)
            else:
                self._schedule.arm(connection, connection.deadlines.next())
        if self._stalls.next_at is not None and self._stalls.next_at <= now:
            self._relieve(now)

    def _relieve(self, now: int) -> None:
        """Memory is scarce: give up who takes nothing, the longest stalled first, until there is enough."""
        for connection in self._stalls.look(self._directory, now):
            if not self.memory.scarce:
                return
            self.stats.stalled += 1
            connection.give_up("the peer took next to nothing for a minute, and memory is scarce", now)
            self.touch(connection)

    def _out_of_memory(self, connection: Connection, now: int) -> None:
        """The process got no memory for something that ``connection`` needed: it ends, the others go on."""
        self.stats.out_of_memory += 1
        connection.give_up("the process is out of memory", now)
        self.touch(connection)

    # ---- output -----------------------------------------------------------------------------------------------

    def poll_transmit(self, now: int) -> Transmit | None:
        """The next batch of any connection; answers to strangers first."""
        replies, ready = self._strangers.replies, self._schedule.ready
        if replies.waiting:
            return replies.pop()
        while ready:
            connection = next(iter(ready))
            try:
                transmit = connection.outbound.poll_transmit(now)
            except MemoryError:
                self._out_of_memory(connection, now)
                continue
            if transmit is not None:
                if connection.outbound.has_said_all(now):
                    self._schedule.settle(connection, connection.deadlines.next())
                else:
                    self._schedule.rotate(connection)
                return transmit
            if connection.closed:
                self._forget(connection, now)
            else:
                self._schedule.settle(connection, connection.deadlines.next())
        if self.memory.scarce or self._stalls.next_at is not None:
            self._stalls.arm(now)
        return None

    def poll_timeout(self) -> int | None:
        """The earliest deadline of all connections."""
        deadline, look = self._schedule.next_deadline(), self._stalls.next_at
        if deadline is None or (look is not None and look < deadline):
            return look
        return deadline

    def poll_event(self) -> Connection | Listener | None:
        """The next connection or listener about which something changed: look at it again."""
        if not self.news:
            return None
        return self.news.popitem(last=False)[0]

    # ---- the way in and out of the tables ---------------------------------------------------------------------

    def _make(self, address: Any, terms: Terms, state: State, now: int) -> Connection:
        connection = Connection(
            self.config,
            address=address,
            terms=terms,
            max_datagram=self._max_datagram,
            overhead=self._overhead,
            batch_size=self._batch_size,
            memory=self.memory,
            tell=self._tell,
            touch=self._schedule.touch,
            now=now,
            state=state,
            entropy=self._entropy,
        )
        if self.config.trace is not None:
            side = "client" if state is State.SYN_SENT else "server"
            connection.trace = Trace(side, f"rsp {terms.source_port} to {address} port {terms.port}")
        self._directory.add(connection)
        if self.on_made is not None:
            self.on_made(connection)
        return connection

    def _tell(self, connection: Connection) -> None:
        self.news[connection] = None

    def _forget(self, connection: Connection, now: int) -> None:
        self._schedule.settle(connection, None)
        if self._directory.remove(connection, now):
            self._ports.release(connection.local)
        connection.let_go()

    def _forget_listener(self, listener: Listener, now: int) -> None:
        self._strangers.listeners.pop(listener.port, None)
        self._ports.release(listener.port)
        self.news[listener] = None

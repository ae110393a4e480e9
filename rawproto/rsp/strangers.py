"""Packets that belong to no connection: handshakes, and what is answered to strangers.

A listener keeps nothing for a SYN; a connection is made when its cookie returns. Everything else a stranger sends is
answered with fewer bytes than it took, or not at all.
"""

from __future__ import annotations

import typing
from typing import TYPE_CHECKING, Any

import numpy as np

from rawproto.errors import DecodeError
from rawproto.rsp import checks
from rawproto.rsp.cookie import CookieJar
from rawproto.rsp.handshake import Terms, address_key, choose, cookie_context, hello_packet, wishes
from rawproto.rsp.header import VERSION, Common, Hello, Kind, Reset, RSPFlags
from rawproto.rsp.reasons import Reason
from rawproto.rsp.rendezvous import Meeting, meeting
from rawproto.rsp.replies import Replies
from rawproto.rsp.state import State
from rawproto.rsp.syn_batch import answers, plain_syns, sound
from rawproto.wire.batch import Keyed

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from rawproto.rsp.config import RSPConfig
    from rawproto.rsp.connection import Connection
    from rawproto.rsp.directory import Directory
    from rawproto.rsp.listener import Listener
    from rawproto.rsp.memory import Memory
    from rawproto.rsp.ports import Ports
    from rawproto.rsp.stats import EndpointStats
    from rawproto.wire.batch import ReceivedBatch

__all__ = ["Neighbours", "Strangers"]


_FIELDS: Mapping[str, Any] = Hello.dtype.fields or {}
_SYN_INVARIANT = _FIELDS["window"][1]
"""Bytes of a SYN that are laid out alike in all versions: up to the identifier."""


class Neighbours(typing.Protocol):
    """What an endpoint asks before it answers a stranger's packet that may be meant for somebody else."""

    def listens(self, port: int) -> bool:
        """Whether another endpoint listens on ``port``."""

    def present(self) -> bool:
        """Whether there is any other endpoint."""


class Strangers:
    """Listeners, cookies and answers of an endpoint.

    Args:
        config: settings of the endpoint.
        entropy: gives that many unpredictable bytes.
        max_datagram: largest datagram taken.
        memory: what all connections share; when it is used up, no new ones are made.
        carrier_checks: the link has a checksum over the payload.
        together: answers to many may be one Transmit.
        neighbours: other endpoints that get copies of the same packets.
        directory: the endpoint's connections.
        ports: the endpoint's ports.
        stats: counted in.
        accept: makes the connection of a CONFIRM whose cookie is right: (listener, our terms, theirs, source, now).
        now: the clock's time, ns.
    """

    __slots__ = (
        "_accept",
        "_carrier_checks",
        "_config",
        "_directory",
        "_jar",
        "_max_datagram",
        "_memory",
        "_neighbours",
        "_ports",
        "_stats",
        "features",
        "listeners",
        "replies",
    )

    def __init__(
        self,
        config: RSPConfig,
        *,
        entropy: Callable[[int], bytes],
        max_datagram: int,
        memory: Memory,
        carrier_checks: bool,
        together: bool,
        neighbours: Neighbours | None,
        directory: Directory,
        ports: Ports,
        stats: EndpointStats,
        accept: Callable[[Listener, Terms, Terms, Any, int], None],
        now: int,
    ) -> None:
        self.listeners: dict[int, Listener] = {}
        """By port."""
        self.features = wishes(config, carrier_checks)
        """What this side offers in a handshake."""
        self.replies = Replies(entropy, together=together)
        self._config = config
        self._max_datagram = max_datagram
        self._memory = memory
        self._carrier_checks = carrier_checks
        self._neighbours = neighbours
        self._directory = directory
        self._ports = ports
        self._stats = stats
        self._accept = accept
        self._jar = CookieJar(entropy, now)

    def let_go(self) -> None:
        """Nothing will come any more: forget the way back to the endpoint."""
        self.listeners.clear()
        self._accept = _refuse

    def on_hello(self, kind: Kind, packet: bytes, source: Any, now: int) -> None:
        """A SYN or CONFIRM.

        Raises:
            DecodeError: it is malformed.
        """
        if not checks.verify_one(packet):
            self._stats.corrupted += 1
            return
        hello, _ = Hello.parse(packet)
        if not hello.identifier:
            raise DecodeError("an identifier of zero", "Hello", "identifier", _FIELDS["identifier"][1])
        known = self._directory.get(hello.connection) if kind is Kind.CONFIRM else None
        if known is not None and known.state is not State.SYN_SENT:
            known.acknowledge()  # a repeated CONFIRM: our answer was lost
            return
        dialed = self._directory.dialed_from(hello.port)
        if dialed is not None and self._meet(dialed, kind, hello, source, len(packet), now):
            return
        listener = self.listeners.get(hello.port)
        if listener is None:
            if self._neighbours is not None and self._neighbours.listens(hello.port):
                return  # not ours to refuse
            self._stats.refused += 1
            self._reset(Reason.REFUSED, hello.source_port, hello.identifier, source, now)
        elif not listener.admits(source):
            self._stats.not_admitted += 1
        elif kind is Kind.SYN:
            theirs = Terms.of(hello)
            self._answer_syn(cookie_context(source, theirs), None, theirs, source, len(packet), now)
        else:
            self._on_confirm(listener, hello, Terms.of(hello), source, now)

    def on_syns(self, batch: ReceivedBatch, first: int, stop: int, now: int) -> list[int]:
        """SYNs, the rows ``first`` to ``stop``: answers the plain ones together; returns the rows that are left."""
        head, lengths = batch.head[first:stop], batch.head_lengths[first:stop]
        if head.shape[1] < Hello.size:
            return list(range(first, stop))
        ports = [port for port in self.listeners if self._directory.dialed_from(port) is None]
        hellos, plain = plain_syns(head, lengths, ports)
        rest = (np.flatnonzero(~plain) + first).tolist()
        good = plain & sound(hellos)
        self._stats.corrupted += int(np.count_nonzero(plain & ~good))
        rows = np.flatnonzero(good)
        if any(self.listeners[port].asks for port in ports):
            admitted = [self._admitted(hellos, batch, first, row) for row in rows.tolist()]
            self._stats.not_admitted += len(rows) - sum(admitted)
            rows = rows[admitted]
        if len(rows):
            sources = batch.sources_of((rows + first).tolist())
            keys = sources.keys() if isinstance(sources, Keyed) else [address_key(each) for each in sources]
            ours = self._terms(Terms(0, 0, 0, 0, 0, 0), 0, self.features)
            made = answers(hellos[rows], keys, ours, self._jar, now)
            self._stats.handshakes += self.replies.cookies(made, sources)
        return rest

    def _admitted(self, hellos: NDArray[np.void], batch: ReceivedBatch, first: int, row: int) -> bool:
        return self.listeners[int(hellos["port"][row])].admits(batch.source_of(first + row))

    def _terms(self, theirs: Terms, identifier: int, features: int) -> Terms:
        """What this side says of itself; before the accept it takes little."""
        window = min(self._config.initial_window, self._config.backlog_memory)
        return Terms(theirs.port, theirs.source_port, identifier, window, self._max_datagram, features)

    def _meet(
        self, connection: Connection, kind: Kind, hello: Hello, source: Any, size: int, now: int
    ) -> bool:
        """A SYN or CONFIRM to a port that we dialed from; false when it has nothing to do with that."""
        theirs = Terms.of(hello)
        context = cookie_context(source, theirs) + connection.identifier.to_bytes(8, "big")
        match meeting(connection, kind, hello, theirs, source):
            case Meeting.STRANGER:
                return False
            case Meeting.YIELD:
                self._answer_syn(context, connection.identifier, theirs, source, size, now)
            case Meeting.CONFIRM if self._jar.check(context, None, hello.cookie, now):
                self._directory.dialed(connection)
                connection.on_met(theirs, now)
                self._directory.add_peer(connection)
            case Meeting.RESTARTED:
                connection.question(now)
        return True

    def _answer_syn(
        self, context: bytes, known_as: int | None, theirs: Terms, source: Any, size: int, now: int
    ) -> None:
        """Send a cookie and forget the SYN; ``known_as`` is our identifier when there is one already."""
        derived, cookie = self._jar.make(context, now)
        identifier = derived if known_as is None else known_as
        _, features = choose(self.features, theirs.features)
        ours = self._terms(theirs, identifier, features)
        answer = hello_packet(Kind.COOKIE, ours, theirs.identifier, cookie)
        if len(answer) <= size and self.replies.cookie(answer, source):
            self._stats.handshakes += 1

    def _on_confirm(self, listener: Listener, hello: Hello, theirs: Terms, source: Any, now: int) -> None:
        """When the cookie is ours, make the connection."""
        mine = hello.connection
        epitaph = self._directory.epitaph(mine)
        if epitaph is not None:  # a late copy of a CONFIRM whose connection is over
            self._reset(epitaph, theirs.source_port, theirs.identifier, source, now)
        elif not self._jar.check(cookie_context(source, theirs), mine, hello.cookie, now):
            self._stats.cookies_rejected += 1
        elif listener.full or listener.crowded(source):
            self._stats.backlog_full += 1
        elif self._memory.exhausted:
            self._stats.overloaded += 1
            self._reset(Reason.OVERLOAD, theirs.source_port, theirs.identifier, source, now)
        else:
            self._accept(listener, self._terms(theirs, mine, self.features), theirs, source, now)

    def on_other_version(self, packet: bytes, source: Any, now: int) -> None:
        """A SYN of another version deserves an answer its sender can understand: version 1's RESET.

        It bears the dialer's identifier, which is at the same place in a SYN of any version, so that nobody who has not
        seen the SYN can make a dialer believe it.
        """
        other_version = packet[4] & 0x0F == Kind.SYN & 0x0F and packet[4] >> 4 != VERSION
        if other_version and len(packet) >= _SYN_INVARIANT and checks.verify_one(packet):
            common, _ = Common.parse(packet)
            listener = self.listeners.get(common.port)
            if listener is not None and listener.admits(source):
                port, identifier = _word(packet, "source_port"), _word(packet, "identifier")
                self._reset(Reason.VERSION, port, identifier, source, now)

    def on_unknown(self, kind: Kind, packet: bytes, identifier: int, source: Any, now: int) -> None:
        """A packet for no connection of ours: tell its sender, with fewer bytes than it sent.

        Raises:
            DecodeError: it is malformed.
        """
        self._stats.unknown += 1
        common, _ = Common.parse(packet)
        epitaph = self._directory.epitaph(identifier)
        if epitaph is None and not self._ours(common.port):
            return
        sound = checks.sound(packet) or (self._carrier_checks and common.check == 0)
        if kind in (Kind.DATA, Kind.PROBE) and len(packet) > Reset.size and sound:
            reason = Reason.UNKNOWN if epitaph is None else epitaph
            self._reset(reason, 0, identifier, source, now, echo=common.number)

    def _ours(self, port: int) -> bool:
        """Whether a packet to ``port`` cannot be meant for another endpoint on this host."""
        if port in self.listeners:
            return True
        # A neighbour may dial from the same port.
        return port in self._ports and not (self._neighbours is not None and self._neighbours.present())

    def _reset(
        self,
        reason: Reason,
        port: int,
        identifier: int,
        destination: Any,
        now: int,
        *,
        echo: int | None = None,
    ) -> None:
        if not self.replies.may_reset(destination, now):
            return
        self._stats.resets_sent += 1
        reset = Reset(
            kind=Kind.RESET,
            flags=RSPFlags(0 if echo is None else RSPFlags.ECHO),
            port=port,
            connection=identifier,
            number=echo or 0,
            reason=int(reason),
        )
        self.replies.reset(checks.fill_one(bytes(reset)), destination)


def _word(packet: bytes, name: str) -> int:
    """The number in a field of the Hello that ``packet`` begins with."""
    kind, at = _FIELDS[name][:2]
    return int.from_bytes(packet[at : at + kind.itemsize], "big")


def _refuse(listener: Listener, ours: Terms, theirs: Terms, source: Any, now: int) -> None:
    """Nobody listens any more."""

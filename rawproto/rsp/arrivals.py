"""Whom a packet is for: the connection of its identifier, found for whole runs of rows at once, or a stranger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.errors import DecodeError
from rawproto.rsp import checks
from rawproto.rsp.header import COMMON_SIZE, DATA_HEADER_SIZE, Hello, Kind, Reset, RSPFlags
from rawproto.rsp.state import State
from rawproto.rsp.syn_batch import WORTH_IT
from rawproto.rsp.train import Train, recognise

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from rawproto.rsp.connection import Connection
    from rawproto.rsp.directory import Directory
    from rawproto.rsp.stats import EndpointStats
    from rawproto.rsp.strangers import Strangers
    from rawproto.wire.batch import ReceivedBatch

__all__ = ["Arrivals"]

_KINDS = {int(kind): kind for kind in Kind}
# What is looked at with every packet: up to CPython 3.11 a member found in its enumeration costs 0.15 us.
_SYN, _COOKIE, _CONFIRM, _DATA, _RESET = Kind.SYN, Kind.COOKIE, Kind.CONFIRM, Kind.DATA, Kind.RESET
_SYN_SENT = State.SYN_SENT


class Arrivals:
    """Sorts what arrives on a link.

    Args:
        directory: the connections.
        strangers: takes what belongs to none.
        stats: counts what is received and what is wrong with it.
        touch: called with a connection that got something.
        fail: called with a connection for which there was no memory, and the time.
    """

    __slots__ = ("_directory", "_fail", "_stats", "_strangers", "_touch")

    def __init__(
        self,
        directory: Directory,
        strangers: Strangers,
        stats: EndpointStats,
        *,
        touch: Callable[[Connection], None],
        fail: Callable[[Connection, int], None],
    ) -> None:
        self._directory = directory
        self._strangers = strangers
        self._stats = stats
        self._touch = touch
        self._fail = fail

    def let_go(self) -> None:
        """Hold on to nobody: the endpoint's own methods would keep it alive."""
        self._touch = _nobody
        self._fail = _nobody

    def take(self, batch: ReceivedBatch, now: int) -> None:
        """Rows of one connection and kind go to it together."""
        if batch.data is not None:
            self._single(batch.data, batch.source, batch.mark, now)
            return
        try:
            self._take(batch, now)
        except MemoryError:
            self._stats.out_of_memory += 1  # as if what is left of the batch had been lost

    def _take(self, batch: ReceivedBatch, now: int) -> None:
        count = len(batch)
        self._stats.received += count
        if not count:
            return
        if (train := recognise(batch)) is not None:
            self._train(train, batch, now)
            return
        shortest = int(batch.head_lengths[0] if count == 1 else batch.head_lengths.min())
        if shortest < COMMON_SIZE:
            self._short(batch, now)
            return
        for first, stop in _groups(batch):
            self._group(batch, first, stop, now)

    def _train(self, train: Train, batch: ReceivedBatch, now: int) -> None:
        """DATA packets that continue each other: what :meth:`_group` finds out, known at once."""
        connection = self._directory.get(train.connection)
        if connection is None:
            self._group(batch, 0, len(batch), now)
        elif connection.state is not _SYN_SENT:
            self._touch(connection)
            try:
                connection.inbound.on_train(train, batch, now)
            except MemoryError:
                self._fail(connection, now)

    def _single(self, packet: bytes, source: Any, mark: int | None, now: int) -> None:
        """One packet: what :meth:`_group` does, without arrays."""
        self._stats.received += 1
        if len(packet) < COMMON_SIZE:
            self._stats.malformed += 1
            return
        kind = _KINDS.get(packet[4])
        if kind is None:
            self._stats.malformed += 1
            self._strangers.on_other_version(packet, source, now)
            return
        identifier = int.from_bytes(packet[8:16], "big")
        connection = self._directory.connections.get(identifier)
        if kind is not _DATA or connection is None:
            self._packet(kind, connection, identifier, packet, source, now)
        elif connection.state is not _SYN_SENT:
            self._touch(connection)
            if len(packet) < DATA_HEADER_SIZE:
                self._stats.malformed += 1
                return
            try:
                connection.inbound.on_single(packet, source, mark, now)
            except MemoryError:
                self._fail(connection, now)

    def _short(self, batch: ReceivedBatch, now: int) -> None:
        """Some datagrams are too short for any packet: take the others one by one."""
        for index in range(len(batch)):
            if batch.head_lengths[index] < COMMON_SIZE:
                self._stats.malformed += 1
            else:
                self._group(batch, index, index + 1, now)

    def _group(self, batch: ReceivedBatch, first: int, stop: int, now: int) -> None:
        """Rows ``first`` to ``stop``: one kind, one identifier."""
        row = batch.head[first]
        kind = _KINDS.get(int(row[4]))
        if kind is None:
            self._stats.malformed += stop - first
            self._strangers.on_other_version(batch.datagram(first), batch.source_of(first), now)
            return
        identifier = int.from_bytes(row[8:16].tobytes(), "big")
        connection = self._directory.get(identifier)
        if kind is _DATA and connection is not None:
            try:
                if connection.state is not _SYN_SENT:
                    self._data(connection, batch, first, stop, now)
            except MemoryError:
                self._fail(connection, now)
            return
        rows: Sequence[int] = range(first, stop)
        if kind is _SYN and len(rows) >= WORTH_IT:
            rows = self._strangers.on_syns(batch, first, stop, now)
        for index in rows:
            self._packet(kind, connection, identifier, batch.datagram(index), batch.source_of(index), now)

    def _data(self, connection: Connection, batch: ReceivedBatch, first: int, stop: int, now: int) -> None:
        self._touch(connection)
        if int(batch.head_lengths[first:stop].min()) >= DATA_HEADER_SIZE:
            connection.inbound.on_data(batch, first, stop, now)
            return
        for index in range(first, stop):  # a short one must not cost the others
            if batch.head_lengths[index] >= DATA_HEADER_SIZE:
                connection.inbound.on_data(batch, index, index + 1, now)
            else:
                self._stats.malformed += 1

    def _packet(
        self, kind: Kind, connection: Connection | None, identifier: int, packet: bytes, source: Any, now: int
    ) -> None:
        try:
            if kind is _SYN or kind is _CONFIRM:
                self._strangers.on_hello(kind, packet, source, now)
            elif kind is _RESET and (connection is None or packet[5] & RSPFlags.ECHO):
                self._stray_reset(packet, identifier, now)
            elif connection is not None:
                if kind is _COOKIE:
                    self._cookie(connection, packet, source, now)
                else:
                    connection.inbound.on_packet(kind, packet, now, source)
                self._touch(connection)
            else:
                self._strangers.on_unknown(kind, packet, identifier, source, now)
        except DecodeError:
            self._stats.malformed += 1
        except MemoryError:
            if connection is not None:
                self._fail(connection, now)
            else:
                self._stats.out_of_memory += 1  # as if the packet had been lost

    def _cookie(self, connection: Connection, packet: bytes, source: Any, now: int) -> None:
        if not checks.verify_one(packet):
            self._stats.corrupted += 1
            return
        cookie, _ = Hello.parse(packet)
        if connection.state is _SYN_SENT and cookie.identifier:
            self._directory.dialed(connection)
            connection.on_cookie(cookie, source, now)
            self._directory.add_peer(connection)

    def _stray_reset(self, packet: bytes, identifier: int, now: int) -> None:
        """A RESET that echoes the identifier we sent to: its sender does not know the connection."""
        reset, _ = Reset.parse(packet)
        connection = self._directory.by_peer(identifier)
        if reset.flags.ECHO and connection is not None and checks.verify_one(packet):
            connection.inbound.on_packet(Kind.RESET, packet, now)
            self._touch(connection)
        else:
            self._stats.unknown += 1


def _nobody(*_: Any) -> None:
    """What an endpoint that has ended does about arrivals."""


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

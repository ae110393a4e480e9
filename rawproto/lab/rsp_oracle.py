"""What RSP promises whatever the network does, checked in every simulation, packet by packet.

For each connection end the plain model of :mod:`rawproto.lab.model` is kept, and compared with the engine whenever the
node comes to rest. Beyond the streams:

- bytes in flight stay within the congestion window (by less than a packet), probes apart;
- what is received takes at most twice the window of memory, what is written at most the send buffer;
- no timer stays in the past;
- every answer has a cause: a COOKIE a SYN, a RESET something that is no RESET, an ACK a packet or a read;
- no more bytes go to an address that has proved nothing than came from it;
- a connection that is over sends RESET at most, and is forgotten.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

from rawproto.addr import UDPAddr
from rawproto.errors import InvariantError
from rawproto.lab.model import (
    ACK,
    CONFIRM,
    COOKIE,
    DATA,
    ECHO,
    PROBE,
    RESET,
    RESPONSE,
    SYN,
    Inflow,
    Outflow,
    Packet,
)
from rawproto.rsp.checks import NONE

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rawproto.lab.datagram import Datagram
    from rawproto.lab.node import Node
    from rawproto.rsp import Endpoint
    from rawproto.rsp.connection import Connection
    from rawproto.rsp.stats import ConnectionStats

__all__ = ["RSPOracle"]

SMALLEST_RING = 4096
"""Memory of a receiving end that hardly anything arrived at."""
FEW = 64
"""With more connections than that, the table of an endpoint is not looked through."""
LATE = 3
"""So often in a row a node may be woken and come to rest with a deadline in the past."""
CE = 3
"""The ECN codepoint "congestion experienced" (RFC 3168 section 5)."""


class _End:
    """One end of a connection: the engine's, and the model's."""

    def __init__(
        self, connection: Connection, shared: dict[int, _End], broken: Callable[[str], InvariantError]
    ) -> None:
        self.connection = connection
        self._broken = broken
        self.shared = shared
        self.inflow = Inflow()
        self.inflow.limit = connection.stats().receive_window
        self.outflow = Outflow()
        self.alive = False
        self.checked = True
        """Packets bear an integrity check."""
        self.causes = 2  # an ACK tells the dialer that its CONFIRM arrived, another that it was accepted
        self.probes = 0
        shared[connection.identifier] = self
        for name in ("write", "read", "readinto", "close_write", "close"):
            # The application's calls pass by here; the engine has no other place where they could be seen.
            setattr(connection, name, getattr(self, f"_{name}")(getattr(connection, name)))

    def _write(self, whole: Any) -> Any:
        def write(data: Any, now: int) -> int:
            taken: int = whole(data, now)
            self.outflow.wrote(memoryview(data).cast("B")[:taken].tobytes())
            return taken

        return write

    def _read(self, whole: Any) -> Any:
        def read(size: int, now: int) -> bytes:
            data: bytes = whole(size, now)
            self._took(data)
            return data

        return read

    def _readinto(self, whole: Any) -> Any:
        def readinto(target: memoryview, now: int) -> int:
            size: int = whole(target, now)
            self._took(bytes(target[:size]))
            return size

        return readinto

    def _close_write(self, whole: Any) -> Any:
        def close_write(now: int) -> None:
            self.outflow.ended = True
            whole(now)

        return close_write

    _close = _close_write

    def _took(self, data: bytes) -> None:
        """The application has read: it must be what arrived, and what the other end's application wrote."""
        if not data:
            return
        start = self.inflow.read
        try:
            self.inflow.took(data)
        except InvariantError as error:
            raise self._broken(str(error)) from None
        self.causes += 1
        peer = self.shared.get(self.connection.peer_identifier)
        if peer is None or peer.connection.peer_identifier != self.connection.identifier:
            return
        if not (self.checked or isinstance(self.connection.address, UDPAddr)):
            return  # nobody guards the bytes
        if peer.outflow.written[start : start + len(data)] != data:
            raise self._broken(f"{len(data)} bytes read at offset {start} are not those that were written")

    def start(self) -> None:
        """The handshake is over on this side."""
        self.alive = True
        self.checked = self.connection.stats().integrity != NONE

    def compare(self) -> None:
        """The engine has nothing more to do: it must stand where the model stands."""
        connection, inflow, outflow = self.connection, self.inflow, self.outflow
        if inflow.broken:
            raise InvariantError("the peer contradicted itself about the end of its stream and was believed")
        engine = inflow.read + connection.readable
        if engine > inflow.arrived or (inflow.exact and engine != inflow.arrived):
            raise InvariantError(f"{engine} bytes in a row are there, {inflow.arrived} have arrived")
        if connection.at_eof and inflow.read != inflow.final:
            raise InvariantError(f"the end was told after {inflow.read} bytes of {inflow.final}")
        stats = connection.stats()
        known = outflow.acknowledged.prefix()
        if stats.bytes_acknowledged > known:
            raise InvariantError(
                f"{stats.bytes_acknowledged} bytes count as delivered, {known} were acknowledged"
            )
        if outflow.ended and connection.delivered and not outflow.end_acknowledged:
            raise InvariantError("the end of the stream counts as delivered and was not acknowledged")
        self._compare_memory(stats)

    def _compare_memory(self, stats: ConnectionStats) -> None:
        held, most = self.connection.memory, max(2 * stats.receive_window, SMALLEST_RING)
        if held > most:
            raise InvariantError(f"{held} bytes are held for a window of {stats.receive_window}")


class RSPOracle:
    """Watches one endpoint; made by :func:`rawproto.lab.oracle.oracle_for`."""

    def __init__(self, node: Node[Endpoint]) -> None:
        self._node = node
        self._endpoint = node.protocol
        self._endpoint.on_made = self._on_made
        self._shared: dict[int, _End] = node.host.simulation.shared.setdefault("rsp ends", {})
        self._ends: dict[int, _End] = {}
        self._by_peer: dict[int, _End | None] = {}
        self._touched: set[_End] = set()
        self._kinds_in: Counter[int] = Counter()
        self._kinds_out: Counter[int] = Counter()
        self._bytes_in: Counter[Any] = Counter()
        self._bytes_out: Counter[Any] = Counter()
        self._proved: set[Any] = set()
        self._cause: set[int] = set()
        self._late = 0

    def _on_made(self, connection: Connection) -> None:
        self._ends[connection.identifier] = _End(connection, self._shared, self._broken)
        self._proved.add(connection.address)

    # ---- packets in -------------------------------------------------------------------------------------------

    def arrived(self, datagrams: Sequence[Datagram], now: int) -> None:
        """Tell the model what the engine was told; the engine is looked at when the node has settled."""
        for datagram in datagrams:
            self._bytes_in[datagram.source] += len(datagram.data)
            packet = Packet.read(datagram.data)
            kind = packet.kind if packet is not None else 0
            self._kinds_in[kind] += 1
            self._cause.add(kind)
            if packet is None:
                continue
            if packet.whole and kind in (COOKIE, CONFIRM, RESPONSE):
                self._proved.add(datagram.source)
            end = self._ends.get(packet.connection)
            if end is not None:
                self._touched.add(end)
                end.causes += 1
                self._tell(end, packet, datagram.ecn)

    def _tell(self, end: _End, packet: Packet, ecn: int) -> None:
        if packet.kind in (COOKIE, CONFIRM):
            if not packet.whole or not end.connection.peer_identifier:
                return
            if not end.alive:
                end.start()
                name = end.connection.peer_identifier
                self._by_peer[name] = None if name in self._by_peer else end
            end.outflow.heard(packet)
        elif end.alive and (packet.whole or not end.checked):
            end.inflow.marks += ecn == CE
            end.outflow.heard(packet)
            end.inflow.came(packet)

    # ---- packets out ------------------------------------------------------------------------------------------

    def sending(self, datagrams: Sequence[Datagram], now: int) -> None:
        """Check a batch that is on its way out."""
        counted: set[_End] = set()
        for datagram in datagrams:
            packet = Packet.read(datagram.data)
            if packet is None:
                raise self._broken(f"{len(datagram.data)} bytes are sent that are no packet")
            self._kinds_out[packet.kind] += 1
            self._bytes_out[datagram.destination] += packet.length
            end = self._by_peer.get(packet.connection)
            self._check_cause(packet, end, datagram.destination)
            if end is not None:
                self._touched.add(end)
                try:
                    self._check_packet(end, packet)
                except InvariantError as error:
                    raise self._broken(str(error)) from None
                if packet.start is not None and end not in counted:
                    counted.add(end)
        for end in counted:
            self._check_flight(end)

    def _check_packet(self, end: _End, packet: Packet) -> None:
        connection = end.connection
        if packet.kind in (DATA, ACK, PROBE):
            if connection.closed:
                raise InvariantError(
                    f"a packet of kind {packet.kind:#x} goes out when the connection is over"
                )
            if packet.kind == DATA and connection.finished:
                raise InvariantError("data goes out when everything has been delivered")
        if packet.kind == ACK:
            end.inflow.acknowledges(packet)
            end.causes -= packet.start is None
            if end.causes < 0:
                raise InvariantError("an ACK goes out without a cause")
        if packet.number is not None:
            end.outflow.sent(packet)

    def _check_cause(self, packet: Packet, end: _End | None, to: Any) -> None:
        if to not in self._proved and self._bytes_out[to] > self._bytes_in[to]:
            raise self._broken(f"{self._bytes_out[to]} bytes go to {to} for {self._bytes_in[to]}")
        if packet.kind == COOKIE and self._kinds_out[COOKIE] > self._kinds_in[SYN]:
            raise self._broken("a COOKIE goes out without a SYN")
        if packet.kind == RESET and (end is None or packet.flags & ECHO) and self._cause == {RESET}:
            raise self._broken("a RESET answers a RESET")

    def _check_flight(self, end: _End) -> None:
        stats = end.connection.stats()
        if stats.probes != end.probes:
            end.probes = stats.probes
            return
        if stats.bytes_in_flight > stats.congestion_window + stats.max_datagram:
            raise self._broken(
                f"{stats.bytes_in_flight} bytes are in flight, the window is {stats.congestion_window}"
            )
        if end.connection.unacknowledged > self._endpoint.config.send_buffer:
            raise self._broken(f"{end.connection.unacknowledged} bytes are kept to be sent")

    # ---- at rest ----------------------------------------------------------------------------------------------

    def settled(self, due: int | None, now: int, *, woken: bool) -> None:
        """The node has nothing more to do now."""
        self._cause.clear()
        if woken:
            self._late = self._late + 1 if due is not None and due <= now else 0
        if self._late >= LATE:
            raise self._broken("a timer stays in the past")
        touched, self._touched = self._touched, set()
        if len(self._ends) <= FEW:
            # A timer may have ended one without a word.
            touched.update(end for end in self._ends.values() if end.connection.closed)
        for end in touched:
            if end.connection.closed:
                self._check_forgotten(end)
            elif end.alive:
                try:
                    end.compare()
                except InvariantError as error:
                    raise self._broken(str(error)) from None

    def _check_forgotten(self, end: _End) -> None:
        if len(self._ends) <= FEW and end.connection in self._endpoint.connections:
            raise self._broken(f"{end.connection.identifier:#x} is over and still in the table")
        self._ends.pop(end.connection.identifier, None)
        # Its name stays in the other table: whatever goes out under it later is looked at.

    def _broken(self, what: str) -> InvariantError:
        simulation = self._node.host.simulation
        return InvariantError(
            f"{what} (at {self._node.name}, {simulation.now / 1e9:.9f} s); {simulation.how_to_replay()}"
        )

"""The second implementation and rawproto's own, as two hosts of a simulation, and what their applications do."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from rawproto import IP, IPAddr, Simulation, UDPAddr
from rawproto.protocol import DatagramProtocol
from rawproto.rsp import Endpoint, RSPConfig

from .connection import Connection
from .host import Host

if TYPE_CHECKING:
    from collections.abc import Callable

PORT, OTHER = 4433, 50_000


class Second(DatagramProtocol):
    """A host of the second implementation under rawproto's contract, inside UDP or (UDP port 0) on IP itself."""

    def __init__(self, host: Host) -> None:
        super().__init__()
        self.host = host

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        self.host.on_datagram(data, (str(source.ip), getattr(source, "port", 0)), now)

    def handle_timeout(self, now: int) -> None:
        self.host.on_time(now)

    def poll_timeout(self) -> int | None:
        return self.host.due

    def poll_transmit(self, now: int) -> Any:
        for data, (ip, port) in self.host.poll(now):
            self.send(data, UDPAddr(IP(ip), port) if port else IPAddr(IP(ip)))
        return super().poll_transmit(now)


@dataclasses.dataclass
class End:
    """What an application does with its connection: it sends, ends its direction, and reads; `conn` may come late."""

    node: Any
    sends: bytes = b""
    conn: Any = None
    halts: bool = False  # read nothing for now
    holds: bool = False  # do not end the stream
    got: bytearray = dataclasses.field(default_factory=bytearray)
    pushed: int = 0
    finished: bool = False

    @property
    def second(self) -> bool:
        return isinstance(self.conn, Connection)

    def step(self) -> None:
        if self.conn is not None and self.error is None:
            self.node.do(self._step)

    def _step(self, _: Any, now: int) -> None:
        conn = self.conn
        if self.second:
            if self.pushed < len(self.sends):
                conn.write(self.sends)
                self.pushed = len(self.sends)
        elif self.pushed < len(self.sends) and conn.established:
            self.pushed += conn.write(self.sends[self.pushed :], now)
        if (
            self.pushed == len(self.sends)
            and not (self.finished or self.holds)
            and (self.second or conn.established)
        ):
            conn.finish() if self.second else conn.close_write(now)
            self.finished = True
        if not self.halts:
            self.got += conn.read(2**30, now)

    @property
    def error(self) -> Any:
        return self.conn.error

    @property
    def at_end(self) -> bool:
        if self.conn is None:
            return False
        return bool(self.conn.at_end if self.second else self.conn.at_eof)

    @property
    def over(self) -> bool:
        return self.conn is not None and (
            self.conn.state == "closed" if self.second else bool(self.conn.closed)
        )


class Pair:
    """A link with the second implementation at one end and rawproto at the other; either may dial."""

    def __init__(
        self,
        seed: int,
        *,
        second_dials: bool,
        config: RSPConfig | None = None,
        words: Any = None,
        checks: bool = True,
        udp: bool = True,
        **settings: Any,
    ) -> None:
        self.simulation = Simulation(seed, checks=checks)
        a, b = self.simulation.hosts("a", "b")
        self.link = self.simulation.link(a, b, **{"delay": "10ms", **(words or {})})
        self.second_dials = second_dials
        mine, theirs = (OTHER, PORT) if second_dials else (PORT, OTHER)
        self.second = a.run(
            Second(Host(mine, seed, **settings)), address=UDPAddr(a.ip4, mine) if udp else None
        )
        entropy = self.simulation.entropy("theirs")
        endpoint = Endpoint(
            config,
            entropy=entropy,
            max_datagram=1472 if udp else 1480,
            overhead=28 if udp else 20,
            carrier_checks=udp,
            now=self.simulation.now,
        )
        self.theirs = b.run(endpoint, address=UDPAddr(b.ip4, theirs) if udp else None)
        self.dialer = End(self.second if second_dials else self.theirs)
        self.server = End(self.theirs if second_dials else self.second)
        self.listener: Any = None

    def listen(self) -> None:
        if self.second_dials:
            self.listener = self.theirs.do(lambda endpoint, now: endpoint.listen(PORT, now=now))
        else:
            self.second.protocol.host.listening = True

    def dial(self) -> None:
        peer = self.theirs.address

        def second(protocol: Second, now: int) -> Any:
            return protocol.host.dial((str(peer.ip), getattr(peer, "port", 0)), PORT, now)

        def theirs(endpoint: Endpoint, now: int) -> Any:
            return endpoint.connect(self.second.address, PORT, local_port=OTHER, now=now)

        self.dialer.conn = self.second.do(second) if self.second_dials else self.theirs.do(theirs)

    def step(self) -> None:
        if self.server.conn is None:
            if self.listener is not None:
                self.server.conn = self.listener.accept()
            else:
                self.server.conn = self.second.protocol.host.accept()
        self.dialer.step()
        self.server.step()

    def run(self, until: Callable[[], bool], seconds: float = 600, every: str = "5ms") -> None:
        """Let both applications work, each few milliseconds, until something is true."""
        self.simulation.every(every, self.step, until=until)
        assert self.simulation.run(until, deadline=seconds), self.simulation.how_to_replay()

    def connect(self) -> None:
        self.listen()
        self.dial()
        self.run(lambda: self.server.conn is not None)

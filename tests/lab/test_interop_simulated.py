"""The conditions of quic-interop-runner in the simulator, over several seeds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rawproto import IPAddr, Simulation, UDPAddr
from rawproto.lab.simhost import SimHost
from rawproto.protocol import SECOND
from rawproto.rsp import Endpoint, RSPConfig

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rawproto.lab import Node
    from rawproto.rsp.connection import Connection


@pytest.fixture(autouse=True)
def cases(load_interop: Any) -> Any:
    return load_interop


class Server:
    """Answers a request, eight bytes that say how many are wanted."""

    def __init__(self, node: Node[Endpoint], content: Any, port: int) -> None:
        self.listener = node.do(lambda endpoint, now: endpoint.listen(port, now=now))
        self.accepted: list[Connection] = []
        self._busy: dict[Connection, None] = {}
        self._content = content
        self._left: dict[Connection, memoryview] = {}
        node.on_event = self.turn

    def turn(self, _: Any, now: int) -> None:
        """Take requests, write on."""
        while (found := self.listener.accept()) is not None:
            self.accepted.append(found)
            self._busy[found] = None
        for connection in list(self._busy):
            if connection not in self._left and connection.readable >= 8:
                size = int.from_bytes(connection.read(8, now), "big")
                self._left[connection] = memoryview(self._content(size))
            left = self._left.get(connection)
            if left is None:
                continue
            while left and (taken := connection.write(left[:65536], now)):
                left = left[taken:]
            self._left[connection] = left
            if not left:
                connection.close_write(now)
                if connection.at_eof:
                    connection.close(now)
                    del self._busy[connection]


class Client:
    """Fetches files, so many at a time."""

    def __init__(
        self, node: Node[Endpoint], server: Any, files: tuple[int, ...], together: int, port: int
    ) -> None:
        self._node, self._server, self._port = node, server, port
        self._wanted: Iterator[int] = iter(files)
        self._open: dict[Connection, tuple[int, bytearray, list[bool]]] = {}
        self.got: list[tuple[int, bytes]] = []
        for _ in range(together):
            self._next()
        node.on_event = self.turn

    def _next(self) -> None:
        size = next(self._wanted, None)
        if size is not None:
            connection = self._node.do(
                lambda endpoint, now: endpoint.connect(self._server, self._port, now=now)
            )
            self._open[connection] = (size, bytearray(), [])

    def turn(self, connection: Connection, now: int) -> None:
        """Something changed about one of the connections."""
        if connection not in self._open:
            return
        size, got, asked = self._open[connection]
        if connection.error is not None:
            raise connection.error
        if connection.established and not asked:
            asked.append(True)
            connection.write(size.to_bytes(8, "big"), now)
            connection.close_write(now)
        got += connection.read(-1, now)
        if connection.at_eof:
            del self._open[connection]
            connection.close(now)
            self.got.append((size, bytes(got)))
            self._node.host.simulation.after(0, self._next)


def fetch(
    simulation: Simulation, condition: Any, cases: Any, *, udp: bool = False, watched: Any = None
) -> tuple[Any, ...]:
    """(client's node, client, server) of a condition that is set up and not yet run."""
    a, b = simulation.hosts("a", "b")
    link = simulation.link(
        a, b, a_addresses=["10.0.0.1/24", "10.0.0.7/24", "fd00::1/64"], b_addresses=["10.0.0.2/24", "fd00::2/64"],
        **cases.BASE | condition.words,
    )  # fmt: skip
    version = 6 if condition.network == "rsp6" else 4

    def address(host: SimHost) -> Any:
        ip = host.ip6 if version == 6 else host.ip4
        return UDPAddr(ip, 5000) if udp else IPAddr(ip)

    def endpoint(name: str) -> Endpoint:
        room = 1500 - (40 if version == 6 else 20) - (8 if udp else 0)
        return Endpoint(
            condition.config, entropy=simulation.entropy(name), max_datagram=room, carrier_checks=udp
        )

    far = b.run(endpoint("b"), address=address(b))
    near = a.run(endpoint("a"), address=address(a))
    server = Server(far, cases.content, cases.PORT)
    if watched is not None:
        link.drop(when=watched.see, count=None)
    if condition.apply is not None:
        condition.apply(link, simulation.seed)
    client = Client(near, far.address, condition.files, condition.together, cases.PORT)
    return near, client, server


def finish(simulation: Simulation, condition: Any, client: Client, cases: Any) -> None:
    """Run it, and compare every file."""
    done = simulation.run(lambda: len(client.got) == len(condition.files), deadline=condition.limit)
    assert done, simulation.how_to_replay()
    assert all(got == cases.content(size) for size, got in client.got)


NAMES = (
    "handshake", "transfer", "longrtt", "multiplexing", "retry", "blackhole", "ecn", "amplificationlimit",
    "handshakeloss", "transferloss", "handshakecorruption", "transfercorruption", "ipv6",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_condition(name: str, cases: Any, seeds: range, monkeypatch: pytest.MonkeyPatch) -> None:
    marks: set[int] = set()
    whole = SimHost.send
    monkeypatch.setattr(
        SimHost, "send", lambda host, data: (marks.update(each.ecn for each in data), whole(host, data))[1]
    )
    condition = cases.CONDITIONS[name]
    for seed in seeds:
        simulation = Simulation(seed)
        watched = cases.Watched("b") if condition.watch else None
        _, client, server = fetch(simulation, condition, cases, watched=watched)
        finish(simulation, condition, client, cases)
        cases.check_seen(name, watched, len(server.accepted), len(condition.files))
    assert (2 in marks) is (name == "ecn")
    assert 3 not in marks  # nothing here marks congestion, and no end does by itself


@pytest.mark.parametrize("what", ["rebind-port", "rebind-addr"])
def test_rebinding(what: str, cases: Any, seeds: range) -> None:
    for seed in seeds:
        simulation = Simulation(seed)
        condition = cases.Condition((10 * cases.MB,))
        near, client, server = fetch(simulation, condition, cases, udp=what == "rebind-port")
        home = near.address
        moves = 0

        def move(near: Any = near, home: Any = home) -> None:
            nonlocal moves
            moves += 1
            port = UDPAddr(home.ip, home.port + moves) if what == "rebind-port" else None
            near.host.move(near, port or (IPAddr("10.0.0.7") if moves % 2 else home))

        simulation.at(SECOND, move)
        simulation.at(6 * SECOND, move)
        finish(simulation, condition, client, cases)
        assert moves == 2
        assert [connection.address for connection in server.accepted] == [near.address]


def test_the_index_names_every_case_of_the_runner(cases: Any) -> None:
    rebinding = {"rebind-port", "rebind-addr"}
    assert set(NAMES) == set(cases.CONDITIONS)
    assert len(cases.CONDITIONS.keys() | rebinding | cases.WITHOUT_MEANING.keys()) == 22
    assert not cases.CONDITIONS.keys() & cases.WITHOUT_MEANING.keys()


def test_goodput_on_the_base_link(cases: Any) -> None:
    # The runner's measurement "goodput": 10 MB; B1 of the catalogue wants 85 % of the 10 Mbit/s.
    simulation = Simulation(1)
    condition = cases.Condition((10 * cases.MB,), config=RSPConfig())
    _, client, _ = fetch(simulation, condition, cases)
    finish(simulation, condition, client, cases)
    assert 10 * cases.MB * 8 / (simulation.now / SECOND) >= 0.85 * 10e6

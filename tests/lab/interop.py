"""The conditions of quic-interop-runner in RSP's terms: what the network does, what is fetched, what must be seen.

A condition is the same for the simulator and for namespaces. Clients ask for files of some size, one connection a file;
the base link is the runner's: 15 ms one way, 10 Mbit/s, a drop-tail queue of 25 packets.
"""

from __future__ import annotations

import dataclasses
import random
from collections import Counter
from typing import TYPE_CHECKING, Any

from rawproto import IPAddr, Simulation, UDPAddr
from rawproto.rsp import Endpoint, RSPConfig
from rawproto.rsp.header import Kind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rawproto.lab import ImpairedLink, Node, Packet, SimHost
    from rawproto.rsp.connection import Connection

KB, MB = 1024, 1024 * 1024
BASE: dict[str, Any] = {"delay": "15ms", "rate": "10mbit", "limit": 25}
PORT = 4433


class Watched:
    """What passed on the link, seen by a rule that never acts."""

    def __init__(self, server: str) -> None:
        self._server = server
        self.kinds: Counter[str] = Counter()
        self.in_bytes = self.out_bytes = 0
        self.before_confirm: list[str] = []
        """Kinds of what the server sent before a CONFIRM reached it."""
        self.worst = 0.0
        """The most bytes that went to the client for one that came, before a CONFIRM passed."""
        self._confirmed = False

    def see(self, packet: Packet) -> bool:
        """Look at a packet; it is never to be dropped."""
        name = Kind(packet.payload[4]).name
        self.kinds[name] += 1
        if packet.toward == self._server:
            self.in_bytes += len(packet.payload)
            self._confirmed = self._confirmed or name == "CONFIRM"
        elif not self._confirmed:
            self.out_bytes += len(packet.payload)
            self.before_confirm.append(name)
            self.worst = max(self.worst, self.out_bytes / max(1, self.in_bytes))
        return False


class Bursts:
    """Chance of the runner's error models: a share of the packets, and no more than so many in a row."""

    def __init__(self, share: float, seed: int, longest: int = 3) -> None:
        self._share = share
        self._chance = random.Random(seed)
        self._longest = longest
        self._row = 0

    def __call__(self, packet: Packet) -> bool:
        """Whether this packet is met."""
        met = self._row < self._longest and self._chance.random() < self._share
        self._row = self._row + 1 if met else 0
        return met

    def damage(self, payload: bytes) -> bytes:
        """One byte changed in the first 50."""
        at = self._chance.randrange(min(50, len(payload)))
        return payload[:at] + bytes([payload[at] ^ self._chance.randrange(1, 256)]) + payload[at + 1 :]


def lose(share: float) -> Callable[[ImpairedLink, int], None]:
    """Drop packets both ways."""

    def apply(link: ImpairedLink, seed: int) -> None:
        for number, toward in enumerate((link.a, link.b)):
            link.drop(when=Bursts(share, 2 * seed + number), toward=toward, count=None)

    return apply


def corrupt(share: float) -> Callable[[ImpairedLink, int], None]:
    """Damage packets both ways."""

    def apply(link: ImpairedLink, seed: int) -> None:
        for number, toward in enumerate((link.a, link.b)):
            bursts = Bursts(share, 2 * seed + number)
            link.change(bursts.damage, when=bursts, toward=toward, count=None)

    return apply


def cut_second_flight(link: ImpairedLink, seed: int) -> None:
    """The packets 2 to 7 toward the server are lost."""
    link.drop(nth=2, toward=link.b, count=6)


@dataclasses.dataclass(frozen=True)
class Condition:
    """One case of the runner.

    Attributes:
        files: sizes of what is fetched, in bytes.
        words: of the link, over the base's.
        apply: done to the link before anything is sent, with a seed.
        watch: look at every packet.
        together: connections at a time.
        limit: seconds it may take.
        network: what is dialed.
        config: settings of both ends.
        short: sizes that a run in real time fetches without ``--long``.
        short_words: words of the link that go with them.
    """

    files: tuple[int, ...]
    words: dict[str, Any] = dataclasses.field(default_factory=dict)
    apply: Callable[[ImpairedLink, int], None] | None = None
    watch: bool = False
    together: int = 1
    limit: float = 60.0
    network: str = "rsp4"
    config: RSPConfig = dataclasses.field(default_factory=RSPConfig)
    short: tuple[int, ...] = ()
    short_words: dict[str, Any] = dataclasses.field(default_factory=dict)

    def shortened(self) -> Condition:
        """What is run in real time without ``--long``."""
        return dataclasses.replace(self, files=self.short or self.files, words=self.short_words or self.words)


CONDITIONS: dict[str, Condition] = {
    "handshake": Condition((KB,), watch=True),
    "transfer": Condition((2 * MB, 3 * MB, 5 * MB), short=(MB, MB // 2, MB // 4)),
    "longrtt": Condition((KB,), {"delay": "750ms"}, watch=True),
    "multiplexing": Condition((32,) * 1999, together=100, short=(32,) * 300),
    "retry": Condition((10 * KB,), watch=True),
    "blackhole": Condition(
        (10 * MB,),
        {"blackhole": [("5s", "2s")]},
        short=(2 * MB,),
        short_words={"blackhole": [("1s", "2s")]},
    ),
    "ecn": Condition((100 * KB,), config=RSPConfig(ecn=True)),
    "amplificationlimit": Condition((5 * KB,), apply=cut_second_flight, watch=True),
    "handshakeloss": Condition((KB,) * 50, apply=lose(0.3), limit=300, together=12, short=(KB,) * 12),
    "transferloss": Condition((2 * MB,), apply=lose(0.02)),
    "handshakecorruption": Condition(
        (KB,) * 50, apply=corrupt(0.3), limit=300, together=12, short=(KB,) * 12
    ),
    "transfercorruption": Condition((2 * MB,), apply=corrupt(0.02)),
    "ipv6": Condition((5 * KB, 10 * KB), network="rsp6"),
}
"""The cases that are conditions of the network or of its first packets; rebinding has tests of its own."""

WITHOUT_MEANING = {
    "chacha20": "a choice of cipher: RSP has none of its own, TLS above it is the ssl module's",
    "resumption": "RSP keeps no sessions; TLS resumption is the ssl module's",
    "zerortt": "RSP sends no data before the listener's cookie came; data goes with the CONFIRM, after one round trip",
    "http3": "an application protocol",
    "keyupdate": "RSP has no packet keys; the cookie's key is changed in test_cookie.py and TestA14CookieAge",
    "v2": "there is one version; a SYN of another is refused in test_a_handshake.py",
    "connectionmigration": "a listener has no second, preferred address; a dialer that moves is rebind-addr",
}
"""The other cases, and why there is nothing to test."""


def content(size: int) -> bytes:
    """The file of that size."""
    return random.Random(size).randbytes(size)


def check_seen(
    name: str, watched: Watched | None, accepted: int, files: int, *, real_time: bool = False
) -> None:
    """What must have been seen on the link, beyond that every file arrived.

    In real time a packet may be repeated because a machine was too busy to answer it.
    """
    assert accepted == files
    if watched is None:
        return
    if name == "handshake":
        kinds = {watched.kinds[kind] for kind in ("SYN", "COOKIE", "CONFIRM")}
        assert min(kinds) >= 1 if real_time else kinds == {1}
    elif name == "longrtt":
        assert watched.kinds["SYN"] >= 2
    elif name == "retry":
        assert set(watched.before_confirm) == {"COOKIE"}
    elif name == "amplificationlimit":
        assert watched.kinds["CONFIRM"] > 1
        assert watched.worst <= 1.0


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
    simulation: Simulation, condition: Condition, *, udp: bool = False, watched: Any = None
) -> tuple[Any, ...]:
    """(client's node, client, server) of a condition that is set up and not yet run."""
    a, b = simulation.hosts("a", "b")
    link = simulation.link(
        a, b, a_addresses=["10.0.0.1/24", "10.0.0.7/24", "fd00::1/64"], b_addresses=["10.0.0.2/24", "fd00::2/64"],
        **BASE | condition.words,
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
    server = Server(far, content, PORT)
    if watched is not None:
        link.drop(when=watched.see, count=None)
    if condition.apply is not None:
        condition.apply(link, simulation.seed)
    client = Client(near, far.address, condition.files, condition.together, PORT)
    return near, client, server


def finish(simulation: Simulation, condition: Condition, client: Client) -> None:
    """Run it, and compare every file."""
    done = simulation.run(lambda: len(client.got) == len(condition.files), deadline=condition.limit)
    assert done, simulation.how_to_replay()
    assert all(got == content(size) for size, got in client.got)

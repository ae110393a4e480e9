"""The standard scenario of a campaign: an RSP transfer both ways over a link whose every impairment chance draws.

In the first phase, safety: whatever the link does, what arrives is what was sent, and an end that fails says so. Then
the link is healed, and in the second phase, liveness, what has not failed must come to its end within four times what
an ideal transfer takes and one longest timeout, and both endpoints to rest. (The two phases are TigerBeetle's.) All the
while the oracle looks at every packet (:mod:`rawproto.lab.rsp_oracle`). Impairments are drawn per seed and direction,
each absent in many seeds (swarm testing: A. Groce and others, ISSTA 2012).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rawproto.lab.units import bits_per_second
from rawproto.rsp import Endpoint, RSPConfig

if TYPE_CHECKING:
    import random
    from collections.abc import Sequence

    from rawproto.lab.simulation import Simulation
    from rawproto.rsp.connection import Connection

__all__ = ["draw_impairments", "rsp_transfer"]

PORT = 7
PIECE = 65_536
# The bad phase, and the time to rest after the healed one.
BAD_FOR, REST_FOR = "20s", "120s"
# An ideal transfer: so many round trips, for a window that grows again from its least; every byte once, behind a queue
# that is full when the link is healed, and no more of them in a round trip than the queue takes at once (seed 34439).
ROUND_TRIPS = 8
PACKET = 1500
# The liveness phase: so many times the ideal, and the longest probe timeout (docs/rsp.md section 4.5).
SLACK = 4
LONGEST_TIMEOUT = 10.0


def draw_impairments(chance: random.Random) -> dict[str, Any]:
    """Words for one direction; each impairment is absent in many draws."""
    delay = chance.choice((0, 0.0001, 0.001, 0.01, 0.05, 0.2))
    words: dict[str, Any] = {"delay": delay}
    if chance.random() < 0.6:
        words["loss"] = chance.choice((0.001, 0.01, 0.05, 0.1, 0.3))
    if chance.random() < 0.3:
        words["burst_loss"] = (chance.uniform(0, 0.02), chance.uniform(0.05, 0.5))
    if chance.random() < 0.5:
        words["reorder"] = chance.choice((0.01, 0.1, 0.25))
    if chance.random() < 0.4:
        words["duplicate"] = chance.choice((0.01, 0.1, 0.5))
    if chance.random() < 0.4:
        words["corrupt"] = chance.choice((0.005, 0.05))
    if chance.random() < 0.4:
        words["jitter"] = delay * chance.random()
    if chance.random() < 0.6:
        words["rate"] = chance.choice(("1mbit", "10mbit", "100mbit"))
        words["limit"] = chance.choice((5, 25, 100, 1000))
    if chance.random() < 0.2:
        words["blackhole"] = [(chance.uniform(0, 2), chance.choice((0.5, 2, 10)))]
    return words


class _End:
    """One application: writes its data, reads the other's, closes when both are through."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.written = 0
        self.got = bytearray()
        self.connection: Connection | None = None
        self.heard_all = False
        self._write_closed = False
        self._closed = False

    @property
    def failed(self) -> bool:
        """Whether the connection ended with an error."""
        return self.connection is not None and self.connection.error is not None

    def turn(self, now: int) -> None:
        """Do what can be done now."""
        connection = self.connection
        if connection is None or connection.error is not None:
            return
        if connection.established and not self._write_closed:
            self._write(connection, now)
        self.got += connection.read(-1, now)
        self.heard_all = self.heard_all or connection.at_eof
        # Closed once everything has come and gone: a close sets a limit to how long the rest may take.
        if self.heard_all and self._write_closed and connection.delivered and not self._closed:
            self._closed = True
            connection.close(now)

    def _write(self, connection: Connection, now: int) -> None:
        while self.written < len(self.data) and connection.writable:
            piece = memoryview(self.data)[self.written : self.written + PIECE]
            self.written += connection.write(piece, now)
        if self.written == len(self.data):
            self._write_closed = True
            connection.close_write(now)


def rsp_transfer(simulation: Simulation) -> None:
    """Build, run and check one transfer; raises AssertionError saying what is wrong."""
    chance = simulation.random("swarm")
    ways = draw_impairments(chance), draw_impairments(chance)
    link = simulation.link(*simulation.hosts("a", "b"), forward=ways[0], backward=ways[1])
    config = RSPConfig(congestion=chance.choice(("bbr", "cubic", "newreno")))
    sizes = chance.choice((1, 1_000, 50_000, 400_000)), chance.choice((0, 1, 20_000))
    coalesce = chance.choice((0, 0, "100us", "1ms"))
    near, far = (_End(chance.randbytes(size)) for size in sizes)

    listening = link.b.run(Endpoint(config, entropy=simulation.entropy("b")), coalesce=coalesce)
    listener = listening.do(lambda endpoint, now: endpoint.listen(PORT, now=now))

    def serve(_: Any, now: int) -> None:
        far.connection = far.connection or listener.accept()
        far.turn(now)

    listening.on_event = serve
    dialing = link.a.run(Endpoint(config, entropy=simulation.entropy("a")), coalesce=coalesce)
    near.connection = dialing.do(lambda endpoint, now: endpoint.connect(listening.address, PORT, now=now))
    dialing.on_event = lambda _, now: near.turn(now)

    def through() -> bool:
        return (near.heard_all and far.heard_all) or near.failed or far.failed

    simulation.run(through, deadline=BAD_FOR)
    _check_safety(near, far)
    link.heal()
    patience = SLACK * _ideal(ways, sizes) + LONGEST_TIMEOUT
    _check_liveness(simulation.run(through, deadline=patience), near, far)
    endpoints = (dialing.protocol, listening.protocol)
    at_rest = simulation.run(
        lambda: not any(endpoint.connections for endpoint in endpoints), deadline=REST_FOR
    )
    _check_safety(near, far)
    assert at_rest, f"not at rest: {[endpoint.connections for endpoint in endpoints]}"


def _ideal(ways: Sequence[dict[str, Any]], sizes: Sequence[int]) -> float:
    """Seconds that the transfer takes at best on the healed link, everything before it still in the queue."""
    rounds: float = ROUND_TRIPS
    total = 0.0
    for words, size in zip(ways, sizes, strict=True):
        if "rate" in words:
            rounds += size / (words["limit"] * PACKET)
            total += 8 * (size + words["limit"] * PACKET) / bits_per_second(words["rate"], "rate")
    round_trip: float = sum(words["delay"] for words in ways)
    return total + rounds * round_trip


def _check_safety(near: _End, far: _End) -> None:
    for name, end, other in (("dialer", near, far), ("listener", far, near)):
        assert other.data.startswith(end.got), (
            f"the {name} got {len(end.got)} bytes that were not sent like that"
        )
        assert not end.heard_all or len(end.got) == len(other.data), (
            f"the {name} was told of the end too early"
        )


def _check_liveness(ended: bool, near: _End, far: _End) -> None:
    where = f"{len(far.got)} of {len(near.data)} bytes there, {len(near.got)} of {len(far.data)} back"
    assert ended, f"no end and no error on a healed link: {where}"
    for end in (near, far):
        if end.failed:
            # An error is an answer, as long as it is one of those that a dead or hopeless path gives.
            assert end.connection is not None
            assert isinstance(end.connection.error, ConnectionError | TimeoutError), repr(
                end.connection.error
            )

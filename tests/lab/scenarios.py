"""Scenarios for the tests of campaigns and of the shrinker."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawproto import DatagramProtocol

if TYPE_CHECKING:
    from rawproto import Simulation


class Sink(DatagramProtocol):
    """Keeps what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[int] = []

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        """Keep its number."""
        self.heard.append(int.from_bytes(data, "big"))


def hear(simulation: Simulation) -> list[int]:
    """A hundred numbered datagrams over a bad link."""
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="1ms", loss=0.1, duplicate=0.1, reorder=0.1)
    near, far = a.run(Sink()), b.run(Sink())

    def send(number: int) -> None:
        near.do(lambda protocol, now: protocol.send(number.to_bytes(2, "big"), far.address))

    for number in range(100):
        simulation.at(number * 1_000_000, lambda number=number: send(number))
    simulation.run()
    return far.protocol.heard


def needs_two(simulation: Simulation) -> None:
    """Fails when packet 20 comes more than once and 40 does not come."""
    heard = hear(simulation)
    assert not (heard.count(20) > 1 and 40 not in heard), "20 came twice, 40 never"


def passes(simulation: Simulation) -> None:
    """Finds nothing wrong."""
    hear(simulation)


def dies_once(simulation: Simulation) -> None:
    """Kills its worker the first time that seed 5 comes, as the file named by the environment tells."""
    mark = Path(os.environ["RAWPROTO_TEST_MARK"])
    if simulation.seed == 5 and not mark.exists():
        mark.touch()
        os._exit(1)

"""The standard scenario holds for RSP, and finds an endpoint that is broken on purpose."""

from __future__ import annotations

import pytest

from rawproto import Simulation
from rawproto.lab.swarm import rsp_transfer
from rawproto.rsp.receive_stream import ReceiveStream


@pytest.mark.parametrize("seeds", [range(start, start + 20) for start in range(0, 100, 20)], ids=str)
def test_rsp_keeps_its_promises_on_any_link(seeds: range) -> None:
    for seed in seeds:
        simulation = Simulation(seed)
        try:
            rsp_transfer(simulation)
        except AssertionError as error:
            error.add_note(simulation.how_to_replay())
            raise


@pytest.mark.parametrize("seed", [216537, 219089])
def test_a_timer_may_be_due_while_packets_come_at_the_same_moment(seed: int) -> None:
    # Without delay many packets come at one moment, and all of them before timers.
    rsp_transfer(Simulation(seed))


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("start", range(100, 10_000, 1_100))
def test_rsp_keeps_its_promises_on_ten_thousand_links(start: int) -> None:
    for seed in range(start, start + 1_100):
        try:
            rsp_transfer(Simulation(seed))
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise


def test_a_broken_endpoint_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    # The canary: one byte of what is read is changed, once in a while.
    whole = ReceiveStream.read

    def spoiled(stream: ReceiveStream, *args: object) -> bytes:
        data = whole(stream, *args)  # type: ignore[arg-type]
        return data[:-1] + bytes([data[-1] ^ 1]) if len(data) > 40_000 else data

    monkeypatch.setattr(ReceiveStream, "read", spoiled)
    found = 0
    for seed in range(40):
        try:
            rsp_transfer(Simulation(seed))
        except AssertionError:
            found += 1
    assert found > 0

"""The conditions of quic-interop-runner in the simulator, over several seeds."""

from __future__ import annotations

from typing import Any

import pytest

from rawproto import IPAddr, Simulation, UDPAddr
from rawproto.lab.simhost import SimHost
from rawproto.protocol import SECOND
from rawproto.rsp import RSPConfig


@pytest.fixture(autouse=True)
def cases(load_interop: Any) -> Any:
    return load_interop


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
        _, client, server = cases.fetch(simulation, condition, watched=watched)
        cases.finish(simulation, condition, client)
        cases.check_seen(name, watched, len(server.accepted), len(condition.files))
    assert (2 in marks) is (name == "ecn")
    assert 3 not in marks  # nothing here marks congestion, and no end does by itself


@pytest.mark.parametrize("what", ["rebind-port", "rebind-addr"])
def test_rebinding(what: str, cases: Any, seeds: range) -> None:
    for seed in seeds:
        simulation = Simulation(seed)
        condition = cases.Condition((10 * cases.MB,))
        near, client, server = cases.fetch(simulation, condition, udp=what == "rebind-port")
        home = near.address
        moves = 0

        def move(near: Any = near, home: Any = home) -> None:
            nonlocal moves
            moves += 1
            port = UDPAddr(home.ip, home.port + moves) if what == "rebind-port" else None
            near.host.move(near, port or (IPAddr("10.0.0.7") if moves % 2 else home))

        simulation.at(SECOND, move)
        simulation.at(6 * SECOND, move)
        cases.finish(simulation, condition, client)
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
    _, client, _ = cases.fetch(simulation, condition)
    cases.finish(simulation, condition, client)
    assert 10 * cases.MB * 8 / (simulation.now / SECOND) >= 0.85 * 10e6

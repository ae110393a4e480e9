"""Scripts: a protocol meets packets written by hand, and every packet it sends is accounted for."""

from __future__ import annotations

from typing import Any

import pytest

from rawproto import (
    ConfigError,
    DatagramProtocol,
    ExpectationError,
    Header,
    RSPConfig,
    Simulation,
    checksum16,
    u8,
    u32,
)
from rawproto.lab import Script
from rawproto.rsp import Endpoint
from rawproto.rsp.header import Ack, Hello, Kind, Reset
from rawproto.rsp.integrity import fill_one

MS = 1_000_000
ASK, ANSWER = 1, 2


class Echo(Header):
    kind: u8
    tries: u8 = 0
    check: checksum16
    number: u32


class Asker(DatagramProtocol):
    """Asks a question, three times 100 ms apart, until the answer with its number comes; answers others at once."""

    def __init__(self) -> None:
        super().__init__()
        self.peer: Any = None
        self.tries = 0

    def ask(self, peer: Any, now: int) -> None:
        self.peer = peer
        self.send(bytes(Echo(kind=ASK, tries=self.tries, number=7) / b"?"), peer)
        self.tries += 1
        self.set_timer(now + 100 * MS if self.tries < 3 else None)

    def timer_expired(self, now: int) -> None:
        self.ask(self.peer, now)

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        header, payload = Echo.parse(data)
        if header.verify():
            return
        if header.kind == ASK:
            self.send(bytes(Echo(kind=ANSWER, number=header.number) / payload), source)
        elif header.number == 7:
            self.set_timer(None)
            self.emit(payload)


@pytest.fixture
def asker(simulation: Simulation) -> Any:
    host, peer = simulation.hosts("host", "peer")
    simulation.link(host, peer, delay="10ms")
    return host.run(Asker())


def test_a_question_is_repeated_until_it_is_answered(simulation: Simulation, asker: Any) -> None:
    script = Script(simulation.host("peer"))
    asker.do(lambda protocol, now: protocol.ask(script.address, now))
    script.expect(Echo, at="10ms", kind=ASK, tries=0, payload=b"?")
    again = script.expect(Echo, at="100ms", tries=1, number=lambda number: number > 0)
    assert (again.header.number, again.time) == (7, 110 * MS)
    script.inject(Echo(kind=ANSWER, number=8) / b"wrong")
    script.inject(Echo(kind=ANSWER, number=7, check=1) / b"damaged", after="5ms")
    script.inject(Echo(kind=ANSWER, number=7) / b"right", after="5ms")
    script.expect_nothing("10s")
    assert asker.events == [b"right"]


def test_it_answers_whoever_asks(simulation: Simulation, asker: Any) -> None:
    script = Script(simulation.host("peer"), asker)
    for number in range(3):
        script.inject(Echo(kind=ASK, number=number) / b"x", after="1ms")
        script.expect(Echo, at="20ms", kind=ANSWER, number=number, when=lambda header, rest: rest == b"x")
    script.inject(Echo(kind=ASK, number=3, check=1) / b"x")
    script.expect_nothing("1s")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"kind": ANSWER}, "kind is 1, in Echo"),
        ({"number": lambda number: number > 7}, "number is 7"),
        ({"payload": b"!"}, "the payload is b'?', not b'!'"),
        ({"when": lambda header, rest: False}, "is not true of it"),
        ({"at": "15ms"}, "it came 10.000 ms after the last step, not 15ms"),
        ({"within": "9ms"}, "nothing came within 9.000 ms"),
    ],
)
def test_what_differs_is_told(simulation: Simulation, asker: Any, words: dict[str, Any], said: str) -> None:
    script = Script(simulation.host("peer"))
    asker.do(lambda protocol, now: protocol.ask(script.address, now))
    with pytest.raises(ExpectationError) as caught:
        script.expect(Echo, **words)
    assert said in str(caught.value)
    assert "Simulation(seed=0)" in str(caught.value)


def test_packets_that_nobody_expected_fail_the_script(simulation: Simulation, asker: Any) -> None:
    script = Script(simulation.host("peer"), asker)
    asker.do(lambda protocol, now: protocol.ask(script.address, now))
    script.expect(Echo, tries=0)
    with pytest.raises(
        ExpectationError, match=r"(?s)came 100\.000 ms after the last step.*0\.010000  expect Echo"
    ):
        script.expect_nothing("1s")
    with pytest.raises(ExpectationError, match="nothing was expected"):
        script.inject(b"", after="1s")


def test_what_is_ignored_does_not_count(simulation: Simulation, asker: Any) -> None:
    script = Script(simulation.host("peer"))
    script.ignore(lambda data: data[1] == 1)
    asker.do(lambda protocol, now: protocol.ask(script.address, now))
    script.expect(Echo, tries=0)
    script.expect(Echo, tries=2, at="200ms")
    script.expect_nothing("1s")


def test_mistakes_of_the_script_itself(simulation: Simulation, asker: Any) -> None:
    script = Script(simulation.host("peer"))
    with pytest.raises(ConfigError, match="speaks first"):
        script.inject(b"x")
    with pytest.raises(ConfigError, match="Echo has no field colour"):
        script.expect(Echo, colour=1)
    asker.do(lambda protocol, now: protocol.ask(script.address, now))
    with pytest.raises(ExpectationError, match=r"came: .*Hello"):
        script.expect(Hello)


# ---- RSP's handshake (docs/rsp.md) ----------------------------------------------------------------------------------

OURS = 0x1122334455667788
TERMS: dict[str, Any] = {
    "source_port": 4000,
    "port": 7,
    "identifier": OURS,
    "window": 65536,
    "max_datagram": 1480,
    "features": 3,
}


@pytest.fixture
def listening(simulation: Simulation) -> Any:
    host, peer = simulation.hosts("host", "peer")
    simulation.link(host, peer, delay="5ms")
    node = host.run(Endpoint(RSPConfig(), entropy=simulation.entropy("host")))
    node.do(lambda endpoint, now: endpoint.listen(7, now=now))
    return node


def test_a_listener_keeps_nothing_until_the_cookie_comes_back(simulation: Simulation, listening: Any) -> None:
    script = Script(simulation.host("peer"), listening, finish=fill_one)
    script.inject(Hello(kind=Kind.SYN, connection=0, **TERMS))
    answer = script.expect(Hello, at="10ms", kind=Kind.COOKIE, connection=OURS, port=4000, cookie=any).header
    assert listening.protocol.connections == []
    script.expect_nothing("60s")  # nothing is kept, so nothing is repeated
    confirm = Hello(kind=Kind.CONFIRM, connection=answer.identifier, cookie=answer.cookie, **TERMS)
    script.inject(Hello(kind=Kind.SYN, connection=0, **TERMS))
    answer = script.expect(Hello, kind=Kind.COOKIE).header
    confirm = confirm.replace(connection=answer.identifier, cookie=answer.cookie)
    script.inject(confirm.replace(cookie=bytes(16)))
    script.expect_nothing("1s")
    assert listening.protocol.connections == []
    script.inject(confirm)
    script.expect(Ack, kind=Kind.ACK, connection=OURS)
    assert len(listening.protocol.connections) == 1


def test_a_port_without_listener_refuses(simulation: Simulation, listening: Any) -> None:
    script = Script(simulation.host("peer"), listening, finish=fill_one)
    script.inject(Hello(kind=Kind.SYN, connection=0, **{**TERMS, "port": 8}))
    script.expect(Reset, at="10ms", kind=Kind.RESET, connection=OURS)
    script.expect_nothing("60s")


def test_a_dialer_repeats_its_syn_and_confirms(simulation: Simulation, listening: Any) -> None:
    script = Script(simulation.host("peer"), finish=fill_one)
    listening.do(lambda endpoint, now: endpoint.connect(script.address, 9, now=now))
    first = script.expect(Hello, at="5ms", kind=Kind.SYN, connection=0, port=9, cookie=bytes(16)).header
    # After a second, then two, each give or take a tenth.
    script.expect_nothing("0.9s")
    script.expect(Hello, within="0.2s", kind=Kind.SYN, identifier=first.identifier)
    script.expect_nothing("1.8s")
    script.expect(Hello, within="0.4s", kind=Kind.SYN, identifier=first.identifier)
    terms = {**TERMS, "source_port": 9, "port": first.source_port}
    script.inject(Hello(kind=Kind.COOKIE, connection=first.identifier, cookie=b"c" * 16, **terms))
    script.expect(
        Hello, at="10ms", kind=Kind.CONFIRM, connection=OURS, identifier=first.identifier, cookie=b"c" * 16
    )

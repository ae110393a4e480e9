"""Scripts: a protocol meets packets written by hand, and every packet it sends is accounted for.

In the simulator, against a protocol on a host of a lab, and against a remote kernel by a raw socket.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import rawproto
from rawproto import (
    ICMP,
    ConfigError,
    DatagramProtocol,
    ExpectationError,
    Header,
    IPAddr,
    LabError,
    RawLink,
    RawSocket,
    RSPConfig,
    Simulation,
    checksum16,
    u8,
    u32,
)
from rawproto.lab import Script
from rawproto.rsp import Endpoint
from rawproto.rsp.checks import fill_one
from rawproto.rsp.header import Ack, Data, Hello, Kind, Reset

if TYPE_CHECKING:
    from rawproto import Host, Lab

MS = 1_000_000
ASK, ANSWER = 1, 2


class Echo(Header):
    kind: u8
    tries: u8 = 0
    check: checksum16
    number: u32


class Asker(DatagramProtocol):
    """Asks a question so many times, 100 ms apart, until the answer with its number comes; answers others at once."""

    def __init__(self, peer: Any = None, tries: int = 3) -> None:
        super().__init__()
        self.peer = peer
        self.tries = 0
        self._most = tries
        if peer is not None:
            self.set_timer(0)

    def ask(self, peer: Any, now: int) -> None:
        self.peer = peer
        self.send(bytes(Echo(kind=ASK, tries=self.tries, number=7) / b"?"), peer)
        self.tries += 1
        self.set_timer(now + 100 * MS if self.tries < self._most else None)

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


# ---- in real time ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pair(lab: Lab) -> tuple[Host, Host]:
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    return a, b


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_a_protocol_on_a_host_of_a_lab(pair: tuple[Host, Host], version: int) -> None:
    a, b = pair

    def ask(peer: str) -> bytes:
        with RawLink(253, version=version) as link:
            answer: bytes = rawproto.run(
                Asker(IPAddr(peer), tries=2), link, on_event=lambda event: event, timeout=100
            )
            return answer

    with Script(b, version=version) as script:
        asking = a.start(ask, b.address(version))
        first = script.expect(Echo, kind=ASK, tries=0, payload=b"?", within="60s")
        assert first.source == IPAddr(a.address(version))
        script.inject(Echo(kind=ANSWER, number=7, check=1) / b"damaged")
        again = script.expect(Echo, kind=ASK, tries=1, within="60s")
        assert again.time > first.time
        script.inject(Echo(kind=ANSWER, number=7) / b"right")
        assert asking.result(timeout=100) == b"right"
        asking.wait()
        script.expect_nothing("150ms")


@pytest.mark.netns
def test_a_failure_shows_the_steps(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with Script(b, a.ip4) as script:
        script.inject(b"one")
        with pytest.raises(ExpectationError, match=r"nothing came within 10\.000 ms\n.*inject 6f6e65\non "):
            script.expect(Echo, within="10ms")


@pytest.mark.netns
def test_rsp_on_a_host_of_a_lab(pair: tuple[Host, Host]) -> None:
    # The handshake of docs/rsp.md section 3.2 by hand, against the real listener on a raw socket.
    a, b = pair
    with a:
        listener = rawproto.listen("rsp4", ":1200", config=RSPConfig())
    with listener, Script(b, IPAddr(a.address()), finish=fill_one) as script:
        hello = {"port": 1200, "source_port": 3000, "max_datagram": 1480, "features": 1, "identifier": 77}
        script.inject(Hello(kind=Kind.SYN, connection=0, window=65536, **hello))
        cookie = script.expect(Hello, kind=Kind.COOKIE, connection=77, within="60s").header
        script.inject(
            Hello(
                kind=Kind.CONFIRM, connection=cookie.identifier, window=65536, cookie=cookie.cookie, **hello
            )
        )
        script.expect(Ack, kind=Kind.ACK, connection=77, ranges=0, within="60s")
        script.ignore(lambda data: data[4] == Kind.ACK)
        with listener.accept() as conn:
            script.inject(
                Data(kind=Kind.DATA, port=1200, connection=cookie.identifier, number=0, offset=0) / b"by hand"
            )
            conn.set_deadline(100)
            assert conn.read_exactly(7) == b"by hand"
            conn.write(b"answer")
            script.expect(Data, kind=Kind.DATA, offset=0, payload=b"answer", within="60s")
            conn.abort()


@pytest.mark.netns
def test_a_remote_kernel_by_a_raw_socket(pair: tuple[Host, Host]) -> None:
    # In a process of its own, as a program on another machine would: all it has is a socket and an address.
    a, b = pair

    def ping(remote: str) -> tuple[int, bytes]:
        with RawSocket(1, remote=IPAddr(remote)) as socket, Script(socket, IPAddr(remote)) as script:
            script.inject(ICMP(type=8, ident=5, seq=9) / b"payload")
            answer = script.expect(ICMP, type=0, ident=5, seq=9, payload=b"payload", within="60s")
            script.expect_nothing("20ms")
            return answer.header.seq, answer.payload

    assert b.call(ping, a.address(), timeout=100) == (9, b"payload")


def test_a_script_cannot_stand_anywhere() -> None:
    with pytest.raises(LabError, match="not on 'here'"):
        Script("here")  # type: ignore[arg-type]

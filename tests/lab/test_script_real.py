"""Scripts in real time: against a protocol on a host of a lab, and against a remote kernel by a raw socket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

import rawproto
from rawproto import (
    ICMP,
    DatagramProtocol,
    ExpectationError,
    Header,
    IPAddr,
    LabError,
    RawLink,
    RawSocket,
    RSPConfig,
    checksum16,
    u8,
    u32,
)
from rawproto.lab import Script
from rawproto.rsp.header import Ack, Data, Hello, Kind
from rawproto.rsp.integrity import fill_one

if TYPE_CHECKING:
    from rawproto import Host, Lab

MS = 1_000_000
ASK, ANSWER = 1, 2


class Query(Header):
    kind: u8
    tries: u8 = 0
    check: checksum16
    number: u32


class Questioner(DatagramProtocol):
    """Asks again every 100 ms until the answer with its number comes."""

    def __init__(self, peer: Any) -> None:
        super().__init__()
        self._peer = peer
        self._tries = 0
        self.set_timer(0)

    def timer_expired(self, now: int) -> None:
        self.send(bytes(Query(kind=ASK, tries=self._tries, number=7) / b"?"), self._peer)
        self._tries += 1
        self.set_timer(now + 100 * MS)

    def datagram_received(self, data: bytes, source: Any, now: int) -> None:
        header, payload = Query.parse(data)
        if not header.verify() and header.kind == ANSWER and header.number == 7:
            self.set_timer(None)
            self.emit(payload)


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
                Questioner(IPAddr(peer)), link, on_event=lambda event: event, timeout=30
            )
            return answer

    with Script(b, version=version) as script:
        asking = a.start(ask, b.address(version))
        first = script.expect(Query, kind=ASK, tries=0, payload=b"?", within="10s")
        assert first.source == IPAddr(a.address(version))
        script.inject(Query(kind=ANSWER, number=7, check=1) / b"damaged")
        again = script.expect(Query, kind=ASK, tries=1, within="10s")
        assert again.time > first.time
        script.inject(Query(kind=ANSWER, number=7) / b"right")
        assert asking.result(timeout=30) == b"right"
        asking.wait()
        script.expect_nothing("150ms")


@pytest.mark.netns
def test_a_failure_shows_the_steps(pair: tuple[Host, Host]) -> None:
    a, b = pair
    with Script(b, a.ip4) as script:
        script.inject(b"one")
        with pytest.raises(ExpectationError, match=r"nothing came within 10\.000 ms\n.*inject 6f6e65\non "):
            script.expect(Query, within="10ms")


@pytest.mark.netns
def test_rsp_on_a_host_of_a_lab(pair: tuple[Host, Host]) -> None:
    # The handshake of docs/rsp.md section 3.2 by hand, against the real listener on a raw socket.
    a, b = pair
    with a:
        listener = rawproto.listen("rsp4", ":1200", config=RSPConfig())
    with listener, Script(b, IPAddr(a.address()), finish=fill_one) as script:
        hello = {"port": 1200, "source_port": 3000, "max_datagram": 1480, "features": 1, "identifier": 77}
        script.inject(Hello(kind=Kind.SYN, connection=0, window=65536, **hello))
        cookie = script.expect(Hello, kind=Kind.COOKIE, connection=77, within="10s").header
        script.inject(
            Hello(
                kind=Kind.CONFIRM, connection=cookie.identifier, window=65536, cookie=cookie.cookie, **hello
            )
        )
        script.expect(Ack, kind=Kind.ACK, connection=77, ranges=0, within="10s")
        conn = listener.accept()
        script.ignore(lambda data: data[4] == Kind.ACK)
        script.inject(
            Data(kind=Kind.DATA, port=1200, connection=cookie.identifier, number=0, offset=0) / b"by hand"
        )
        conn.set_deadline(10)
        assert conn.read_exactly(7) == b"by hand"
        conn.write(b"answer")
        script.expect(Data, kind=Kind.DATA, offset=0, payload=b"answer", within="10s")
        conn.abort()


@pytest.mark.netns
def test_a_remote_kernel_by_a_raw_socket(pair: tuple[Host, Host]) -> None:
    # In a process of its own, as a program on another machine would: all it has is a socket and an address.
    a, b = pair

    def ping(remote: str) -> tuple[int, bytes]:
        with RawSocket(1, remote=IPAddr(remote)) as socket, Script(socket, IPAddr(remote)) as script:
            script.inject(ICMP(type=8, ident=5, seq=9) / b"payload")
            answer = script.expect(ICMP, type=0, ident=5, seq=9, payload=b"payload", within="10s")
            script.expect_nothing("20ms")
            return answer.header.seq, answer.payload

    assert b.call(ping, a.address(), timeout=60) == (9, b"payload")


def test_a_script_cannot_stand_anywhere() -> None:
    with pytest.raises(LabError, match="not on 'here'"):
        Script("here")  # type: ignore[arg-type]

"""The conditions of quic-interop-runner between hosts of the lab: real sockets, real time, the relay between them."""

from __future__ import annotations

import dataclasses
import shutil
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest

import rawproto

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

pytestmark = pytest.mark.netns

LIMIT = 500.0
"""Seconds that anything may take here; what the runner allows is held to in virtual time."""

NAMES = (
    "handshake", "transfer", "longrtt", "multiplexing", "retry", "blackhole", "ecn", "amplificationlimit",
    "handshakeloss", "transferloss", "handshakecorruption", "transfercorruption", "ipv6",
)  # fmt: skip


class Server:
    """Answers requests, eight bytes that say how many are wanted, each connection in a thread."""

    def __init__(self, listener: rawproto.Listener, content: Callable[[int], bytes]) -> None:
        self._listener, self._content = listener, content
        self.accepted: list[rawproto.Conn] = []
        self._threads: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                conn = self._listener.accept()
            except rawproto.ClosedError:
                return
            self.accepted.append(conn)
            self._threads.append(threading.Thread(target=self._answer, args=(conn,)))
            self._threads[-1].start()

    def _answer(self, conn: rawproto.Conn) -> None:
        with conn:
            conn.set_deadline(LIMIT)
            conn.write(self._content(int.from_bytes(conn.read_exactly(8), "big")))

    def close(self) -> None:
        self._listener.close()
        for thread in (self._thread, *self._threads):
            thread.join()


@contextmanager
def serving(host: Any, condition: Any, cases: Any, address: str) -> Iterator[Server]:
    with host:
        listener = rawproto.listen(condition.network, address, config=condition.config)
    server = Server(listener, cases.content)
    try:
        yield server
    finally:
        server.close()


def ask(host: Any, condition: Any, address: str, size: int) -> rawproto.Conn:
    """A connection on which a file was asked for."""
    with host:
        conn = rawproto.dial(condition.network, address, timeout=LIMIT, config=condition.config)
    conn.set_deadline(LIMIT)
    conn.write(size.to_bytes(8, "big"))
    conn.close_write()
    return conn


def rest_of(conn: rawproto.Conn) -> bytes:
    """What is still to come."""
    got = bytearray()
    while data := conn.read():
        got += data
    return bytes(got)


def fetch(host: Any, condition: Any, address: str, size: int) -> bytes:
    """One file, over a connection of its own."""
    with ask(host, condition, address, size) as conn:
        return rest_of(conn)


def fetch_all(host: Any, condition: Any, address: str, cases: Any) -> None:
    """Every file of a condition, compared."""
    with ThreadPoolExecutor(min(condition.together, 32)) as pool:
        for size, got in zip(
            condition.files,
            pool.map(lambda size: fetch(host, condition, address, size), condition.files),
            strict=True,
        ):
            assert got == cases.content(size)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", NAMES)
def test_condition(name: str, lab: Any, load_interop: Any, request: pytest.FixtureRequest) -> None:
    cases = load_interop
    condition = cases.CONDITIONS[name]
    if not request.config.getoption("--long"):
        condition = condition.shortened()
    # Chance meets other packets in every run here: it must not decide whether a dialer has tried often enough.
    patient = dataclasses.replace(condition.config, handshake_timeout=LIMIT)
    condition = dataclasses.replace(condition, config=patient)
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b, seed=7, **cases.BASE | condition.words)
    watched = cases.Watched("b") if condition.watch else None
    if watched is not None:
        link.drop(when=watched.see, count=None)
    if condition.apply is not None:
        condition.apply(link, 7)
    marks: set[int] = set()
    if name == "ecn":
        # RFC 3168 section 5: the low two bits of the second byte of the IPv4 header.
        link.drop(when=lambda packet: marks.add(packet.data[1] & 3) is not None, count=None)
    host = f"[{b.address(6)}]" if condition.network == "rsp6" else b.address(4)
    with serving(b, condition, cases, f"{host}:{cases.PORT}") as server:
        fetch_all(a, condition, f"{host}:{cases.PORT}", cases)
    cases.check_seen(name, watched, len(server.accepted), len(condition.files), real_time=True)
    if name == "ecn":
        assert 2 in marks
        assert 3 not in marks


@pytest.mark.timeout(600)
@pytest.mark.parametrize("what", ["rebind-port", "rebind-addr"])
def test_rebinding(what: str, lab: Any, load_interop: Any, request: pytest.FixtureRequest) -> None:
    """A NAT before the client, made of stateless nft rules, that changes its mind."""
    if shutil.which("nft") is None:
        pytest.skip("nft is not installed: the NAT of this test is made of its rules")
    cases = load_interop
    udp = what == "rebind-port"
    network = "rsp+udp4" if udp else "rsp4"
    size = (10 if request.config.getoption("--long") else 2) * cases.MB
    # With a small window most of the file is still to come when a quarter has been read, however long a pause is.
    config = rawproto.RSPConfig(initial_window=size // 16, receive_window=size // 8)
    condition = cases.Condition((size,), network=network, config=config)
    a, b = lab.hosts("a", "b")
    addresses = [f"10.0.0.{host}/24" for host in (1, 11, 12, 13)]
    link = lab.link(a, b, a_addresses=addresses, b_addresses=["10.0.0.2/24"], seed=7, **cases.BASE)

    def rebind(turn: int) -> None:
        if udp:
            rules = (
                f"add rule ip nat out udp dport {cases.PORT} udp sport set {20_000 + turn}; "
                f"add rule ip nat in udp dport {20_000 + turn} udp dport set {port}"
            )
        else:
            rules = (
                f"add rule ip nat out ip daddr 10.0.0.2 ip saddr set 10.0.0.{10 + turn}; "
                f"add rule ip nat in ip daddr 10.0.0.{10 + turn} ip daddr set 10.0.0.1"
            )
        a.run(["nft", f"flush chain ip nat out; flush chain ip nat in; {rules}"])

    chain = "add chain ip nat {} {{ type filter hook {} priority raw; }}"
    setup = ("add table ip nat", chain.format("out", "output"), chain.format("in", "prerouting"))
    a.run(["nft", "; ".join(setup)])
    seen: set[bytes] = set()

    def see(packet: Any) -> bool:
        # The source address and the first two bytes behind the header, which are UDP's source port; not of ICMP.
        if packet.data[9] != 1:
            seen.add(packet.data[12:16] + packet.data[20:22] * udp)
        return False

    link.drop(when=see, toward=b, count=None)
    with (
        serving(b, condition, cases, f"10.0.0.2:{cases.PORT}") as server,
        ask(a, condition, f"10.0.0.2:{cases.PORT}", size) as conn,
    ):
        got = conn.read_exactly(size // 4)
        port = server.accepted[0].remote_addr.port  # before any NAT
        for turn in (1, 2):
            rebind(turn)
            got += conn.read_exactly(size // 4)
        got += rest_of(conn)
    assert got == cases.content(size)
    assert len(server.accepted) == 1
    assert len(seen) == 3

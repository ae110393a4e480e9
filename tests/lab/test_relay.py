"""Links with the relay: real packets of the kernel meet the fates they were promised."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from rawproto import ConfigError, Lab, LabError
from rawproto.wire import PcapngReader
from tests.lab.waiting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rawproto.lab import Host
    from rawproto.lab.rules import Packet

pytestmark = pytest.mark.netns

PROTOCOL = 253  # RFC 3692: for experiments


class Wire:
    """Raw IP sockets of protocol 253 at both ends of a link."""

    def __init__(self, a: Host, b: Host) -> None:
        self.a, self.b = a, b
        with a:
            self.near = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL)
        with b:
            self.far = socket.socket(socket.AF_INET, socket.SOCK_RAW, PROTOCOL)
        for end in (self.near, self.far):
            end.settimeout(60)
            # A packet that finds no room here is answered as if nobody listened.
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 21)

    def send(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.near.sendto(payload, (self.b.address(), 0))

    def send_back(self, *payloads: bytes) -> None:
        for payload in payloads:
            self.far.sendto(payload, (self.a.address(), 0))

    def receive(self, count: int) -> list[bytes]:
        return [self.far.recv(65_535)[20:] for _ in range(count)]

    def __enter__(self) -> Wire:
        return self

    def __exit__(self, *_: object) -> None:
        self.near.close()
        self.far.close()


@pytest.fixture
def pair(lab: Lab) -> list[Host]:
    return lab.hosts("a", "b")


@pytest.fixture
def wire_of(pair: list[Host]) -> Iterator[Any]:
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(Wire(*pair))


def test_the_lab_says_what_it_used(lab: Lab, pair: list[Host]) -> None:
    assert lab.link(*pair).means == "veth"
    assert lab.link(*pair, seed=1).means == "relay"
    assert lab.link(*pair, delay="1ms").means == "relay"
    assert lab.link(*pair, forward={"loss": 0.5}).means == "relay"
    with pytest.raises(ConfigError, match="losses"):
        lab.link(*pair, losses=0.1)


def test_packets_come_no_earlier_than_asked(lab: Lab, pair: list[Host], wire_of: Any) -> None:
    lab.link(*pair, delay="30ms", backward={"delay": "5ms"})
    wire = wire_of()
    begin = time.monotonic()
    wire.send(b"there")
    assert wire.receive(1) == [b"there"]
    middle = time.monotonic()
    wire.send_back(b"back")
    wire.near.recv(100)
    assert middle - begin >= 0.0299
    assert time.monotonic() - middle >= 0.0049


def test_equal_seeds_make_equal_decisions() -> None:
    digests = []
    for seed in (7, 7, 8):
        with Lab() as other:
            a, b = other.hosts("a", "b")
            link = other.link(a, b, loss=0.1, reorder=0.05, duplicate=0.05, corrupt=0.05, seed=seed)
            with Wire(a, b) as wire:
                for number in range(300):
                    wire.send(number.to_bytes(4, "big"))
                counted(link, b, received=300)
                assert len(link.decisions(a)) == 0
            digests.append(link.decisions(b).digest(300))
    assert digests[0] == digests[1] != digests[2]


def test_counters_agree_with_what_arrives(lab: Lab, pair: list[Host], wire_of: Any) -> None:
    a, b = pair
    link = lab.link(
        a, b, delay="2ms", loss=0.05, reorder=0.05, reorder_hold="20ms", duplicate=0.05, corrupt=0.05, seed=3
    )
    wire = wire_of()
    sent = [number.to_bytes(4, "big") * 50 for number in range(1000)]
    arrived: list[bytes] = []
    for start in range(0, 1000, 50):
        wire.send(*sent[start : start + 50])
        while (stats := counted(link, b, received=start + 50)).waiting:
            time.sleep(0.001)
        arrived += wire.receive(stats.delivered - len(arrived))  # no more than the socket has room for
    assert stats.received == 1000
    assert stats.delivered + stats.dropped == 1000 + stats.duplicated
    assert stats.kernel_dropped == stats.no_room == stats.send_refused == 0
    intact = Counter(payload for payload in arrived if payload in set(sent))
    assert len(arrived) - intact.total() == stats.corrupted > 10
    # A packet that was damaged and sent twice has one intact copy.
    assert 0 <= stats.duplicated - sum(1 for count in intact.values() if count == 2) <= 10
    order = [sent.index(payload) for payload in arrived if payload in intact]
    assert order != sorted(order)
    for payload in arrived:
        if payload not in intact:
            nearest = min(sent, key=lambda good: _bits_apart(good, payload))
            assert _bits_apart(nearest, payload) == 1


def _bits_apart(one: bytes, other: bytes) -> int:
    return (int.from_bytes(one, "big") ^ int.from_bytes(other, "big")).bit_count()


def test_kernel_tcp_crosses_a_bad_link_intact(lab: Lab, pair: list[Host]) -> None:
    # Segments are no longer than the MTU and their checksums are complete, or the relay could not carry them.
    a, b = pair
    link = lab.link(a, b, delay="1ms", loss=0.01, reorder=0.01, duplicate=0.01, corrupt=0.002, seed=5)
    data = os.urandom(1 << 20)
    with b:
        listener = socket.create_server((b.address(), 0))
    with listener:
        call = a.start(_send_all, listener.getsockname(), data)
        connection, _ = listener.accept()
        with connection:
            got = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    call.result(timeout=60)
    assert got == data
    assert link.stats(toward=b).too_big == 0
    assert link.stats(toward=b).received_bytes / link.stats(toward=b).received < 1500


def _send_all(address: Any, data: bytes) -> None:
    with socket.create_connection(address) as connection:
        connection.sendall(data)


def test_ipv6_crosses_too(lab: Lab, pair: list[Host]) -> None:
    a, b = pair
    link = lab.link(a, b, delay="1ms", seed=1)
    with b, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as far:
        far.settimeout(60)
        far.bind((b.address(6), 0))
        with a, socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as near:
            near.sendto(b"six", far.getsockname())
            assert far.recv(10) == b"six"
    # The kernel's own neighbour traffic is not counted, or no run would be like another.
    assert link.stats(toward=b).received == 1
    assert link.stats(toward=a).received == 0


def test_the_nth_packet_that_fits(lab: Lab, pair: list[Host], wire_of: Any) -> None:
    a, b = pair
    link = lab.link(a, b, seed=1)
    wire = wire_of()
    seen: list[Packet] = []

    def is_data(packet: Packet) -> bool:
        seen.append(packet)
        return packet.payload.startswith(b"data")

    rule = link.drop(nth=2, when=is_data, toward=b)
    wire.send(b"data 1", b"other", b"data 2", b"data 3")
    assert wire.receive(3) == [b"data 1", b"other", b"data 3"]
    assert rule.hits == 1
    assert [packet.index for packet in seen] == [0, 1, 2]
    assert {packet.toward for packet in seen} == {"b"}
    assert seen[0].data[20:] == seen[0].payload == b"data 1"
    # Spent: nobody is asked any more.
    wire.send(b"data 4")
    assert wire.receive(1) == [b"data 4"]
    assert len(seen) == 3


def test_packets_are_delayed_copied_changed_and_held(lab: Lab, pair: list[Host], wire_of: Any) -> None:
    a, b = pair
    link = lab.link(a, b, seed=1)
    wire = wire_of()
    link.delay("200ms", nth=1, toward=b)
    begin = time.monotonic()
    wire.send(b"1", b"2")
    in_time = time.monotonic() - begin < 0.2  # else nothing was there to overtake
    assert wire.receive(2) == [b"2", b"1"] or not in_time
    assert time.monotonic() - begin >= 0.1999
    link.duplicate(times=2, toward=b)
    wire.send(b"3", b"4")
    assert wire.receive(4) == [b"3", b"3", b"3", b"4"]
    link.change(lambda payload: payload.upper(), when=lambda packet: b"b" in packet.payload, toward=b)
    wire.send(b"aa", b"bb", b"bb")
    assert wire.receive(3) == [b"aa", b"BB", b"bb"]
    held = link.hold(toward=b, count=2)
    wire.send(b"5", b"6", b"7")
    assert wire.receive(1) == [b"7"]
    assert held.hits == 2
    assert held.release() == 2
    assert wire.receive(2) == [b"5", b"6"]


def test_a_faulty_predicate_is_told_and_stops_nothing(
    lab: Lab, pair: list[Host], wire_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", told.append)
    link = lab.link(*pair, seed=1)
    wire = wire_of()
    link.drop(when=lambda packet: 1 / 0, toward="b")
    wire.send(b"1")
    assert wire.receive(1) == [b"1"]
    assert told[0].exc_type is ZeroDivisionError


def test_a_link_changes_while_it_runs(lab: Lab, pair: list[Host], wire_of: Any) -> None:
    a, b = pair
    link = lab.link(a, b, seed=1, loss=1)
    wire = wire_of()
    wire.send(b"lost")
    counted(link, b, lost=1)
    link.heal()
    wire.send(b"1")
    assert wire.receive(1) == [b"1"]
    link.down(toward=b)
    wire.send(b"into the dark")
    counted(link, b, blackholed=1)
    wire.send_back(b"2")
    assert wire.near.recv(100)[20:] == b"2"
    link.up()
    wire.send(b"3")
    assert wire.receive(1) == [b"3"]
    link.set(mtu=100, toward=b)
    wire.send(bytes(81), b"4")
    assert wire.receive(1) == [b"4"]
    stats = link.stats(toward=b)
    assert (stats.lost, stats.blackholed, stats.too_big) == (1, 1, 1)
    with pytest.raises(ConfigError, match="hurry"):
        link.set(hurry=1)
    with pytest.raises(LabError, match="joins a and b"):
        link.set(loss=1, toward="c")


def test_what_the_relay_captures(lab: Lab, pair: list[Host], wire_of: Any, tmp_path: Path) -> None:
    a, b = pair
    link = lab.link(a, b, seed=1, delay="5ms")
    wire = wire_of()
    link.drop(nth=2, toward=b)
    link.capture(tmp_path / "wire.pcapng")
    wire.send(b"first", b"second", b"third")
    wire.receive(2)
    link.capture(None)
    wire.send(b"not written")
    wire.receive(1)
    with PcapngReader(tmp_path / "wire.pcapng") as reader:
        # The kernel reports its multicast groups when it likes.
        packets = [packet for packet in reader if packet.data[12:14] == b"\x08\x00"]
    assert [packet.data[34:] for packet in packets if packet.interface == 0] == [
        b"first",
        b"second",
        b"third",
    ]
    delivered = [packet for packet in packets if packet.interface == 1]
    assert [packet.data[34:] for packet in delivered] == [b"first", b"third"]
    assert delivered[0].timestamp_ns - packets[0].timestamp_ns >= 4_900_000


def test_a_capture_is_whole_when_the_lab_closes(tmp_path: Path) -> None:
    with Lab() as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b, seed=1).capture(tmp_path / "wire.pcapng")
        with Wire(a, b) as wire:
            wire.send(b"1")
            wire.receive(1)
    with PcapngReader(tmp_path / "wire.pcapng") as reader:
        assert sum(packet.data[34:] == b"1" for packet in reader) == 2


def test_a_relay_that_died_is_told(lab: Lab, pair: list[Host]) -> None:
    link = lab.link(*pair, seed=1)
    link._relay._process.kill()  # type: ignore[attr-defined]
    link._relay._process.wait()  # type: ignore[attr-defined]
    with pytest.raises(LabError, match="gone"):
        link.stats()


def test_a_bare_cable_goes_down_and_up(lab: Lab, pair: list[Host], wire_of: Any) -> None:
    a, b = pair
    link = lab.link(a, b)
    wire = wire_of()
    wire.send(b"1")
    assert wire.receive(1) == [b"1"]
    link.down()
    with pytest.raises(OSError, match="unreachable"):
        wire.send(b"2")
    link.up()
    wire.send(b"3")
    assert wire.receive(1) == [b"3"]
    assert link.stats(toward=b).delivered >= 2
    for refused in (lambda: link.set(loss=0.1), lambda: link.drop(nth=1), lambda: link.capture("x")):
        with pytest.raises(LabError, match="relay=True"):
            refused()

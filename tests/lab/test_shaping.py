"""Links on which the kernel does what was asked, and the relay as soon as that is not enough."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pyroute2
import pytest

from rawproto import Lab, LabError
from rawproto.lab import qdisc, wiring
from tests.lab.waiting import counted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rawproto.lab import Host

pytestmark = pytest.mark.netns

SLOW: dict[str, Any] = {"rate": "80bit"}
"""100 s a packet of 1000 bytes: none leaves by itself while a test goes on but the first, which finds a full bucket."""


@pytest.fixture
def lab() -> Iterator[Lab]:
    """Without captures, which only the relay writes."""
    with Lab() as made:
        if made.link(*made.hosts("one", "two"), rate="1mbit").means != "tbf":
            pytest.skip("this kernel has no token bucket (tc-tbf): the relay does it all")
        yield made


@pytest.fixture
def pair(lab: Lab) -> tuple[Host, Host]:
    a, b = lab.hosts("a", "b")
    return a, b


ADDRESSES: dict[str, Any] = {"a_addresses": ["192.0.2.1/24"], "b_addresses": ["192.0.2.2/24"]}
"""Of IPv4 alone: with IPv6 the kernel's reports of multicast groups take room in the queue when they like."""


class Ends:
    """UDP sockets of two hosts; datagrams that are 1000 bytes long as IP packets."""

    def __init__(self, a: Host, b: Host, stack: ExitStack) -> None:
        with b:
            self.far = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        with a:
            self.near = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.far.settimeout(60)
        self.far.bind((b.address(), 0))
        self._numbers = iter(range(256))

    def send(self, count: int) -> None:
        for _ in range(count):
            self.near.sendto(bytes([next(self._numbers)]) * 972, self.far.getsockname())

    def receive(self, count: int) -> list[int]:
        return [self.far.recv(2000)[0] for _ in range(count)]


@pytest.fixture
def ends(pair: tuple[Host, Host]) -> Iterator[Any]:
    with ExitStack() as stack:
        yield lambda: Ends(*pair, stack)


def test_the_link_says_what_it_is_made_of(lab: Lab, pair: tuple[Host, Host], tmp_path: Path) -> None:
    assert lab.link(*pair, rate="1mbit", limit=10).means == "tbf"
    assert lab.link(*pair, backward={"rate": "1mbit"}).means == "tbf"
    assert lab.link(*pair, up=False).means == "tbf"
    for more in (
        {"seed": 1},
        {"relay": True},
        {"delay": "1ms"},
        {"policer": ("1mbit", "10kb")},
        {"mtu": 1400},
    ):
        assert lab.link(*pair, rate="1mbit", **more).means == "relay"
    with Lab(captures=tmp_path) as other:
        assert other.link(*other.hosts("a", "b"), rate="1mbit").means == "relay"


@pytest.mark.parametrize("limit", [5, "5000b", "5999b"])
def test_a_queue_has_room_for_what_was_asked(
    lab: Lab, pair: tuple[Host, Host], ends: Any, limit: Any
) -> None:
    a, b = pair
    link = lab.link(a, b, **SLOW, **ADDRESSES, limit=limit)
    wire = ends()
    wire.send(20)
    assert wire.receive(1) == [0]
    stats = counted(link, b, waiting=5, queue_dropped=14)
    assert (stats.waiting, stats.queue_dropped, stats.blackholed) == (5, 14, 0)
    assert link.decisions(b).fates == b""


def test_a_direction_goes_down_and_up(lab: Lab, pair: tuple[Host, Host], ends: Any) -> None:
    a, b = pair
    link = lab.link(a, b, rate="100mbit", **ADDRESSES)
    wire = ends()
    wire.send(1)
    assert wire.receive(1) == [0]
    link.down(toward=b)
    wire.send(3)
    counted(link, b, blackholed=3)
    link.up(toward=b)
    wire.send(1)
    assert wire.receive(1) == [4]
    stats = link.stats(toward=b)
    assert (stats.blackholed, stats.queue_dropped) == (3, 0)
    assert link.means == "tbf"


def test_the_relay_takes_over_with_all_that_waits(
    lab: Lab, pair: tuple[Host, Host], ends: Any, exchange: Any
) -> None:
    a, b = pair
    link = lab.link(a, b, forward=SLOW, limit=5, **ADDRESSES)
    wire = ends()
    wire.send(20)
    assert wire.receive(1) == [0]
    counted(link, b, waiting=5, queue_dropped=14)
    rule = link.drop(nth=1, when=lambda packet: packet.payload[8] == 20, toward=b)
    assert link.means == "relay"
    assert wire.receive(5) == [1, 2, 3, 4, 5]
    assert link.impairments(b).rate == 80
    link.set(rate="100mbit")
    wire.send(2)
    assert wire.receive(1) == [21]
    assert rule.hits == 1
    stats = link.stats(toward=b)
    assert (stats.queue_dropped, stats.rule_dropped) == (14, 1)
    assert (stats.received, stats.delivered, stats.waiting) == (22, 7, 0)
    assert exchange(b, a) == b.address()


def test_what_the_kernel_cannot_do_is_refused_when_the_relay_is(lab: Lab, pair: tuple[Host, Host]) -> None:
    link = lab.link(*pair, rate="1mbit", relay=False)
    for refused in (lambda: link.set(loss=0.1), lambda: link.drop(nth=1), lambda: link.capture("x")):
        with pytest.raises(LabError, match="leave relay=False out"):
            refused()
    assert (link.means, link.impairments("b").loss) == ("tbf", 0)
    link.set(rate="2mbit")
    for words in ({"loss": 0.1}, {"seed": 1}, {"rate": "1bit"}):
        with pytest.raises(LabError, match="leave relay=False out"):
            lab.link(*pair, relay=False, **words)


def test_a_kernel_without_a_token_bucket_has_the_relay(
    lab: Lab, pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(*_: object) -> None:
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(qdisc, "shape", missing)
    assert lab.link(*pair, rate="1mbit").means == "relay"
    with pytest.raises(LabError, match="no token bucket"):
        lab.link(*pair, rate="1mbit", relay=False)


def disciplines() -> list[str]:
    with pyroute2.IPRoute() as ip:
        return [found.get_attr("TCA_KIND") for found in ip.get_qdiscs()]


def test_a_kernel_without_bridges_has_the_relay_and_no_bucket_beside_it(
    lab: Lab, pair: tuple[Host, Host], monkeypatch: pytest.MonkeyPatch
) -> None:
    link: Any = lab.link(*pair, rate="1mbit")
    assert link.namespace.run(disciplines).count("tbf") == 2

    def missing(*_: object) -> None:
        raise LabError("the kernel does not make a bridge: Operation not supported")

    monkeypatch.setattr(wiring, "add_bridge", missing)
    link = lab.link(*pair, rate="1mbit")
    assert link.means == "relay"
    assert "tbf" not in link.namespace.run(disciplines)

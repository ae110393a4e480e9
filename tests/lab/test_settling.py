"""What lab.link gives back is usable: the first packet arrives, in both families, whatever is between."""

from __future__ import annotations

import dataclasses
import ipaddress
from typing import TYPE_CHECKING

import pytest

from rawproto import Lab, LabError
from rawproto.lab import plan, settling, wiring
from rawproto.lab.wiring import Port
from rawproto.link.rtnetlink import RoutingSocket

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.lab import Host

pytestmark = pytest.mark.netns

ROUNDS = 8


def takes_what_is_sent_to_it(host: Host) -> bool:
    """Whether the kernel has the route of its own to each address of the host."""
    with host:
        routing = RoutingSocket()
    try:
        ways = [routing.route(ipaddress.ip_address(text).packed) for text in host.addresses()]
    finally:
        routing.close()
    return all(way is not None and not way.is_unicast for way in ways)


@pytest.mark.parametrize("relay", [False, True], ids=["veth", "relay"])
def test_addresses_are_usable_when_the_link_is_there(
    lab: Lab, relay: bool, exchange: Callable[..., str]
) -> None:
    for number in range(2 if relay else ROUNDS):
        a, b = lab.hosts(f"a{number}", f"b{number}")
        lab.link(a, b, relay=relay)
        assert takes_what_is_sent_to_it(a)
        assert takes_what_is_sent_to_it(b)
        assert exchange(a, b, 6) == a.address(6)
        assert exchange(b, a, 4) == b.address(4)


def test_many_addresses_are_all_usable(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    lab.link(a, b, a_addresses=[f"fd09::{n:x}/64" for n in range(1, 40)], b_addresses=["fd09::ffff/64"])
    assert takes_what_is_sent_to_it(a)


def test_a_switch_forwards_the_first_packet(lab: Lab, exchange: Callable[..., str]) -> None:
    switch = lab.switch("s")
    hosts = lab.hosts("a", "b", "c")
    for host in hosts:
        lab.link(host, switch)
        assert takes_what_is_sent_to_it(host)
    assert exchange(hosts[0], hosts[2], 6) == hosts[0].address(6)


def test_a_router_passes_on_the_first_packet(lab: Lab, exchange: Callable[..., str]) -> None:
    a, b = lab.hosts("a", "b")
    router = lab.router("r")
    lab.link(a, router)
    lab.link(router, b)
    assert takes_what_is_sent_to_it(router)
    assert exchange(a, b, 6) == a.address(6)
    assert exchange(b, a, 4) == b.address(4)


def test_a_cable_put_in_again_is_usable(lab: Lab, exchange: Callable[..., str]) -> None:
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b)
    for _ in range(ROUNDS):
        link.down()
        link.up()
        assert takes_what_is_sent_to_it(a)
    assert exchange(b, a, 6) == b.address(6)


def half_open_cable(a: Host, b: Host) -> tuple[Port, Port]:
    """A cable whose far end is down still, so that the near end has no carrier."""
    near = Port(a.namespace, "half0", plan.mac_for(99, 1))
    far = Port(b.namespace, "half1", plan.mac_for(99, 2))
    wiring.connect(near, far, 1500)
    wiring.configure(near, offloads=True)
    return near, far


def test_what_never_comes_is_named(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settling, "PATIENCE", 0.05)
    a, b = lab.hosts("a", "b")
    link = lab.link(a, b)
    stray = dataclasses.replace(link.a_port, addresses=(ipaddress.ip_interface("fd77::1/64"),))
    with pytest.raises(LabError, match="no local route to fd77::1"):
        settling.settle(stray)
    near, _ = half_open_cable(a, b)
    with pytest.raises(LabError, match=r"half0 is not usable .* no carrier"):
        settling.settle(near)
    wiring.remove(near)
    with pytest.raises(LabError, match="no such interface"):
        settling.settle(near)


def test_it_waits_for_what_comes_later(lab: Lab) -> None:
    a, b = lab.hosts("a", "b")
    near, far = half_open_cable(a, b)
    asked: list[str | None] = []

    def missing() -> str | None:
        """The first question finds no carrier, and only then does the far end come up."""
        asked.append(settling._missing(near))
        if len(asked) == 1:
            wiring.set_up(far, True)
        return asked[-1]

    a.namespace.run(lambda: settling._wait(missing, near.name))
    assert asked[0] == "no carrier"
    assert asked[-1] is None

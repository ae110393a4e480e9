"""Routers, switches, and topologies as data."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rawproto import ConfigError, IPAddr, Lab, LabError, Simulation
from rawproto.lab import Topology

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_a_switch_joins_its_hosts_in_one_network(
    lab: Lab, version: int, exchange: Callable[..., str]
) -> None:
    switch = lab.switch("s")
    hosts = lab.hosts("a", "b", "c")
    lab.link(hosts[0], switch)
    lab.link(switch, hosts[1], delay="1ms", seed=1)
    lab.link(hosts[2], switch)
    assert [host.address() for host in hosts] == ["10.128.0.1", "10.128.0.2", "10.128.0.3"]
    for near in hosts:
        for far in hosts:
            if near is not far:
                assert exchange(near, far, version) == near.address(version)


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_routers_pass_on(lab: Lab, version: int, exchange: Callable[..., str]) -> None:
    a, b = lab.hosts("a", "b")
    one, two = lab.router("r1"), lab.router("r2")
    switch = lab.switch("s")
    lab.link(a, one)
    lab.link(one, switch)
    lab.link(switch, two)
    link = lab.link(two, b, seed=1)
    assert exchange(a, b, version) == a.address(version)
    assert exchange(b, a, version) == b.address(version)
    assert link.stats(toward=b).delivered == 2


@pytest.mark.netns
def test_names_mean_one_thing(lab: Lab) -> None:
    lab.host("a")
    with pytest.raises(LabError, match="no switch"):
        lab.switch("a")
    assert lab.router("r") is lab.host("r")


@pytest.mark.netns
@pytest.mark.parametrize("mtu", [1, 1 << 20])
def test_what_the_kernel_refuses_is_an_error_of_the_lab(lab: Lab, mtu: int) -> None:
    with pytest.raises(
        LabError, match=f"the kernel does not make a cable with an MTU of {mtu} bytes: Invalid"
    ):
        lab.link(*lab.hosts("a", "b"), device_mtu=mtu)


TEXT = """
hosts = ["alone"]
routers = ["r"]
switches = ["s"]

[[link]]
ends = ["a", "r"]
delay = "2ms"
seed = 7
forward = { loss = 0.5 }

[[link]]
ends = ["r", "s"]

[[link]]
ends = ["s", "b"]
rate = "1mbit"
"""


@pytest.mark.netns
def test_one_text_builds_a_lab(lab: Lab, exchange: Callable[..., str]) -> None:
    made = Topology.parse(TEXT).build(lab)
    assert sorted(made) == ["a", "alone", "b", "r", "s"]
    assert exchange(made["b"], made["r"], 4) == made["b"].address()


def test_the_same_text_builds_a_simulation(simulation: Simulation) -> None:
    made = Topology.parse(TEXT).build(simulation)
    first, _, last = simulation.links
    assert (first.seed, first.impairments("r").loss, first.impairments("a").loss) == (7, 0.5, 0)
    assert last.impairments("b").rate == 10**6
    assert simulation.next_link(made["a"], made["b"].ip4) is first
    assert made["b"].address().rsplit(".", 1)[0] == made["r"].addresses()[2].rsplit(".", 1)[0]
    assert IPAddr(made["b"].ip6).ip.version == 6


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[link]", "no TOML"),
        ("router = []", "router"),
        ("hosts = 'a'", "list of names"),
        ("[[link]]\nends = ['a']", "link 1"),
        ("[[link]]\nends = ['a', 'a']", "two different"),
    ],
)
def test_bad_topologies_are_refused(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Topology.parse(text)


def test_a_topology_is_read_from_a_file(tmp_path: Path, simulation: Simulation) -> None:
    (tmp_path / "net.toml").write_text("[[link]]\nends = ['a', 'b']\nlosses = 0.1")
    with pytest.raises(ConfigError, match="losses"):
        Topology.read(tmp_path / "net.toml").build(simulation)

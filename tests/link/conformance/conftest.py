"""The links under test: each kind is a factory of ends that reach one another by address."""

import dataclasses

import pytest

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.link.memory import MemoryNetwork
from rawproto.link.raw import RawLink
from rawproto.link.udp import UDPLink

HOSTS = {4: ("127.0.0.1", "127.0.0.2", "127.0.0.3"), 6: ("fd00::1", "fd00::2", "::1")}
ABSENT = {4: "127.0.0.9", 6: "fd00::9"}


@dataclasses.dataclass
class Kind:
    """One kind of link.

    ``open(n)`` makes end n (0 to 2); ``absent`` is an address of this host where nothing answers; ``other_family``
    is an address that the link cannot reach, or None; ``small(n)`` is an end with little room to receive;
    ``segments`` is how many datagrams the kernel may count as one drop.
    """

    name: str
    open: object
    small: object
    absent: object
    other_family: object = None
    segments: int = 1


def memory_kind():
    network = MemoryNetwork()
    addresses = [IPAddr(IP(f"192.0.2.{n + 1}")) for n in range(3)]
    network.link(IPAddr(IP("192.0.2.9"))).close()
    return Kind(
        "memory",
        lambda n: network.link(addresses[n]),
        lambda n: network.link(addresses[n], queue=20),
        IPAddr(IP("192.0.2.9")),
    )


def raw_kind(version):
    def make(n, **options):
        return RawLink(253, version=version, local=IPAddr(IP(HOSTS[version][n])), **options)

    return Kind(
        f"raw{version}",
        make,
        lambda n: make(n, receive_buffer=1),
        IPAddr(IP(ABSENT[version])),
        IPAddr(IP(HOSTS[10 - version][0])),
    )


def udp_kind(version, *, offload):
    def make(n, **options):
        return UDPLink(UDPAddr(IP(HOSTS[version][n]), 0), offload=offload, **options)

    return Kind(
        f"udp{version}",
        make,
        lambda n: make(n, receive_buffer=1),
        UDPAddr(IP(ABSENT[version]), 9),
        UDPAddr(IP(HOSTS[10 - version][0]), 9),
        segments=64 if offload else 1,
    )


KINDS = {
    "memory": memory_kind,
    "raw4": lambda: raw_kind(4),
    "raw6": lambda: raw_kind(6),
    "udp4": lambda: udp_kind(4, offload=True),
    "udp6": lambda: udp_kind(6, offload=True),
    "udp4-plain": lambda: udp_kind(4, offload=False),
    "udp6-plain": lambda: udp_kind(6, offload=False),
}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.netns) for name in KINDS])
def kind(request, namespace):
    return KINDS[request.param]()


@pytest.fixture
def ends(kind):
    """Two open ends."""
    with kind.open(0) as one, kind.open(1) as other:
        yield one, other

"""The links under test: each kind is a factory of ends that reach one another by address."""

import dataclasses

import pytest

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.errors import OpError
from rawproto.link.memory import MemoryNetwork
from rawproto.link.packet import PacketLink
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


# Two hosts on a veth pair; each has an address more: a for a third end, b for one where nothing answers.
WIRED = {4: ("10.9.0.1", "10.9.0.2", "10.9.0.3", "10.9.0.9"), 6: ("fd09::1", "fd09::2", "fd09::3", "fd09::9")}


def wired_kind(lab, version, make, segments=1):
    """A kind whose ends are on two hosts: 0 and 2 on one, 1 on the other."""
    a, b = lab.hosts("a", "b")
    subnet = {4: "/24", 6: "/64"}
    lab.link(
        a,
        b,
        a_addresses=[WIRED[v][n] + subnet[v] for v in (4, 6) for n in (0, 2)],
        b_addresses=[WIRED[v][n] + subnet[v] for v in (4, 6) for n in (1, 3)],
    )

    def open_end(n, **options):
        with (a, b, a)[n]:
            return make(IP(WIRED[version][n]), **options)

    absent, foreign = IP(WIRED[version][3]), IP(WIRED[10 - version][1])
    is_udp = make is udp_end
    return Kind(
        f"wired{version}",
        open_end,
        lambda n: open_end(n, receive_buffer=1),
        UDPAddr(absent, 9) if is_udp else IPAddr(absent),
        UDPAddr(foreign, 9) if is_udp else IPAddr(foreign),
        segments=segments,
    )


def udp_end(ip, **options):
    return UDPLink(UDPAddr(ip, 0), **options)


def raw_end(ip, **options):
    return RawLink(253, version=4 if len(ip) == 4 else 6, local=IPAddr(ip), **options)


def packet_end(ip, **options):
    return PacketLink(253, local=IPAddr(ip), **options)


def exclusive_end(ip, **options):
    try:
        return packet_end(ip, exclusive=True, **options)
    except OpError as error:
        pytest.skip(str(error))


KINDS = {
    "memory": memory_kind,
    "raw4": lambda: raw_kind(4),
    "raw6": lambda: raw_kind(6),
    "udp4": lambda: udp_kind(4, offload=True),
    "udp6": lambda: udp_kind(6, offload=True),
    "udp4-plain": lambda: udp_kind(4, offload=False),
    "udp6-plain": lambda: udp_kind(6, offload=False),
}
WIRED_KINDS = {
    "raw4-veth": lambda lab: wired_kind(lab, 4, raw_end),
    "raw6-veth": lambda lab: wired_kind(lab, 6, raw_end),
    "udp4-veth": lambda lab: wired_kind(lab, 4, udp_end, 64),
    "udp6-veth": lambda lab: wired_kind(lab, 6, udp_end, 64),
    "packet4-veth": lambda lab: wired_kind(lab, 4, packet_end),
    "packet6-veth": lambda lab: wired_kind(lab, 6, packet_end),
    "exclusive4-veth": lambda lab: wired_kind(lab, 4, exclusive_end),
    "exclusive6-veth": lambda lab: wired_kind(lab, 6, exclusive_end),
}


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.netns) for name in (*KINDS, *WIRED_KINDS)])
def kind(request, one_processor):
    if request.param in WIRED_KINDS:
        return WIRED_KINDS[request.param](request.getfixturevalue("lab"))
    request.getfixturevalue("namespace")
    return KINDS[request.param]()


@pytest.fixture
def ends(kind):
    """Two open ends."""
    with kind.open(0) as one, kind.open(1) as other:
        yield one, other

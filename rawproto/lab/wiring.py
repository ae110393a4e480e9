"""Interfaces, addresses, neighbours and routes of the lab's namespaces, by netlink (pyroute2); no `ip` binary.

Everything here runs in the resident thread of the namespace it changes, and leaves nothing running there.

Addresses come without duplicate address detection (``IFA_F_NODAD``; for what the kernel still does in the background
:mod:`rawproto.lab.settling` waits), and interfaces make no link-local address of their own
(``IFLA_INET6_ADDR_GEN_MODE`` none) and solicit no routers. The two ends of a link know each other's hardware address
for good, so no ARP or neighbour discovery comes between the packets of a test.
"""

from __future__ import annotations

import contextlib
import dataclasses
import fcntl
import ipaddress
import os
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from rawproto.lab.netns import Namespace

__all__ = [
    "Port",
    "add_bridge",
    "add_neighbour",
    "add_route",
    "allow_forwarding",
    "configure",
    "connect",
    "counters",
    "enslave",
    "loopback_up",
    "remove",
    "restore",
    "set_up",
]

Interface = ipaddress.IPv4Interface | ipaddress.IPv6Interface

IFA_F_NODAD = 0x02  # include/uapi/linux/if_addr.h
IN6_ADDR_GEN_MODE_NONE = 1  # include/uapi/linux/if_link.h

# include/uapi/linux/sockios.h, include/uapi/linux/ethtool.h
SIOCETHTOOL = 0x8946
ETHTOOL_SRXCSUM, ETHTOOL_STXCSUM, ETHTOOL_SSG, ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO = (
    0x15,
    0x17,
    0x19,
    0x1F,
    0x24,
    0x2C,
)
# TSO before the transmit checksum it needs.
_OFFLOADS = (ETHTOOL_STSO, ETHTOOL_SGSO, ETHTOOL_SGRO, ETHTOOL_STXCSUM, ETHTOOL_SSG)


@dataclasses.dataclass(frozen=True, slots=True)
class Port:
    """One end of a cable: an interface of a namespace.

    Attributes:
        namespace: where the interface lives.
        name: its name there, such as "eth0".
        mac: its hardware address, "02:...".
        addresses: its addresses with their networks; empty for the relay's ends.
    """

    namespace: Namespace
    name: str
    mac: str
    addresses: tuple[Interface, ...] = ()


@contextlib.contextmanager
def _netlink(purpose: str) -> Iterator[Any]:
    """Talk to the kernel in the calling thread's network namespace; what it refuses is told with the purpose."""
    # Loading pyroute2 takes a fifth of a second, so it waits for the first lab.
    from pyroute2 import IPRoute
    from pyroute2.netlink.exceptions import NetlinkError

    with IPRoute() as ip:
        try:
            yield ip
        except NetlinkError as error:
            raise LabError(f"the kernel does not {purpose}: {os.strerror(error.code)}") from error


def _index(ip: Any, name: str) -> int:
    found: list[int] = list(ip.link_lookup(ifname=name))
    if not found:
        raise LabError(f"there is no interface {name} here")
    return found[0]


def loopback_up(namespace: Namespace) -> None:
    """Bring the loopback interface up, with its 127.0.0.1 and ::1."""

    def work() -> None:
        with _netlink(f"bring up lo of {namespace.name}") as ip:
            ip.link("set", index=_index(ip, "lo"), state="up")

    namespace.run(work)


def connect(one: Port, other: Port, mtu: int) -> None:
    """Make a veth pair between two namespaces; both ends are still down."""

    def work() -> None:
        with _netlink(f"make a cable with an MTU of {mtu} bytes") as ip:
            ip.link(
                "add",
                ifname=one.name,
                kind="veth",
                address=one.mac,
                mtu=mtu,
                peer={
                    "ifname": other.name,
                    "net_ns_fd": other.namespace.fileno(),
                    "address": other.mac,
                    "mtu": mtu,
                },
            )

    one.namespace.run(work)


def configure(port: Port, *, offloads: bool) -> None:
    """Give an interface its addresses and bring it up.

    Args:
        port: which, and with which addresses.
        offloads: leave segmentation and checksum offload on. Off means that every packet on the cable is complete
            and no longer than the MTU, which a relay needs; on is faster between two kernels.
    """

    def work() -> None:
        if not offloads:
            _offloads_off(port.name)
        with _netlink(f"bring up {port.name} of {port.namespace.name}") as ip:
            index = _index(ip, port.name)
            no_link_local = ["IFLA_INET6_ADDR_GEN_MODE", IN6_ADDR_GEN_MODE_NONE]
            ip.link(
                "set",
                index=index,
                IFLA_AF_SPEC={"attrs": [["AF_INET6", {"attrs": [no_link_local]}]]},
            )
            _solicit_no_routers(port.name)
            ip.link("set", index=index, state="up")
            _add_addresses(ip, index, port)

    port.namespace.run(work)


def _solicit_no_routers(name: str) -> None:
    # Where this cannot be written, as in some containers, three packets more pass on a link.
    with contextlib.suppress(OSError):
        Path(f"/proc/sys/net/ipv6/conf/{name}/router_solicitations").write_text("0", encoding="ascii")


def _add_addresses(ip: Any, index: int, port: Port) -> None:
    for address in port.addresses:
        flags = {"flags": IFA_F_NODAD} if address.version == 6 else {}
        length = address.network.prefixlen
        ip.addr("replace", index=index, address=str(address.ip), prefixlen=length, **flags)


def add_bridge(namespace: Namespace, name: str) -> None:
    """Make a bridge that learns and forwards at once, without spanning tree or packets of its own."""

    def work() -> None:
        with _netlink(f"make a bridge in {namespace.name}") as ip:
            ip.link(
                "add", ifname=name, kind="bridge", br_stp_state=0, br_forward_delay=0, br_mcast_snooping=0
            )
            index = _index(ip, name)
            no_link_local = ["IFLA_INET6_ADDR_GEN_MODE", IN6_ADDR_GEN_MODE_NONE]
            ip.link("set", index=index, IFLA_AF_SPEC={"attrs": [["AF_INET6", {"attrs": [no_link_local]}]]})
            ip.link("set", index=index, state="up")

    namespace.run(work)


def enslave(port: Port, bridge: str) -> None:
    """Make an interface a port of a bridge."""

    def work() -> None:
        with _netlink(f"put {port.name} of {port.namespace.name} into a bridge") as ip:
            ip.link("set", index=_index(ip, port.name), master=_index(ip, bridge))

    port.namespace.run(work)


def set_up(port: Port, up: bool) -> None:
    """Bring an interface up or down."""

    def work() -> None:
        with _netlink(f"set {port.name} of {port.namespace.name} {'up' if up else 'down'}") as ip:
            ip.link("set", index=_index(ip, port.name), state="up" if up else "down")

    port.namespace.run(work)


def restore(port: Port) -> None:
    """Give an interface the IPv6 addresses again that the kernel took from it when it went down."""

    def work() -> None:
        with _netlink(f"give {port.name} of {port.namespace.name} its addresses") as ip:
            _add_addresses(ip, _index(ip, port.name), port)

    port.namespace.run(work)


def counters(port: Port) -> dict[str, int]:
    """The kernel's counters of an interface: ``rx_packets``, ``tx_bytes`` and so on (struct rtnl_link_stats64)."""

    def work() -> dict[str, int]:
        with _netlink(f"tell the counters of {port.name} of {port.namespace.name}") as ip:
            (link,) = ip.get_links(_index(ip, port.name))
            return dict(link.get_attr("IFLA_STATS64"))

    return port.namespace.run(work)


def add_neighbour(port: Port, addresses: Iterable[str], mac: str) -> None:
    """Write down for good that ``addresses`` are reached at hardware address ``mac`` on this interface."""

    def work() -> None:
        with _netlink(f"take neighbours of {port.name} of {port.namespace.name}") as ip:
            index = _index(ip, port.name)
            for address in addresses:
                ip.neigh("replace", dst=address, lladdr=mac, ifindex=index, state="permanent")

    port.namespace.run(work)


def add_route(namespace: Namespace, destination: str, gateway: str) -> None:
    """Send what goes to ``destination`` (a network in CIDR form, or "default") by ``gateway``."""

    def work() -> None:
        version = ipaddress.ip_address(gateway).version
        family = socket.AF_INET if version == 4 else socket.AF_INET6
        with _netlink(f"send {destination} by {gateway} from {namespace.name}") as ip:
            ip.route("replace", dst=destination, gateway=gateway, family=family)

    namespace.run(work)


def remove(port: Port) -> None:
    """Take an interface (and with it its peer) away; one that is gone already is no error."""

    def work() -> None:
        with _netlink(f"remove {port.name} of {port.namespace.name}") as ip:
            for index in ip.link_lookup(ifname=port.name):
                ip.link("del", index=index)

    port.namespace.run(work)


def allow_forwarding(namespace: Namespace) -> None:
    """Let the namespace pass packets on between its interfaces, IPv4 and IPv6."""

    def work() -> None:
        # /proc/sys/net shows each thread the settings of its own network namespace.
        for setting in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
            path = Path("/proc/sys/net") / setting
            try:
                path.write_text("1", encoding="ascii")
            except OSError as error:
                raise LabError(f"cannot make {namespace.name} a router: {path}: {error.strerror}") from error

    namespace.run(work)


def _offloads_off(name: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for command in _OFFLOADS:
            value = bytearray(struct.pack("II", command, 0))
            address = struct.pack("16sP16x", name.encode("ascii"), _address_of(value))
            fcntl.ioctl(control, SIOCETHTOOL, address)


def _address_of(buffer: bytearray) -> int:
    import ctypes

    return ctypes.addressof((ctypes.c_char * len(buffer)).from_buffer(buffer))

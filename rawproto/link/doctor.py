"""Why sending raw IP would fail here, and how to mend it.

Each check looks at one thing and tells what it found; none changes anything. Paths under ``/proc/sys/net`` and
``/proc/thread-self/net`` show the network namespace of the calling thread.
"""

from __future__ import annotations

import errno
import select
import socket
from typing import TYPE_CHECKING, Final

from rawproto.addr import IP, IPAddr
from rawproto.errors import OpError, PrivilegeError
from rawproto.link import hostchecks
from rawproto.link.findings import Finding, Question, State
from rawproto.link.interfaces import Interfaces
from rawproto.link.privilege import has_capability, ways_to
from rawproto.link.probe import PathProbe
from rawproto.link.raw import RawLink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Finding", "Question", "State", "examine"]

# Protocols that Linux handles itself when the module is there (net/ipv4, net/sctp); it answers for them.
_OWNED: Final = {
    1: "ICMP", 2: "IGMP", 4: "IP in IP", 6: "TCP", 17: "UDP", 33: "DCCP", 41: "IPv6 in IP", 47: "GRE", 50: "ESP",
    51: "AH", 58: "ICMPv6", 103: "PIM", 108: "IPComp", 115: "L2TP", 132: "SCTP", 136: "UDP-Lite",
}  # fmt: skip
_PATIENCE: Final = 2.0  # seconds for a datagram to ourselves; a busy host may take long to deliver it
_LOWEST_MTU: Final = {4: 576, 6: 1280}  # RFC 1122 section 3.3.3; RFC 8200 section 5


def examine(question: Question | None = None) -> list[Finding]:
    """Run every check for ``question`` (protocol 253 over IPv4 when None), in order."""
    asked = question or Question()
    return [finding for check in _CHECKS for finding in check(asked)]


def _capability(question: Question) -> Iterator[Finding]:
    if has_capability("CAP_NET_RAW"):
        yield Finding(
            "capability", State.FINE, "CAP_NET_RAW is in effect: raw and packet sockets can be opened"
        )
    else:
        yield Finding("capability", State.PROBLEM, "CAP_NET_RAW is missing", ways_to("CAP_NET_RAW"))


def _opening(question: Question) -> Iterator[Finding]:
    """Open a socket in earnest and send to ourselves: what security modules and firewalls do shows only so."""
    name = f"ip{question.version}:{question.protocol}"
    here = IPAddr(IP("127.0.0.1" if question.version == 4 else "::1"))
    try:
        with RawLink(question.protocol, version=question.version, local=here) as link:
            link.socket.sendto(b"rawproto doctor", here.sockaddr(question.version))
            if select.select([link], [], [], _PATIENCE)[0]:
                yield Finding("loopback", State.FINE, f"a datagram of {name} to {here} arrives")
            else:
                mend = (
                    "set the loopback interface up: ip link set lo up",
                    "look for a rule that drops: nft list ruleset",
                )
                yield Finding(
                    "loopback", State.PROBLEM, f"a datagram of {name} to {here} does not arrive", mend
                )
    except PrivilegeError:
        pass  # the check of the capability says so
    except OSError as error:
        yield Finding("loopback", State.PROBLEM, f"sending {name} to {here} fails: {error}", _mend(error))


def _mend(error: OSError) -> tuple[str, ...]:
    if error.errno == errno.EPERM:
        return ("a firewall's output rule refuses it; find it with: nft list ruleset, or iptables-save",)
    if error.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL):
        return (
            "set the interface up and give it an address: ip link set DEVICE up; ip address add ...",
            "ip route",
        )
    if error.errno == errno.EAFNOSUPPORT:
        return ("the kernel runs without IPv6 (ipv6.disable=1); boot with it or use IPv4",)
    return ()


def _owner(question: Question) -> Iterator[Finding]:
    owner = _OWNED.get(question.protocol)
    if owner is not None:
        text = f"protocol {question.protocol} is {owner}, which the kernel handles and answers too"
        yield Finding("protocol", State.NOTICE, text, ("experiment with protocols 253 and 254 (RFC 3692)",))
    else:
        yield Finding("protocol", State.FINE, f"the kernel leaves protocol {question.protocol} to us")
    sharing = _raw_sockets(question)
    if sharing:
        text = f"{sharing} raw socket(s) of protocol {question.protocol} are open: each gets a copy of every datagram"
        yield Finding(
            "protocol", State.NOTICE, text, ("give each socket a filter: Header.filter(field=value)",)
        )


def _raw_sockets(question: Question) -> int:
    """Raw sockets of the protocol that are open in this namespace, by anybody."""
    name = "raw" if question.version == 4 else "raw6"
    lines = hostchecks.read_setting(f"/proc/thread-self/net/{name}").splitlines()[1:]
    return sum(line.split()[1].endswith(f":{question.protocol:04X}") for line in lines)


def _route(question: Question) -> Iterator[Finding]:
    """The way to the destination: route, MTU and what an outgoing firewall says."""
    destination = question.destination
    if destination is None:
        return
    probe = PathProbe(question.version)
    try:
        mtu = probe.mtu(destination.sockaddr(question.version), destination)
    except OpError as error:
        yield Finding(
            "route", State.PROBLEM, f"there is no route to {destination}: {error.reason}", _mend(error)
        )
        return
    finally:
        probe.close()
    lowest = _LOWEST_MTU[question.version]
    if mtu < lowest:
        mend = (f"raise it: ip link set DEVICE mtu {lowest} or more",)
        yield Finding(
            "mtu",
            State.PROBLEM,
            f"the MTU to {destination} is {mtu}, less than IPv{question.version} needs",
            mend,
        )
    else:
        yield Finding(
            "mtu",
            State.FINE,
            f"the MTU to {destination} is {mtu}: {mtu - 20} bytes above IPv4, {mtu - 40} above IPv6",
        )
    try:
        with RawLink(question.protocol, version=question.version) as link:
            link.socket.sendto(b"", destination.sockaddr(question.version))
        yield Finding("send", State.FINE, f"the kernel takes a datagram to {destination}")
    except PrivilegeError:
        pass
    except OSError as error:
        yield Finding("send", State.PROBLEM, f"a datagram to {destination} is refused: {error}", _mend(error))


def _interfaces(question: Question) -> Iterator[Finding]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        interfaces = Interfaces(sock.fileno())
        small = []
        for _, name in socket.if_nameindex():
            mtu = interfaces.mtu(name)
            if mtu < _LOWEST_MTU[question.version]:
                small.append(f"{name} ({mtu})")
    if small:
        text = f"the MTU is below IPv{question.version}'s least on: {', '.join(small)}"
        yield Finding("mtu", State.NOTICE, text, ("raise it: ip link set DEVICE mtu 1500",))


_CHECKS: Final[tuple[Callable[[Question], Iterator[Finding]], ...]] = (
    _capability,
    _opening,
    _owner,
    _route,
    _interfaces,
    hostchecks.reverse_path,
    hostchecks.firewall,
    hostchecks.ping_group,
    hostchecks.netem,
    hostchecks.user_namespaces,
    hostchecks.buffers,
)

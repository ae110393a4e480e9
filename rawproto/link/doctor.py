"""Why sending raw IP would fail here, and how to mend it.

Each check looks at one thing and tells what it found; none changes anything. Paths under ``/proc/sys/net`` and
``/proc/thread-self/net`` show the network namespace of the calling thread.
"""

from __future__ import annotations

import dataclasses
import enum
import errno
import gzip
import json
import os
import pathlib
import select
import shutil
import socket
import subprocess
from typing import TYPE_CHECKING, Final

from rawproto.addr import IP, IPAddr
from rawproto.errors import OpError, PrivilegeError
from rawproto.link.linux import Interfaces
from rawproto.link.privilege import has_capability, ways_to
from rawproto.link.probe import PathProbe
from rawproto.link.raw import RawLink
from rawproto.link.socketlink import RECEIVE_BUFFER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Finding", "Question", "State", "examine"]

# Protocols that Linux handles itself when the module is there (net/ipv4, net/sctp); it answers for them.
_OWNED: Final = {
    1: "ICMP", 2: "IGMP", 4: "IP in IP", 6: "TCP", 17: "UDP", 33: "DCCP", 41: "IPv6 in IP", 47: "GRE", 50: "ESP",
    51: "AH", 58: "ICMPv6", 103: "PIM", 108: "IPComp", 115: "L2TP", 132: "SCTP", 136: "UDP-Lite",
}  # fmt: skip
_LOWEST_MTU: Final = {4: 576, 6: 1280}  # RFC 1122 section 3.3.3; RFC 8200 section 5
_TIMEOUT: Final = 5.0


class State(enum.Enum):
    """What a finding means."""

    FINE = "fine"
    NOTICE = "notice"
    """Something to know; it may matter or not."""
    PROBLEM = "problem"
    """Sending or receiving fails because of it."""


@dataclasses.dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: name of the check.
        state: how bad it is.
        text: what was found, in a sentence.
        mend: what to do about it, one way each; empty when nothing is to be done.
    """

    check: str
    state: State
    text: str
    mend: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True, slots=True)
class Question:
    """What somebody wants to do.

    Attributes:
        protocol: IP protocol number.
        version: 4 or 6.
        destination: where to, or None; only with one are routes looked at and one empty datagram sent there.
    """

    protocol: int = 253
    version: int = 4
    destination: IPAddr | None = None


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
            if select.select([link], [], [], 0.5)[0]:
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
    lines = _read(f"/proc/thread-self/net/{name}").splitlines()[1:]
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


def _reverse_path(question: Question) -> Iterator[Finding]:
    """Strict reverse path filtering (RFC 3704) drops what comes in by another way than answers would go."""
    if question.version == 6:
        return
    conf = pathlib.Path("/proc/sys/net/ipv4/conf")
    strict_everywhere = _read(conf / "all/rp_filter").strip() == "1"
    names = sorted(path.name for path in conf.iterdir()) if conf.is_dir() else []
    strict = [
        name
        for name in names
        if name not in ("all", "default", "lo")
        and (
            _read(conf / name / "rp_filter").strip() == "1"
            or (strict_everywhere and _read(conf / name / "rp_filter").strip() == "0")
        )
    ]
    if strict:
        text = f"strict reverse path filtering on {', '.join(strict)}: what comes by another way is dropped"
        yield Finding(
            "rp_filter", State.NOTICE, text, ("with several ways: sysctl -w net.ipv4.conf.all.rp_filter=2",)
        )
    else:
        yield Finding("rp_filter", State.FINE, "reverse path filtering is off or loose")


def _firewall(question: Question) -> Iterator[Finding]:
    """Rules of nftables (and of iptables, which is nftables today) that drop or reject."""
    program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if program is None:
        yield Finding("firewall", State.NOTICE, "nft is not installed, so rules cannot be looked at")
        return
    try:
        done = subprocess.run(  # noqa: S603 - a fixed command
            [program, "-j", "list", "ruleset"], capture_output=True, timeout=_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        yield Finding("firewall", State.NOTICE, f"rules cannot be looked at: {error}")
        return
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        yield Finding(
            "firewall",
            State.NOTICE,
            f"rules cannot be looked at: {reason[0] if reason else 'no reason given'}",
        )
        return
    dropping = _dropping_chains(done.stdout)
    if dropping:
        text = f"firewall chains that drop or reject: {', '.join(dropping)}"
        mend = (f"see whether they take protocol {question.protocol}: nft list ruleset",)
        yield Finding("firewall", State.NOTICE, text, mend)
    else:
        yield Finding("firewall", State.FINE, "no firewall rule drops or rejects")


def _dropping_chains(ruleset: bytes) -> list[str]:
    """Names of the chains of a ruleset in nft's JSON that can drop or reject, by a rule or by their policy."""
    chains: dict[str, None] = {}
    try:
        items = json.loads(ruleset or b"{}").get("nftables", [])
    except ValueError:
        return []
    for item in items:
        chain, rule = item.get("chain", {}), item.get("rule", {})
        if chain.get("policy") == "drop":
            chains[f"{chain['table']} {chain['name']}"] = None
        if any("drop" in part or "reject" in part for part in rule.get("expr", [])):
            chains[f"{rule['table']} {rule['chain']}"] = None
    return list(chains)


def _ping_group(question: Question) -> Iterator[Finding]:
    """Who may ping without any privilege, on ICMP datagram sockets (icmp(7))."""
    words = _read("/proc/sys/net/ipv4/ping_group_range").split()
    if len(words) != 2:
        return
    low, high = map(int, words)
    groups = {os.getegid(), *os.getgroups()}
    if any(low <= group <= high for group in groups):
        yield Finding(
            "ping_group_range", State.FINE, f"groups {low} to {high}, ours among them, may ping unprivileged"
        )
    else:
        text = f"net.ipv4.ping_group_range is {low} {high}: our groups cannot ping without CAP_NET_RAW"
        yield Finding(
            "ping_group_range", State.NOTICE, text, ('sysctl -w net.ipv4.ping_group_range="0 2147483647"',)
        )


def _netem(question: Question) -> Iterator[Finding]:
    """The kernel's network emulator, which the lab uses where it is there."""
    if pathlib.Path("/sys/module/sch_netem").exists() or _configured("CONFIG_NET_SCH_NETEM"):
        yield Finding("netem", State.FINE, "the kernel has netem")
    else:
        text = "no sign of netem in the kernel; the lab delays and loses in user space instead"
        yield Finding(
            "netem", State.NOTICE, text, ("modprobe sch_netem, or install the distribution's extra modules",)
        )


def _configured(option: str) -> bool:
    """Whether the running kernel was built with ``option``, or has it as a module on disk."""
    release = os.uname().release
    texts = [_read(f"/boot/config-{release}")]
    try:
        texts.append(gzip.decompress(pathlib.Path("/proc/config.gz").read_bytes()).decode())
    except (OSError, EOFError):
        pass
    return any(f"\n{option}={how}\n" in text for text in texts for how in "ym")


def _user_namespaces(question: Question) -> Iterator[Finding]:
    """Whether ordinary users can have network namespaces of their own (user_namespaces(7))."""
    closed = (
        ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
        ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
        (
            "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with userns",
        ),
    )
    found = [(path, mend) for path, value, mend in closed if _read(path).strip() == value]
    for path, mend in found:
        name = path.removeprefix("/proc/sys/").replace("/", ".")
        text = f"{name} keeps ordinary users from user namespaces: the lab needs root"
        yield Finding("user namespaces", State.NOTICE, text, (mend,))
    if not found:
        yield Finding(
            "user namespaces", State.FINE, "ordinary users can have network namespaces of their own"
        )


def _buffers(question: Question) -> Iterator[Finding]:
    """The receive buffer that is granted without CAP_NET_ADMIN."""
    limit = _read("/proc/sys/net/core/rmem_max").strip()
    if not limit.isdecimal() or has_capability("CAP_NET_ADMIN") or int(limit) >= RECEIVE_BUFFER:
        return
    text = f"net.core.rmem_max is {limit} bytes: bursts above that are lost (links ask for {RECEIVE_BUFFER})"
    yield Finding("buffers", State.NOTICE, text, (f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER}",))


def _read(path: str | pathlib.Path) -> str:
    """The text of a file of the kernel's, "" when it cannot be read."""
    try:
        return pathlib.Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        return ""


_CHECKS: Final[tuple[Callable[[Question], Iterator[Finding]], ...]] = (
    _capability,
    _opening,
    _owner,
    _route,
    _interfaces,
    _reverse_path,
    _firewall,
    _ping_group,
    _netem,
    _user_namespaces,
    _buffers,
)

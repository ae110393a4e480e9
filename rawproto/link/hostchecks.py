"""The doctor's checks of how the host is set up: sysctls, firewall, kernel modules, user namespaces."""

from __future__ import annotations

import gzip
import json
import os
import pathlib
import shutil
import subprocess
from typing import TYPE_CHECKING, Final

from rawproto.link.findings import Finding, Question, State
from rawproto.link.privilege import has_capability
from rawproto.link.socketlink import RECEIVE_BUFFER

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "buffers",
    "firewall",
    "netem",
    "ping_group",
    "read_setting",
    "reverse_path",
    "user_namespaces",
]

_TIMEOUT: Final = 20.0  # seconds for nft; on a busy host programs take long to start


def reverse_path(question: Question) -> Iterator[Finding]:
    """Strict reverse path filtering (RFC 3704) drops what comes in by another way than answers would go."""
    if question.version == 6:
        return
    conf = pathlib.Path("/proc/sys/net/ipv4/conf")
    everywhere = read_setting(conf / "all/rp_filter").strip()
    names = sorted(path.name for path in conf.iterdir()) if conf.is_dir() else []
    # The larger of the two settings holds: 0 is off, 1 strict, 2 loose (ip-sysctl in the kernel's documentation).
    strict = [
        name
        for name in names
        if name not in ("all", "default", "lo")
        and max(everywhere, read_setting(conf / name / "rp_filter").strip()) == "1"
    ]
    if strict:
        text = f"strict reverse path filtering on {', '.join(strict)}: what comes by another way is dropped"
        yield Finding(
            "rp_filter", State.NOTICE, text, ("with several ways: sysctl -w net.ipv4.conf.all.rp_filter=2",)
        )
    else:
        yield Finding("rp_filter", State.FINE, "reverse path filtering is off or loose")


def firewall(question: Question) -> Iterator[Finding]:
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
    dropping, at_ingress = _dropping_chains(done.stdout)
    if at_ingress:
        text = (
            f"chains that drop at the ingress of an interface: {', '.join(at_ingress)}: raw sockets get nothing of "
            "what they take, packet links do"
        )
        mend = ("see what they take: nft list ruleset; those called rawproto-N are exclusive packet links'",)
        yield Finding("ingress", State.NOTICE, text, mend)
    if dropping:
        text = f"firewall chains that drop or reject: {', '.join(dropping)}"
        mend = (f"see whether they take protocol {question.protocol}: nft list ruleset",)
        yield Finding("firewall", State.NOTICE, text, mend)
    else:
        yield Finding("firewall", State.FINE, "no firewall rule drops or rejects")


def _dropping_chains(ruleset: bytes) -> tuple[list[str], list[str]]:
    """Names of the chains of a ruleset in nft's JSON that can drop or reject, by a rule or by their policy.

    Returns those that look at packets in the IP stack, and those before it, at an interface's ingress hook.
    """
    chains: dict[str, None] = {}
    early: set[str] = set()
    try:
        items = json.loads(ruleset or b"{}").get("nftables", [])
    except ValueError:
        return [], []
    for item in items:
        chain, rule = item.get("chain", {}), item.get("rule", {})
        if chain.get("hook") == "ingress":
            early.add(f"{chain['table']} {chain['name']}")
        if chain.get("policy") == "drop":
            chains[f"{chain['table']} {chain['name']}"] = None
        if any("drop" in part or "reject" in part for part in rule.get("expr", [])):
            chains[f"{rule['table']} {rule['chain']}"] = None
    return [name for name in chains if name not in early], [name for name in chains if name in early]


def ping_group(question: Question) -> Iterator[Finding]:
    """Who may ping without any privilege, on ICMP datagram sockets (icmp(7))."""
    words = read_setting("/proc/sys/net/ipv4/ping_group_range").split()
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


def netem(question: Question) -> Iterator[Finding]:
    """The kernel's network emulator: for those who set up links with tc; the lab has a relay of its own."""
    if pathlib.Path("/sys/module/sch_netem").exists() or _configured("CONFIG_NET_SCH_NETEM"):
        yield Finding("netem", State.FINE, "the kernel has netem")
    else:
        text = "no sign of netem in the kernel, as tc wants it; the lab delays and loses without"
        yield Finding(
            "netem", State.NOTICE, text, ("modprobe sch_netem, or install the distribution's extra modules",)
        )


def _configured(option: str) -> bool:
    """Whether the running kernel was built with ``option``, or has it as a module on disk."""
    release = os.uname().release
    texts = [read_setting(f"/boot/config-{release}")]
    try:
        texts.append(gzip.decompress(pathlib.Path("/proc/config.gz").read_bytes()).decode())
    except (OSError, EOFError):
        pass
    return any(f"\n{option}={how}\n" in text for text in texts for how in "ym")


def user_namespaces(question: Question) -> Iterator[Finding]:
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
    found = [(path, mend) for path, value, mend in closed if read_setting(path).strip() == value]
    for path, mend in found:
        name = path.removeprefix("/proc/sys/").replace("/", ".")
        text = f"{name} keeps ordinary users from user namespaces: the lab needs root"
        yield Finding("user namespaces", State.NOTICE, text, (mend,))
    if not found:
        yield Finding(
            "user namespaces", State.FINE, "ordinary users can have network namespaces of their own"
        )


def buffers(question: Question) -> Iterator[Finding]:
    """The receive buffer that is granted without CAP_NET_ADMIN."""
    limit = read_setting("/proc/sys/net/core/rmem_max").strip()
    if not limit.isdecimal() or has_capability("CAP_NET_ADMIN") or int(limit) >= RECEIVE_BUFFER:
        return
    text = f"net.core.rmem_max is {limit} bytes: bursts above that are lost (links ask for {RECEIVE_BUFFER})"
    yield Finding("buffers", State.NOTICE, text, (f"sysctl -w net.core.rmem_max={RECEIVE_BUFFER}",))


def read_setting(path: str | pathlib.Path) -> str:
    """The text of a file of the kernel's, "" when it cannot be read."""
    try:
        return pathlib.Path(path).read_text()
    except (OSError, UnicodeDecodeError):
        return ""

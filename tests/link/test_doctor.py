"""The doctor finds what was broken on purpose, in hosts of the lab."""

import os
import shutil
from pathlib import Path

import pytest

from rawproto.addr import IPAddr
from rawproto.errors import OpError
from rawproto.link import PacketLink, RawLink, hostchecks
from rawproto.link.doctor import Question, State, examine
from rawproto.link.privilege import drop_privileges

pytestmark = pytest.mark.netns


def checked(host, question=None, prepare=None):
    """Findings of an examination on ``host`` in a process of its own, by check."""

    def run():
        if prepare is not None:
            prepare()
        return examine(question)

    findings = {}
    for finding in host.call(run, timeout=100):
        findings.setdefault(finding.check, []).append(finding)
    return findings


def states(findings, check):
    return [finding.state for finding in findings.get(check, [])]


@pytest.mark.parametrize("version", [4, 6])
def test_nothing_is_wrong_with_a_plain_host(pair, version):
    a, b = pair
    to = IPAddr(b.ip4 if version == 4 else b.ip6)
    findings = checked(a, Question(253, version, to))
    problems = [finding for group in findings.values() for finding in group if finding.state is State.PROBLEM]
    assert problems == []
    for check in ("capability", "loopback", "send"):
        assert states(findings, check) == [State.FINE]
    assert "1500" in findings["mtu"][0].text
    assert all(
        finding.mend == () for group in findings.values() for finding in group if finding.state is State.FINE
    )


def become_nobody():
    os.environ.update(SUDO_UID="65534", SUDO_GID="65534")
    drop_privileges()


@pytest.mark.usefixtures("two_users")
def test_a_missing_capability(pair):
    findings = checked(pair[0], prepare=become_nobody)
    assert states(findings, "capability") == [State.PROBLEM]
    assert "setcap" in findings["capability"][0].mend[0]


def test_an_owner_of_the_protocol_number(pair):
    assert states(checked(pair[0], Question(6)), "protocol") == [State.NOTICE]
    assert "TCP" in checked(pair[0], Question(6))["protocol"][0].text


@pytest.mark.parametrize("version", [4, 6])
def test_others_on_the_protocol_number(pair, version):
    with pair[0]:
        link = RawLink(253, version=version)
    with link:
        findings = checked(pair[0], Question(253, version))
    assert states(findings, "protocol") == [State.FINE, State.NOTICE]
    assert findings["protocol"][1].text.startswith("1 raw socket")


def test_no_route(lab):
    lonely = lab.host("lonely")
    findings = checked(lonely, Question(253, 4, IPAddr.parse("192.0.2.1")))
    assert states(findings, "route") == [State.PROBLEM]


@pytest.mark.parametrize(
    ("everywhere", "here", "is_strict"),
    [("1", "0", True), ("0", "1", True), ("0", "0", False), ("2", "1", False), ("1", "2", False)],
)
def test_reverse_path_filtering(pair, everywhere, here, is_strict):
    """The larger of two settings holds."""
    a, _ = pair

    def prepare():
        Path("/proc/sys/net/ipv4/conf/all/rp_filter").write_text(everywhere)
        Path("/proc/sys/net/ipv4/conf/eth0/rp_filter").write_text(here)

    findings = checked(a, prepare=prepare)
    assert states(findings, "rp_filter") == [State.NOTICE if is_strict else State.FINE]
    assert ("eth0" in findings["rp_filter"][0].text) is is_strict


@pytest.mark.skipif(shutil.which("ip") is None, reason="iproute2 is not installed")
def test_a_small_mtu(pair):
    a, _ = pair
    a.run(["ip", "link", "set", "eth0", "mtu", "1000"], check=True)
    findings = checked(a, Question(253, 6))
    assert "eth0 (1000)" in findings["mtu"][0].text


def nft(host, *rules):
    program = shutil.which("nft") or shutil.which("nft", path="/usr/sbin:/sbin")
    if program is None:
        pytest.skip("nft is not installed")
    for rule in rules:
        done = host.run([program, *rule.split()], capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"nft does not work here: {done.stderr.strip()}")


def test_a_firewall_that_drops_on_the_way_in(pair):
    a, _ = pair
    nft(a, "add table inet filter", "add chain inet filter input { type filter hook input priority 0 ; }")
    nft(a, "add rule inet filter input ip protocol 253 drop")
    findings = checked(a)
    assert states(findings, "loopback") == [State.PROBLEM]
    assert states(findings, "firewall") == [State.NOTICE]
    assert "filter input" in findings["firewall"][0].text


def test_a_rule_at_ingress_that_keeps_packets_from_raw_sockets(pair):
    a, _ = pair
    nft(a, "list ruleset")
    with a:
        try:
            link = PacketLink(253, local=IPAddr(a.ip4), exclusive=True)
        except OpError as error:
            pytest.skip(str(error))
    with link:
        findings = checked(a)
    assert states(findings, "ingress") == [State.NOTICE]
    assert "rawproto-" in findings["ingress"][0].text
    assert states(findings, "firewall") == [State.FINE]
    assert "ingress" not in checked(a)


def test_a_firewall_that_refuses_on_the_way_out(pair):
    a, b = pair
    nft(
        a,
        "add table inet filter",
        "add chain inet filter output { type filter hook output priority 0 ; policy drop ; }",
    )
    findings = checked(a, Question(253, 4, IPAddr(b.ip4)))
    assert states(findings, "send") == [State.PROBLEM]
    assert "firewall" in findings["send"][0].mend[0]


@pytest.fixture
def settings(monkeypatch):
    """What the kernel's files say, by path; files that are not in it cannot be read."""
    files = {}
    monkeypatch.setattr(hostchecks, "read_setting", lambda path: files.get(str(path), ""))
    monkeypatch.setattr(hostchecks.pathlib.Path, "exists", lambda path: str(path) in files)
    return files


def test_user_namespaces_that_are_off(settings):
    (fine,) = hostchecks.user_namespaces(Question())
    assert fine.state is State.FINE
    settings["/proc/sys/user/max_user_namespaces"] = "0\n"
    settings["/proc/sys/kernel/apparmor_restrict_unprivileged_userns"] = "1\n"
    found = list(hostchecks.user_namespaces(Question()))
    assert [finding.state for finding in found] == [State.NOTICE] * 2
    assert found[0].text.startswith("user.max_user_namespaces keeps ordinary users from user namespaces")
    assert found[0].mend == ("sysctl -w user.max_user_namespaces=10000",)


@pytest.mark.parametrize(("groups", "state"), [("1\t0\n", State.NOTICE), ("0\t4294967294\n", State.FINE)])
def test_who_may_ping_unprivileged(settings, groups, state):
    settings["/proc/sys/net/ipv4/ping_group_range"] = groups
    (found,) = hostchecks.ping_group(Question())
    assert found.state is state
    assert all(group in found.text for group in groups.split())


def test_a_kernel_without_netem(settings, monkeypatch):
    monkeypatch.setattr(hostchecks.pathlib.Path, "read_bytes", lambda path: b"no gzip")
    (missing,) = hostchecks.netem(Question())
    assert missing.state is State.NOTICE
    assert "modprobe sch_netem" in missing.mend[0]
    settings[f"/boot/config-{os.uname().release}"] = "# kernel\nCONFIG_NET_SCH_NETEM=m\n"
    (there,) = hostchecks.netem(Question())
    assert there.state is State.FINE


def test_a_receive_buffer_that_is_not_granted(settings, monkeypatch):
    monkeypatch.setattr(hostchecks, "has_capability", lambda name: False)
    assert list(hostchecks.buffers(Question())) == []
    settings["/proc/sys/net/core/rmem_max"] = "212992\n"
    (small,) = hostchecks.buffers(Question())
    assert small.state is State.NOTICE
    assert "212992" in small.text
    settings["/proc/sys/net/core/rmem_max"] = "16777216\n"
    assert list(hostchecks.buffers(Question())) == []

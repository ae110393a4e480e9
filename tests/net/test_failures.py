"""Errors of the system, in words that say what, where and what to do."""

import errno
import os

import pytest

import rawproto
from rawproto.link.privilege import drop_privileges
from rawproto.net import failures

LOW = "127.0.0.1:80"


def listens_without_privilege():
    """What listening on a low port says to a process that has no capability, for each transport."""
    os.environ.pop("SUDO_UID", None)
    drop_privileges()
    said = {}
    for network in ("tcp4", "udp4", "rsp+udp4"):
        with pytest.raises(rawproto.PrivilegeError) as caught:
            rawproto.listen(network, LOW).close()
        said[network] = str(caught.value)
    return said


@pytest.mark.netns
def test_a_low_port_without_the_capability_names_it_and_the_ways(lab):
    for network, said in lab.host("a").call(listens_without_privilege, timeout=100).items():
        assert said.startswith(f"cannot listen {network} {LOW}: CAP_NET_BIND_SERVICE is missing")
        assert "choose a port from 1024 on" in said
        assert "setcap cap_net_bind_service+ep" in said


@pytest.mark.parametrize("low", [False, True])
def test_only_a_low_port_of_ones_own_is_a_matter_of_privilege(low):
    """A firewall and an address that takes no connections are refused with the same number."""
    local = rawproto.TCPAddr("127.0.0.1", 80 if low else 0)
    theirs = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    with pytest.raises(OSError, match="dial tcp4") as caught:
        failures.raise_op_error(theirs, "dial", "tcp4", local, rawproto.TCPAddr("127.0.0.2", 80))
    assert isinstance(caught.value, rawproto.PrivilegeError if low else rawproto.OpError)
    assert low or "127.0.0.2:80: Permission denied" in str(caught.value)

"""The exclusive packet link: its packets are kept from the IP stack, no others, and no longer than it is open."""

import errno
import os

import pytest

from rawproto.addr import IPAddr
from rawproto.errors import OpError, PrivilegeError
from rawproto.link import PacketLink, RawLink
from rawproto.link.ingress import IngressRule
from rawproto.link.privilege import drop_privileges
from rawproto.wire import Batch, Transmit
from tests.link.waiting import datagrams_of

pytestmark = pytest.mark.netns


@pytest.fixture(params=[4, 6])
def version(request):
    return request.param


@pytest.fixture
def ends(pair, version):
    """A raw link on the one host, an exclusive packet link on the other, and their addresses."""
    one, other = (IPAddr(host.ip4 if version == 4 else host.ip6) for host in pair)
    with pair[1]:
        try:
            link = PacketLink(253, local=other, exclusive=True)
        except OpError as error:
            pytest.skip(str(error))
    with link:
        with pair[0]:
            sender = RawLink(253, version=version, local=one)
        with sender:
            yield sender, link, other


def send(link, data, to):
    assert link.send(Transmit(Batch.single(data), to)) == 1


def test_nobody_else_gets_what_is_the_links(pair, ends, version, settle):
    sender, link, other = ends
    with pair[1]:
        stack = RawLink(253, version=version, local=other)
    with stack:
        send(sender, b"for the link only", other)
        assert datagrams_of(link, 1) == [b"for the link only"]
        settle()
        assert stack.receive() == ()
        assert sender.errors() == []
        link.close()
        send(sender, b"for everybody", other)
        assert datagrams_of(stack, 1) == [b"for everybody"]


def test_other_protocols_and_addresses_are_left_alone(pair, ends, version):
    sender, _, other = ends
    with pair[1]:
        neighbour = RawLink(254, version=version, local=other)
    with neighbour:
        with pair[0]:
            second = RawLink(254, version=version)
        with second:
            send(second, b"protocol 254", other)
            assert datagrams_of(neighbour, 1) == [b"protocol 254"]
    # Of the same protocol, the other way: the answer comes to a host without a rule.
    with pair[1]:
        answering = RawLink(253, version=version, local=other)
    with answering:
        send(answering, b"from here", sender.local_addr)
        assert datagrams_of(sender, 1) == [b"from here"]


def test_two_of_them_do_not_disturb_one_another(pair, ends):
    sender, link, other = ends
    with pair[1]:
        again = PacketLink(253, local=other, exclusive=True)
    with again:
        send(sender, b"to both", other)
        assert datagrams_of(link, 1) == datagrams_of(again, 1) == [b"to both"]
        link.close()
        send(sender, b"to one", other)
        assert datagrams_of(again, 1) == [b"to one"]


def test_what_the_kernel_refuses_is_told_with_what_it_needs(pair):
    with pair[0], pytest.raises(OpError, match=r"longer-than-any-name: .*CONFIG_NF_TABLES_NETDEV") as caught:
        IngressRule("longer-than-any-name", 253, bytes(4))
    assert caught.value.errno


def test_an_answer_that_does_not_come_is_an_error_like_a_refusal(monkeypatch):
    def wait_in_vain(*_):
        raise TimeoutError("timed out")

    monkeypatch.setattr(IngressRule, "_make", wait_in_vain)
    with pytest.raises(OpError, match=r"lo: no rule at its ingress hook") as caught:
        IngressRule("lo", 253, bytes(4))
    assert caught.value.errno == errno.ETIMEDOUT


def as_nobody():
    os.environ.update(SUDO_UID="65534", SUDO_GID="65534")
    drop_privileges()
    try:
        IngressRule("eth0", 253, bytes(4))
    except PrivilegeError as error:
        return error.capability, error.operation, any("broker" in way for way in error.ways)
    return "allowed", "", False


def test_the_privilege_that_is_missing_is_named(pair, two_users):
    told = pair[0].call(as_nobody, timeout=100)
    assert told == ("CAP_NET_ADMIN", "keep packets of eth0 from the IP stack", False)

"""Sandboxes without sendmmsg and recvmmsg: one message a call, and nothing else is different."""

import ctypes
import errno

import pytest

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.link import RawLink, UDPLink, linux
from rawproto.link.tables import _MSGHDR
from rawproto.wire import Batch, Transmit

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("namespace")]


@pytest.fixture(autouse=True)
def sandbox(monkeypatch):
    """The calls for many messages fail as a seccomp filter makes them fail."""

    def missing(*_):
        ctypes.set_errno(errno.ENOSYS)
        return -1

    monkeypatch.setattr(linux, "_sendmmsg", missing)
    monkeypatch.setattr(linux, "_recvmmsg", missing)


def test_a_message_begins_with_the_structure_of_one():
    assert _MSGHDR.itemsize == linux._MESSAGE_SIZE


def test_raw_datagrams_arrive_one_by_one(settle):
    one, other = IPAddr(IP("127.0.0.1")), IPAddr(IP("127.0.0.2"))
    with RawLink(253, local=one) as sender, RawLink(253, local=other) as receiver:
        datagrams = [bytes([n]) * n for n in range(1, 100)]
        assert sender.send(Transmit(Batch.from_datagrams(datagrams), other)) == len(datagrams)
        assert sender.stats().sent_bytes == sum(map(len, datagrams))
        settle()
        for datagram in datagrams:
            assert [bytes(row) for batch in receiver.receive() for row in batch] == [datagram]
        assert receiver.receive() == ()


def test_udp_segments_too(settle):
    here = UDPAddr(IP("127.0.0.1"), 0)
    with UDPLink(here) as sender, UDPLink(here) as receiver:
        datagrams = [bytes([n]) * 1000 for n in range(150)] + [b"end"]
        assert sender.send(Transmit(Batch.from_datagrams(datagrams), receiver.local_addr)) == len(datagrams)
        settle()
        got = []
        while batches := receiver.receive():
            assert len(batches) == 1
            got += [bytes(row) for batch in batches for row in batch]
        assert got == datagrams


def test_errors_are_told(errors_of):
    one, absent = IPAddr(IP("127.0.0.1")), IPAddr(IP("127.0.0.9"))
    with RawLink(253, local=one) as link:
        assert link.send(Transmit(Batch.from_datagrams([bytes(70_000), b"small, but quotable"]), absent)) == 2
        assert [error.errno for error in link.send_errors()] == [errno.EMSGSIZE]
        assert len(errors_of(link, 1)) == 1

"""Datagrams inside UDP that the kernel does not join: known again, and not mistaken for others."""

import contextlib

import pytest

from rawproto.addr import IP, UDPAddr
from rawproto.link import UDPLink, linux
from rawproto.wire import Batch, Transmit

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("namespace")]

HERE = UDPAddr(IP("127.0.0.1"), 0)


def joining(link, on):
    """Whether the kernel joins datagrams on their way to ``link``, as it does behind some devices only."""
    link.socket.setsockopt(linux.SOL_UDP, linux.UDP_GRO, int(on))


@pytest.fixture
def ends():
    with contextlib.ExitStack() as stack:
        sender, other, receiver = (stack.enter_context(UDPLink(HERE)) for _ in range(3))
        joining(receiver, on=False)
        yield sender, other, receiver


def through(sender, receiver, letter, count=40, size=1000, ecn=0):
    """Send datagrams that begin with ``letter``; the batches that arrive, their content checked."""
    datagrams = [letter * size] * count
    assert sender.send(Transmit(Batch.from_datagrams(datagrams), receiver.local_addr, ecn)) == count
    batches = receiver.receive()
    assert [bytes(row) for batch in batches for row in batch] == datagrams
    return batches


def test_like_datagrams_are_the_batch_before_with_other_bytes(ends):
    sender, _, receiver = ends
    through(sender, receiver, b"a")
    (first,) = through(sender, receiver, b"b")
    (second,) = through(sender, receiver, b"c")
    assert second is first
    assert (second.source, second.destination) == (sender.local_addr, receiver.local_addr)
    stats = receiver.stats()
    assert (stats.received, stats.received_bytes) == (120, 120_000)


def test_another_sender_length_or_mark_is_seen(ends):
    sender, other, receiver = ends
    through(sender, receiver, b"a")
    (batch,) = through(other, receiver, b"b")
    assert batch.source == other.local_addr
    (batch,) = through(other, receiver, b"c", size=999)
    assert batch.head_lengths.tolist() == [999] * 40
    (batch,) = through(other, receiver, b"d", size=999, ecn=3)
    assert batch.ecn.tolist() == [3] * 40
    (batch,) = through(other, receiver, b"e", size=999)
    assert batch.ecn.tolist() == [0] * 40


def test_one_that_differs_among_like_ones_is_seen(ends):
    sender, other, receiver = ends
    through(sender, receiver, b"a")
    for one in (sender, other, sender):
        assert one.send(Transmit(Batch.from_datagrams([b"m" * 1000] * 2), receiver.local_addr)) == 2
    (batch,) = receiver.receive()
    ports = [batch.source_of(index).port for index in range(6)]
    assert ports == [end.local_addr.port for end in (sender, sender, other, other, sender, sender)]


def test_joined_ones_in_between_change_nothing(ends):
    sender, _, receiver = ends
    through(sender, receiver, b"a")
    joining(receiver, on=True)
    (joined,) = through(sender, receiver, b"b")
    assert len(joined) == 40
    joining(receiver, on=False)
    through(sender, receiver, b"c", count=8)
    (first,) = through(sender, receiver, b"d", count=8)
    assert through(sender, receiver, b"e", count=8)[0] is first

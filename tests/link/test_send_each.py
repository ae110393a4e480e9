"""Answers to many at once: each datagram goes back to where the question came from."""

import contextlib
import select

import pytest

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.link import RawLink, UDPLink
from rawproto.rsp.handshake import address_key
from rawproto.wire.batch import Batch, Keyed, ReceivedBatch, Transmit


def arrived(link, count):
    """The next ``count`` datagrams, as one batch where they came as one."""
    batches = []
    while sum(map(len, batches)) < count:
        assert select.select([link.fileno()], [], [], 60)[0], "nothing comes"
        batches += [
            ReceivedBatch(
                batch.head.copy(), batch.head_lengths, source=batch.source,
                sources=batch.sources_of(range(len(batch))) if batch.source is None else None,
            )
            for batch in link.receive()
        ]  # fmt: skip
    return batches


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_find_their_askers(host):
    with contextlib.ExitStack() as stack:
        asked = stack.enter_context(UDPLink(UDPAddr(IP(host), 0)))
        askers = [stack.enter_context(UDPLink(UDPAddr(IP(host), 0))) for _ in range(8)]
        for index, asker in enumerate(askers):
            asker.send(Transmit(Batch.single(b"question %d" % index), asked.local_addr))
        for batch in arrived(asked, 8):
            sources = batch.sources_of(range(len(batch)))
            words = [data.replace(b"question", b"answer") for data in batch]
            assert asked.send_each(Batch.from_datagrams(words), sources) == len(words)
        for index, asker in enumerate(askers):
            (batch,) = arrived(asker, 1)
            assert [*batch] == [b"answer %d" % index]
            assert batch.source_of(0) == asked.local_addr
        assert asked.stats().sent == 8


def test_addresses_may_be_given_as_objects():
    with UDPLink(UDPAddr(IP("127.0.0.1"), 0)) as one, UDPLink(UDPAddr(IP("127.0.0.1"), 0)) as other:
        batch = Batch.from_datagrams([b"to myself", b"to the other"])
        assert one.send_each(batch, [one.local_addr, other.local_addr]) == 2
        assert [*arrived(one, 1)[0]] == [b"to myself"]
        assert [*arrived(other, 1)[0]] == [b"to the other"]


@pytest.mark.netns
@pytest.mark.parametrize("version", [4, 6])
def test_keys_are_those_of_the_addresses(lab, version):
    """What the link tells of a sender without making an object of it is what the object would tell."""
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    here, target = IPAddr(IP(a.address(version))), IPAddr(IP(b.address(version)))
    with a:
        senders = [RawLink(253, version=version), RawLink(253, version=version, local=here)]
    with b:
        local = RawLink(253, version=version)
        receiving = RawLink(253, version=version)
    with contextlib.ExitStack() as stack:
        for link in (*senders, local, receiving):
            stack.enter_context(link)
        local.send(Transmit(Batch.single(b"from the same host"), target))
        for link in senders:
            link.send(Transmit(Batch.single(b"from the other"), target))
        for batch in arrived(receiving, 3):
            if batch.source is not None:
                continue
            sources = batch.sources_of(range(len(batch)))
            assert isinstance(sources, Keyed)
            assert sources.keys() == [address_key(source) for source in sources]

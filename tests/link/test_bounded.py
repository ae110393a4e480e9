"""What links remember of others is bounded, however many there are: a socket may be open for months."""

import gc
import sys

import numpy as np
import pytest

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.link import UDPLink
from rawproto.link.interfaces import Interfaces
from rawproto.link.sockaddr import AddressCodec
from rawproto.rsp.train import recognise
from rawproto.wire.batch import Batch, ReceivedBatch, Transmit

ROUND = 4096
"""A multiple of what every cache holds at most: after whole rounds each is as full as after the one before."""


def blocks_after(do, rounds):
    """Blocks of Python's allocator that ``do(first, stop)`` has left, after one round and after all of them."""
    do(0, ROUND)
    gc.collect()
    first = sys.getallocatedblocks()
    do(ROUND, rounds * ROUND)
    gc.collect()
    return first, sys.getallocatedblocks()


@pytest.fixture
def link():
    with UDPLink(UDPAddr(IP("127.0.0.1"), 0)) as opened:
        yield opened


@pytest.mark.parametrize(("version", "ports"), [(4, True), (6, True), (4, False), (6, False)])
def test_addresses(link, version, ports):
    codec = AddressCodec(version, Interfaces(link.fileno()), ports=ports)
    prefix = b"" if version == 4 else bytes.fromhex("20010db8") + bytes(8)

    def address(number):
        ip = IP(prefix + (number + (10 << 24)).to_bytes(4, "big"))
        return UDPAddr(ip, 1 + number % 60_000) if ports else IPAddr(ip)

    def meet(first, stop):
        for number in range(first, stop):
            met = address(number)
            assert codec.decode(codec.encode(met)) == met
            codec.address_of_ip(bytes(met.ip))

    before, after = blocks_after(meet, 8)
    assert codec.knows(address(8 * ROUND - 1))
    assert not codec.knows(address(0))
    assert after - before < ROUND / 4


def test_sizes_and_senders_of_datagrams(link):
    """Datagrams of many sizes from many ports."""

    def talk(first, stop):
        for number in range(first, stop, 256):
            with UDPLink(UDPAddr(IP("127.0.0.1"), 0)) as sender:
                for size in range(number % 1200, number % 1200 + 200, 8):
                    rows = np.zeros((3, size + 1), dtype=np.uint8)
                    assert sender.send(Transmit(Batch(rows), link.local_addr)) == 3
                    got = 0
                    while got < 3:
                        assert link.wait(60)
                        got += sum(len(batch) for batch in link.receive())

    before, after = blocks_after(talk, 4)
    assert after - before < ROUND / 4


def test_shapes_of_batches():
    def see(first, stop):
        for number in range(first, stop):
            rows = np.zeros((3, 100 + number % 50_000), dtype=np.uint8)
            recognise(ReceivedBatch(rows, np.full(3, rows.shape[1], dtype=np.int64), source="x"))

    before, after = blocks_after(see, 3)
    assert after - before < ROUND / 4

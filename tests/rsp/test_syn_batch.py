"""SYNs by the batch: the same answers, byte for byte, as one by one."""

import random

import pytest

from rawproto.addr import ACL, IP, IPAddr, UDPAddr
from rawproto.rsp.endpoint import Endpoint
from rawproto.rsp.handshake import Terms, address_key, hello_packet
from rawproto.rsp.header import Hello, Kind
from rawproto.rsp.replies import MAX_WAITING
from rawproto.wire.batch import ReceivedBatch

PORT = 7


def listening(*, together, **options):
    """An endpoint whose cookies are those of any other that this makes."""
    endpoint = Endpoint(entropy=random.Random(5).randbytes, together=together)
    endpoint.listen(PORT, now=0, **options)
    return endpoint


def syns(count, seed=1, *, port=PORT, max_datagram=None, options=b""):
    """SYNs with all kinds of terms, each from a source of its own."""
    rng = random.Random(seed)
    for _ in range(count):
        size = rng.randrange(536, 65536) if max_datagram is None else max_datagram
        terms = Terms(
            rng.randrange(1, 65536), port, rng.getrandbits(64), rng.getrandbits(40), size, rng.getrandbits(10)
        )
        source = UDPAddr(IP(rng.randbytes(rng.choice((4, 16)))), rng.randrange(1, 65536))
        yield hello_packet(Kind.SYN, terms, 0, options=options), source


def answered(endpoint):
    """What goes out: (packet, destination) pairs."""
    found = []
    while (transmit := endpoint.poll_transmit(0)) is not None:
        for index, packet in enumerate(transmit.batch):
            to = transmit.destination if transmit.destinations is None else transmit.destinations[index]
            found.append((packet, to))
    return found


def one_by_one(arrivals, **options):
    endpoint = listening(together=False, **options)
    for packet, source in arrivals:
        endpoint.handle_datagrams(ReceivedBatch.arrival(packet, source), 0)
    return answered(endpoint), endpoint.stats


@pytest.mark.parametrize("together", [False, True])
def test_the_answers_are_those_of_single_ones(together):
    arrivals = list(syns(100))
    endpoint = listening(together=together)
    endpoint.handle_datagrams(ReceivedBatch.from_arrivals(arrivals), 0)
    expected, stats = one_by_one(arrivals)
    assert answered(endpoint) == expected
    assert len(expected) == 100
    assert endpoint.stats == stats


def test_one_source_for_all():
    arrivals = [(packet, UDPAddr(IP("10.0.0.1"), 5)) for packet, _ in syns(10)]
    endpoint = listening(together=True)
    endpoint.handle_datagrams(ReceivedBatch.from_arrivals(arrivals), 0)
    assert answered(endpoint) == one_by_one(arrivals)[0]


def test_what_is_not_plain_is_still_looked_at():
    """Damaged, cut short, for a port without a listener, with options, of unbelievable terms: nobody costs another."""
    arrivals = list(syns(20))
    arrivals[3] = (arrivals[3][0][:-1] + b"!", arrivals[3][1])
    arrivals[5:7] = syns(2, 2, port=PORT + 1)
    arrivals[8:9] = syns(1, 3, options=b"\1\2\3\4")
    arrivals[10:11] = syns(1, 4, max_datagram=100)
    arrivals[12] = (arrivals[12][0][:40], arrivals[12][1])
    endpoint = listening(together=True)
    endpoint.handle_datagrams(ReceivedBatch.from_arrivals(arrivals), 0)
    expected, stats = one_by_one(arrivals)
    assert sorted(answered(endpoint), key=repr) == sorted(expected, key=repr)
    assert endpoint.stats == stats
    assert stats.corrupted == 2
    assert stats.handshakes == 16
    assert stats.refused == 2


def test_the_access_list_is_asked():
    arrivals = list(syns(50))
    acl = ACL(deny=["0.0.0.0/1"], default=True)
    options = {"admit": lambda source: acl.permits(source.ip)}
    endpoint = listening(together=True, **options)
    endpoint.handle_datagrams(ReceivedBatch.from_arrivals(arrivals), 0)
    expected, stats = one_by_one(arrivals, **options)
    assert answered(endpoint) == expected
    assert 0 < stats.not_admitted < 50
    assert endpoint.stats == stats


@pytest.mark.parametrize("together", [False, True])
def test_the_cookie_of_a_batch_opens_the_door(together):
    arrivals = list(syns(8, max_datagram=1400))
    endpoint = listening(together=together)
    endpoint.handle_datagrams(ReceivedBatch.from_arrivals(arrivals), 0)
    for (syn, source), (answer, to) in zip(arrivals, answered(endpoint), strict=True):
        assert source == to
        asked, cookie = Hello.parse(syn)[0], Hello.parse(answer)[0]
        assert cookie.connection == asked.identifier
        terms = Terms(
            asked.source_port, PORT, asked.identifier, asked.window, asked.max_datagram, asked.features
        )
        confirm = hello_packet(Kind.CONFIRM, terms, cookie.identifier, cookie.cookie)
        endpoint.handle_datagrams(ReceivedBatch.arrival(confirm, source), 0)
    assert endpoint.stats.accepted == 8


def test_answers_that_nobody_fetches_are_bounded():
    endpoint = listening(together=False)
    batch = ReceivedBatch.from_arrivals(syns(100))
    for _ in range(2 * MAX_WAITING // 100):
        endpoint.handle_datagrams(batch, 0)
    assert len(answered(endpoint)) == endpoint.stats.handshakes == MAX_WAITING


def test_address_keys_tell_addresses_apart():
    ip = IP("fe80::1")
    keys = {
        address_key(address)
        for address in (
            IPAddr(ip), IPAddr(ip, "eth0"), IPAddr(ip, "eth1"), UDPAddr(ip, 1), UDPAddr(ip, 2), UDPAddr(ip, 1, "eth0"),
            UDPAddr(IP("10.0.0.1"), 1), "a", "b",
        )
    }  # fmt: skip
    assert len(keys) == 9

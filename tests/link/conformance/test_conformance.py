"""What every link does, whatever carries its datagrams."""

import errno
import select

import numpy as np
import pytest

from rawproto.errors import AddrError, ClosedError
from rawproto.wire.batch import Batch, Transmit
from rawproto.wire.icmp_error import ICMPErrorKind
from tests.link.waiting import PATIENCE


def receive_all(link, count):
    """Batches until ``count`` datagrams came; each as (datagram, source, ecn)."""
    got = []
    poll = select.poll()
    poll.register(link.fileno(), select.POLLIN)
    while len(got) < count:
        batches = link.receive()
        if not batches and not poll.poll(PATIENCE * 1000):
            break
        for batch in batches:
            marks = batch.ecn if batch.ecn is not None else [None] * len(batch)
            got.extend((batch.datagram(i), batch.source_of(i), marks[i]) for i in range(len(batch)))
    return got


def send(link, datagrams, to, ecn=0):
    return link.send(Transmit(Batch.from_datagrams(datagrams), to, ecn))


def is_readable(link, within=0):
    poll = select.poll()
    poll.register(link.fileno(), select.POLLIN)
    return bool(poll.poll(within * 1000))


def test_datagrams_arrive_whole_and_in_order(ends):
    one, other = ends
    datagrams = [bytes([i % 251]) * (1 + i * 13 % 1400) for i in range(300)]
    assert send(one, datagrams, other.local_addr) == 300
    got = receive_all(other, 300)
    assert [datagram for datagram, _, _ in got] == datagrams
    assert {source for _, source, _ in got} == {one.local_addr}


def test_a_batch_says_where_it_was_sent_to(ends):
    one, other = ends
    send(one, [b"x"], other.local_addr)
    assert other.wait(PATIENCE)
    (batch,) = other.receive()
    assert batch.destination == other.local_addr


def test_the_largest_datagram_passes(ends):
    one, other = ends
    datagram = bytes(i & 255 for i in range(one.max_datagram_size))
    for _ in range(2):  # the second finds buffers that were enlarged for the first
        send(one, [b"small", datagram, b"after"], other.local_addr)
        assert [d for d, _, _ in receive_all(other, 3)] == [b"small", datagram, b"after"]


def test_head_and_tail_are_joined(ends):
    one, other = ends
    tail = np.arange(50_000, dtype=np.uint32).view(np.uint8)
    rows = np.arange(64 * 32, dtype=np.uint32).view(np.uint8).reshape(64, 128)[:, :24]
    starts = np.arange(64, dtype=np.int64) * 700
    batch = Batch(rows, None, tail, starts, np.full(64, 1000, dtype=np.int64))
    assert one.send(Transmit(batch, other.local_addr)) == 64
    assert [d for d, _, _ in receive_all(other, 64)] == list(batch)


def test_a_tail_after_no_tail_and_back(ends):
    one, other = ends
    tail = np.frombuffer(b"tail" * 100, dtype=np.uint8)
    both = Batch(
        np.full((3, 8), 7, dtype=np.uint8),
        np.array([8, 4, 1]),
        tail,
        np.array([0, 4, 8]),
        np.array([40, 40, 0]),
    )
    plain = Batch.from_datagrams([b"one", b"three", b"five"])
    for batch in (both, plain, both):
        one.send(Transmit(batch, other.local_addr))
        assert [d for d, _, _ in receive_all(other, 3)] == list(batch)


def test_rows_that_are_no_plain_run_of_bytes(ends):
    one, other = ends
    scattered = np.arange(400, dtype=np.uint16).view(np.uint8).reshape(10, 80)[:, ::2]
    batch = Batch(scattered)
    one.send(Transmit(batch, other.local_addr))
    assert [d for d, _, _ in receive_all(other, 10)] == [row.tobytes() for row in scattered]


def test_batches_of_one_shape_from_two_senders_are_told_apart(kind):
    """What a link remembers of the last batch must not be taken for the next one."""
    with kind.open(0) as one, kind.open(2) as third, kind.open(1) as other:
        wanted = []
        for turn in range(4):
            for sender in (one, third, one):
                mark = turn % 3
                datagrams = [bytes([turn, n]) * 300 for n in range(20)]
                send(sender, datagrams, other.local_addr, ecn=mark)
                wanted += [(datagram, sender.local_addr, mark) for datagram in datagrams]
        got = receive_all(other, len(wanted))
        if any(mark is None for _, _, mark in got):
            wanted = [(datagram, source, None) for datagram, source, _ in wanted]
        assert got == wanted


def test_wait_says_whether_something_came(ends):
    one, other = ends
    assert not other.wait(0)
    send(one, [b"something"], other.local_addr)
    assert other.wait(PATIENCE)
    assert [datagram for datagram, _, _ in receive_all(other, 1)] == [b"something"]
    assert not other.wait(0)
    other.close()
    with pytest.raises(ClosedError):
        other.wait(0)


def test_the_batch_size_that_a_link_names_is_sent_in_one_go(ends):
    one, other = ends
    for size in (1, 40, 1400):
        count = one.batch_size(size)
        assert count >= 64
        datagrams = [n.to_bytes(2, "big").rjust(size, b"x")[-size:] for n in range(count)]
        assert send(one, datagrams, other.local_addr) == count
        assert [datagram for datagram, _, _ in receive_all(other, count)] == datagrams


def test_a_batch_larger_than_one_call(ends):
    one, other = ends
    datagrams = [i.to_bytes(4, "big") for i in range(2500)]
    assert send(one, datagrams, other.local_addr) == 2500
    assert [d for d, _, _ in receive_all(other, 2500)] == datagrams


def test_an_empty_batch_is_nothing(ends):
    one, other = ends
    assert send(one, [], other.local_addr) == 0
    assert one.stats().sent == 0
    assert not other.receive()


def test_many_senders(kind, ends):
    one, other = ends
    with kind.open(2) as third:
        for i in range(20):
            send((one, third)[i % 2], [bytes([i])], other.local_addr)
        got = receive_all(other, 20)
        assert [source for _, source, _ in got] == [one.local_addr, third.local_addr] * 10
        assert [d[0] for d, _, _ in got] == list(range(20))


def test_ecn_marks_pass(ends):
    one, other = ends
    for mark in (2, 2, 0, 1, 3, 0):
        send(one, [b"a", b"b"], other.local_addr, mark)
        assert [ecn for _, _, ecn in receive_all(other, 2)] == [mark, mark]


def test_the_descriptor_is_readable_while_something_waits(ends):
    one, other = ends
    assert not is_readable(other)
    assert not other.receive()
    send(one, [b"x"] * 100, other.local_addr)
    assert is_readable(other, PATIENCE)
    receive_all(other, 100)
    assert not other.receive()
    assert not is_readable(other)


def test_one_too_large_does_not_stop_the_rest(ends):
    one, other = ends
    too_large = bytes(one.max_datagram_size + 1)
    datagrams = [b"a", too_large, b"b", too_large, too_large, b"c"]
    assert send(one, datagrams, other.local_addr) == 6
    assert [d for d, _, _ in receive_all(other, 3)] == [b"a", b"b", b"c"]
    errors = one.send_errors()
    assert [error.errno for error in errors] == [errno.EMSGSIZE] * 3
    assert all(error.remote == other.local_addr for error in errors)
    assert one.send_errors() == []
    stats = one.stats()
    assert (stats.sent, stats.send_refused, stats.sent_bytes) == (3, 3, 3)


def test_stats_count_datagrams_and_bytes(ends):
    one, other = ends
    send(one, [b"x" * 10] * 70 + [b"yy"], other.local_addr)
    receive_all(other, 71)
    sent, received = one.stats(), other.stats()
    assert (sent.sent, sent.sent_bytes, sent.received) == (71, 702, 0)
    assert (received.received, received.received_bytes, received.sent) == (71, 702, 0)
    assert received.kernel_drops == 0


def test_a_flood_is_received_or_counted_as_dropped(kind, settle):
    with kind.open(0) as one, kind.small(1) as other:
        offered = 3072
        settled = 0
        while settled < offered:  # in whole messages of segments, where the link has them
            settled += send(one, [bytes(200)] * 256, other.local_addr)
            settle()  # the kernel's own queue, before the link's, counts for nobody what it has no room for
        got = 0
        while batches := other.receive():
            got += sum(map(len, batches))
        stats = other.stats()
        assert one.stats().sent == offered
        assert stats.kernel_drops > 0
        assert got == stats.received
        # The kernel counts a message of segments as one, whatever was in it.
        assert got + stats.kernel_drops * kind.segments == offered
        # ... and goes on counting from there.
        send(one, [b"after"], other.local_addr)
        assert [d for d, _, _ in receive_all(other, 1)] == [b"after"]
        assert other.stats().kernel_drops == stats.kernel_drops


def test_nobody_there_is_a_typed_error_with_the_datagram(kind, ends, errors_of):
    one, _ = ends
    assert send(one, [b"is anybody there?"], kind.absent) == 1
    assert is_readable(one, PATIENCE)
    assert not one.receive()
    [error] = errors_of(one, 1)
    assert error.kind in (ICMPErrorKind.PORT_UNREACHABLE, ICMPErrorKind.PROTOCOL_UNREACHABLE)
    assert error.destination == kind.absent
    assert error.reporter.ip == kind.absent.ip
    assert error.quoted.startswith(b"is anybody there?"[:8])
    assert one.errors() == []
    assert one.stats().icmp_errors == 1
    assert not is_readable(one)


def test_an_error_of_one_datagram_costs_no_other(kind, ends, errors_of):
    one, other = ends
    for _ in range(5):
        send(one, [b"lost, but long enough to be quoted"], kind.absent)
        assert send(one, [b"first", b"second"], other.local_addr) == 2
    assert [d for d, _, _ in receive_all(other, 10)] == [b"first", b"second"] * 5
    assert one.send_errors() == []
    assert len(errors_of(one, 5)) == 5


def test_a_destination_of_the_other_family_is_refused(kind, ends):
    if kind.other_family is None:
        pytest.skip("this link has no family")
    with pytest.raises(AddrError):
        send(ends[0], [b"x"], kind.other_family)


def test_closing(kind):
    with kind.open(0) as one, kind.open(1) as other:
        one.close()
        one.close()
        assert one.fileno() == -1
        for _ in range(2):
            with pytest.raises(ClosedError) as caught:
                send(one, [b"x"], other.local_addr)
            assert caught.value.op == "send"
            with pytest.raises(ClosedError):
                one.receive()
        assert one.stats().sent == 0


def test_a_closed_address_can_be_taken_again(kind):
    first = kind.open(0)
    first.close()
    with kind.open(0) as second, kind.open(1) as other:
        send(other, [b"again"], second.local_addr)
        assert [d for d, _, _ in receive_all(second, 1)] == [b"again"]


def test_names(ends):
    one, _ = ends
    assert one.network
    assert one.max_datagram_size >= 1200

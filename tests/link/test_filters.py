"""Packet filters in the kernel: many sockets on one protocol number, and swaps without a window."""

import multiprocessing
import select

import numpy as np
import pytest

from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.errors import ConfigError, FilterError
from rawproto.link import RawLink, RawSocket, UDPLink
from rawproto.link import screen as screening
from rawproto.wire import Batch, Transmit, assemble
from tests.link.waiting import PATIENCE

pytestmark = pytest.mark.netns

PROCESSES = 24
END = b"the end"


def accept_first_byte(value, offset):
    """A program that lets datagrams through whose byte at ``offset`` is ``value``."""
    return assemble(f"ldb [{offset}]\njeq #{value}, yes, no\nyes: ret #-1\nno: ret #0")


def receive_all(link):
    """What has arrived."""
    got = []
    while batches := link.receive():
        for batch in batches:
            got.extend(batch)
    return got


def share_of(number, version, ready):
    """One process: what its filter lets in, until its own end comes, which is sent behind everything else."""
    program = accept_first_byte(number, 20 if version == 4 else 0)
    with RawLink(253, version=version, filter=program) as link:
        poll = select.poll()
        poll.register(link.fileno(), select.POLLIN)
        ready.send(number)
        got = []
        while bytes([number]) + END not in got and poll.poll(PATIENCE * 1000):
            got.extend(receive_all(link))
        return got


@pytest.mark.parametrize("version", [4, 6])
def test_24_processes_share_a_protocol_number(lab, version, pinned):
    rounds = 40
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    ours, theirs = multiprocessing.Pipe()
    with ours, theirs:
        calls = [b.start(share_of, number, version, theirs) for number in range(PROCESSES)]
        ready = []
        while len(ready) < PROCESSES:
            assert ours.poll(PATIENCE), f"only {len(ready)} of {PROCESSES} processes are ready"
            ready.append(ours.recv())
    assert sorted(ready) == list(range(PROCESSES))
    numbers = np.random.default_rng(5).permutation(np.repeat(np.arange(PROCESSES + 1), rounds))
    datagrams = [bytes([number, index & 255]) for index, number in enumerate(numbers)]
    datagrams += [bytes([number]) + END for number in range(PROCESSES)]
    with a:
        link = RawLink(253, version=version)
    with link, pinned():
        to = IPAddr(b.ip4 if version == 4 else b.ip6)
        assert link.send(Transmit(Batch.from_datagrams(datagrams), to)) == len(datagrams)
    for number, call in enumerate(calls):
        assert call.result(PATIENCE) == [datagram for datagram in datagrams if datagram[0] == number]


@pytest.mark.usefixtures("namespace")
class TestOnLoopback:
    def test_a_program_that_is_none(self):
        for program in (b"", b"1234567", bytes(8), b"\xff" * 16):
            with pytest.raises(FilterError):
                RawLink(253, filter=program)

    @pytest.mark.parametrize(("version", "offset"), [(4, 20), (6, 0)])
    def test_a_swap_lets_nothing_old_through(self, version, offset, settle):
        here = IPAddr(IP("127.0.0.1" if version == 4 else "::1"))
        with (
            RawLink(253, version=version, local=here, filter=accept_first_byte(1, offset)) as link,
            RawLink(253, version=version, filter=accept_first_byte(0, offset)) as sender,
        ):

            def send(*firsts):
                datagrams = [bytes([first, index]) for index, first in enumerate(firsts)]
                sender.send(Transmit(Batch.from_datagrams(datagrams), here))
                settle()

            send(1, 2, 1, 2)
            link.set_filter(accept_first_byte(2, offset))
            send(2, 1, 2)
            assert receive_all(link) == [b"\x02\x00", b"\x02\x02"]
            assert link.stats().filtered == 2
            assert link.stats().received == 2

    @pytest.mark.parametrize(("version", "offset"), [(4, 20), (6, 0)])
    def test_a_swap_holds_for_single_datagrams_too(self, version, offset, monkeypatch, settle):
        here = IPAddr(IP("127.0.0.1" if version == 4 else "::1"))
        with RawSocket(253, version=version, local=here, filter=accept_first_byte(1, offset)) as sock:
            for first in (b"\1old", b"\2no", b"\1old"):
                sock.send(first, here)
            settle()
            sock.set_filter(accept_first_byte(2, offset))
            sock.send(b"\2new", here)
            sock.set_deadline(PATIENCE)
            assert sock.receive().payload == b"\2new"
            assert sock.receive_nowait() is None
            assert (sock.stats().received, sock.stats().filtered) == (1, 2)
            monkeypatch.setattr(screening.time, "monotonic_ns", lambda: 1 << 62)
            assert sock.receive_nowait() is None
            assert sock._link._screen is None

    def test_a_swap_keeps_what_both_let_through(self, settle):
        here = IPAddr(IP("127.0.0.1"))
        accept_all = assemble("ret #-1")
        with (
            RawLink(253, local=here, filter=accept_all) as link,
            RawLink(253, filter=assemble("ret #0")) as sender,
        ):
            datagrams = [bytes([i % 3]) for i in range(300)]
            sender.send(Transmit(Batch.from_datagrams(datagrams), here, 2))
            settle()
            link.set_filter(accept_first_byte(1, 20))
            got = [(bytes(d), b.source, set(b.ecn.tolist())) for b in link.receive() for d in b]
            assert {source for _, source, _ in got} == {here}
            assert {frozenset(marks) for *_, marks in got} == {frozenset([2])}
            assert [d for d, *_ in got] + receive_all(link) == [b"\x01"] * 100

    def test_the_screen_goes_when_the_queue_is_clean(self, monkeypatch):
        clock = iter([0, screening._GRACE - 1, screening._GRACE])
        monkeypatch.setattr(screening.time, "monotonic_ns", lambda: next(clock))
        with RawLink(253, filter=assemble("ret #-1")) as link:
            link.set_filter(assemble("ret #0"))
            for expected in (True, False):
                assert not link.receive()
                assert (link._screen is not None) is expected

    def test_taking_the_filter_off(self, settle):
        here = IPAddr(IP("127.0.0.1"))
        with RawLink(253, local=here, filter=assemble("ret #0")) as link:
            link.send(Transmit(Batch.from_datagrams([b"no"]), here))
            settle()
            link.set_filter(None)
            link.set_filter(None)
            link.send(Transmit(Batch.from_datagrams([b"yes"]), here))
            settle()
            assert receive_all(link) == [b"yes"]

    def test_udp_swaps_too(self, settle):
        here = UDPAddr(IP("127.0.0.1"), 0)
        with UDPLink(here, filter=accept_first_byte(1, 8)) as link, UDPLink(here) as sender:
            sender.send(Transmit(Batch.from_datagrams([b"\1a", b"\2b", b"\1c"]), link.local_addr))
            settle()
            link.set_filter(accept_first_byte(2, 8))
            sender.send(Transmit(Batch.from_datagrams([b"\1d", b"\2e"]), link.local_addr))
            settle()
            assert receive_all(link) == [b"\2e"]
            assert link.stats().filtered == 2

    def test_udp_that_joins_datagrams_has_no_swaps(self):
        with UDPLink() as link, pytest.raises(ConfigError, match="offload=False"):
            link.set_filter(assemble("ret #-1"))

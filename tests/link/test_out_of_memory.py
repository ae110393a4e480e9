"""Links when the process has no memory (E13): a call fails, and whatever it was about, the next ones do their work.

Memory is made to fail at each line of a call in turn, so that no half-done change of a link's tables goes unseen.
"""

import sys
from linecache import getline
from pathlib import Path

import pytest

import rawproto
from rawproto.addr import IP, IPAddr, UDPAddr
from rawproto.link import PacketLink, RawLink, UDPLink
from rawproto.link.memory import MemoryNetwork
from rawproto.wire.batch import Batch, Transmit
from tests.link.waiting import PATIENCE

PACKAGE = str(Path(rawproto.__file__).parent / "link")


SHAPES = 6
"""Batches that :meth:`Bench.batches` makes."""


class NoMemoryAt:
    """Raises MemoryError at the ``nth`` line that the link room runs in the block."""

    def __init__(self, nth):
        self.left = nth
        self.failed = False

    def __enter__(self):
        self._before = sys.gettrace()
        sys.settrace(self._enters)
        return self

    def __exit__(self, kind, *what):
        sys.settrace(self._before)
        return self.failed and kind is MemoryError

    def _enters(self, frame, event, arg):
        return self._runs if frame.f_code.co_filename.startswith(PACKAGE) else None

    def _runs(self, frame, event, arg):
        # Where a "with" ends counts as its line, too: what it holds would stay held, as for want of memory it cannot.
        if event == "line" and not getline(frame.f_code.co_filename, frame.f_lineno).lstrip().startswith(
            "with "
        ):
            self.left -= 1
            if self.left == 0:
                self.failed = True
                raise MemoryError
        return self._runs


class Bench:
    """A link that is put to the proof, and two others that talk with it."""

    def __init__(self, link, *others):
        self.link, self.others = link, others
        self._made = 0
        self._known = set()

    def batches(self):
        """Batches of all shapes; no datagram is like any other."""
        head = self._datagrams([24] * 7)
        yield Batch.from_datagrams(head)
        yield Batch.from_datagrams(self._datagrams([300]))
        yield Batch.single(self._datagrams([200])[0])
        yield Batch.from_datagrams(self._datagrams([90, 90, 90, 20]))
        yield Batch.from_datagrams(self._datagrams([40, 700, 41, 1000]))
        yield Batch.from_datagrams(self._datagrams([24] * 70))

    def _datagrams(self, sizes):
        made = []
        for size in sizes:
            self._made += 1
            made.append(self._made.to_bytes(8, "big") * (size // 8) + bytes(size % 8))
        self._known.update(made)
        return made

    def send(self, source, target, batch):
        """``batch`` goes out whole."""
        assert source.send(Transmit(batch, target.local_addr)) == len(batch)

    def expect(self, link, source, wanted):
        """``wanted`` arrives; what else does was sent once, too."""
        wanted = set(wanted)
        while wanted:
            assert link.wait(PATIENCE), f"{len(wanted)} datagrams did not arrive"
            for batch in link.receive():
                for index, data in enumerate(batch):
                    assert data in self._known
                    if data in wanted:
                        assert batch.source_of(index) == source.local_addr
                        wanted.remove(data)

    def check(self, *shapes):
        """All works: batches of these shapes in both directions, and something with the last of the others."""
        for other, which in ((self.others[0], shapes), (self.others[-1], shapes[-1:])):
            made = list(self.batches())
            for shape in which:
                self.send(self.link, other, made[shape])
                self.expect(other, self.link, list(made[shape]))
                self.send(other, self.link, made[shape])
                self.expect(self.link, other, list(made[shape]))


def udp(offload):
    def make(request):
        return Bench(*(UDPLink(UDPAddr(IP("127.0.0.1"), 0), offload=offload) for _ in range(3)))

    return make


def memory(request):
    network = MemoryNetwork()
    ips = [IPAddr(IP(f"192.0.2.{n}")) for n in (1, 2, 3)]
    return Bench(*(network.link(ip, max_datagram_size=1480, queue=4096) for ip in ips))


def raw(version):
    def make(request):
        request.getfixturevalue("namespace")
        ips = [f"127.0.0.{n}" if version == 4 else f"fd00::{n}" for n in (1, 2, 9)]
        return Bench(*(RawLink(253, version=version, local=IPAddr(IP(ip))) for ip in ips))

    return make


def packet(request):
    a, b = request.getfixturevalue("pair")
    with a:
        link = PacketLink(253, local=IPAddr(a.ip4))
    with b:
        return Bench(link, PacketLink(253, local=IPAddr(b.ip4)))


@pytest.fixture(
    params=[
        pytest.param(udp(True), id="udp with offload"),
        pytest.param(udp(False), id="udp"),
        pytest.param(memory, id="memory"),
        pytest.param(raw(4), id="raw", marks=pytest.mark.netns),
        pytest.param(raw(6), id="raw IPv6", marks=pytest.mark.netns),
        pytest.param(packet, id="packet", marks=pytest.mark.netns),
    ]
)
def bench(request):
    made = request.param(request)
    yield made
    for link in (made.link, *made.others):
        link.close()


def prove(bench, shape, prepare, call, *, most=1000):
    """``call`` with memory failing at its first line, its second, and so on; each time all works afterwards."""
    bench.check(*range(SHAPES))
    for nth in range(1, most):
        prepare()
        with NoMemoryAt(nth) as memory:
            call()
        bench.check(shape, nth % SHAPES)
        if not memory.failed:
            return nth - 1
    raise AssertionError("the call has no end")


@pytest.mark.parametrize("shape", range(SHAPES))
def test_e13_no_memory_while_sending(bench, shape):
    waiting = []

    def prepare():
        waiting[:] = [
            Transmit(list(bench.batches())[shape], bench.others[shape % len(bench.others)].local_addr)
        ]

    assert prove(bench, shape, prepare, lambda: bench.link.send(waiting[0])) >= 5


@pytest.mark.parametrize("shape", range(SHAPES))
def test_e13_no_memory_while_receiving(bench, shape):
    sender = bench.others[shape % len(bench.others)]

    def prepare():
        bench.send(sender, bench.link, list(bench.batches())[shape])
        assert bench.link.wait(PATIENCE)

    assert prove(bench, shape, prepare, bench.link.receive) >= 5

"""A listener in a flood of forged SYNs: it answers them all, keeps nothing, and honest dialers come in."""

import pytest

import rawproto
from benchmarks import flood_work
from rawproto.addr import IP, UDPAddr
from rawproto.link import UDPLink
from rawproto.net.pump import Pump
from rawproto.protocol import Protocol
from rawproto.wire.batch import Batch, Transmit


class Speaker(Protocol):
    """Sends what it was given."""

    def __init__(self, *transmits):
        self.transmits = list(transmits)

    def handle_datagrams(self, batch, now):
        pass

    def handle_timeout(self, now):
        pass

    def poll_timeout(self):
        return None

    def poll_transmit(self, now):
        return self.transmits.pop(0) if self.transmits else None


def test_a_batch_may_have_many_destinations():
    here = UDPAddr(IP("127.0.0.1"), 0)
    with UDPLink(here) as ours, UDPLink(here) as one, UDPLink(here) as other:
        many = Transmit(
            Batch.from_datagrams([b"1", b"2"]), None, destinations=[one.local_addr, other.local_addr]
        )
        pump = Pump(Speaker(many, Transmit(Batch.single(b"3"), one.local_addr)), ours)
        pump.transmit(0)
        assert not pump.more
        assert [data for batch in one.receive() for data in batch] == [b"1", b"3"]
        assert [data for batch in other.receive() for data in batch] == [b"2"]


@pytest.mark.netns
def test_honest_dialers_come_in(lab, background):
    a, b = lab.hosts("a", "b")
    lab.link(a, b)
    b.run(["ip", "route", "add", "default", "via", str(a.ip4)], check=True)
    with b:
        listener = rawproto.listen("rsp4", f":{flood_work.PORT}")
    with listener:
        attack = a.start(flood_work.flood, str(b.ip4), 20_000.0, 1.0)
        try:
            for _ in range(20):
                accepting = background(listener.accept)
                with a:
                    conn = rawproto.dial("rsp4", f"{b.ip4}:{flood_work.PORT}", timeout=30)
                with conn, accepting.result() as accepted:
                    conn.set_deadline(100)
                    conn.write(b"let me in")
                    assert accepted.read_exactly(9) == b"let me in"
        finally:
            assert attack.result(60) > 0
            attack.wait()

"""run and aio.run: any protocol on any link."""

import asyncio
import threading

import rawproto
from rawproto import DatagramProtocol, MemoryLink, aio
from rawproto.protocol import MILLISECOND


class Echo(DatagramProtocol):
    def datagram_received(self, data, source, now):
        self.send(data, source)
        self.emit(("echoed", data))


class Asker(DatagramProtocol):
    """Asks every 20 ms until it is answered."""

    def __init__(self, peer):
        super().__init__()
        self.peer = peer
        self.asked = 0
        self.set_timer(0)

    def timer_expired(self, now):
        self.asked += 1
        self.send(b"question %d" % self.asked, self.peer)
        self.set_timer(now + 20 * MILLISECOND)

    def datagram_received(self, data, source, now):
        self.set_timer(None)
        self.emit(data)


def test_a_protocol_runs_until_its_event_says_so():
    one, other = MemoryLink.pair()
    with one, other:
        server = threading.Thread(
            target=rawproto.run, args=(Echo(), other), kwargs={"timeout": 20}, daemon=True
        )
        server.start()
        answer = rawproto.run(Asker(other.local_addr), one, on_event=lambda event: True, timeout=100)
        assert answer == b"question 1"
        other.close()
        server.join(100)
        assert not server.is_alive()


def test_a_timer_runs_though_nothing_arrives():
    one, other = MemoryLink.pair()
    with one, other:
        asker = Asker(other.local_addr)
        rawproto.run(asker, one, until=lambda: asker.asked >= 3, timeout=100)
        assert asker.asked == 3
        assert sum(len(batch) for batch in other.receive()) == 3


def test_the_timeout_ends_it():
    one, other = MemoryLink.pair()
    with one, other:
        assert rawproto.run(Echo(), one, timeout=0.01) is None


def test_a_reply_to_the_last_datagram_is_still_sent():
    one, other = MemoryLink.pair()
    with one, other:
        asker = Asker(other.local_addr)
        rawproto.run(asker, one, until=lambda: asker.asked, timeout=100)
        assert rawproto.run(Echo(), other, on_event=lambda event: event, timeout=100) == (
            "echoed",
            b"question 1",
        )
        assert rawproto.run(asker, one, on_event=lambda event: True, timeout=100) == b"question 1"


def test_on_udp():
    with (
        rawproto.UDPLink(rawproto.UDPAddr("127.0.0.1", 0)) as here,
        rawproto.UDPLink(rawproto.UDPAddr("127.0.0.1", 0)) as there,
    ):
        threading.Thread(
            target=rawproto.run, args=(Echo(), there), kwargs={"on_event": lambda event: True}, daemon=True
        ).start()
        asker = Asker(there.local_addr)
        assert rawproto.run(asker, here, on_event=lambda event: True, timeout=100).startswith(b"question")


def test_in_an_event_loop():
    async def main():
        one, other = MemoryLink.pair()
        with one, other:
            server = asyncio.create_task(aio.run(Echo(), other, timeout=100))
            answer = await aio.run(Asker(other.local_addr), one, on_event=lambda event: True, timeout=100)
            other.close()
            await server
            return answer

    assert asyncio.run(main()) == b"question 1"

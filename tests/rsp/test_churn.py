"""Endpoints that live long: what they hold after many connections, and one connection after many messages."""

from __future__ import annotations

import gc
import heapq
import random
import sys
from collections import Counter

import pytest

from rawproto.protocol import MILLISECOND, SECOND
from rawproto.rsp.config import RSPConfig
from rawproto.rsp.endpoint import Endpoint
from rawproto.wire.batch import ReceivedBatch

PORT, NOBODY = 1200, 1201
QUIET = 200 * SECOND
"""Longer than an endpoint remembers anything of connections that are over (120 s)."""
SIZES = (1, 64, 700, 1440, 5000, 20_000)
"""Few, so that what is remembered of the shape of batches is complete soon."""
KINDS = ("closed", "aborted", "reset", "refused", "given up", "half closed")


class Long:
    """Two endpoints that nobody looks at: no packet is kept, so that only theirs is what grows."""

    def __init__(self, loss=0.0, **config):
        self.rng = random.Random(5)
        secret = random.Random(7)
        self.loss = loss
        self.now = 0
        self.ends = {
            name: Endpoint(RSPConfig(**config), entropy=secret.randbytes, now=0) for name in ("a", "b")
        }
        self.listener = self.ends["b"].listen(PORT, now=0)
        self.accepted = []
        self._way = []
        self._sent = 0

    def settle(self):
        for name, end in self.ends.items():
            while (transmit := end.poll_transmit(self.now)) is not None:
                for data in transmit.batch:
                    self._sent += 1
                    delay = self.rng.choice((5, 5, 5, 9)) * MILLISECOND
                    if self.rng.random() >= self.loss:
                        packet = self.now + delay, self._sent, transmit.destination, data, name
                        heapq.heappush(self._way, packet)
            while end.poll_event() is not None:
                pass
        while (connection := self.listener.accept()) is not None:
            self.accepted.append(connection)

    def until(self, ready):
        """Drive until ``ready()``, or until nothing more would happen."""
        self.settle()
        while not ready():
            times = [end.poll_timeout() for end in self.ends.values()]
            times += [self._way[0][0] if self._way else None]
            if not (known := [time for time in times if time is not None]):
                return
            self.now = max(self.now, min(known))
            while self._way and self._way[0][0] <= self.now:
                _, _, to, data, source = heapq.heappop(self._way)
                self.ends[to].handle_datagrams(ReceivedBatch.from_arrivals([(data, source)]), self.now)
            for end in self.ends.values():
                due = end.poll_timeout()
                if due is not None and due <= self.now:
                    end.handle_timeout(self.now)
            self.settle()

    def open(self):
        client = self.ends["a"].connect("b", PORT, now=self.now)
        self.until(lambda: client.closed or (client.established and self.accepted))
        return client, self.accepted.pop()

    def say(self, speaker, hearer, size):
        speaker.write(bytes(size), self.now)
        heard = 0

        def all_there():
            nonlocal heard
            heard += len(hearer.read(-1, self.now))
            return heard == size

        self.until(all_there)
        assert heard == size

    def connection(self, kind):
        """One connection from its beginning to its end."""
        if kind in ("refused", "given up"):
            client = self.ends["a"].connect("b", NOBODY, now=self.now)
            if kind == "given up":
                client.abort(self.now)
            self.until(lambda: client.closed)
            return
        client, server = self.open()
        self.say(client, server, 5)
        server.write(bytes(3000), self.now)
        if kind == "aborted":
            client.abort(self.now)
        elif kind == "reset":
            server.abort(self.now)
        else:
            if kind == "half closed":
                client.close_write(self.now)
            self.until(lambda: client.readable == 3000)
            client.read(-1, self.now)
        # A RESET may be lost: the other application closes, too, and so hears of it.
        self.until(lambda: client.closed or server.closed or (server.at_eof and client.acknowledged == 5))
        server.close(self.now)
        client.close(self.now)
        self.until(lambda: client.closed and server.closed)
        assert client.closed
        assert server.closed

    def rest(self):
        """Let everything pass that passes, and both ends look once more at what they remember."""
        self.until(lambda: False)
        self.now += QUIET
        self.connection("closed")
        self.until(lambda: False)


def held():
    """Objects of RSP that are alive, by type, and blocks of Python's allocator."""
    gc.collect()
    found = Counter(
        type(each).__qualname__
        for each in gc.get_objects()
        if str(type(each).__module__).startswith("rawproto.rsp")  # of some types it is a descriptor
    )
    return found, sys.getallocatedblocks()


def assert_no_growth(some, count, before=400):
    """``some(n)`` does something n times and comes to rest: nothing may be left for each time.

    ``before`` times it is done first: what is remembered of the newest few hundred packets is complete then.
    """
    some(before)
    objects, blocks = held()
    some(count)
    objects_then, blocks_then = held()
    assert objects_then - objects == Counter()
    assert blocks_then - blocks < count / 2, "some object is left for each time"


@pytest.mark.parametrize("loss", [0.0, 0.1])
class TestMany:
    """Connections one after another, closed, aborted, reset, refused and given up by turns."""

    def many(self, loss, count):
        bench = Long(loss)

        def some(number):
            for index in range(number):
                bench.connection(KINDS[index % len(KINDS)])
            bench.rest()

        assert_no_growth(some, count, before=60)
        assert bench.ends["a"].connections == bench.ends["b"].connections == []

    def test_connections_leave_nothing(self, loss):
        self.many(loss, 600)

    @pytest.mark.long
    @pytest.mark.timeout(7200)
    def test_a_hundred_thousand_connections_leave_nothing(self, loss):
        self.many(loss, 100_000)


@pytest.mark.parametrize("loss", [0.0, 0.1])
class TestLong:
    """One connection and its messages, both ways, from a byte to many packets."""

    def talk(self, loss, count, **config):
        bench = Long(loss, **config)
        client, server = bench.open()

        def some(number):
            for _ in range(number):
                bench.say(client, server, bench.rng.choice(SIZES))
                bench.say(server, client, bench.rng.choice(SIZES))
            bench.until(lambda: False)

        assert_no_growth(some, count)

    def test_messages_leave_nothing(self, loss):
        self.talk(loss, 400)

    @pytest.mark.long
    @pytest.mark.timeout(7200)
    def test_a_hundred_thousand_messages_leave_nothing(self, loss):
        self.talk(loss, 50_000)

"""Looking again before sleeping: when it is done, when it stops, and what Link.wait says."""

import os
import select
import threading

import pytest

from rawproto.errors import ClosedError
from rawproto.link import MemoryLink
from rawproto.link.busypoll import WINDOW, BusyPoll, Eagerness
from rawproto.wire import Batch, Transmit


def test_short_sleeps_make_eager_and_long_ones_end_it():
    eagerness = Eagerness()
    assert not eagerness.decide()
    eagerness.slept(WINDOW - 1)
    assert eagerness.decide()
    eagerness.looking_paid()
    assert eagerness.decide()
    eagerness.slept(WINDOW)
    assert not eagerness.decide()


def test_looking_in_vain_pauses_longer_each_time():
    eagerness = Eagerness()
    pauses = []
    for _ in range(8):
        eagerness.slept(1)
        pauses.append(0)
        while not eagerness.decide():
            pauses[-1] += 1
            eagerness.slept(1)
        eagerness.looking_was_vain()
    assert pauses == [0, 8, 32, 128, 512, 1024, 1024, 1024]


def test_success_forgives_earlier_failures():
    eagerness = Eagerness()
    eagerness.slept(1)
    for _ in range(3):
        eagerness.looking_was_vain()
    eagerness.looking_paid()
    eagerness.looking_was_vain()
    assert [eagerness.decide() for _ in range(9)] == [False] * 8 + [True]


class ScriptedPoll:
    """Answers polls in turn, and remembers their timeouts."""

    def __init__(self, *answers):
        self._answers = list(answers)
        self.timeouts = []

    def poll(self, timeout):
        self.timeouts.append(timeout)
        return self._answers.pop(0) if self._answers else [(3, select.POLLIN)]


def test_what_is_ready_is_told_without_looking_twice():
    poll = ScriptedPoll([(3, select.POLLIN)])
    assert BusyPoll(poll).wait(None) == [(3, select.POLLIN)]
    assert poll.timeouts == [0]


def test_a_timeout_of_zero_never_sleeps():
    poll = ScriptedPoll([])
    assert BusyPoll(poll).wait(0) == []
    assert poll.timeouts == [0]


def test_the_first_wait_sleeps_and_the_next_looks_again():
    poll = ScriptedPoll([])
    waiting = BusyPoll(poll)
    waiting.wait(5.0)
    assert poll.timeouts == [0, 5.0]
    waiting._eagerness.slept(1)  # whatever the clock of this machine said
    poll.timeouts.clear()
    poll._answers = [[]]
    assert waiting.wait(5.0)
    assert poll.timeouts == [0, 0]


def test_wait_tells_whether_something_came():
    one, other = MemoryLink.pair()
    with one, other:
        assert not other.wait(0)
        assert not other.wait(0.001)
        one.send(Transmit(Batch.from_datagrams([b"hello"]), other.local_addr))
        assert other.wait()
        assert [bytes(datagram) for batch in other.receive() for datagram in batch] == [b"hello"]
        assert not other.wait(0)


def test_wait_ends_when_something_comes():
    one, other = MemoryLink.pair()
    with one, other:
        came = []
        waiting = threading.Thread(target=lambda: came.append(other.wait(60)))
        waiting.start()
        one.send(Transmit(Batch.from_datagrams([b"hello"]), other.local_addr))
        waiting.join(60)
        assert came == [True]


def test_wait_on_a_closed_link():
    one, other = MemoryLink.pair()
    one.close()
    other.close()
    with pytest.raises(ClosedError):
        other.wait(1)


def test_the_poll_object_of_a_pipe():
    reading, writing = os.pipe()
    try:
        poll = select.poll()
        poll.register(reading, select.POLLIN)
        waiting = BusyPoll(poll)
        assert waiting.wait(1) == []
        os.write(writing, b"x")
        assert waiting.wait(None) == [(reading, select.POLLIN)]
    finally:
        os.close(reading)
        os.close(writing)

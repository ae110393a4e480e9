"""The three small protocols of docs/examples: on bad links in virtual time, and on raw sockets between two hosts."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path

import echo
import go_back_n
import pytest
import stop_and_wait

from rawproto import Lab, Simulation
from rawproto.protocol import MILLISECOND

EXAMPLES = Path(__file__).resolve().parents[2] / "docs" / "examples"
PROTOCOLS = ("echo", "stop_and_wait", "go_back_n")
SEEDS = range(10)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_is_under_120_lines(name: str) -> None:
    assert len((EXAMPLES / f"{name}.py").read_text().splitlines()) < 120


def test_the_protocol_of_the_tutorial_has_at_most_60_lines() -> None:
    lines = (EXAMPLES / "stop_and_wait.py").read_text().splitlines()
    protocol = lines[lines.index("class Kind(OpenEnum):") : lines.index("def receive(address: str) -> None:")]
    assert sum(1 for line in protocol if line.strip()) <= 60


def test_the_tests_of_the_tutorial_have_at_most_ten_lines() -> None:
    lines = (EXAMPLES.parent / "tutorial.md").read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("def test_")]
    assert len(starts) == 3
    for start in starts:
        assert lines.index("```", start) - start <= 10, lines[start]


def test_echo_measures_the_round_trip() -> None:
    simulation = Simulation(seed=1)
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="20ms")
    answerer = b.run(echo.Answerer())
    asker = a.run(echo.Asker(answerer.address, count=3))
    asker.wake()
    assert simulation.run(lambda: len(asker.events) == 3, deadline="5s")
    assert asker.events == [(number, 40 * MILLISECOND) for number in range(3)]


@pytest.mark.parametrize("seed", SEEDS)
def test_echo_tells_of_each_question_once(seed: int) -> None:
    simulation = Simulation(seed=seed)
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="20ms", loss=0.3, duplicate=0.3, corrupt=0.2)
    answerer = b.run(echo.Answerer())
    asker = a.run(echo.Asker(answerer.address, count=10))
    asker.wake()
    assert simulation.run(lambda: asker.protocol.asked == 10, deadline="5s")
    simulation.run(deadline="5s")
    assert sorted(number for number, _ in asker.events) == list(range(10))
    assert all(time in (None, 40 * MILLISECOND) for _, time in asker.events)


@pytest.mark.parametrize("seed", SEEDS)
def test_stop_and_wait_delivers_once_and_in_order(seed: int) -> None:
    messages = [b"%d" % number for number in range(20)]
    simulation = Simulation(seed=seed)
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="20ms", loss=0.3, duplicate=0.1, reorder=0.1, corrupt=0.1)
    receiver, sender = b.run(stop_and_wait.StopAndWait(1)), a.run(stop_and_wait.StopAndWait(2))
    for message in messages:
        sender.do(lambda protocol, now, text=message: protocol.submit(receiver.address, text, now))
    assert simulation.run(lambda: sender.events == messages, deadline="120s"), simulation.how_to_replay()
    assert receiver.events == messages, simulation.how_to_replay()


def test_stop_and_wait_numbers_wrap() -> None:
    simulation = Simulation(seed=1)
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, loss=0.2)
    receiver, sender = b.run(stop_and_wait.StopAndWait(1)), a.run(stop_and_wait.StopAndWait(2))
    sender.protocol.number = 65534
    receiver.protocol.expected[sender.address, 2] = 65534
    for number in range(4):
        sender.do(lambda protocol, now, n=number: protocol.submit(receiver.address, b"%d" % n, now))
    assert simulation.run(lambda: len(sender.events) == 4, deadline="60s")
    assert receiver.events == [b"0", b"1", b"2", b"3"]


@pytest.mark.parametrize("size", [0, 1, 1000, 1001, 60_000])
@pytest.mark.parametrize("seed", SEEDS)
def test_go_back_n_delivers_every_byte_and_the_end(seed: int, size: int) -> None:
    data = random.Random(size).randbytes(size)
    simulation = Simulation(seed=seed)
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="20ms", loss=0.1, duplicate=0.1, reorder=0.1, corrupt=0.05)
    receiver, sender = b.run(go_back_n.GoBackN(1)), a.run(go_back_n.GoBackN(2))
    sender.do(lambda protocol, now: protocol.transfer(receiver.address, data))
    assert simulation.run(lambda: sender.events, deadline="300s"), simulation.how_to_replay()
    assert b"".join(receiver.events) == data, simulation.how_to_replay()
    assert receiver.events.index(b"") == len(receiver.events) - 1


def test_go_back_n_keeps_a_window_on_the_way() -> None:
    simulation = Simulation(seed=1)
    a, b = simulation.hosts("a", "b")
    simulation.link(a, b, delay="50ms")
    receiver, sender = b.run(go_back_n.GoBackN(1)), a.run(go_back_n.GoBackN(2, window=10))
    sender.do(lambda protocol, now: protocol.transfer(receiver.address, bytes(40_000)))
    assert simulation.run(lambda: sender.events, deadline="60s")
    assert simulation.now == 4 * 100 * MILLISECOND  # four windows, a round trip each


@pytest.mark.netns
def test_go_back_n_on_raw_sockets(tmp_path: Path) -> None:
    program, data = [sys.executable, str(EXAMPLES / "go_back_n.py")], random.Random(7).randbytes(50_000)
    with Lab() as lab:
        a, b = lab.hosts("a", "b")
        lab.link(a, b, delay="5ms", loss=0.02, seed=7)
        with b.popen([*program, "receive", b.address()], stdout=subprocess.PIPE) as receiver:
            a.run([*program, "send", b.address()], input=data, check=True)
            got, _ = receiver.communicate()
    assert got == data


@pytest.mark.netns
def test_echo_on_raw_sockets() -> None:
    program = [sys.executable, str(EXAMPLES / "echo.py")]
    with Lab() as lab:
        a, b = lab.hosts("a", "b")
        link = lab.link(a, b, delay="5ms", seed=7, relay=True)
        link.drop(nth=2, toward=a)
        with b.popen([*program, "answer", b.address()]) as answerer:
            # The kernel's list of raw sockets: local address and, as its port, the protocol.
            while b":00FD" not in b.run(["cat", "/proc/net/raw"], capture_output=True, check=True).stdout:
                assert answerer.poll() is None
            done = a.run([*program, "ask", b.address(), "4"], check=True, capture_output=True)
            answerer.kill()
    lines = done.stdout.decode().splitlines()
    assert len(lines) == 4
    assert sum(line.endswith("no answer") for line in lines) >= 1
    assert sum(line.endswith(" ms") for line in lines) >= 1

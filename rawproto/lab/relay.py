"""The relay: the process between the two ends of a link that loses, delays and damages.

Started by :class:`rawproto.lab.process.RelayProcess` as a program of its own in a namespace of its own, with the two
inner ends of the cables as its only interfaces. It ends when told to, or when its parent is gone.
"""

from __future__ import annotations

import gc
import os
import select
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from rawproto.lab import kernel
from rawproto.lab.impair import Direction
from rawproto.lab.line import Line
from rawproto.lab.ports import BATCH, ETHERNET, Pool, Port
from rawproto.lab.tap import Tap

if TYPE_CHECKING:
    from rawproto.lab.rules import Verdict

__all__ = ["Relay"]

# Frames longer than the MTU cannot come; a VLAN tag may.
_SLACK = 18
# The longest sleep, so that a clock of any kind going wrong cannot stop the relay for good.
_LONGEST_SLEEP = 1.0
# Waking up and sending takes about as long, so what is due so soon leaves now.
_EARLY = 50_000
# The relay goes first where it may, as a cable does not get slower when the hosts are busy.
_NICE = -10
# Batches taken in before the outgoing side is looked at again.
_BATCHES = 4
# After each round the relay lets packets gather, for this part of the shortest delay: the kernel has noted when they
# came, and what leaves is late by no more than that.
_GATHER_PART = 25
_LONGEST_GATHERING = 500_000


class Relay:
    """Two ports, a line each way, and a parent that may change everything while it runs."""

    def __init__(self, setup: dict[str, Any], control: Connection, questions: Connection) -> None:
        self._control = control
        self._questions = questions
        width = -(-(setup["mtu"] + ETHERNET + _SLACK) // 64) * 64
        pool = Pool(width)
        first, second = (Port(name, setup["mtu"], pool) for name in ("a", "b"))
        now = time.monotonic_ns()
        seed = setup["seed"]
        self._lines = {
            "forward": Line(Direction(setup["forward"], seed, "forward", now), pool, first, second),
            "backward": Line(Direction(setup["backward"], seed, "backward", now), pool, second, first),
        }
        self._tap: Tap | None = None
        self._looked_at = now

    def run(self) -> None:
        """Relay until told to stop, or until the parent is gone."""
        lines = list(self._lines.values())
        watched: list[Any] = [self._control.fileno(), *(line.into.fileno() for line in lines)]
        try:
            while True:
                self._gather(lines)
                due = min(line.next_due() for line in lines)
                wait = min(max(due - _EARLY - time.monotonic_ns(), 0) / 1e9, _LONGEST_SLEEP)
                ready = select.select(watched, [], [], wait)[0]
                for line in lines:
                    if line.into.fileno() in ready:
                        self._take_in(line)
                for line in lines:
                    while line.deliver(time.monotonic_ns() + _EARLY):
                        pass
                if self._control.fileno() in ready and not self._obey():
                    return
        except (EOFError, ConnectionError):
            return  # the parent is gone
        finally:
            if self._tap is not None:
                self._tap.close()

    def _gather(self, lines: list[Line]) -> None:
        """Wait a little after the last round where the delays leave time: a large batch costs less than small ones."""
        shortest = min(line.engine.spec.delay - line.engine.spec.jitter for line in lines)
        begin = self._looked_at
        pause = begin + min(shortest // _GATHER_PART, _LONGEST_GATHERING) - time.monotonic_ns()
        if pause > 0:
            time.sleep(pause / 1e9)
        self._looked_at = time.monotonic_ns()

    def _take_in(self, line: Line) -> None:
        for _ in range(_BATCHES):
            if line.receive(time.monotonic_ns()) < BATCH:
                return

    def _obey(self) -> bool:
        """Carry out one command of the parent and answer it; false when it was to stop."""
        command, *arguments = self._control.recv()
        if command == "stop":
            return False
        try:
            answer = (True, getattr(self, f"do_{command}")(*arguments))
        except Exception as error:  # the parent raises it
            answer = (False, error)
        self._control.send(answer)
        return True

    def do_set(self, direction: str, spec: Any) -> None:
        """Change the impairments of one direction."""
        self._lines[direction].engine.set(spec, time.monotonic_ns())

    def do_stats(self, direction: str) -> Any:
        """Counters of one direction."""
        line = self._lines[direction]
        stats = line.engine.stats
        stats.kernel_dropped += line.into.kernel_drops()
        stats.waiting = len(line)
        return stats

    def do_decisions(self, direction: str) -> bytes:
        """What chance decided on the packets of one direction so far, a byte each."""
        return self._lines[direction].engine.decisions().fates

    def do_judge(self, direction: str, asked: bool) -> None:
        """From now on ask the parent about each packet of one direction, or no more."""
        self._lines[direction].ask = self._ask if asked else None

    def do_release(self, direction: str, token: int) -> int:
        """Let go of the packets held under a token."""
        return self._lines[direction].release(token, time.monotonic_ns())

    def do_capture(self, path: str | None, names: tuple[str, str], limit: int | None) -> None:
        """Write what passes to a file from now on; None ends the capture."""
        if self._tap is not None:
            self._tap.close()
        ends = {"forward": (0, 1), "backward": (1, 0)}
        self._tap = None if path is None else Tap(path, names, ends, limit)
        for line in self._lines.values():
            line.tap = self._tap

    def _ask(self, direction: str, index: int, header: int, data: bytes, now: int) -> Verdict | None:
        self._questions.send((direction, index, header, data, now))
        verdict, more = self._questions.recv()
        if not more:
            self._lines[direction].ask = None
        answer: Verdict | None = verdict
        return answer


def main(arguments: list[str]) -> None:
    """Run the relay with the connections whose descriptors are given: control and questions."""
    # The parent says when to end, not the terminal. When it dies its end of the connection closes, and a capture is
    # still finished; the undertaker waits that long.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # The default lets timers be late by 50 us.
    kernel.prctl(kernel.PR_SET_TIMERSLACK, 1)
    try:
        os.nice(_NICE)
    except PermissionError:
        pass  # an ordinary user's relay shares the processor with the traffic it carries
    control, questions = (Connection(int(descriptor)) for descriptor in arguments)
    # From the setup on packets are taken in, and whoever did that until then waits for no start of an interpreter.
    control.send("here")
    relay = Relay(control.recv(), control, questions)
    # What lives long is left alone, and packets make no cycles.
    gc.freeze()
    gc.disable()
    control.send("ready")
    relay.run()


if __name__ == "__main__":
    main(sys.argv[1:])

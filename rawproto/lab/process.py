"""The parent's side of the relay: starts the process, commands it, and answers its questions about single packets."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError
from rawproto.lab import relay
from rawproto.lab.rules import Packet, Rule, Rules

if TYPE_CHECKING:
    from collections.abc import Mapping

    from rawproto.lab.children import Children
    from rawproto.lab.netns import Namespace
    from rawproto.lab.rules import Verdict

__all__ = ["RelayProcess"]


class RelayProcess:
    """The relay of one link, started and ready for :meth:`begin`.

    Args:
        namespace: where the inner ends of the two cables are.
        children: what ends with the lab.
        title: of the link, for messages.
        ends: by direction, the name of the host that packets go to.
    """

    def __init__(self, namespace: Namespace, children: Children, title: str, ends: Mapping[str, str]) -> None:
        self._title = title
        self._ends = ends
        self._lock = threading.Lock()
        self._rules = {direction: Rules() for direction in ends}
        self._answering: threading.Thread | None = None
        control, its_control = socket.socketpair()
        questions, its_questions = socket.socketpair()
        with control, questions, its_control, its_questions:
            descriptors = [its_control.fileno(), its_questions.fileno()]
            command = [sys.executable, "-m", relay.__name__, *map(str, descriptors)]
            # The very rawproto that this process uses, installed or not.
            root = str(Path(__file__).parents[2])
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}
            self._process: subprocess.Popen[bytes] = children.popen(
                namespace, command, pass_fds=descriptors, stdin=subprocess.DEVNULL, env=environment
            )
            self._control = Connection(control.detach())
            self._questions = Connection(questions.detach())
        self._hear()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def begin(self, setup: Mapping[str, Any]) -> None:
        """Have it take in packets from now on.

        Args:
            setup: "mtu", "seed", and the impairments of each direction under its name.
        """
        self._control.send(setup)
        self._hear()

    def _hear(self) -> None:
        try:
            self._control.recv()
        except (EOFError, ConnectionError) as error:
            status = self._process.wait()
            raise LabError(f"the relay did not start (exit status {status}); it says why above") from error

    def command(self, *command: Any) -> Any:
        """Have something done; gives its answer, or raises what it raised."""
        with self._lock:
            try:
                self._control.send(command)
                good, answer = self._control.recv()
            except (EOFError, OSError) as error:
                raise LabError(f"the relay of {self._title} is gone") from error
        if not good:
            raise answer
        return answer

    def add_rule(self, direction: str, rule: Rule) -> None:
        """Have a rule look at packets from now on."""
        with self._lock:
            if self._answering is None:
                self._answering = threading.Thread(
                    target=self._answer, name="rawproto-lab-rules", daemon=True
                )
                self._answering.start()
        self._rules[direction].add(rule)
        self.command("judge", direction, True)

    def _answer(self) -> None:
        """Answer the relay's questions about single packets, as long as it asks."""
        try:
            while True:
                direction, index, header, data, now = self._questions.recv()
                packet = Packet(data, header=header, index=index, time=now, toward=self._ends[direction])
                rules = self._rules[direction]
                verdict = self._judge(rules, packet)
                self._questions.send((verdict, bool(rules)))
        except (EOFError, OSError):
            return

    def _judge(self, rules: Rules, packet: Packet) -> Verdict | None:
        try:
            return rules.judge(packet)
        except Exception as error:
            # The user's predicate is at fault: it is told as any thread's failure is, and the packet passes.
            threading.excepthook(
                threading.ExceptHookArgs(
                    (type(error), error, error.__traceback__, threading.current_thread())
                )
            )
            return None

    def close(self) -> None:
        """End it."""
        with self._lock:
            try:
                self._control.send(("stop",))
                self._process.wait(timeout=5)
            except (OSError, subprocess.TimeoutExpired):
                self._process.kill()
        self._process.wait()
        self._control.close()
        if self._answering is not None:
            self._answering.join()
        self._questions.close()

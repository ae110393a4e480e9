"""A link with the relay in it: the parent's side of the process that loses and delays."""

from __future__ import annotations

import os
import secrets
import socket
import subprocess
import sys
import threading
from multiprocessing.connection import Connection
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rawproto.errors import LabError
from rawproto.lab import plan, relay, wiring
from rawproto.lab.fates import Decisions
from rawproto.lab.faults import BACKWARD, FORWARD
from rawproto.lab.links import LabLink, host_port, introduce, plug_in
from rawproto.lab.netns import Namespace
from rawproto.lab.rules import Packet, Rule, Rules
from rawproto.lab.settling import settle
from rawproto.lab.wiring import Port

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rawproto.lab.children import Children
    from rawproto.lab.host import Host
    from rawproto.lab.impair import DirectionStats
    from rawproto.lab.rules import Verdict
    from rawproto.lab.spec import Impairments

__all__ = ["RelayedLink"]


class RelayedLink(LabLink):
    """Two hosts with the relay between them; made by :meth:`rawproto.lab.Lab.link`.

    Attributes:
        a: the host at one end.
        b: the host at the other end.
        seed: of all chance on this link.
        means: what the link is made of: "relay".
        namespace: where the relay stands.
    """

    means = "relay"

    def __init__(
        self,
        number: int,
        a: Host,
        b: Host,
        *,
        a_addresses: Sequence[str] | None,
        b_addresses: Sequence[str] | None,
        device_mtu: int,
        seed: int | None,
        words: Mapping[str, Any],
        forward: Mapping[str, Any] | None,
        backward: Mapping[str, Any] | None,
        children: Children,
    ) -> None:
        super().__init__(words, forward, backward)
        self.number = number
        self.a, self.b = a, b
        self.seed = secrets.randbits(32) if seed is None else seed
        self._lock = threading.Lock()
        self._rules = {FORWARD: Rules(), BACKWARD: Rules()}
        self._answering: threading.Thread | None = None
        self.a_port = host_port(number, 1, a, b, a_addresses)
        self.b_port = host_port(number, 2, b, a, b_addresses)
        self.namespace = Namespace(f"relay{number}")
        children.watch(self.namespace)
        inners = [
            Port(self.namespace, name, plan.mac_for(number, end, relay=True))
            for name, end in (("a", 1), ("b", 2))
        ]
        for port, inner in zip((self.a_port, self.b_port), inners, strict=True):
            wiring.connect(port, inner, device_mtu)
            wiring.configure(inner, offloads=False)
        plug_in(a, self.a_port, offloads=False)
        plug_in(b, self.b_port, offloads=False)
        introduce(self.a_port, self.b_port)
        for port in (*inners, self.a_port, self.b_port):
            settle(port)
        self._start(children, device_mtu)

    def __repr__(self) -> str:
        return f"<link {self.a.name} - {self.b.name} by {self.means}, seed {self.seed}>"

    @property
    def namespaces(self) -> tuple[int, ...]:
        """The one in which the relay stands."""
        return (self.namespace.ident,)

    @property
    def process_id(self) -> int:
        """Of the relay."""
        return self._process.pid

    def _start(self, children: Children, mtu: int) -> None:
        control, its_control = socket.socketpair()
        questions, its_questions = socket.socketpair()
        with its_control, its_questions:
            descriptors = [its_control.fileno(), its_questions.fileno()]
            command = [sys.executable, "-m", relay.__name__, *map(str, descriptors)]
            # The very rawproto that this process uses, installed or not.
            root = str(Path(__file__).parents[2])
            environment = {**os.environ, "PYTHONPATH": os.pathsep.join([root, *filter(None, sys.path)])}
            self._process: subprocess.Popen[bytes] = children.popen(
                self.namespace, command, pass_fds=descriptors, stdin=subprocess.DEVNULL, env=environment
            )
        self._control = Connection(control.detach())
        self._questions = Connection(questions.detach())
        setup = {"mtu": mtu, "seed": self.seed, **self._specs}
        try:
            self._control.send(setup)
            self._control.recv()
        except (EOFError, ConnectionError) as error:
            status = self._process.wait()
            raise LabError(f"the relay did not start (exit status {status}); it says why above") from error

    def _command(self, *command: Any) -> Any:
        with self._lock:
            try:
                self._control.send(command)
                good, answer = self._control.recv()
            except (EOFError, OSError) as error:
                raise LabError(f"the relay of {self!r} is gone") from error
        if not good:
            raise answer
        return answer

    def _apply(self, direction: str, spec: Impairments) -> None:
        self._command("set", direction, spec)

    def _release(self, direction: str, token: int) -> int:
        freed: int = self._command("release", direction, token)
        return freed

    def _stats(self, direction: str) -> DirectionStats:
        stats: DirectionStats = self._command("stats", direction)
        return stats

    def _decisions(self, direction: str) -> Decisions:
        return Decisions(self._command("decisions", direction))

    def _add_rule(self, direction: str, rule: Rule) -> None:
        if self._answering is None:
            self._answering = threading.Thread(
                target=self._answer, name=f"rawproto-lab-rules{self.number}", daemon=True
            )
            self._answering.start()
        self._rules[direction].add(rule)
        self._command("judge", direction, True)

    def _answer(self) -> None:
        """Answer the relay's questions about single packets, as long as it asks."""
        ends = {FORWARD: self.b.name, BACKWARD: self.a.name}
        try:
            while True:
                direction, index, header, data, now = self._questions.recv()
                packet = Packet(data, header=header, index=index, time=now, toward=ends[direction])
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

    def capture(self, path: str | os.PathLike[str] | None, *, limit: int | None = None) -> None:
        """Write what passes to a pcapng file from now on; None ends the capture, as closing the lab does.

        Each end is an interface of the capture: a packet is there when it comes from a host, and again on the other
        end when it is delivered. Wireshark and tshark open the file. After ``limit`` bytes of packets
        no more are written.
        """
        where = None if path is None else str(Path(path).absolute())
        self._command("capture", where, (self.a.name, self.b.name), limit)

    def close(self) -> None:
        """End the relay and let its namespace go. Harmless when called again."""
        if self.namespace.closed:
            return
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
        self.namespace.close()

"""The side that asks for a measurement, and says when it begins and ends."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any, Final

from rawproto import DeadlineExceeded, UDPAddr, dial_udp, drop_privileges

from ..failure import Failure
from .datagrams import HEADER, HELLO, DatagramReceiver, DatagramSender, make_room
from .flow import Flow
from .latency import DatagramProbe, Prober, StreamProbe
from .parts import Parts
from .report import Report, believed
from .talk import VERSION, Talk, Violation

if TYPE_CHECKING:
    from ..transport import Transport
    from .display import Silence
    from .plan import Plan
    from .stream import Stream

__all__ = ["Client", "control_network"]

_AGAIN: Final = 0.2
"""Seconds after which a greeting in a datagram is sent again."""
_TICK: Final = 0.01
"""Seconds between two looks at whether everything has arrived."""


def control_network(network: str) -> str:
    """Where both sides talk about streams on ``network``: there as well; about datagrams, on TCP."""
    return network.replace("udp", "tcp") if network.startswith("udp") else network


class Client:
    """One measurement.

    Args:
        transport: how to connect.
        address: of the server, "host:port".
        plan: what to measure.
        wait: seconds without a word from the server after which to give up.
        config: :class:`rawproto.RSPConfig` or None.
        display: told of the beginning and of each interval.
        interval: seconds of one; 0 for none.
    """

    def __init__(
        self,
        transport: Transport,
        address: str,
        plan: Plan,
        *,
        wait: float,
        config: Any,
        display: Silence,
        interval: float,
    ) -> None:
        self._transport = transport
        self._address = address
        self._plan = plan
        self._wait = wait
        self._config = config
        self._display = display
        self._interval = interval
        self._token = ""
        self._port = 0
        self._prober: Prober | None = None

    def measure(self) -> Report:
        """Connect, measure, and collect what both sides saw.

        An interrupt (Ctrl-C) ends the measurement early, and marks the report.

        Raises:
            Failure: the server refuses, or does not speak the protocol.
            OpError: a connection failed.
        """
        with contextlib.ExitStack() as stack:
            control = stack.enter_context(self._dial())
            talk = Talk(control, self._wait)
            talk.say(role="control", version=VERSION, plan=self._plan.words())
            self._heed(talk.hear())
            parts = Parts(datagrams=self._plan.datagrams)
            stack.callback(parts.close)
            for index in (*self._plan.sent_by_client, *self._plan.sent_by_server):
                parts.add(self._open(index, control))
            if self._plan.probe:
                self._prober = Prober(self._open_probe(control))
                stack.callback(self._prober.stop)
            drop_privileges()
            self._display.begin(self._plan, control)
            return self._run(talk, parts)

    def _heed(self, words: dict[str, Any]) -> None:
        token, port = words.get("token"), words.get("port")
        if not isinstance(token, str) or type(port) is not int or not 0 <= port < 65536:
            raise Violation("no token")
        self._token, self._port = token, port

    def _dial(self) -> Any:
        return self._transport.dial(self._address, timeout=self._wait, config=self._config)

    # ---- opening streams

    def _open(self, index: int, control: Any) -> Stream:
        plan = self._plan
        sending = index in plan.sent_by_client
        if not plan.datagrams:
            return Flow(
                self._join("stream", index), index, sending=sending,
                length=plan.length, share=plan.share(index), rate=plan.rate,
            )  # fmt: skip
        conn = self._greet(index, control)
        if not sending:
            return DatagramReceiver(index, conn)
        return DatagramSender(
            conn.write, index, int(self._token, 16),
            length=plan.length, share=plan.share(index), rate=plan.rate, close=conn.close,
        )  # fmt: skip

    def _open_probe(self, control: Any) -> StreamProbe | DatagramProbe:
        if self._plan.datagrams:
            # Any number that no stream has.
            return DatagramProbe(self._greet(0xFFFF, control), int(self._token, 16))
        return StreamProbe(self._join("probe", 0))

    def _join(self, role: str, index: int) -> Any:
        """One more connection to the server, for stream ``index`` or for probes."""
        conn = self._dial()
        try:
            talk = Talk(conn, self._wait)
            talk.say(role=role, version=VERSION, token=self._token, index=index)
            talk.hear()
        except BaseException:
            conn.abort()
            raise
        return conn

    def _greet(self, index: int, control: Any) -> Any:
        """A socket for the datagrams of stream ``index``, which the server knows of."""
        peer = control.remote_addr
        conn = dial_udp("udp", None, UDPAddr(peer.ip, self._port, peer.zone))
        make_room(conn)
        greeting = HEADER.pack(HELLO, index, int(self._token, 16), 0, 0)
        stop = time.monotonic() + self._wait
        try:
            while True:
                conn.write(greeting)
                conn.set_read_deadline(_AGAIN)
                try:
                    while conn.read() != greeting:
                        pass
                except DeadlineExceeded:
                    if time.monotonic() > stop:
                        raise Failure(f"no datagram comes back from {conn.remote_addr}") from None
                else:
                    return conn
        except BaseException:
            conn.close()
            raise

    # ---- the measurement

    def _run(self, talk: Talk, parts: Parts) -> Report:
        if self._prober is not None:
            self._prober.measure_idle()
            self._prober.mark_load()
        report = Report(self._plan, str(talk.conn.local_addr), str(talk.conn.remote_addr))
        listening = _Listening(talk)
        try:
            parts.start()
            talk.say(start=True)
            listening.thread.start()
            self._beat(parts, listening, report)
        except KeyboardInterrupt:
            report.interrupted = True
        report.here = parts.stop()
        talk.say(end=True)
        if self._prober is not None:
            self._prober.finish()
            report.latency = self._prober.document()
        report.there = believed(listening.results(self._wait), self._plan)
        return report

    def _beat(self, parts: Parts, listening: _Listening, report: Report) -> None:
        """Watch the streams until they are to end, an interval after the other."""
        end = self._plan.seconds if self._plan.seconds is not None else float("inf")
        moment = report.begin(parts.streams)
        due = self._interval or float("inf")
        while True:
            left = min(end, due) - parts.elapsed
            listening.wait(min(left, _TICK) if self._plan.size is not None else min(left, 1.0))
            listening.check()
            parts.check()
            over = parts.elapsed >= end or (
                self._plan.size is not None
                and parts.complete()
                and (listening.done or not self._server_decides)
            )
            if self._interval and (parts.elapsed >= due or over):
                moment = report.note(moment, parts.elapsed, parts.streams)
                self._display.interval(moment)
                due += self._interval
            if over:
                return

    @property
    def _server_decides(self) -> bool:
        """Whether the server is to see the end of a stream."""
        plan = self._plan
        return bool(plan.sent_by_server if plan.datagrams else plan.sent_by_client)


class _Listening:
    """Hears what the server says during a measurement."""

    def __init__(self, talk: Talk) -> None:
        self.done = False
        self.thread = threading.Thread(target=self._run, name="control", daemon=True)
        self._talk = talk
        self._changed = threading.Event()
        self._over = threading.Event()
        self._results: Any = None
        self._error: BaseException | None = None

    def wait(self, seconds: float) -> None:
        """Wait for a word, or ``seconds``."""
        if seconds > 0:
            self._changed.wait(seconds)
        self._changed.clear()

    def check(self) -> None:
        """Raise what went wrong."""
        if self._error is not None:
            raise self._error

    def results(self, seconds: float) -> Any:
        """What the server measured; waits ``seconds`` for it."""
        self._over.wait(seconds)
        self.check()
        if self._results is None:
            raise Failure("the server does not tell its results")
        return self._results

    def _run(self) -> None:
        try:
            while self._results is None:
                words = self._talk.hear(patient=True)
                self.done = self.done or "done" in words
                if "results" in words:
                    self._results = words["results"]
                self._changed.set()
        except (OSError, Failure) as error:
            self._error = error
        finally:
            self._changed.set()
            self._over.set()

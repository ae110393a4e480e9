"""Starts the receiver and the sender in their hosts and watches over them until both are done or one has failed."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

from rawproto import LabError, RSPConfig

from .display import Moment
from .messages import Mailbox
from .result import Side
from .settings import IDLE_TIMEOUT
from .transfer import PORT, receive, send

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

    from rawproto.lab import Call, Host

    from .display import Display
    from .settings import Settings
    from .source import Source

__all__ = ["Finished", "Supervisor"]

_TICK = 0.05
_START = 60.0
_FAREWELL = 30.0


@dataclasses.dataclass
class Finished:
    """A transfer that came to its end: both sides, and the seconds it took by the sender's clock."""

    sender: Side
    receiver: Side
    seconds: float


class Supervisor:
    """Two processes and the news from them.

    Args:
        source: what to send.
        settings: of the run.
        display: what to keep up to date.
        traces: folder for the trace of the sender's connection.
    """

    def __init__(self, source: Source, settings: Settings, display: Display, traces: Path) -> None:
        self._source = source
        self._settings = settings
        self._display = display
        config = RSPConfig(
            congestion=settings.congestion, idle_timeout=IDLE_TIMEOUT, keepalive=IDLE_TIMEOUT / 4
        )
        self._configs = {"receiver": config, "sender": dataclasses.replace(config, trace=traces)}
        self._mailbox = Mailbox()
        self._calls: dict[str, Call] = {}
        self._moment = Moment()
        self._ready = False
        self._received: Side | None = None

    def transfer(self, left: Host, right: Host) -> Finished:
        """Send the file from ``left`` to ``right``.

        Raises:
            OpError: what the sender was told.
            LabError: the receiver failed by itself, or did not begin.
        """
        address = f"{right.ip4}:{PORT}"
        self._start("receiver", right, receive, address)
        self._wait_until_listening()
        self._display.begin(self._source.size)
        self._start("sender", left, send, self._source, address)
        sender = self._calls["sender"]
        while sender.poll() is None:
            self._hear()
            self._display.show(self._moment)
        side, seconds = sender.result()
        return Finished(side, self._wait_for_receiver(), seconds)

    def _start(self, name: str, host: Host, function: Any, *args: Any) -> None:
        reporter = self._mailbox.reporter(name)
        self._calls[name] = host.start(function, *args, self._configs[name], reporter)
        self._mailbox.sealed(name)

    def _wait_until_listening(self) -> None:
        self._wait(lambda: self._ready, _START, "did not begin to listen")

    def _wait_for_receiver(self) -> Side:
        self._wait(
            lambda: self._received is not None, _FAREWELL, "sent its digest but said nothing of itself"
        )
        assert self._received is not None
        return self._received

    def _wait(self, done: Any, seconds: float, complaint: str) -> None:
        end = time.monotonic() + seconds
        receiver = self._calls["receiver"]
        while not done():
            ended = receiver.poll() is not None
            self._hear()
            if done():
                return
            if ended:
                receiver.result()
            if ended or time.monotonic() > end:
                raise LabError(f"the receiver {complaint}")

    def _hear(self) -> None:
        """Take in the news of a moment."""
        for name, news in self._mailbox.collect(_TICK):
            self._ready = self._ready or "ready" in news
            self._moment.arrived = news.get("arrived", self._moment.arrived)
            self._moment.retransmitted = news.get("retransmitted", self._moment.retransmitted)
            self._moment.rtt = news.get("rtt", self._moment.rtt)
            if "side" in news and name == "receiver":
                self._received = Side(**news["side"])
        self._kill_when_asked()

    def _kill_when_asked(self) -> None:
        share = self._settings.kill_receiver
        receiver = self._calls["receiver"]
        if (
            share is not None
            and self._moment.arrived >= share * self._source.size
            and receiver.poll() is None
        ):
            self._display.step(f"killing the receiver; the sender is told within {IDLE_TIMEOUT:.0f} s")
            receiver.kill()
            receiver.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._display.end()
        self._mailbox.close()

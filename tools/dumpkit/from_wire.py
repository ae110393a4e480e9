"""A live capture: ring to view and file, until enough packets, time, or a signal."""

from __future__ import annotations

import contextlib
import signal
import sys
import time
from typing import TYPE_CHECKING, Any

import click

from rawproto import drop_privileges

from ..failure import DONE, Terminated
from ..packetkit.decode import Decoder
from ..packetkit.live import LOSING, Capture
from .output_file import OutputFile
from .view import JSONView, View

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rawproto import BPFProgram

__all__ = ["run"]

_TURN = 0.1
"""Seconds after which a signal is noticed at the latest."""
_REST = 0.05
"""Seconds in which the kernel hands over what it still holds."""


class Stop:
    """Signals taken while a packet is being written must not tear it: they are noted, and looked at between."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def _note(self, number: int, frame: object) -> None:
        self.signal = number

    @contextlib.contextmanager
    def listening(self) -> Iterator[Stop]:
        """Note signals instead of raising them."""
        before = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        }
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, self._note)
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


class _Session:
    """One live capture and what is made of it."""

    def __init__(self, capture: Capture, view: View, decoder: Decoder, file: OutputFile | None) -> None:
        self.capture = capture
        self.view = view
        self.decoder = decoder
        self.file = file
        self.taken = 0
        self.showing = type(view) is not View

    def take(self, room: int | None) -> None:
        """Everything that waits, at most ``room`` packets."""
        if self.file is not None and not self.showing:
            self.taken += self.file.arrivals(self.capture.arrivals(), self.capture, room)[0]
            self.file.flush()
            return
        for arrival in self.capture.arrivals():
            if arrival[5] & LOSING and (lost := self.capture.count()):
                self.view.drops(lost)
            if self.file is not None:
                self.file.arrivals([arrival], self.capture)
            self.view.packet(self.decoder.decode(self.capture.packet_of(arrival)))
            self.taken += 1
            if self.taken == room:
                break
        if self.file is not None:
            self.file.flush()
        self.view.tick()

    def run(self, stop: Stop, count: int | None, duration: float | None) -> None:
        """Until enough."""
        end = None if duration is None else time.monotonic() + duration
        while stop.signal is None:
            wait = _TURN if end is None else min(_TURN, end - time.monotonic())
            if wait <= 0:
                break
            if self.capture.wait(wait):
                self.take(self._room(count))
            if count is not None and self.taken >= count:
                return
        time.sleep(_REST)
        self.take(self._room(count))

    def _room(self, count: int | None) -> int | None:
        if count is None:
            return None
        return count if self.showing else count - self.taken


def run(
    view: View,
    program: BPFProgram | None,
    decoding: dict[str, Any],
    *,
    text: str,
    as_json: bool,
    interface: str | None,
    target: Path | None,
    count: int | None,
    duration: float | None,
    promiscuous: bool,
    **_: Any,
) -> int:
    """Capture until enough; every privilege is gone before the first packet is looked at."""
    stop = Stop()
    with Capture(interface, program, promiscuous=promiscuous) as capture, stop.listening():
        drop_privileges()
        file = None if target is None else OutputFile(target, f"filter: {text}" if text else "")
        session = _Session(capture, view, Decoder(**decoding), file)
        click.echo(f"capturing on {interface or 'every interface'}; Ctrl-C ends it", err=True)
        try:
            session.run(stop, count, duration)
            view.finish()
        finally:
            capture.count()
            if file is not None:
                file.finish(capture.dropped)
        _tell(session, as_json=as_json)
    if stop.signal not in (None, signal.SIGINT):
        raise Terminated
    return DONE


def _tell(session: _Session, *, as_json: bool) -> None:
    """What became of everything."""
    capture = session.capture
    if as_json:
        JSONView.summary({"packets": session.taken, "dropped": capture.dropped})
        return
    sys.stdout.flush()
    plural = "" if session.taken == 1 else "s"
    click.echo(f"{session.taken} packet{plural} captured, {capture.dropped} dropped by the kernel", err=True)

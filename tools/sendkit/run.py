"""Sending at a pace, and hearing the answers meanwhile."""

from __future__ import annotations

import dataclasses
import time
from typing import TYPE_CHECKING, Any

import click

from rawproto import drop_privileges

from ..packetkit.decode import Decoder
from ..packetkit.document import document_of
from ..packetkit.live import Capture
from ..packetkit.words import endpoints, summary
from ..quantity import show_span
from .answers import answers
from .wire import Sender

if TYPE_CHECKING:
    from rawproto import BPFProgram

    from ..packetkit.decode import Decoded
    from .supply import Supply

__all__ = ["Plan", "Run"]

_RING = 4


@dataclasses.dataclass(frozen=True)
class Plan:
    """How to send.

    Attributes:
        count: rounds; 0 for no end.
        rate: datagrams a second; 0 for as fast as it goes.
        expects: wait for answers.
        program: what counts as an answer; None for what replies to a datagram.
        timeout: seconds to wait behind the last datagram.
        interface: leave by this one.
        link: "raw", "packet" or "auto".
    """

    count: int
    rate: float
    expects: bool
    program: BPFProgram | None
    timeout: float
    interface: str | None
    link: str


class Run:
    """One run of the command. Its sockets are open, and every privilege is gone, once it is made."""

    def __init__(self, supply: Supply, plan: Plan, *, quiet: bool) -> None:
        self._supply = supply
        self._plan = plan
        self._quiet = quiet
        self._decoder = Decoder()
        self._waiting: list[tuple[bytes, int]] = []
        self._own: set[bytes] = set()
        self.sent = self.bytes = 0
        self.answers: list[tuple[str, float, Decoded]] = []
        self._capture: Capture | None = None
        if plan.expects:
            self._capture = Capture(program=plan.program, incoming=True, blocks=_RING)
        try:
            firsts = [piece for index in range(supply.round) for piece in supply.pieces(index)]
            self._sender = Sender(firsts, plan.interface, plan.link)
        except BaseException:
            self._close_capture()
            raise
        drop_privileges()
        self._pieces: list[bytes] | None = firsts if supply.round == 1 else None

    def go(self) -> None:
        """Send everything and wait for the answers."""
        gap = 1 / self._plan.rate if self._plan.rate else 0.0
        due = time.monotonic()
        number = 0
        while not self._plan.count or number < self._plan.count * self._supply.round:
            self._idle_until(due)
            self._send(number % self._supply.round)
            due = max(due + gap, time.monotonic() - gap)
            number += 1
        end = time.monotonic() + self._plan.timeout
        while self._capture is not None and not self._is_satisfied() and (left := end - time.monotonic()) > 0:
            self._hear(left)

    def _send(self, index: int) -> None:
        pieces = self._pieces if self._pieces is not None else self._supply.pieces(index)
        # What was made for the sockets is the first to go.
        self._pieces = None
        if self._plan.expects:
            self._waiting.append((pieces[0], time.time_ns()))
            self._own.update(pieces)
        for piece in pieces:
            self._sender.send(piece)
            self.bytes += len(piece)
        self.sent += 1

    def _is_satisfied(self) -> bool:
        """Whether every answer came; by a filter one is enough for each round."""
        if self._plan.program is not None:
            return len(self.answers) >= max(self._plan.count, 1)
        return not self._waiting

    def _idle_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0:
            if self._capture is None:
                time.sleep(left)
            else:
                self._hear(left)

    def _hear(self, seconds: float) -> None:
        """Take what comes within ``seconds``."""
        assert self._capture is not None
        if not self._capture.wait(seconds):
            return
        for packet in self._capture.packets():
            if packet.data not in self._own:
                self._judge(self._decoder.decode(packet))

    def _judge(self, arrived: Decoded) -> None:
        at = arrived.packet.time or 0
        if self._plan.program is not None:
            if self._waiting and at >= self._waiting[0][1] and not self._is_satisfied():
                self._note("match", at - self._waiting[-1][1], arrived)
            return
        for place, (request, sent) in enumerate(self._waiting):
            kind = answers(request, arrived)
            if kind is not None:
                del self._waiting[place]
                self._note(kind, at - sent, arrived)
                return

    def _note(self, kind: str, nanoseconds: int, arrived: Decoded) -> None:
        seconds = max(nanoseconds, 0) / 1e9
        self.answers.append((kind, seconds, arrived))
        if not self._quiet:
            source, destination = endpoints(arrived)
            click.echo(
                f"{kind} in {show_span(seconds)}: {source} > {destination} {' '.join(summary(arrived))}"
            )

    def summary(self) -> list[str]:
        """What was done, for people."""
        plural = "" if self.sent == 1 else "s"
        text = f"sent {self.sent} datagram{plural}, {self.bytes} bytes"
        if not self._plan.expects:
            return [text]
        return [f"{text}, {len(self.answers)} answered" if self.answers else f"{text}, no answer"]

    def document(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "sent": self.sent,
            "bytes": self.bytes,
            "link": self._sender.link,
            "answers": [
                {"kind": kind, "seconds": seconds} | document_of(decoded)
                for kind, seconds, decoded in self.answers
            ],
        }

    def _close_capture(self) -> None:
        if self._capture is not None:
            self._capture.close()

    def close(self) -> None:
        """Give the sockets back."""
        self._close_capture()
        self._sender.close()

"""The blocking driver: the sockets of a lookup, waited for in the caller's own thread."""

from __future__ import annotations

import selectors
import threading
import time
from typing import TYPE_CHECKING

from rawproto.errors import DNSTimeoutError
from rawproto.resolve.channels import Channel, Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rawproto.resolve.exchange import Exchange
    from rawproto.resolve.message import Question
    from rawproto.resolve.plans import Outcome

__all__ = ["BlockingDriver"]


class _Flight:
    """A question being asked by one thread while others wait for its outcome."""

    def __init__(self) -> None:
        self.landed = threading.Event()
        self.outcome: Outcome | None = None


class BlockingDriver:
    """Asks questions and waits; a question that another thread is asking already is not asked again.

    Args:
        start: makes the exchange of a question, from question, deadline and time.
        finish: takes note of an exchange that has its outcome.
    """

    def __init__(
        self, start: Callable[[Question, float, float], Exchange], finish: Callable[[Exchange, float], None]
    ) -> None:
        self._start = start
        self._finish = finish
        self._flights: dict[Question, _Flight] = {}
        self._lock = threading.Lock()

    def ask(self, questions: Sequence[Question], deadline: float) -> list[Outcome]:
        """The outcomes of questions asked at the same time; blocks until ``deadline`` (monotonic) at the longest."""
        outcomes: dict[Question, Outcome] = {}
        while missing := [question for question in dict.fromkeys(questions) if question not in outcomes]:
            own, others = self._board(missing)
            try:
                if own:
                    self._fly(own, deadline, outcomes)
            finally:
                self._land(own, outcomes)
            for question, flight in others.items():
                flight.landed.wait(max(deadline - time.monotonic(), 0))
                late = time.monotonic() >= deadline
                if flight.outcome is not None and (late or not isinstance(flight.outcome, DNSTimeoutError)):
                    outcomes[question] = flight.outcome
                elif late:
                    outcomes[question] = DNSTimeoutError(name=question.name)
                # Otherwise the other thread gave up before its answer came: this one asks itself.
        return [outcomes[question] for question in questions]

    def _board(
        self, questions: Sequence[Question]
    ) -> tuple[dict[Question, _Flight], dict[Question, _Flight]]:
        """Split questions into those that this thread is to ask and those on their way already."""
        own, others = {}, {}
        with self._lock:
            for question in questions:
                flight = self._flights.get(question)
                if flight is None:
                    own[question] = self._flights[question] = _Flight()
                else:
                    others[question] = flight
        return own, others

    def _land(self, own: dict[Question, _Flight], outcomes: dict[Question, Outcome]) -> None:
        with self._lock:
            for question in own:
                del self._flights[question]
        for question, flight in own.items():
            flight.outcome = outcomes.get(question)
            flight.landed.set()

    def _fly(
        self, questions: dict[Question, _Flight], deadline: float, outcomes: dict[Question, Outcome]
    ) -> None:
        """Run the exchanges of ``questions`` to their outcomes."""
        with selectors.PollSelector() as selector:  # poll: no descriptor of its own
            hub = _hub(selector)
            try:
                now = time.monotonic()
                waiting = [self._start(question, deadline, now) for question in questions]
                for exchange in waiting:
                    hub.pump(exchange, now)
                while waiting := self._done(waiting, outcomes):
                    self._wait(selector, hub, waiting)
            finally:
                hub.close()

    def _wait(self, selector: selectors.BaseSelector, hub: Hub, waiting: list[Exchange]) -> None:
        """Wait for a socket or the next timer, and tell the exchanges."""
        wake = min(time_ for exchange in waiting if (time_ := exchange.poll_timeout()) is not None)
        ready = selector.select(max(wake - time.monotonic(), 0))
        now = time.monotonic()
        for key, _ in ready:
            channel: Channel = key.data
            if channel.socket.fileno() >= 0:  # an earlier one of this round may have closed it
                for exchange in hub.ready(channel, now):
                    hub.pump(exchange, now)
        for exchange in waiting:
            timeout = exchange.poll_timeout()
            if timeout is not None and timeout <= now:
                exchange.handle_timeout(now)
                hub.pump(exchange, now)

    def _done(self, exchanges: list[Exchange], outcomes: dict[Question, Outcome]) -> list[Exchange]:
        """Take the outcomes there are; give the exchanges that have none."""
        waiting = []
        for exchange in exchanges:
            if exchange.outcome is None:
                waiting.append(exchange)
            else:
                outcomes[exchange.question] = exchange.outcome
                self._finish(exchange, time.monotonic())
        return waiting


def _hub(selector: selectors.BaseSelector) -> Hub:
    def watch(channel: Channel, *, writable: bool) -> None:
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if writable else 0)
        key = selector.get_map().get(channel.socket)
        if key is None:
            selector.register(channel.socket, events, channel)
        elif key.events != events:
            selector.modify(channel.socket, events, channel)

    def unwatch(channel: Channel) -> None:
        if channel.socket in selector.get_map():
            selector.unregister(channel.socket)

    return Hub(watch, unwatch)

"""The asyncio driver: the sockets of all lookups of a loop, watched by the loop itself."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from rawproto.errors import DNSTimeoutError
from rawproto.resolve.channels import Channel, Hub

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rawproto.resolve.exchange import Exchange
    from rawproto.resolve.message import Question
    from rawproto.resolve.plans import Outcome

__all__ = ["AsyncDriver"]


class _Flight:
    """A question being asked, and how many lookups wait for its outcome."""

    def __init__(self, exchange: Exchange, landed: asyncio.Future[Outcome]) -> None:
        self.exchange = exchange
        self.landed = landed
        self.waiting = 0
        self.timer: asyncio.TimerHandle | None = None


class AsyncDriver:
    """Asks questions for the lookups of one event loop; a question on its way already is not asked again.

    Args:
        start: makes the exchange of a question, from question, deadline and time.
        finish: takes note of an exchange that has its outcome.
    """

    def __init__(
        self, start: Callable[[Question, float, float], Exchange], finish: Callable[[Exchange, float], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._start = start
        self._finish = finish
        self._hub = Hub(self._watch, self._unwatch)
        self._flights: dict[Question, _Flight] = {}
        self._by_exchange: dict[Exchange, _Flight] = {}

    async def ask(self, questions: Sequence[Question], deadline: float) -> list[Outcome]:
        """The outcomes of questions asked at the same time, by ``deadline`` (the loop's clock) at the latest.

        When it is cancelled, questions that nobody else waits for are dropped and their sockets closed.
        """
        outcomes: dict[Question, Outcome] = {}
        while missing := [question for question in dict.fromkeys(questions) if question not in outcomes]:
            flights = {question: self._board(question, deadline) for question in missing}
            try:
                await asyncio.wait(
                    [flight.landed for flight in flights.values()],
                    timeout=max(deadline - self._loop.time(), 0),
                )
            finally:
                for flight in flights.values():
                    self._leave(flight)
            late = self._loop.time() >= deadline
            for question, flight in flights.items():
                outcome = (
                    flight.landed.result() if flight.landed.done() and not flight.landed.cancelled() else None
                )
                if outcome is not None and (late or not isinstance(outcome, DNSTimeoutError)):
                    outcomes[question] = outcome
                elif late:
                    outcomes[question] = DNSTimeoutError(name=question.name)
                # Otherwise the question was another lookup's, with an earlier deadline: it is asked again.
        return [outcomes[question] for question in questions]

    def _board(self, question: Question, deadline: float) -> _Flight:
        flight = self._flights.get(question)
        if flight is None:
            exchange = self._start(question, deadline, self._loop.time())
            flight = _Flight(exchange, self._loop.create_future())
            self._flights[question] = self._by_exchange[exchange] = flight
            flight.waiting += 1
            self._pump(flight)
        else:
            flight.waiting += 1
        return flight

    def _leave(self, flight: _Flight) -> None:
        flight.waiting -= 1
        if not flight.waiting and not flight.landed.done():
            self._forget(flight)
            flight.landed.cancel()

    def _pump(self, flight: _Flight) -> None:
        """Send what is to be sent, and set the timer or land."""
        now = self._loop.time()
        self._hub.pump(flight.exchange, now)
        if flight.timer is not None:
            flight.timer.cancel()
        wake = flight.exchange.poll_timeout()
        if wake is not None:
            flight.timer = self._loop.call_at(wake, self._timeout, flight)
            return
        self._forget(flight)
        self._finish(flight.exchange, now)
        assert flight.exchange.outcome is not None
        if not flight.landed.done():
            flight.landed.set_result(flight.exchange.outcome)

    def _timeout(self, flight: _Flight) -> None:
        flight.exchange.handle_timeout(self._loop.time())
        self._pump(flight)

    def _forget(self, flight: _Flight) -> None:
        if flight.timer is not None:
            flight.timer.cancel()
        self._hub.release(flight.exchange)
        self._by_exchange.pop(flight.exchange, None)
        if self._flights.get(flight.exchange.question) is flight:
            del self._flights[flight.exchange.question]

    def _ready(self, channel: Channel) -> None:
        if channel.socket.fileno() < 0:
            return
        for exchange in self._hub.ready(channel, self._loop.time()):
            flight = self._by_exchange.get(exchange)
            if flight is not None:
                self._pump(flight)

    def _watch(self, channel: Channel, *, writable: bool) -> None:
        self._loop.add_reader(channel.socket, self._ready, channel)
        if writable:
            self._loop.add_writer(channel.socket, self._ready, channel)
        else:
            self._loop.remove_writer(channel.socket)

    def _unwatch(self, channel: Channel) -> None:
        self._loop.remove_reader(channel.socket)
        self._loop.remove_writer(channel.socket)

"""What both resolvers share below their drivers: cache, servers and the start and end of each exchange."""

from __future__ import annotations

import secrets
from typing import TYPE_CHECKING

from rawproto.resolve.servers import ServerOrder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rawproto.resolve.cache import Cache
    from rawproto.resolve.config import ResolvConf
    from rawproto.resolve.exchange import Exchange
    from rawproto.resolve.message import Answer, Question
    from rawproto.resolve.plans import Outcome
    from rawproto.resolve.policy import Policy

__all__ = ["Engine"]


class Engine:
    """Starts exchanges by the configuration of the moment and keeps what they give.

    Args:
        policy: knows the configuration.
        cache: the cache, or None for none.
    """

    def __init__(self, policy: Policy, cache: Cache | None) -> None:
        self.cache = cache
        self._policy = policy
        self._order = ServerOrder()
        self._config: ResolvConf | None = None

    def known(self, questions: Sequence[Question], now: float) -> dict[Question, Outcome]:
        """The answers that the cache has."""
        self._notice_change()
        found = {question: self._cached(question, now) for question in questions}
        return {question: answer for question, answer in found.items() if answer is not None}

    def start(self, question: Question, deadline: float, now: float) -> Exchange:
        """The exchange of a question."""
        from rawproto.resolve.exchange import Exchange

        config = self._policy.config()
        return Exchange(
            question,
            self._order.order(config.servers, now, rotate=config.rotate),
            deadline=deadline,
            now=now,
            timeout=config.timeout,
            attempts=config.attempts,
            use_tcp=config.use_tcp,
            ident=_ident,
        )

    def finish(self, exchange: Exchange, now: float) -> None:
        """Keep the answer of an exchange, and who was silent."""
        self._order.note(exchange.silent, now)
        if (
            self.cache is not None
            and exchange.outcome is not None
            and not isinstance(exchange.outcome, Exception)
        ):
            self.cache.put(exchange.outcome, now)

    def _cached(self, question: Question, now: float) -> Answer | None:
        return None if self.cache is None else self.cache.get(question, now)

    def _notice_change(self) -> None:
        """Other servers may know other answers: a changed configuration empties the cache."""
        config = self._policy.config()
        if self._config is not None and config != self._config and self.cache is not None:
            self.cache.clear()
        self._config = config


def _ident() -> int:
    return secrets.randbits(16)

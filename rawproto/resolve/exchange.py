"""One question on its way to an answer, sans-IO: whom to ask, over what, when again, what to ignore.

A driver does what :meth:`Exchange.poll_send` says, waits until :meth:`Exchange.poll_timeout` and brings back what
arrives. An earlier server goes on being listened to when a later one is asked, so a slow answer is never thrown
away. Time is in seconds of a monotonic clock, given by the caller.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from rawproto.addr.hostport import join_host_port
from rawproto.errors import DNSError, DNSTimeoutError
from rawproto.resolve.message import Answer, Question, Reply, encode_query, read_reply

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rawproto.resolve.config import Server

__all__ = ["Exchange", "Send"]

LOCAL_RETRY = 0.02
"""Seconds to wait when this host, and not the server, could not send (no descriptors, no buffers)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Send:
    """Send ``payload`` to ``server`` over UDP, or over TCP behind its two length bytes (RFC 1035 section 4.2.2).

    Attributes:
        token: what the driver gives back with whatever happens to this message.
        server: address and port.
        tcp: over TCP, on a connection of its own.
        ident: the message's ID, its first two bytes.
        payload: the message.
    """

    token: int
    server: Server
    tcp: bool
    ident: int
    payload: bytes


@dataclasses.dataclass(slots=True)
class _Way:
    """One server over one transport; asked again, it is asked with the same ID on the same socket."""

    server: Server
    tcp: bool
    ident: int
    edns: bool = True
    open: bool = False


class Exchange:
    """A question, put to the servers in turn until one answers or the deadline has passed.

    Args:
        question: what to ask.
        servers: whom, in order; at least one.
        deadline: when to give up.
        now: the time.
        timeout: seconds to wait for one server before the next is asked; shortened where the rounds over all
            servers would not fit before the deadline.
        attempts: rounds over the servers.
        use_tcp: never use UDP.
        ident: gives an unpredictable number below 65536 at each call.
    """

    def __init__(
        self,
        question: Question,
        servers: Sequence[Server],
        *,
        deadline: float,
        now: float,
        timeout: float = 5.0,
        attempts: int = 2,
        use_tcp: bool = False,
        ident: Callable[[], int],
    ) -> None:
        assert servers
        self.question = question
        self.deadline = deadline
        self.outcome: Answer | DNSError | None = None
        self.silent: set[Server] = set()
        """Servers that were asked and had said nothing when the next one's turn came."""
        self._ident = ident
        self._ways: list[_Way] = [_Way(server, use_tcp, ident()) for server in servers]
        self._turns = list(range(len(servers))) * attempts
        self._wait = min(timeout, max(deadline - now, 0.0) / len(self._turns))
        self._due = now
        self._urgent: list[int] = []
        self._last = -1
        self._error: DNSError | None = None

    def poll_send(self, now: float) -> Send | None:
        """The next message to send now, or None."""
        if self.outcome is not None:
            return None
        if self._urgent:
            token = self._urgent.pop(0)
        elif self._turns and now >= self._due:
            if self._last >= 0 and self._ways[self._last].open:
                self.silent.add(self._ways[self._last].server)
            token = self._turns.pop(0)
            self._due = now + self._wait
        else:
            return None
        way = self._ways[token]
        way.open = True
        self._last = token
        return Send(
            token, way.server, way.tcp, way.ident, encode_query(self.question, way.ident, edns=way.edns)
        )

    def poll_timeout(self) -> float | None:
        """When to call :meth:`handle_timeout`, or None when there is an outcome."""
        if self.outcome is not None:
            return None
        return min(self._due, self.deadline) if self._turns else self.deadline

    def handle_timeout(self, now: float) -> None:
        """The time has come: the next server's turn, or the end."""
        if self.outcome is None and now >= self.deadline:
            waited_for = next((way.server for way in self._ways if way.open), self._ways[0].server)
            self.silent.update(way.server for way in self._ways if way.open)
            self.outcome = DNSTimeoutError(name=self.question.name, server=join_host_port(*waited_for))

    def handle_message(self, token: int, data: bytes, now: float) -> None:
        """A message arrived on the socket of ``token``; one that is not our answer is ignored."""
        if self.outcome is not None:
            return
        way = self._ways[token]
        server = join_host_port(*way.server)
        reply = read_reply(data, self.question, way.ident, server)
        if reply is None:
            if way.tcp:  # a connection carries our answer and nothing else
                self._fail(token, "malformed answer", now, temporary=True)
            return
        self.silent.discard(way.server)
        if reply.answer is not None:
            self.outcome = reply.answer
        elif reply.truncated and not way.tcp:
            way.open = False
            self._ways.append(_Way(way.server, True, self._ident(), way.edns))
            self._urge(len(self._ways) - 1, now)
        elif reply.no_edns and way.edns:
            way.edns = False
            self._urge(token, now)
        else:
            self._refused(token, reply, now)

    def handle_error(self, token: int, reason: str, now: float, *, local: bool = False) -> None:
        """The socket of ``token`` failed: refused, unreachable, closed; ``local`` when the fault is this host's."""
        if self.outcome is not None:
            return
        if local and now + LOCAL_RETRY < self.deadline:
            self._ways[token].open = False
            self._turns.insert(0, token)
            self._due = now + LOCAL_RETRY
            return
        self._fail(token, reason, now, temporary=True)

    def _urge(self, token: int, now: float) -> None:
        self._urgent.append(token)
        self._due = now + self._wait

    def _refused(self, token: int, reply: Reply, now: float) -> None:
        reason = "malformed answer" if reply.truncated else reply.refusal
        self._fail(token, reason, now, temporary=reply.temporary or reply.truncated)

    def _fail(self, token: int, reason: str, now: float, *, temporary: bool) -> None:
        """This way has failed: at once the next turn, and when nothing is left to wait for, the end."""
        way = self._ways[token]
        way.open = False
        self._error = DNSError(
            reason, self.question.name, join_host_port(*way.server), is_temporary=temporary
        )
        if token == self._last:
            self._due = now
        if not self._turns and not self._urgent and not any(way.open for way in self._ways):
            self.outcome = self._error

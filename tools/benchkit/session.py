"""One measurement as the server sees it."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rawproto import DeadlineExceeded

from ..failure import Failure
from .crossing import Crossing
from .flow import Flow
from .parts import Parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from .plan import Plan
    from .talk import Talk

__all__ = ["Session"]

_ECHO = 4096


class Session:
    """Takes the client's streams in, and moves bytes until the client says that it is over.

    Args:
        talk: the control connection.
        plan: what the client wants.
        token: what its other connections have to show, in hex digits.
        wait: seconds without a word or a byte after which to give the client up.
    """

    def __init__(self, talk: Talk, plan: Plan, token: str, wait: float) -> None:
        self.plan = plan
        self.token = token
        self.here: dict[str, Any] = {}
        self._talk = talk
        self._wait = wait
        self._parts = Parts(datagrams=plan.datagrams)
        self._crossing = Crossing(talk.conn.local_addr, int(token, 16), plan) if plan.datagrams else None
        self._echoes: list[Any] = []
        self._joined: dict[int, Flow] = {}
        self._changed = threading.Condition()
        self._over = False

    def run(self, begun: Callable[[], None]) -> None:
        """The whole measurement; what was measured here is in ``here`` afterwards. ``begun`` is called at its start.

        Raises:
            Failure: the client does not keep to the protocol, or is silent.
            OpError: a connection failed.
        """
        try:
            self._talk.say(token=self.token, port=self._crossing.port if self._crossing else 0)
            self._gather()
            if not self._talk.hear().get("start"):
                raise Failure("the client does not begin")
            self._parts.start()
            begun()
            herald = threading.Thread(target=self._tell_when_done, name="herald", daemon=True)
            herald.start()
            self._await_end()
            self._over = True
            self.here = self._parts.stop()
            herald.join()
            self._parts.check()
            self._talk.say(results=self.here)
        finally:
            self.close()

    def close(self) -> None:
        """Give up whatever is open."""
        with self._changed:
            self._over = True
            flows, echoes = [*self._joined.values()], [*self._echoes]
        self._parts.close()
        for flow in flows:
            flow.close()
        for conn in echoes:
            conn.abort()
        if self._crossing is not None:
            self._crossing.close()

    def join(self, conn: Any, role: str, index: int) -> None:
        """Take in another connection of the client; gives its thread back when that is a stream.

        Raises:
            Failure: there is no such stream, or it is there already.
        """
        if role == "probe":
            with self._changed:
                self._echoes.append(conn)
            _echo(conn)
            return
        plan = self.plan
        sending = index in plan.sent_by_server
        with self._changed:
            wanted = sending or index in plan.sent_by_client
            if self._over or plan.datagrams or not wanted or index in self._joined:
                raise Failure(f"no stream {index} is awaited")
            self._joined[index] = Flow(
                conn, index, sending=sending, length=plan.length, share=plan.share(index), rate=plan.rate
            )
            self._changed.notify()

    def _gather(self) -> None:
        """Wait until all streams are there."""
        plan = self.plan
        if self._crossing is not None:
            for stream in self._crossing.streams(self._wait):
                self._parts.add(stream)
            return
        count = len(plan.sent_by_client) + len(plan.sent_by_server)
        with self._changed:
            if not self._changed.wait_for(lambda: len(self._joined) == count, self._wait):
                raise TimeoutError("the client did not open its streams")
            for flow in self._joined.values():
                self._parts.add(flow)

    def _await_end(self) -> None:
        """Wait for the client's word that it is over, as long as bytes move or the time is not up."""
        planned = self.plan.seconds or 0.0
        while True:
            before = self._parts.moved
            try:
                self._talk.hear()
            except DeadlineExceeded:
                self._parts.check()
                if self._parts.moved == before and self._parts.elapsed > planned + self._wait:
                    raise
            else:
                return

    def _tell_when_done(self) -> None:
        """Tell the client when the streams whose end only this side sees have ended."""
        if not self._parts.decisive:
            return
        self._parts.wait()
        if not self._over:
            try:
                self._talk.say(done=True)
            except OSError:
                pass  # the end of the connection is seen where we listen


def _echo(conn: Any) -> None:
    """Send everything back."""
    conn.set_deadline(None)
    try:
        while data := conn.read(_ECHO):
            conn.write(data)
    except OSError:
        pass  # the client ends it so
    finally:
        conn.abort()

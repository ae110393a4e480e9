"""The side that waits to be measured: one client at a time, on every transport at once."""

from __future__ import annotations

import secrets
import threading
from typing import TYPE_CHECKING, Any

from ..failure import Failure, describe
from .plan import Plan
from .session import Session
from .talk import VERSION, Talk, Violation

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Server"]

GREETING = 10.0
"""Seconds that a new connection has to say what it is for."""
HANDOVER = 3.0
"""Seconds that a client waits for the one before it."""
AT_ONCE = 2 * 128 + 16
"""Connections at once: a client's streams both ways, and some that are turned away."""


class Server:
    """Takes connections from listeners and brings them to their session.

    Args:
        listeners: open listeners.
        wait: seconds after which a silent client is given up.
        log: called with the name of an event and its particulars: ``begin``, ``end`` and ``failed``.
    """

    def __init__(self, listeners: list[Any], wait: float, log: Callable[..., None]) -> None:
        self._listeners = listeners
        self._wait = wait
        self._log = log
        self._free = threading.Condition()
        self._session: Session | None = None
        self._places = threading.BoundedSemaphore(AT_ONCE)
        self._ended = threading.Semaphore(0)

    def serve(self, *, once: bool) -> None:
        """Serve until interrupted, or with ``once`` one client."""
        for listener in self._listeners:
            threading.Thread(target=self._take, args=(listener,), daemon=True).start()
        self._ended.acquire()
        while not once:
            self._ended.acquire()

    def close(self) -> None:
        """End what is going on."""
        with self._free:
            session = self._session
        if session is not None:
            session.close()

    def _take(self, listener: Any) -> None:
        for conn in listener:
            if self._places.acquire(blocking=False):
                threading.Thread(target=self._attend, args=(conn,), daemon=True).start()
            else:
                conn.abort()

    def _attend(self, conn: Any) -> None:
        talk = Talk(conn, GREETING)
        kept = False
        try:
            words = talk.hear()
            if words.get("version") != VERSION:
                raise Violation(f"version {words.get('version')!r}, this is {VERSION}")
            if words.get("role") == "control":
                self._control(talk, words)
            else:
                kept = self._join(talk, words)
        except (Failure, OSError) as error:
            _complain(talk, error)
        finally:
            self._places.release()
            if not kept:
                conn.close()

    def _control(self, talk: Talk, words: dict[str, Any]) -> None:
        plan = Plan.parse(words.get("plan"))
        peer = str(talk.conn.remote_addr)
        talk.wait = self._wait
        with self._free:
            # The last one may be clearing up.
            if not self._free.wait_for(lambda: self._session is None, HANDOVER):
                raise Failure("busy with another client: try again later")
            session = self._session = Session(talk, plan, secrets.token_hex(8), self._wait)
        try:
            session.run(lambda: self._log("begin", peer=peer, plan=plan))
        except (Failure, OSError) as error:
            self._log("failed", peer=peer, message=describe(error))
            _complain(talk, error)
        else:
            self._log("end", peer=peer, plan=plan, here=session.here)
        finally:
            with self._free:
                self._session = None
                self._free.notify()
            self._ended.release()

    def _join(self, talk: Talk, words: dict[str, Any]) -> bool:
        """Hand a connection to the session it names; gives whether that keeps it."""
        session, token, index = self._session, words.get("token"), words.get("index")
        # A comparison that takes as long for a token that is nearly right.
        right = session is not None and secrets.compare_digest(str(token).encode(), session.token.encode())
        if (
            session is None
            or not right
            or type(index) is not int
            or words.get("role") not in ("stream", "probe")
        ):
            raise Failure("there is no such measurement")
        talk.say(ok=True)
        session.join(talk.conn, words["role"], index)
        return True


def _complain(talk: Talk, error: BaseException) -> None:
    """Tell the client what is wrong, where that is still possible."""
    try:
        talk.say(error=describe(error))
    except OSError:
        pass

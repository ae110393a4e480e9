"""One connection, as the application's driver sees it."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from rawproto.errors import ClosedError, ConnectionAborted, OpError
from rawproto.rsp import opening
from rawproto.rsp.core import Core
from rawproto.rsp.deadlines import Deadlines
from rawproto.rsp.handshake import Terms
from rawproto.rsp.inbound import Inbound
from rawproto.rsp.outbound import Outbound
from rawproto.rsp.reasons import Reason
from rawproto.rsp.resets import challenge
from rawproto.rsp.state import FINISHED, State
from rawproto.rsp.stats import ConnectionStats, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable

    from rawproto.rsp.config import RSPConfig
    from rawproto.rsp.header import Hello
    from rawproto.rsp.memory import Memory
    from rawproto.rsp.trace import Trace

__all__ = ["Connection"]


class Connection:
    """A connection of an :class:`~rawproto.rsp.endpoint.Endpoint`.

    Commands (``write``, ``read``, ``close`` ...) take ``now``, nanoseconds of the endpoint's clock, and never block;
    after any of them the endpoint is to be polled. Whenever something changes that the application may wait for, the
    endpoint's ``poll_event`` gives the connection, and the application looks at it again.
    """

    def __init__(
        self,
        config: RSPConfig,
        *,
        address: Any,
        terms: Terms,
        max_datagram: int,
        overhead: int,
        batch_size: Callable[[int], int] | None = None,
        memory: Memory | None = None,
        tell: Callable[[Connection], None],
        touch: Callable[[Connection], None],
        now: int,
        state: State,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.identifier = terms.identifier
        """What packets for this connection bear: chosen by this side, and unpredictable."""
        """The listener in whose queue the connection waits; None once accepted, or when dialed."""
        self._touch = touch
        self._core = Core(
            config,
            address=address,
            terms=terms,
            max_datagram=max_datagram,
            overhead=overhead,
            batch_size=batch_size,
            memory=memory,
            tell=partial(tell, self),
            now=now,
            state=state,
            entropy=entropy,
        )
        self.inbound = Inbound(self._core)
        """Takes packets; for the endpoint."""
        self.outbound = Outbound(self._core, self.inbound)
        """Makes packets; for the endpoint."""
        self.deadlines = Deadlines(self._core, self.inbound)
        """Knows when to look again, and why; for the endpoint."""

    # ---- getters ----------------------------------------------------------------------------------------------

    @property
    def error(self) -> OpError | None:
        """Why the connection ended, or None."""
        return self._core.error

    @property
    def epitaph(self) -> Reason:
        """What to answer to packets that come when the connection is over."""
        return self._core.epitaph

    @property
    def trace(self) -> Trace | None:
        """The record of what happened, when tracing is on."""
        return self._core.trace

    @trace.setter
    def trace(self, trace: Trace | None) -> None:
        self._core.trace = trace

    @property
    def address(self) -> Any:
        """Link address of the peer."""
        return self._core.address

    @property
    def peer_identifier(self) -> int:
        """What packets to the peer bear; 0 before its answer came."""
        return self._core.peer_identifier

    @property
    def hello(self) -> bytes:
        """The SYN or CONFIRM that waits for an answer; empty when none does."""
        waiting = self._core.opening
        return b"" if waiting is None else waiting.hello

    @property
    def state(self) -> State:
        """Where the connection is in its life."""
        return self._core.state

    @property
    def established(self) -> bool:
        """The handshake is over on this side: the application may read and write."""
        return self.state not in (State.SYN_SENT, State.CLOSED)

    @property
    def closed(self) -> bool:
        """The connection is over."""
        return self._core.closed

    @property
    def finished(self) -> bool:
        """Nothing is left that the application could wait for: both halves are done."""
        return self.state in FINISHED

    @property
    def local(self) -> int:
        """This side's port."""
        return self._core.terms.source_port

    @property
    def remote(self) -> tuple[Any, int]:
        """The peer's link address and port."""
        return self._core.address, self._core.terms.port

    @property
    def readable(self) -> int:
        """Bytes that can be read now."""
        return self._core.receiver.stream.readable

    @property
    def memory(self) -> int:
        """Bytes held for data received."""
        return self._core.receiver.stream.memory

    @property
    def core(self) -> Core:
        """What the connection's parts share: for a driver, which has to look at it often."""
        return self._core

    @property
    def at_eof(self) -> bool:
        """The peer's stream has ended and was read to its end."""
        return self._core.receiver.stream.at_end

    @property
    def writable(self) -> int:
        """Bytes that :meth:`write` would take now."""
        return 0 if self._core.closed else min(self._core.sender.stream.room, self._memory_room)

    @property
    def _memory_room(self) -> int:
        core = self._core
        memory = core.share.memory
        if not memory.scarce:
            return memory.write_room
        sender, stream = core.sender, core.sender.stream
        window = 2 * min(core.recovery.controller.window, sender.peer_window - stream.acked_end)
        return core.share.write_room(stream.unacknowledged, window)

    @property
    def acknowledged(self) -> int:
        """Bytes written that the peer has, without a gap."""
        return self._core.sender.stream.acked_end

    @property
    def unacknowledged(self) -> int:
        """Bytes written that the peer is not known to have."""
        return self._core.sender.stream.unacknowledged

    @property
    def delivered(self) -> bool:
        """Everything written, and the end of the stream when it was closed, has arrived."""
        stream = self._core.sender.stream
        return stream.finished if stream.finished_writing else not stream.unacknowledged

    def stats(self) -> ConnectionStats:
        """A snapshot of the counters."""
        return snapshot(self._core)

    # ---- commands ---------------------------------------------------------------------------------------------

    def write(self, data: bytes | bytearray | memoryview, now: int) -> int:
        """Take as much of ``data`` as the send buffer has room for; returns how many bytes.

        It takes less, or nothing, while the memory of all connections is scarce; an event tells when to try again.
        Bytes objects of some size are kept by reference until they are acknowledged; all else is copied.

        Raises:
            OpError: the connection is over, or its sending half was closed.
        """
        core = self._core
        if core.error is not None:
            raise core.error
        stream = core.sender.stream
        if core.closed or stream.finished_writing:
            raise ClosedError("this side has finished writing", op="write", network="rsp")
        room = self._memory_room
        if room < stream.limit:
            data = memoryview(data).cast("B")
            if room < min(len(data), stream.room):
                core.share.memory.wait(core.share, core.tell)
            data = data[:room]
        taken = stream.write(data)
        if taken:
            core.share.take(taken)
            self._touch(self)
        return taken

    def read(self, size: int, now: int) -> bytes:
        """Up to ``size`` bytes (all there is when negative); b"" when there is nothing yet, or at the end."""
        data = self._core.receiver.stream.read(size)
        if data:
            self._after_reading()
        return data

    def readinto(self, target: memoryview, now: int) -> int:
        """Fill ``target`` with what there is; returns how many bytes."""
        size = self._core.receiver.stream.readinto(target)
        if size:
            self._after_reading()
        return size

    def _after_reading(self) -> None:
        receiver = self._core.receiver
        receiver.on_read()
        if receiver.acks.due:
            self._touch(self)

    def close_write(self, now: int) -> None:
        """End this side's stream behind what was written; reading goes on (half close)."""
        self._core.sender.stream.finish()
        self._touch(self)

    def close(self, now: int) -> None:
        """End both halves: what was written is still delivered; data that nobody will read is a reset.

        As with TCP, closing while received data is unread resets the connection (RFC 2525 section 2.17).
        """
        core = self._core
        core.reading_closed = True
        if core.state in (State.SYN_SENT, State.CLOSED):
            core.end(None, now)
        elif self.readable:
            core.reset(Reason.CLOSED, None, now)
        else:
            core.close(now)
        self._touch(self)

    def abort(self, now: int) -> None:
        """End the connection at once; the peer is told with a RESET."""
        core = self._core
        if core.state is State.SYN_SENT:
            core.end(None, now)
        elif not core.closed:
            core.reset(Reason.ABORTED, None, now)
        self._touch(self)

    # ---- for the endpoint -------------------------------------------------------------------------------------

    def dial(self, now: int) -> None:
        """Send the first SYN."""
        opening.dial(self._core, now)
        self._touch(self)

    def on_cookie(self, cookie: Hello, source: Any, now: int) -> None:
        """The listener's answer to the SYN, from ``source``."""
        self._core.source = source
        opening.confirm(self._core, cookie, Terms.of(cookie), now)

    def on_confirmed(self, theirs: Terms, now: int) -> None:
        """The listener's side: the cookie came back, the peer is real. It repeats itself until it hears something."""
        self._core.agree(theirs)
        self._core.heard(now)
        self.acknowledge()

    def on_met(self, theirs: Terms, now: int) -> None:
        """Both sides dialed, and the peer returned our cookie (simultaneous open)."""
        self._core.source = self._core.address
        opening.meet(self._core, theirs, now)
        self.acknowledge()

    def question(self, now: int) -> None:
        """Something came that only a peer without this connection would send: ask it."""
        if challenge(self._core, now):
            self._touch(self)

    def give_up(self, reason: str, now: int) -> None:
        """End the connection for want of memory: the peer is told, and so is the application."""
        core = self._core
        error = ConnectionAborted(reason, network="rsp", remote=core.remote_text)
        if core.closed:
            core.control.clear()  # not even the farewell could be sent
        elif core.peer_identifier:
            core.reset(Reason.OVERLOAD, error, now)
        else:
            core.end(error, now)

    def on_accepted(self) -> None:
        """The application took the connection out of the backlog: it may receive more now."""
        self._core.receiver.widen(self._core.config.initial_window)
        if self._core.receiver.acks.due:
            self._touch(self)

    def acknowledge(self) -> None:
        """Let the peer hear something."""
        self._core.receiver.acks.due = True
        self._touch(self)

    def let_go(self) -> None:
        """The endpoint has forgotten the connection."""
        self._core.let_go()
        self._touch = _nothing


def _nothing(connection: Connection) -> None:
    """There is no endpoint any more that a command would concern."""

"""A socket's error queue: ICMP errors that the kernel matched to what the socket sent (IP_RECVERR, ip(7)).

Each entry holds the sockaddr that our datagram went to, the quoted bytes of it, and a control message
(:mod:`rawproto.link.extendederror`) that says who reported what.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from typing import TYPE_CHECKING, Any, Final

from rawproto.link import linux
from rawproto.link.control import nanoseconds
from rawproto.link.extendederror import ExtendedError
from rawproto.link.icmperrors import error_kind
from rawproto.wire.icmp_error import ICMPError, ICMPErrorKind

if TYPE_CHECKING:
    from rawproto.link.base import LinkStats
    from rawproto.link.sockaddr import AddressCodec

__all__ = ["ErrorQueue"]

_TIMES: Final = (socket.SOL_SOCKET, linux.SCM_TIMESTAMPING)
_CONTROL_SIZE: Final = 1024
_QUOTE_SIZE: Final = 2048
# Errors nobody asks for must not fill the memory.
_KEPT: Final = 1024


class ErrorQueue:
    """Reads a socket's error queue, whichever of the link's threads comes first.

    Args:
        sock: the socket; IP_RECVERR or IPV6_RECVERR gets switched on.
        version: 4 or 6.
        stats: counters to keep.
        codec: the link's addresses. What quotes a datagram to an address it never encoded is not ours: ignored
            and counted.
    """

    def __init__(
        self,
        sock: socket.socket,
        version: int,
        stats: LinkStats,
        codec: AddressCodec,
    ) -> None:
        self._sock = sock
        self._version = version
        self._stats = stats
        self._codec = codec
        self._errors: deque[ICMPError] = deque(maxlen=_KEPT)
        self._times: dict[int, int] = {}
        self._lock = threading.Lock()
        if version == 4:
            self._level, self._type = socket.IPPROTO_IP, linux.IP_RECVERR
            self._origin = linux.SO_EE_ORIGIN_ICMP
        else:
            self._level, self._type = socket.IPPROTO_IPV6, linux.IPV6_RECVERR
            self._origin = linux.SO_EE_ORIGIN_ICMP6
        sock.setsockopt(self._level, self._type, 1)

    def take(self) -> list[ICMPError]:
        """The errors that came in since the last call."""
        self.drain()
        taken = []
        while self._errors:
            taken.append(self._errors.popleft())
        return taken

    def drain(self) -> None:
        """Read the kernel's queue empty; this also clears the error that would fail the next send or receive."""
        flags = socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT
        with self._lock:
            while True:
                try:
                    quoted, control, _, name = self._sock.recvmsg(_QUOTE_SIZE, _CONTROL_SIZE, flags)
                except OSError:  # empty, or closed meanwhile
                    return
                messages = {(level, kind): data for level, kind, data in control}
                error = ExtendedError.parse(messages.get((self._level, self._type), b""))
                if error is None:
                    continue
                if error.origin == self._origin:
                    self._add(error, quoted, name)
                elif error.origin == linux.SO_EE_ORIGIN_TIMESTAMPING and _TIMES in messages:
                    self._note_time(error.number, messages[_TIMES])
                # What is left is a local refusal, which the send that caused it reports.

    def _note_time(self, number: int, times: bytes) -> None:
        if len(self._times) >= _KEPT:
            del self._times[next(iter(self._times))]
        self._times[number] = nanoseconds(times)

    def take_times(self) -> dict[int, int]:
        """Departure times by number since the last call, in nanoseconds since the epoch (the newest 1024)."""
        self.drain()
        with self._lock:
            taken, self._times = self._times, {}
        return taken

    def _add(self, error: ExtendedError, quoted: bytes, name: Any) -> None:
        destination = self._codec.from_tuple(name)
        if not self._codec.knows(destination):
            self._stats.icmp_ignored += 1
            return
        kind = error_kind(self._version, error.type, error.code)
        self._stats.icmp_errors += 1
        self._errors.append(
            ICMPError(
                kind=kind,
                type=error.type,
                code=error.code,
                version=self._version,
                reporter=self._codec.reporter(error.reporter),
                destination=destination,
                mtu=error.info if kind is ICMPErrorKind.PACKET_TOO_BIG else 0,
                quoted=quoted,
            )
        )

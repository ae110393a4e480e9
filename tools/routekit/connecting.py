"""TCP probes without any privilege: each is an attempt of the kernel's to connect, with a TTL of its own.

The kernel sends the SYN; what became of it is in the socket: an ICMP error in its error queue, the connection, or its
refusal. This is what other traceroutes call tcpconn. It cannot be one flow: each connection needs a port of its own.
"""

from __future__ import annotations

import dataclasses
import errno
import os
import select
import socket
import time
from typing import TYPE_CHECKING, Final

from ..failure import FAILED, Failure
from .answers import Answer, ask_for_errors, error_of

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Connecting"]

SYN: Final = 40
"""Bytes of a SYN of Linux's: the TCP header with maximum segment size, SACK, timestamps and window scale."""
# Answers of the destination: somebody accepts the connection, nobody does, or somebody takes it back.
_ANSWERED: Final = (0, errno.ECONNREFUSED, errno.ECONNRESET)


@dataclasses.dataclass
class _Attempt:
    number: int
    sock: socket.socket
    error: int


class Connecting:
    """Sends probes to one destination. Methods as of :class:`Sounder`.

    Args:
        version: 4 or 6.
        destination: address, as text.
        port: to connect to.

    Raises:
        Failure: there is no route.
    """

    def __init__(self, version: int, destination: str, port: int) -> None:
        self._version = version
        self._family = socket.AF_INET if version == 4 else socket.AF_INET6
        self._destination = destination
        self._port = port
        self._attempts: dict[int, _Attempt] = {}
        self._epoll = select.epoll()
        try:
            # Says at once whether there is a way; nothing is sent.
            with socket.socket(self._family, socket.SOCK_DGRAM) as way:
                way.connect((destination, port))
        except OSError as error:
            self.close()
            raise Failure(f"{destination}: {error.strerror}", FAILED) from error

    def size_for(self, wanted: int) -> int:
        """Bytes of a probe, its IP header included; the kernel's SYN has one size, whatever is ``wanted``."""
        return (20 if self._version == 4 else 40) + SYN

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self._epoll.fileno()

    def send(self, number: int, ttl: int, size: int) -> int:
        """Send a probe; gives the time, nanoseconds since the epoch.

        Raises:
            BlockingIOError: there are too many attempts at a time.
            Failure: the probe cannot be sent.
        """
        try:
            sock = socket.socket(self._family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        except OSError as error:
            if error.errno in (errno.EMFILE, errno.ENFILE) and self._attempts:
                raise BlockingIOError(errno.EAGAIN, os.strerror(error.errno)) from error
            raise Failure(f"cannot send probes: {error.strerror}") from error
        ask_for_errors(sock, self._version)
        if self._version == 4:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)
        now = time.time_ns()
        # An answer that is there already is taken with the others.
        result = sock.connect_ex((self._destination, self._port))
        self._attempts[sock.fileno()] = _Attempt(number, sock, result)
        self._epoll.register(sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
        return now

    def answers(self) -> list[tuple[int, Answer]]:
        """What is here, each with the number of its probe."""
        return list(self._answers())

    def _answers(self) -> Iterator[tuple[int, Answer]]:
        for descriptor, _ in self._epoll.poll(0):
            attempt = self._attempts.pop(descriptor)
            answer = self._answer(attempt)
            attempt.sock.close()
            if answer is not None:
                yield attempt.number, answer

    def _answer(self, attempt: _Attempt) -> Answer | None:
        """What became of an attempt that is over; None when the network says nothing of it."""
        now = time.time_ns()
        try:
            while True:
                data, control, _, _ = attempt.sock.recvmsg(1 << 12, 1024, socket.MSG_ERRQUEUE)
                answer = error_of(self._version, data, control, now)
                if answer is not None:
                    return answer
        except OSError:
            pass  # the queue is empty
        error = attempt.error if attempt.error != errno.EINPROGRESS else 0
        error = error or attempt.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return Answer(b"", self._destination, now) if error in _ANSWERED else None

    def forget(self, number: int) -> None:
        """Nobody waits for the answer to that probe any more."""
        for descriptor, attempt in list(self._attempts.items()):
            if attempt.number == number:
                del self._attempts[descriptor]
                attempt.sock.close()

    def close(self) -> None:
        """Give the sockets back."""
        for attempt in self._attempts.values():
            attempt.sock.close()
        self._attempts.clear()
        self._epoll.close()

"""A classic BPF program run by the kernel on datagrams that are already here.

When a filter is swapped, the socket's queue still holds what the old program passed, and a packet that another
processor is just putting there may follow. Until all of that is read, arrivals go through the new program once more.
A Unix datagram socket runs an attached filter on what is sent to it, with the bytes as they are: what comes out
again has passed. (Loads relative to a network header, which a Unix datagram does not have, refuse.)
"""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Final

from rawproto.link.options import attach_filter

if TYPE_CHECKING:
    from typing import SupportsBytes

__all__ = ["Screen"]

# A packet that met the old program is in the queue long before this; it is a few microseconds of one processor.
_GRACE: Final = 20_000_000
_ROOM: Final = 1 << 18


class Screen:
    """The program that arrivals have to pass until the queue is clean of what an earlier one let in."""

    def __init__(self, program: SupportsBytes) -> None:
        self._entry, self._exit = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            self._entry.setblocking(False)
            self._exit.setblocking(False)
            self._entry.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _ROOM)
            attach_filter(self._exit, program)
        except BaseException:
            self.close()
            raise
        self._until = time.monotonic_ns() + _GRACE

    def passes(self, datagram: bytes | bytearray | memoryview) -> bool:
        """Whether the program lets ``datagram`` (as the kernel shows it to filters) through."""
        self._entry.send(datagram)
        try:
            self._exit.recv(1)
        except BlockingIOError:
            return False
        return True

    def is_done(self) -> bool:
        """To ask when the socket's queue was found empty: whether nothing of the old filter's can come any more."""
        return time.monotonic_ns() >= self._until

    def close(self) -> None:
        """Give the sockets back."""
        self._entry.close()
        self._exit.close()

"""What the kernel knows of a path: asked with a UDP socket that never sends anything."""

from __future__ import annotations

import os
import socket
import threading
from typing import Any

from rawproto.errors import OpError
from rawproto.link import linux

__all__ = ["PathProbe"]


class PathProbe:
    """Questions about routes in the network namespace in which the probe was made."""

    def __init__(self, version: int) -> None:
        self._lock = threading.Lock()
        if version == 4:
            family, self._level, self._option = socket.AF_INET, socket.IPPROTO_IP, linux.IP_MTU
        else:
            family, self._level, self._option = socket.AF_INET6, socket.IPPROTO_IPV6, linux.IPV6_MTU
        self._sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)

    def mtu(self, name: tuple[Any, ...], destination: object) -> int:
        """MTU in bytes of the path to the host of ``name``, a tuple of the socket module.

        Raises OpError, naming ``destination``, when there is no route.
        """
        with self._lock:
            try:
                self._sock.connect((name[0], 9, *name[2:]))
                return self._sock.getsockopt(self._level, self._option)
            except OSError as error:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise OpError(reason, op="route", remote=destination, errno=error.errno) from error

    def source(self, name: tuple[Any, ...]) -> tuple[Any, ...]:
        """The local address the kernel would send from to the host of ``name``; raises OSError without a route."""
        with self._lock:
            self._sock.connect((name[0], 9, *name[2:]))
            chosen: tuple[Any, ...] = self._sock.getsockname()
            return chosen

    def close(self) -> None:
        """Give the socket back."""
        self._sock.close()

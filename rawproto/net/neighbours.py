"""Other endpoints on the same raw IP protocol of this host.

The kernel gives every raw socket of a protocol a copy of every packet, and knows no ports of RSP. So endpoints, of
this process and of others, tell each other what they hold: by binding names in Linux's abstract unix socket
namespace (unix(7)), which belongs to the network namespace, is taken first come first served, and is given back by
the kernel when a process dies.
"""

from __future__ import annotations

import contextlib
import errno
import socket

from rawproto.errors import OpError

__all__ = ["Neighbours"]

SLOTS = 16
"""Endpoints that can be told apart from none at all; beyond that one is taken to have neighbours."""


class Neighbours:
    """What one endpoint on a raw socket knows of the others; its sockets belong to the namespace it was made in.

    Args:
        protocol: the IP protocol number.
        version: 4 or 6.
    """

    def __init__(self, protocol: int, version: int) -> None:
        self._prefix = f"\0rawproto/{protocol}/{version}"
        self._probe = _unix()
        self._ports: dict[int, socket.socket] = {}
        self._slot: int | None = None
        for slot in range(SLOTS):
            with contextlib.suppress(OSError):
                self._probe.bind(f"{self._prefix}/endpoint/{slot}")
                self._slot = slot
                break

    def claim(self, port: int) -> None:
        """Take ``port`` to listen on; called in a thread of the endpoint's network namespace.

        Raises:
            OpError: another endpoint listens there (EADDRINUSE), or the kernel refuses the name that says who does.
        """
        holder = _unix()
        try:
            holder.bind(self._name(port))
        except OSError as error:
            holder.close()
            taken = error.errno == errno.EADDRINUSE
            reason = "another endpoint of this host listens on that port" if taken else str(error.strerror)
            raise OpError(reason, errno=error.errno) from error
        self._ports[port] = holder

    def give_back(self, port: int) -> None:
        """Listen on ``port`` no more."""
        holder = self._ports.pop(port, None)
        if holder is not None:
            holder.close()

    def listens(self, port: int) -> bool:
        """Whether another endpoint listens on ``port``."""
        return port not in self._ports and self._taken(self._name(port))

    def present(self) -> bool:
        """Whether there is any other endpoint."""
        if self._slot is None:
            return True
        return any(
            self._taken(f"{self._prefix}/endpoint/{slot}") for slot in range(SLOTS) if slot != self._slot
        )

    def close(self) -> None:
        """Give everything back."""
        self._probe.close()
        for port in list(self._ports):
            self.give_back(port)

    def _name(self, port: int) -> str:
        return f"{self._prefix}/port/{port}"

    def _taken(self, name: str) -> bool:
        try:
            self._probe.connect(name)
        except OSError as error:
            # ECONNREFUSED: nobody has the name. A socket of another kind under it, or a closed probe: be silent.
            return error.errno != errno.ECONNREFUSED
        return True


def _unix() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)

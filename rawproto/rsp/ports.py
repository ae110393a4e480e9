"""The local ports of an endpoint: who uses which, and an unpredictable free one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rawproto.errors import ConfigError, OpError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Ports", "check_port"]


def check_port(port: int) -> None:
    """Refuse what is no port.

    Raises:
        ConfigError: not 1 to 65535.
    """
    if not 1 <= port <= 65535:
        raise ConfigError(f"a port is from 1 to 65535, not {port}")


class Ports:
    """Users of each port: one that dials or listens, and for a listener the connections it accepted.

    Args:
        source_range: the first and the last port to dial from.
        entropy: gives that many unpredictable bytes.
        elsewhere: whether another endpoint of this host listens on a port: it would answer for what is sent there.
    """

    __slots__ = ("_elsewhere", "_entropy", "_range", "_users")

    def __init__(
        self,
        source_range: tuple[int, int],
        entropy: Callable[[int], bytes],
        elsewhere: Callable[[int], bool] | None = None,
    ) -> None:
        self._range = source_range
        self._entropy = entropy
        self._elsewhere = elsewhere or (lambda _: False)
        self._users: dict[int, int] = {}

    def __contains__(self, port: int) -> bool:
        return port in self._users

    def take(self, port: int, op: str) -> int:
        """Reserve ``port``, or a free one for 0.

        Raises:
            OpError: the port, or all of them, are taken.
        """
        if not port:
            port = self._free(op)
        elif port in self._users or (op == "dial" and self._elsewhere(port)):
            raise OpError(f"port {port} is taken", op=op, network="rsp")
        self._users[port] = 1
        return port

    def _free(self, op: str) -> int:
        low, high = self._range
        count = high - low + 1
        start = int.from_bytes(self._entropy(4), "big") % count  # unpredictable, RFC 6056 section 3.3.1
        for step in range(count):
            port = low + (start + step) % count
            if port not in self._users and not self._elsewhere(port):
                return port
        raise OpError(f"all local ports from {low} to {high} are taken", op=op, network="rsp")

    def share(self, port: int) -> None:
        """One more user of a port that has some."""
        self._users[port] += 1

    def release(self, port: int) -> None:
        """One user less; the port is free when it was the last."""
        users = self._users.get(port, 0)
        if users > 1:
            self._users[port] = users - 1
        else:
            self._users.pop(port, None)
